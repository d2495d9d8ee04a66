//! Whether a regular expression is one for Go's `regexp`, as far as that can be told here.
//!
//! The syntax of both is RE2's, near enough: what is not the same is looked at one by one. Not judged:
//! names of Unicode classes, and patterns with `\Q` and `\C`, which Go alone knows.

use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{
    self, Ast, Flag, FlagsItemKind, HexLiteralKind, LiteralKind, RepetitionKind, RepetitionRange,
    Visitor,
};

/// The most repetitions that Go takes.
const MOST: u32 = 1000;

/// Says why Go would refuse `pattern`.
///
/// # Errors
/// The reason, in words.
pub fn check(pattern: &str) -> Result<(), String> {
    if pattern.contains("\\Q") || pattern.contains("\\C") {
        return Ok(());
    }
    let tree = ParserBuilder::new()
        .octal(true)
        .build()
        .parse(pattern)
        .map_err(|error| error.kind().to_string())?;
    ast::visit(&tree, Strict)
}

/// Refuses what Rust alone knows.
struct Strict;

fn refuse<T>(what: &str) -> Result<T, String> {
    Err(format!("Go knows no {what}"))
}

fn literal(literal: &ast::Literal) -> Result<(), String> {
    match &literal.kind {
        LiteralKind::HexFixed(HexLiteralKind::UnicodeShort) => refuse("\\u"),
        LiteralKind::HexFixed(HexLiteralKind::UnicodeLong) => refuse("\\U"),
        LiteralKind::HexBrace(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong) => {
            refuse("\\u{}")
        }
        // One digit is a reference to a group.
        LiteralKind::Octal
            if literal.span.end.offset - literal.span.start.offset < 3 && literal.c != '\0' =>
        {
            refuse("references to groups")
        }
        _ => Ok(()),
    }
}

fn flags(flags: &ast::Flags) -> Result<(), String> {
    for item in &flags.items {
        if let FlagsItemKind::Flag(Flag::CRLF | Flag::IgnoreWhitespace | Flag::Unicode) = item.kind
        {
            return refuse("flags x, R and u");
        }
    }
    Ok(())
}

impl Visitor for Strict {
    type Output = ();
    type Err = String;

    fn finish(self) -> Result<(), String> {
        Ok(())
    }

    fn visit_pre(&mut self, tree: &Ast) -> Result<(), String> {
        match tree {
            Ast::Literal(one) => literal(one),
            Ast::Flags(set) => flags(&set.flags),
            Ast::Group(group) => group.flags().map_or(Ok(()), flags),
            Ast::Assertion(assertion) => match assertion.kind {
                ast::AssertionKind::StartLine
                | ast::AssertionKind::EndLine
                | ast::AssertionKind::StartText
                | ast::AssertionKind::EndText
                | ast::AssertionKind::WordBoundary
                | ast::AssertionKind::NotWordBoundary => Ok(()),
                _ => refuse("such word boundary"),
            },
            Ast::Repetition(repetition) => {
                let most = match &repetition.op.kind {
                    RepetitionKind::Range(
                        RepetitionRange::Exactly(most)
                        | RepetitionRange::AtLeast(most)
                        | RepetitionRange::Bounded(_, most),
                    ) => *most,
                    _ => 0,
                };
                if most > MOST {
                    return Err(format!("more than {MOST} repetitions"));
                }
                match &*repetition.ast {
                    Ast::Repetition(_) => refuse("repetition of a repetition"),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), String> {
        match item {
            ast::ClassSetItem::Literal(one) => literal(one),
            ast::ClassSetItem::Range(range) => {
                literal(&range.start).and_then(|()| literal(&range.end))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_takes_and_what_it_refuses() {
        for fine in [
            "",
            ".*",
            "^com\\.example$",
            ".*/(init|systemd)$",
            "[[:alpha:]]",
            "\\x{1F}",
            "(?i)a",
            "a{1000}",
            "\\Q.\\E",
            "\\pN",
            "(?P<a>b)",
            "a*?",
            "\\101",
            "[^]a]",
        ] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for wrong in [
            "*",
            "(",
            "a)",
            "[a",
            "[z-a]",
            "a{1001}",
            "a**",
            "\\u0041",
            "\\b{start}",
            "(?x) a",
            "a{2,1}",
            "\\1",
            "(?=a)",
            "\\",
            "+",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
