//! The example service, started through the shim as a service manager would.

use crate::{Outcome, cannot};
use kubens::message::{plain, quoted};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// A service that runs. It ends with its standard input: at the latest when this process does,
/// however that comes about.
pub(crate) struct Service {
    child: Child,
    input: Option<ChildStdin>,
    /// The id of the process that was started.
    pub(crate) started: u32,
    /// The id that the service says it has.
    pub(crate) pid: String,
    /// The working directory that the service says it has.
    pub(crate) directory: PathBuf,
}

impl Service {
    /// Starts `command` in `directory`, and waits until it reports that it is ready.
    pub(crate) fn start(command: &mut Command, directory: &Path) -> Outcome<Self> {
        let mut child = command
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| cannot(format!("start {}", quoted(command.get_program())), &error))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let started = child.id();
        let mut service =
            Self { child, input, started, pid: String::new(), directory: PathBuf::new() };
        for line in output.into_iter().flat_map(|output| BufReader::new(output).split(b'\n')) {
            let line = line.map_err(|error| cannot("read what the service reports", &error))?;
            let (word, rest) = match line.iter().position(|&byte| byte == b' ') {
                Some(space) => line.split_at(space + 1),
                None => (line.as_slice(), &[][..]),
            };
            let rest = OsString::from_vec(rest.to_vec());
            match word {
                b"pid " => service.pid = plain(&rest).to_string(),
                b"cwd " => service.directory = PathBuf::from(rest),
                b"ready " => return Ok(service),
                _ => {}
            }
        }
        // It has said why on standard error.
        let status =
            service.child.wait().map_err(|error| cannot("wait for the service", &error))?;
        Err(format!("the service was not ready: {status}"))
    }

    /// Has it end, and waits for that.
    pub(crate) fn end(mut self) -> Outcome<()> {
        self.input = None;
        let status = self.child.wait().map_err(|error| cannot("wait for the service", &error))?;
        if status.success() { Ok(()) } else { Err(format!("the service failed: {status}")) }
    }
}
