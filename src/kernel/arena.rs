//! The memory of the programs that exec: a little room that is there from the start.
//!
//! They live for some hundred microseconds and ask for a few hundred bytes. A general allocator
//! first asks the kernel for memory, which takes four system calls and as many page faults: a tenth
//! of the time of all they do.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Enough for what an ordinary run asks for, and little enough to lie in one page with what the C
/// library keeps.
const SIZE: usize = 1280;

/// No type of ours asks for more.
const ALIGNMENT: usize = 16;

#[repr(align(16))]
struct Room(UnsafeCell<[u8; SIZE]>);

// SAFETY: the room is handed out in parts that do not overlap, see `take`.
unsafe impl Sync for Room {}

static ROOM: Room = Room(UnsafeCell::new([0; SIZE]));
/// How much of the room is left, from its start: it is handed out from its end.
static LEFT: AtomicUsize = AtomicUsize::new(SIZE);

/// Hands out the room, and what the C library has when that is used up. What came from the room is
/// never handed out twice: what is given back stays unused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Arena;

/// The start of a part of the room for `layout`, if there is one left.
fn take(layout: Layout) -> Option<*mut u8> {
    if layout.align() > ALIGNMENT {
        return None;
    }
    let fits = |left: usize| Some(left.checked_sub(layout.size())? & !(layout.align() - 1));
    // Another thread would get another part; there is none (setns(2) would fail).
    let before = LEFT.fetch_update(Relaxed, Relaxed, fits).ok()?;
    fits(before).map(|start| ROOM.0.get().cast::<u8>().wrapping_add(start))
}

fn is_in_the_room(pointer: *mut u8) -> bool {
    let start = ROOM.0.get().cast::<u8>();
    (start..start.wrapping_add(SIZE)).contains(&pointer)
}

// SAFETY: each part lies inside the room, is as large and as aligned as asked for, and is handed out
// once; everything else is the system allocator's own, which gets back only what it gave.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: our caller's promise about the layout is passed on.
        take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !is_in_the_room(pointer) {
            // SAFETY: what is not from the room is from the system allocator.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_in_the_room(pointer) {
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
    fn the_one_room_is_handed_out_in_parts_and_then_the_system_is_asked() {
        what_grows_keeps_its_contents();
        let arena = Arena;
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
            if is_in_the_room(pointer) {
                parts.push((start, end));
            } else {
                from_system += 1;
                unsafe { arena.dealloc(pointer, layout) };
            }
        }
        assert!(parts.len() > 5 && from_system > 100, "{} {from_system}", parts.len());
    }

    fn what_grows_keeps_its_contents() {
        let layout = Layout::from_size_align(8, 8).unwrap();
        let mut pointer = unsafe { Arena.alloc(layout) };
        unsafe { ptr::write_bytes(pointer, 7, 8) };
        let mut size = 8;
        // From the room past its end: what is left of it after that is more than half.
        while size < 4 * SIZE {
            let layout = Layout::from_size_align(size, 8).unwrap();
            pointer = unsafe { Arena.realloc(pointer, layout, size * 8) };
            size *= 8;
        }
        assert_eq!(unsafe { std::slice::from_raw_parts(pointer, 8) }, [7; 8]);
        unsafe { Arena.dealloc(pointer, Layout::from_size_align(size, 8).unwrap()) };
    }
}
