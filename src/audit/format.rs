//! The kernel's description of an event: `events/SYSTEM/NAME/format`, `events/header_page` (the
//! kernel's Documentation/trace/events.rst). Pure.

use std::ops::Range;

/// Where the fields of an event lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// The number by which a record says what it is; none in `header_page`.
    pub id: Option<u16>,
    fields: Vec<(String, Range<usize>)>,
}

impl Format {
    /// Reads such a text; lines that are no fields are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let id = text.lines().find_map(|line| line.strip_prefix("ID:")?.trim().parse().ok());
        Self { id, fields: text.lines().filter_map(field).collect() }
    }

    /// Where the field lies in a record; nothing if there is none.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Range<usize>> {
        let (_, range) = self.fields.iter().find(|(field, _)| field == name)?;
        Some(range.clone())
    }
}

/// `field:TYPE NAME; offset:N; size:N; signed:N;` with tabs, of an array `NAME[N]`.
fn field(line: &str) -> Option<(String, Range<usize>)> {
    let mut parts = line.trim().strip_prefix("field:")?.split(';').map(str::trim);
    let name = parts.next()?.rsplit([' ', '*']).next()?;
    let name = name.split('[').next()?;
    let (mut offset, mut size) = (None, None);
    for part in parts {
        match part.split_once(':') {
            Some(("offset", number)) => offset = number.parse::<usize>().ok(),
            Some(("size", number)) => size = number.parse::<usize>().ok(),
            _ => {}
        }
    }
    let offset = offset?;
    Some((name.to_owned(), offset..offset.checked_add(size?)?))
}

/// The unsigned number of 1, 2, 4 or 8 bytes at `range`, in the order of this machine.
#[must_use]
pub fn number(record: &[u8], range: &Range<usize>) -> Option<u64> {
    let bytes = record.get(range.clone())?;
    Some(match bytes.len() {
        1 => u64::from(*bytes.first()?),
        2 => u64::from(u16::from_ne_bytes(bytes.try_into().ok()?)),
        4 => u64::from(u32::from_ne_bytes(bytes.try_into().ok()?)),
        8 => u64::from_ne_bytes(bytes.try_into().ok()?),
        _ => return None,
    })
}

/// The signed number of 4 bytes at `range`.
#[must_use]
pub fn signed(record: &[u8], range: &Range<usize>) -> Option<i32> {
    Some(i32::from_ne_bytes(record.get(range.clone())?.try_into().ok()?))
}

/// The text at `range`, up to its first zero.
#[must_use]
pub fn text<'a>(record: &'a [u8], range: &Range<usize>) -> Option<&'a [u8]> {
    record.get(range.clone())?.split(|&byte| byte == 0).next()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// That of Linux 6.18.
    pub(in crate::audit) const CAP_CAPABLE: &str = "\
name: cap_capable
ID: 2073
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:const struct cred * cred;\toffset:8;\tsize:8;\tsigned:0;
\tfield:struct user_namespace * target_ns;\toffset:16;\tsize:8;\tsigned:0;
\tfield:const struct user_namespace * capable_ns;\toffset:24;\tsize:8;\tsigned:0;
\tfield:int cap;\toffset:32;\tsize:4;\tsigned:1;
\tfield:int ret;\toffset:36;\tsize:4;\tsigned:1;

print fmt: \"cred %p, cap %d, ret %d\", REC->cred, REC->cap, REC->ret
";

    #[test]
    fn the_kernels_text_is_read() {
        let format = Format::parse(CAP_CAPABLE);
        assert_eq!(format.id, Some(2073));
        assert_eq!(format.field("common_type"), Some(0..2));
        assert_eq!(format.field("target_ns"), Some(16..24));
        assert_eq!(format.field("ret"), Some(36..40));
        assert_eq!(format.field("pid"), None);
        let array = Format::parse("\tfield:char comm[16];\toffset:12;\tsize:16;\tsigned:0;\n");
        assert_eq!((array.id, array.field("comm")), (None, Some(12..28)));
        let header = Format::parse("\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n");
        assert_eq!(header.field("commit"), Some(8..16));
    }

    #[test]
    fn values_are_taken_from_where_they_lie() {
        let mut record = vec![0; 12];
        record[4..8].copy_from_slice(&(-1_i32).to_ne_bytes());
        record[8..12].copy_from_slice(b"sh\0x");
        assert_eq!(signed(&record, &(4..8)), Some(-1));
        assert_eq!(number(&record, &(4..8)), Some(0xffff_ffff));
        assert_eq!(text(&record, &(8..12)), Some(&b"sh"[..]));
        assert_eq!(number(&record, &(8..16)), None);
        assert_eq!(number(&record, &(0..3)), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(
            text in "(field:|ID:|offset:|size:|[0-9a-z; :*\\[\\]\t\n-]){0,30}"
        ) {
            let _ = Format::parse(&text);
        }
    }
}
