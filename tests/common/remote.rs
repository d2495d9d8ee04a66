//! A file system whose server is elsewhere, as one of the network is: FUSE (fuse(4)), served by the
//! test, from outside of the node. In its root is one file, `image`, which can be read.

use super::common::node::Node;
use nix::errno::Errno;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::process::Stdio;
use std::thread::{self, JoinHandle};

/// Requests by their numbers in the kernel's `linux/fuse.h`.
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const INIT: u32 = 26;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

/// The inodes.
const ROOT: u64 = 1;
const IMAGE: u64 = 2;

/// Mounts it at `point` in the pinned namespace of `node`, with `image` in it. When it is unmounted,
/// wherever it was mounted, `gone` is called, by the thread that is returned.
pub(crate) fn mount(
    node: &Node,
    point: &str,
    image: Vec<u8>,
    gone: impl FnOnce() + Send + 'static,
) -> JoinHandle<()> {
    let device = File::options().read(true).write(true).open("/dev/fuse").unwrap();
    let server = device.try_clone().unwrap();
    let serving = thread::spawn(move || {
        serve(server, &image);
        gone();
    });
    // The mount is of whoever has the descriptor; nothing of it stays on the node.
    let options = "fd=0,rootmode=40000,user_id=0,group_id=0,allow_other";
    let mount =
        ["kubens-exec", "--require", "--", "mount", "-i", "-t", "fuse.remote", "-o", options];
    let done = node
        .command(&[&mount[..], &["remote", point]].concat())
        .stdin(Stdio::from(device))
        .status();
    assert!(done.unwrap().success(), "cannot mount a FUSE file system");
    serving
}

/// Answers until it is unmounted.
fn serve(mut device: File, image: &[u8]) {
    let mut request = vec![0; 1 << 17];
    loop {
        let length = match device.read(&mut request) {
            Ok(length) => length,
            Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => return,
            // Before it is mounted; or a request that was taken back.
            Err(error) if error.raw_os_error() == Some(Errno::EPERM as i32) => {
                thread::yield_now();
                continue;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => panic!("/dev/fuse: {error}"),
        };
        let request = &request[..length];
        let number = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
        let long = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().unwrap());
        let (status, body) = match number(4) {
            INIT => (0, numbers(&[7, 31, 0, 0, 0, 4096, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
            // What is told is valid for no time.
            GETATTR => (0, [vec![0; 16], attributes(long(16), image)].concat()),
            LOOKUP if &request[40..] == b"image\0" => {
                let entry = [IMAGE.to_ne_bytes().to_vec(), vec![0; 32]].concat();
                (0, [entry, attributes(IMAGE, image)].concat())
            }
            LOOKUP => (Errno::ENOENT as i32, Vec::new()),
            OPEN => (0, vec![0; 16]),
            READ => {
                let start = usize::try_from(long(48)).unwrap().min(image.len());
                let end = (start + number(56) as usize).min(image.len());
                (0, image[start..end].to_vec())
            }
            FORGET | BATCH_FORGET | INTERRUPT => continue,
            _ => (Errno::ENOSYS as i32, Vec::new()),
        };
        let mut answer = u32::try_from(16 + body.len()).unwrap().to_ne_bytes().to_vec();
        answer.extend((-status).to_ne_bytes());
        answer.extend(&request[8..16]);
        answer.extend(body);
        // It may have been unmounted meanwhile, or nobody waits any more: the next read tells.
        let _ = device.write(&answer);
    }
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

/// The attributes of an inode (`fuse_attr`): a directory, or the image.
fn attributes(inode: u64, image: &[u8]) -> Vec<u8> {
    let mut words = [0; 22];
    words[0] = u32::try_from(inode).unwrap();
    words[2] = u32::try_from(image.len()).unwrap();
    (words[15], words[16]) = if inode == ROOT { (0o040_755, 2) } else { (0o100_644, 1) };
    numbers(&words)
}
