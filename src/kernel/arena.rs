//! The memory of the programs that exec: a room that is there from the start.
//!
//! They live for some hundred microseconds and ask for a few hundred bytes. A general allocator
//! first asks the kernel for memory, which takes four system calls and as many page faults: a tenth
//! of the time of all they do.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Enough for what an ordinary run of the shim asks for, and little enough to lie in one page with what
/// the C library keeps.
pub const SMALL: usize = 1280;

/// Enough for the state of a container and its configuration. A page of it that is not asked for is never
/// touched, and costs nothing.
pub const LARGE: usize = 128 << 10;

/// No type of ours asks for more.
const ALIGNMENT: usize = 16;

/// Hands out a room of `SIZE` bytes, and what the C library has when that is used up. What came from the
/// room is never handed out twice: what is given back stays unused.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Arena<const SIZE: usize> {
    /// At the very start, which is aligned.
    room: UnsafeCell<[u8; SIZE]>,
    /// How much of the room is taken, from its end on. All of this is zero at first, and no part of the
    /// program's file.
    taken: AtomicUsize,
}

// SAFETY: the room is handed out in parts that do not overlap, see `take`.
unsafe impl<const SIZE: usize> Sync for Arena<SIZE> {}

impl<const SIZE: usize> Arena<SIZE> {
    /// One that is not used yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { room: UnsafeCell::new([0; SIZE]), taken: AtomicUsize::new(0) }
    }

    /// The start of a part of the room for `layout`, if there is one left.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        if layout.align() > ALIGNMENT {
            return None;
        }
        let start = |taken: usize| {
            let left = SIZE.checked_sub(taken)?;
            Some(left.checked_sub(layout.size())? & !(layout.align() - 1))
        };
        let fits = |taken: usize| Some(SIZE - start(taken)?);
        // Another thread would get another part; there is none (setns(2) would fail).
        let before = self.taken.fetch_update(Relaxed, Relaxed, fits).ok()?;
        start(before).map(|start| self.room.get().cast::<u8>().wrapping_add(start))
    }

    fn holds(&self, pointer: *mut u8) -> bool {
        let start = self.room.get().cast::<u8>();
        (start..start.wrapping_add(SIZE)).contains(&pointer)
    }
}

impl<const SIZE: usize> Default for Arena<SIZE> {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: each part lies inside the room, is as large and as aligned as asked for, and is handed out
// once; everything else is the system allocator's own, which gets back only what it gave.
unsafe impl<const SIZE: usize> GlobalAlloc for Arena<SIZE> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: our caller's promise about the layout is passed on.
        self.take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !self.holds(pointer) {
            // SAFETY: what is not from the room is from the system allocator.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.holds(pointer) {
            // SAFETY: as above; our caller's promise about the size is passed on.
            return unsafe { System.realloc(pointer, layout, size) };
        }
        // SAFETY: our caller promises that `size` with this alignment is a layout.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the layout is a proper one.
        let new = unsafe { self.alloc(wanted) };
        if !new.is_null() {
            // SAFETY: both are at least that long, and a new part overlaps no other.
            unsafe { ptr::copy_nonoverlapping(pointer, new, layout.size().min(size)) };
        }
        new
    }
}

#[cfg(test)]
#[allow(clippy::undocumented_unsafe_blocks, reason = "each uses what it has just been given")]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_handed_out_in_parts_and_then_the_system_is_asked() {
        let arena = Arena::<SMALL>::new();
        let mut parts: Vec<(usize, usize)> = Vec::new();
        let mut from_system = 0;
        for (size, align) in [(1, 1), (24, 8), (3, 2), (100, 16), (64, 32)].iter().cycle().take(200)
        {
            let layout = Layout::from_size_align(*size, *align).unwrap();
            let pointer = unsafe { arena.alloc(layout) };
            assert!(!pointer.is_null() && pointer.addr() % align == 0);
            unsafe { ptr::write_bytes(pointer, 0xaa, *size) };
            let (start, end) = (pointer.addr(), pointer.addr() + size);
            assert!(parts.iter().all(|&(from, to)| end <= from || to <= start));
            if arena.holds(pointer) {
                parts.push((start, end));
            } else {
                from_system += 1;
                unsafe { arena.dealloc(pointer, layout) };
            }
        }
        assert!(parts.len() > 5 && from_system > 100, "{} {from_system}", parts.len());
    }

    #[test]
    fn what_grows_keeps_its_contents() {
        let arena = Arena::<SMALL>::new();
        let layout = Layout::from_size_align(8, 8).unwrap();
        let mut pointer = unsafe { arena.alloc(layout) };
        unsafe { ptr::write_bytes(pointer, 7, 8) };
        let mut size = 8;
        // From the room past its end: what is left of it after that is more than half.
        while size < 4 * SMALL {
            let layout = Layout::from_size_align(size, 8).unwrap();
            pointer = unsafe { arena.realloc(pointer, layout, size * 8) };
            size *= 8;
        }
        assert_eq!(unsafe { std::slice::from_raw_parts(pointer, 8) }, [7; 8]);
        unsafe { arena.dealloc(pointer, Layout::from_size_align(size, 8).unwrap()) };
    }
}
