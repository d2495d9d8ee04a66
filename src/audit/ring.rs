//! The records in a page of the kernel's ring buffer, as `trace_pipe_raw` gives it
//! (`events/header_page`, `events/header_event`; the kernel's
//! Documentation/trace/ring-buffer-design.rst). Pure.
//!
//! Raw, and not the text of `trace_pipe`: there a process can forge a line by the name it gives
//! itself.

use crate::audit::format::{Format, number};
use std::ops::Range;

/// Bits of the commit field that are no part of the length: some events before were lost.
const FLAGS: u64 = 0xc000_0000;

// Kinds of entries: below these, the length in words.
const PADDING: u32 = 29;
const TIME_EXTEND: u32 = 30;
const TIME_STAMP: u32 = 31;

/// The bits of time in the head of an entry.
const DELTA_BITS: u32 = 27;

/// How a page is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    timestamp: Range<usize>,
    commit: Range<usize>,
    data: Range<usize>,
}

impl Layout {
    /// Reads it from the text of `events/header_page`; nothing if a field is missing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let format = Format::parse(text);
        let field = |name| format.field(name);
        Some(Self {
            timestamp: field("timestamp")?,
            commit: field("commit")?,
            data: field("data")?,
        })
    }

    /// The size of a page, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.data.end
    }

    /// The records of `page`, in its order. What is not as the kernel writes it ends the page.
    #[must_use]
    pub fn records<'a>(&self, page: &'a [u8]) -> Records<'a> {
        let time = number(page, &self.timestamp).unwrap_or_default();
        let length = number(page, &self.commit).unwrap_or_default() & !FLAGS;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let data = page.get(self.data.start..).unwrap_or_default();
        Records { rest: data.get(..length).unwrap_or(data), time }
    }
}

/// A record and when it was made, in nanoseconds of the buffer's clock.
pub type Record<'a> = (u64, &'a [u8]);

/// See [`Layout::records`].
#[derive(Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    time: u64,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        loop {
            let head = self.word(0)?;
            let (kind, delta) = split(head);
            let delta = u64::from(delta);
            match kind {
                // The rest of the page is empty.
                PADDING if delta == 0 => return None,
                PADDING => {
                    let length = usize::try_from(self.word(4)?).ok()?;
                    self.time = self.time.wrapping_add(delta);
                    self.skip(length.checked_add(4)?)?;
                }
                TIME_EXTEND | TIME_STAMP => {
                    let time = (u64::from(self.word(4)?) << DELTA_BITS) | delta;
                    let before = if kind == TIME_EXTEND { self.time } else { 0 };
                    self.time = before.wrapping_add(time);
                    self.skip(8)?;
                }
                _ => {
                    self.time = self.time.wrapping_add(delta);
                    // A long one has its length, itself included, in the first word.
                    let (start, length) = match kind {
                        0 => (8, usize::try_from(self.word(4)?).ok()?),
                        words => (4, usize::try_from(words).ok()?.checked_mul(4)?),
                    };
                    let end = length.checked_add(4)?;
                    let record = self.rest.get(start..end)?;
                    self.skip(end)?;
                    return Some((self.time, record));
                }
            }
        }
    }
}

impl Records<'_> {
    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.rest.get(at..at.checked_add(4)?)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.rest = self.rest.get(length..)?;
        Some(())
    }
}

/// The kind, of five bits, and the time: a C bit field, which starts at the other end on machines
/// that start with the other byte.
fn split(head: u32) -> (u32, u32) {
    if cfg!(target_endian = "big") {
        (head >> DELTA_BITS, head & ((1 << DELTA_BITS) - 1))
    } else {
        (head & 31, head >> 5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "\
\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;
";

    fn head(kind: u32, delta: u32) -> [u8; 4] {
        if cfg!(target_endian = "big") {
            (kind << DELTA_BITS | delta).to_ne_bytes()
        } else {
            (delta << 5 | kind).to_ne_bytes()
        }
    }

    fn page(time: u64, flags: u64, words: &[[u8; 4]]) -> Vec<u8> {
        let data = words.concat();
        let commit = data.len() as u64 | flags;
        let mut page = [time.to_ne_bytes(), commit.to_ne_bytes()].concat();
        page.extend(data);
        page.resize(4096, 0);
        page
    }

    #[test]
    fn records_and_their_times_are_found() {
        let layout = Layout::parse(HEADER).unwrap();
        assert_eq!(layout.size(), 4096);
        let word = u32::to_ne_bytes;
        let words = [
            head(2, 5),
            *b"one.",
            *b"two.",
            head(TIME_EXTEND, 1),
            word(1),
            head(0, 3),
            word(8),
            *b"long",
            head(PADDING, 2),
            word(8),
            *b"....",
            head(TIME_STAMP, 7),
            word(2),
            head(1, 1),
            *b"last",
            head(PADDING, 0),
            head(1, 0),
            *b"none",
        ];
        for flags in [0, FLAGS] {
            let page = page(100, flags, &words);
            let found: Vec<Record<'_>> = layout.records(&page).collect();
            let second = 105 + (1 << 27) + 1 + 3;
            let third = (2 << 27) + 7 + 1;
            assert_eq!(found, [(105, &b"one.two."[..]), (second, b"long"), (third, b"last")]);
        }
    }

    #[test]
    fn what_lies_behind_the_end_is_no_record() {
        let layout = Layout::parse(HEADER).unwrap();
        let mut page = page(0, 0, &[head(1, 0), *b"in..", head(1, 0), *b"out."]);
        page[8..16].copy_from_slice(&8_u64.to_ne_bytes());
        assert_eq!(layout.records(&page).count(), 1);
        assert_eq!(layout.records(&page[..20]).count(), 0);
        assert_eq!(layout.records(&[]).count(), 0);
    }

    proptest! {
        #[test]
        fn any_page_is_read_without_a_panic_and_to_an_end(
            words in proptest::collection::vec(any::<u32>(), 0..200), commit: u64
        ) {
            let layout = Layout::parse(HEADER).unwrap();
            let mut page = page(1, 0, &words.iter().map(|word| word.to_ne_bytes()).collect::<Vec<_>>());
            page[8..16].copy_from_slice(&commit.to_ne_bytes());
            prop_assert!(layout.records(&page).count() <= 1024);
        }
    }
}
