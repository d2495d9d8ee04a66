//! A service that mounts as kubelet and a container runtime do, and does nothing else:
//! `many-mounts DIRECTORY [COUNT]`.
//!
//! It makes COUNT tmpfs mounts (400 unless told) below DIRECTORY, at paths of the shapes that a node
//! has, says on standard output who and where it is and that it is ready, and waits for a line or the
//! end of its standard input. Then it unmounts what it mounted; the directories stay.

use kubens::message::{Level, Messages, chain, quoted};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How many mounts unless told: a node with some forty pods.
const COUNT: usize = 400;

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            Messages::new("many-mounts", Level::Error).failure(format_args!("{text}"));
            ExitCode::FAILURE
        }
    }
}

/// The life of the service.
fn serve() -> Result<(), String> {
    let (directory, count) = arguments()?;
    let mut mounts = Mounts(Vec::new());
    for number in 0..count {
        mounts.make(directory.join(place(number)))?;
    }
    let cwd = env::current_dir().map_err(|error| cannot("read its working directory", &error))?;
    let mut report = format!("pid {}\ncwd ", std::process::id()).into_bytes();
    report.extend(cwd.as_os_str().as_bytes());
    report.extend(format!("\nready {count}\n").into_bytes());
    let mut out = io::stdout();
    out.write_all(&report)
        .and_then(|()| out.flush())
        .map_err(|error| cannot("write to standard output", &error))?;
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(|error| cannot("read standard input", &error))?;
    Ok(())
}

fn arguments() -> Result<(PathBuf, usize), String> {
    const USAGE: &str = "usage: many-mounts DIRECTORY [COUNT]";
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let (directory, count) = match words.as_slice() {
        [directory] => (directory, Some(COUNT)),
        [directory, count] => (directory, count.to_str().and_then(|text| text.parse().ok())),
        _ => return Err(USAGE.to_owned()),
    };
    let count = count.ok_or_else(|| USAGE.to_owned())?;
    // Absolute: what is mounted is unmounted by the same path.
    let directory = std::path::absolute(directory)
        .map_err(|error| cannot(format!("use {}", quoted(directory)), &error))?;
    Ok((directory, count))
}

/// Where the mount with this number lies: for each pod the mounts that kubelet makes, then those of
/// the container runtime.
fn place(number: usize) -> String {
    const PER_POD: usize = 8;
    let pod = number / PER_POD;
    let uid = format!("{pod:08x}-7c1d-4b52-9a3e-{pod:012x}");
    let id = format!("{pod:064x}");
    let home = format!("var/lib/kubelet/pods/{uid}");
    let volumes = format!("{home}/volumes");
    let storage = "var/lib/containers/storage";
    match number % PER_POD {
        0 => format!("{volumes}/kubernetes.io~projected/kube-api-access-{pod:05x}"),
        1 => format!("{volumes}/kubernetes.io~secret/credentials"),
        // A ConfigMap is a mount only where a container asks for a part of it.
        2 => format!("{home}/volume-subpaths/config/app/0"),
        3 => format!("{volumes}/kubernetes.io~empty-dir/cache"),
        4 => format!("{volumes}/kubernetes.io~csi/pvc-{uid}/mount"),
        5 => format!("run/netns/{uid}"),
        6 => format!("{storage}/overlay-containers/{id}/userdata/shm"),
        _ => format!("{storage}/overlay/{id}/merged"),
    }
}

/// What this process has mounted: unmounted, the last first, however the service ends by itself.
struct Mounts(Vec<PathBuf>);

impl Mounts {
    fn make(&mut self, point: PathBuf) -> Result<(), String> {
        fs::create_dir_all(&point)
            .map_err(|error| cannot(format!("make {}", quoted(&point)), &error))?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("tmpfs"), &point, Some("tmpfs"), flags, None::<&Path>)
            .map_err(|errno| cannot(format!("mount a tmpfs on {}", quoted(&point)), &errno))?;
        self.0.push(point);
        Ok(())
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for point in self.0.iter().rev() {
            // Lazily, as nothing is to stay. What somebody else has unmounted meanwhile is no failure.
            let _ = umount2(point, MntFlags::MNT_DETACH);
        }
    }
}

fn cannot(what: impl Display, error: &(dyn Error + 'static)) -> String {
    format!("cannot {what}: {}", chain(error))
}
