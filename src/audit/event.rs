//! What a record of the ring buffer tells. Pure.

use crate::audit::format::{Format, number, signed, text};
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;

/// More frames than the kernel records.
const DEEPEST: usize = 256;

/// What a thread did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id in the host's PID namespace.
    pub thread: i32,
    /// What it did.
    pub what: What,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The kernel looked whether it has a capability.
    Check {
        /// Its number.
        capability: u8,
        /// The user namespace in which it is needed: the kernel's address of it.
        target: u64,
        /// The user namespace in which it has it: target, or one around it; 0 if it has not.
        holder: u64,
        /// Whether it has it.
        granted: bool,
    },
    /// By which functions of the kernel its last event came about, the innermost first.
    Stack(Vec<u64>),
    /// It made another thread or process.
    Made {
        /// The new one's id.
        thread: i32,
        /// Its name, until it changes that.
        name: OsString,
    },
    /// It has another name now: by execve(2), or by its own wish.
    Renamed(OsString),
}

/// How the events that we ask for are laid out.
#[derive(Debug, Clone)]
pub struct Formats {
    kind: Range<usize>,
    thread: Range<usize>,
    check: Check,
    stack: Stack,
    made: Named,
    renamed: Named,
}

#[derive(Debug, Clone)]
struct Check {
    id: u16,
    capability: Range<usize>,
    target: Range<usize>,
    holder: Range<usize>,
    result: Range<usize>,
}

#[derive(Debug, Clone)]
struct Stack {
    id: u16,
    size: Range<usize>,
    start: usize,
}

#[derive(Debug, Clone)]
struct Named {
    id: u16,
    thread: Range<usize>,
    name: Range<usize>,
}

/// The texts of `format` of each event.
#[derive(Debug, Clone)]
pub struct Texts {
    /// `capability/cap_capable`
    pub check: String,
    /// `ftrace/kernel_stack`
    pub stack: String,
    /// `task/task_newtask`
    pub made: String,
    /// `task/task_rename`
    pub renamed: String,
}

impl Formats {
    /// Reads them; nothing if a field is missing that we need.
    #[must_use]
    pub fn parse(texts: &Texts) -> Option<Self> {
        let check = Format::parse(&texts.check);
        let stack = Format::parse(&texts.stack);
        Some(Self {
            kind: check.field("common_type")?,
            thread: check.field("common_pid")?,
            check: Check {
                id: check.id?,
                capability: check.field("cap")?,
                target: check.field("target_ns")?,
                holder: check.field("capable_ns")?,
                result: check.field("ret")?,
            },
            stack: Stack {
                id: stack.id?,
                size: stack.field("size")?,
                start: stack.field("caller")?.start,
            },
            made: named(&texts.made, "comm")?,
            renamed: named(&texts.renamed, "newcomm")?,
        })
    }

    /// What a record tells; nothing if it is of another kind, or cut short.
    #[must_use]
    pub fn read(&self, record: &[u8]) -> Option<Event> {
        let kind = u16::try_from(number(record, &self.kind)?).ok()?;
        let what = if kind == self.check.id {
            What::Check {
                capability: u8::try_from(number(record, &self.check.capability)?).ok()?,
                target: number(record, &self.check.target)?,
                holder: number(record, &self.check.holder)?,
                granted: signed(record, &self.check.result)? == 0,
            }
        } else if kind == self.stack.id {
            What::Stack(self.frames(record)?)
        } else if kind == self.made.id {
            What::Made {
                thread: signed(record, &self.made.thread)?,
                name: name(record, &self.made.name)?,
            }
        } else if kind == self.renamed.id {
            What::Renamed(name(record, &self.renamed.name)?)
        } else {
            return None;
        };
        Some(Event { thread: signed(record, &self.thread)?, what })
    }

