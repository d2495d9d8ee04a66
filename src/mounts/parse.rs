//! The text of mountinfo (`proc_pid_mountinfo(5)`).

use std::error::Error;
use std::fmt;
use std::iter;

/// A line that is not as the manual page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for ParseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {} of mountinfo cannot be understood", self.line)
    }
}

impl Error for ParseError {}

/// A mount as the table keeps it: numbers, and where its fields are in the text.
///
/// 88 bytes, which tens of thousands of mounts make worth a thought. No id and no group has the number
/// 0, which therefore stands for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) unique: u64,
    pub(super) parent: u64,
    pub(super) peer_group: u64,
    pub(super) master: u64,
    pub(super) propagates_from: u64,
    pub(super) device: (u32, u32),
    /// Where the fields begin, and where the line ends. One character lies between a field and the next;
    /// behind the options come others first.
    root: u32,
    point: u32,
    options: u32,
    options_end: u32,
    fstype: u32,
    source: u32,
    super_options: u32,
    end: u32,
    pub(super) unbindable: bool,
    /// Whether the point holds escapes.
    pub(super) is_escaped: bool,
}

impl Row {
    /// Where field 4 is, escaped.
    pub(super) fn root(&self) -> (u32, u32) {
        (self.root, self.point.saturating_sub(1))
    }

    /// Where field 5 is.
    pub(super) fn point(&self) -> (u32, u32) {
        (self.point, self.options.saturating_sub(1))
    }

    /// Where field 6 is.
    pub(super) fn options(&self) -> (u32, u32) {
        (self.options, self.options_end)
    }

    /// Where the type is.
    pub(super) fn fstype(&self) -> (u32, u32) {
        (self.fstype, self.source.saturating_sub(1))
    }

    /// Where the source is.
    pub(super) fn source(&self) -> (u32, u32) {
        (self.source, self.super_options.saturating_sub(1))
    }

    /// Where the options of the file system are.
    pub(super) fn super_options(&self) -> (u32, u32) {
        (self.super_options, self.end)
    }
}

/// Every mount of the text, in its order.
pub(super) fn table(text: &[u8]) -> Result<Vec<Row>, ParseError> {
    let mut rows = Vec::new();
    let mut start = 0;
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        if !line.is_empty() {
            rows.push(row(line, start).ok_or(ParseError { line: index + 1 })?);
        }
        start += line.len() + 1;
    }
    rows.shrink_to_fit();
    Ok(rows)
}

/// The fields of a line, and where the next of them begins.
struct Fields<'a> {
    line: &'a [u8],
    next: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.line.get(self.next..)?;
        let field = rest.split(|&byte| byte == b' ').next()?;
        self.next += field.len() + 1;
        Some(field)
    }
}

/// The mount of a line that begins at `start` of the text.
fn row(line: &[u8], start: usize) -> Option<Row> {
    let mut fields = Fields { line, next: 0 };
    let place = |at: usize| u32::try_from(start + at).ok();
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = device(fields.next()?)?;
    let root = place(fields.next)?;
    fields.next()?;
    let point = place(fields.next)?;
    let is_escaped = fields.next()?.contains(&b'\\');
    let options = place(fields.next)?;
    fields.next()?;
    let options_end = place(fields.next - 1)?;
    let found = propagation(&mut fields)?;
    let fstype = place(fields.next)?;
    fields.next()?;
    let source = place(fields.next)?;
    // It may be empty, and a text that was not written by the kernel may end before it.
    fields.next();
    let super_options = place(fields.next)?;
    Some(Row {
        id,
        unique: 0,
        parent,
        peer_group: found.peer_group.unwrap_or(0),
        master: found.master.unwrap_or(0),
        propagates_from: found.propagates_from.unwrap_or(0),
        device,
        root,
        point,
        options,
        options_end,
        fstype,
        source,
        super_options,
        // Options may hold spaces: not every file system escapes them.
        end: place(line.len())?,
        unbindable: found.unbindable,
        is_escaped,
    })
}

/// What `parse` makes of every line, in their order.
fn lines<T>(text: &[u8], parse: fn(&[u8]) -> Option<T>) -> Result<Vec<T>, ParseError> {
    text.split(|&byte| byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| parse(line).ok_or(ParseError { line: index + 1 }))
        .collect()
}

/// What the optional fields say.
#[derive(Default)]
struct Propagation {
    peer_group: Option<u64>,
    master: Option<u64>,
    propagates_from: Option<u64>,
    unbindable: bool,
}

/// Reads the optional fields up to a single dash; those of later kernels are passed over.
fn propagation<'a>(fields: &mut impl Iterator<Item = &'a [u8]>) -> Option<Propagation> {
    let mut found = Propagation::default();
    loop {
        match fields.next()? {
            b"-" => return Some(found),
            b"unbindable" => found.unbindable = true,
            field => {
                if let Some(group) = field.strip_prefix(b"shared:") {
                    found.peer_group = Some(number(group)?);
                } else if let Some(group) = field.strip_prefix(b"master:") {
                    found.master = Some(number(group)?);
                } else if let Some(group) = field.strip_prefix(b"propagate_from:") {
                    found.propagates_from = Some(number(group)?);
                }
            }
        }
    }
}

/// `major:minor`.
fn device(field: &[u8]) -> Option<(u32, u32)> {
    let (major, minor) = text(field)?.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// How the mount of one line is joined to others, read without the rest of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Links {
    /// As [`Mount::id`](crate::mounts::Mount::id).
    pub id: u64,
    /// As [`Mount::device`](crate::mounts::Mount::device).
    pub device: (u32, u32),
    /// As [`Mount::peer_group`](crate::mounts::Mount::peer_group).
    pub peer_group: Option<u64>,
    /// As [`Mount::master`](crate::mounts::Mount::master).
    pub master: Option<u64>,
}

impl Links {
    /// Those of every mount of a text in the form of mountinfo, in its order.
    ///
    /// # Errors
    /// [`ParseError`] with the number of the line.
    pub fn parse(text: &[u8]) -> Result<Vec<Self>, ParseError> {
        lines(text, links)
    }
}

fn links(line: &[u8]) -> Option<Links> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = number(fields.next()?)?;
    let _parent = fields.next()?;
    let device = device(fields.next()?)?;
    // Past root, point and options.
    let Propagation { peer_group, master, .. } = propagation(&mut fields.skip(3))?;
    Some(Links { id, device, peer_group, master })
}

fn text(field: &[u8]) -> Option<&str> {
    std::str::from_utf8(field).ok()
}

fn number(field: &[u8]) -> Option<u64> {
    text(field)?.parse().ok()
}

/// A field as it was before the kernel escaped it: space, tab, newline, backslash and '#' are given as
/// three octal digits.
pub(super) fn unescaped(field: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = field;
    iter::from_fn(move || {
        let (&first, after) = rest.split_first()?;
        let escaped = if first == b'\\' { octal(after) } else { None };
        let (byte, after) = escaped.unwrap_or((first, after));
        rest = after;
        Some(byte)
    })
}