    fn frames(&self, record: &[u8]) -> Option<Vec<u64>> {
        let size = usize::try_from(number(record, &self.stack.size)?).ok()?;
        // As long as an address of the kernel.
        let width = self.check.target.len();
        let starts = (self.stack.start..).step_by(width.max(1)).take(size.min(DEEPEST));
        Some(starts.map_while(|start| number(record, &(start..start + width))).collect())
    }
}

fn named(text: &str, name: &str) -> Option<Named> {
    let format = Format::parse(text);
    Some(Named { id: format.id?, thread: format.field("pid")?, name: format.field(name)? })
}

fn name(record: &[u8], range: &Range<usize>) -> Option<OsString> {
    Some(OsStr::from_bytes(text(record, range)?).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::format::tests::CAP_CAPABLE;
    use proptest::prelude::*;

    fn formats() -> Formats {
        let line = |name: &str, offset: usize, size: usize| {
            format!("\tfield:int {name};\toffset:{offset};\tsize:{size};\tsigned:1;\n")
        };
        Formats::parse(&Texts {
            check: CAP_CAPABLE.to_owned(),
            stack: format!("ID: 4\n{}{}", line("size", 8, 4), line("caller[8]", 16, 64)),
            made: format!("ID: 205\n{}{}", line("pid", 8, 4), line("comm[16]", 12, 16)),
            renamed: format!("ID: 204\n{}{}", line("pid", 8, 4), line("newcomm[16]", 28, 16)),
        })
        .unwrap()
    }

    fn record(kind: u16, thread: i32, rest: &[u8]) -> Vec<u8> {
        [&kind.to_ne_bytes()[..], &[0, 0], &thread.to_ne_bytes(), rest].concat()
    }

    #[test]
    fn a_check_is_read() {
        let rest = |result: i32| {
            let pointers = [1_u64, 0xffff_ffff_8000_0000, 3].map(u64::to_ne_bytes).concat();
            [&pointers[..], &21_i32.to_ne_bytes(), &result.to_ne_bytes()].concat()
        };
        for (result, granted) in [(0, true), (-1, false)] {
            let event = formats().read(&record(2073, 7, &rest(result))).unwrap();
            let target = 0xffff_ffff_8000_0000;
            let what = What::Check { capability: 21, target, holder: 3, granted };
            assert_eq!(event, Event { thread: 7, what });
        }
        assert_eq!(formats().read(&record(2073, 7, &rest(0)[..20])), None);
        assert_eq!(formats().read(&record(9, 7, &rest(0))), None);
    }

    #[test]
    fn a_stack_is_read_as_far_as_it_goes() {
        let frames = [1_u64, 2, 3].map(u64::to_ne_bytes).concat();
        for (size, expected) in [(2_i32, 2), (3, 3), (9, 3), (-1, 3), (0, 0)] {
            let rest = [&size.to_ne_bytes()[..], &[0; 4], &frames].concat();
            let event = formats().read(&record(4, 7, &rest)).unwrap();
            assert_eq!(event.what, What::Stack((1..=expected).collect()));
        }
    }

    #[test]
    fn names_are_read_whatever_their_bytes() {
        let rest =
            [&8_i32.to_ne_bytes()[..], b"runc:[2:INIT]\0\0\0", b"a\n\xff\0............"].concat();
        let made = formats().read(&record(205, 7, &rest)).unwrap();
        assert_eq!(made.what, What::Made { thread: 8, name: "runc:[2:INIT]".into() });
        let renamed = formats().read(&record(204, 7, &rest)).unwrap();
        assert_eq!(renamed.what, What::Renamed(OsStr::from_bytes(b"a\n\xff").to_owned()));
    }

    proptest! {
        #[test]
        fn any_record_is_read_without_a_panic(
            kind in proptest::sample::select(vec![4_u16, 204, 205, 2073]),
            rest in proptest::collection::vec(any::<u8>(), 0..100)
        ) {
            let _ = formats().read(&record(kind, 1, &rest));
        }
    }
}