fn octal(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(3)?;
    let value = digits.iter().try_fold(0_u32, |value, digit| match digit {
        b'0'..=b'7' => Some(value * 8 + u32::from(digit - b'0')),
        _ => None,
    })?;
    Some((u8::try_from(value).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts::MountTable;
    use proptest::prelude::*;
    use std::path::Path;

    const TABLE: &[u8] = b"\
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 27 0:30 / /run rw shared:5 master:1 - tmpfs tmpfs rw
41 40 0:30 /kubens /run/kubens rw unbindable - tmpfs tmpfs rw
42 41 0:4 mnt:[4026532177] /run/kubens/mnt rw - nsfs nsfs rw
43 40 0:30 /netns /run/netns rw shared:9 propagate_from:2 - tmpfs tmpfs rw
44 27 0:31 / /a\\040b\\134c\\012d rw - tmpfs tmpfs rw
45 40 0:32 / /run/kubens rw shared:7 - tmpfs tmpfs rw
46 45 0:32 / /run/kubens rw - tmpfs tmpfs rw
";

    fn parsed() -> MountTable {
        MountTable::parse(TABLE).unwrap()
    }

    #[test]
    fn fields_are_read() {
        let table = parsed();
        let pin = table.by_id(42).unwrap();
        assert_eq!((pin.parent(), pin.device(), &*pin.fstype()), (41, (0, 4), "nsfs"));
        assert_eq!(pin.root(), Path::new("mnt:[4026532177]"));
        assert!(pin.is_private());
        let run = table.by_id(40).unwrap();
        assert_eq!((run.peer_group(), run.master()), (Some(5), Some(1)));
        assert!(table.by_id(41).unwrap().is_unbindable());
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(parsed().by_id(44).unwrap().point(), Path::new("/a b\\c\nd"));
    }

    #[test]
    fn the_uppermost_of_a_stack_is_found_and_a_self_bind_known() {
        let table = parsed();
        assert_eq!(table.at(Path::new("/run/kubens")).unwrap().id(), 41);
        assert!(table.is_self_bind(table.by_id(41).unwrap()));
        assert!(table.is_self_bind(table.by_id(43).unwrap()));
        assert!(table.is_self_bind(table.by_id(46).unwrap()));
        for other in [27, 40, 42, 45] {
            assert!(!table.is_self_bind(table.by_id(other).unwrap()), "{other}");
        }
        assert_eq!(table.holding(Path::new("/run/netns/x")).unwrap().id(), 43);
        assert_eq!(table.holding(Path::new("/etc/x")).unwrap().id(), 27);
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        let wrong = b"27 1 254:0 / / rw - ext4 /dev/vda rw\n28 1 2540 / / rw - ext4 x rw\n";
        assert_eq!(MountTable::parse(wrong), Err(ParseError { line: 2 }));
        assert_eq!(MountTable::parse(b"27 1 254:0 / / rw"), Err(ParseError { line: 1 }));
    }

    #[test]
    fn the_table_of_this_very_process_is_understood() {
        let own = MountTable::own().unwrap();
        let root = own.holding(Path::new("/")).unwrap();
        assert_eq!(crate::mounts::mount_id_of(Path::new("/")).unwrap(), root.id());
    }

    #[test]
    fn the_links_alone_are_those_of_the_whole() {
        let own = std::fs::read("/proc/self/mountinfo").unwrap();
        for text in [TABLE, &own] {
            let whole = MountTable::parse(text).unwrap();
            let expected: Vec<Links> = whole
                .iter()
                .map(|one| Links {
                    id: one.id(),
                    device: one.device(),
                    peer_group: one.peer_group(),
                    master: one.master(),
                })
                .collect();
            assert_eq!(Links::parse(text).unwrap(), expected);
        }
        for wrong in
            [&b"27 1 254:0 / / rw"[..], b"27 1 254:0 / / rw shared:x - a b c", b"27 1 x / / rw -"]
        {
            assert_eq!(Links::parse(wrong), Err(ParseError { line: 1 }));
        }
    }

    proptest! {
        #[test]
        fn any_path_survives_the_kernels_escapes(bytes in prop::collection::vec(1..=255_u8, 0..20)) {
            // What the kernel escapes: mangle() in fs/seq_file.c, " \t\n\\#".
            let escaped: Vec<u8> = bytes.iter().flat_map(|byte| match byte {
                b' ' | b'\t' | b'\n' | b'\\' | b'#' => format!("\\{byte:03o}").into_bytes(),
                other => vec![*other],
            }).collect();
            prop_assert_eq!(unescaped(&escaped).collect::<Vec<u8>>(), bytes);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: Vec<u8>) {
            let whole = MountTable::parse(&text);
            prop_assert!(whole.is_err() || Links::parse(&text).is_ok());
        }
    }
}
