//! A program that is started with the state of a container on its standard input, as a runtime does it: in
//! a pipe that holds it all, and is closed.

#[path = "../exec/spawn.rs"]
mod bare;

use crate::Outcome;
use nix::unistd::{dup2_stdin, pipe, write};
use std::ffi::CString;
use std::time::Duration;

/// A command, its environment and its input.
pub(crate) struct Command {
    command: bare::Command,
    input: Vec<u8>,
}

impl Command {
    /// `argv[0]` is the path of the program.
    pub(crate) fn new(argv: Vec<CString>, input: &[u8]) -> Self {
        let environment = vec![c"PATH=/usr/bin:/bin".to_owned()];
        Self { command: bare::Command::new(argv, environment), input: input.to_vec() }
    }

    /// Runs it once: the time from spawn to wait. What is put into the pipe before is not counted.
    pub(crate) fn run(&self) -> Outcome<Duration> {
        let (output, input) = pipe()?;
        if write(&input, &self.input)? != self.input.len() {
            return Err("the state does not fit into a pipe".into());
        }
        dup2_stdin(&output)?;
        drop((output, input));
        self.command.run()
    }
}
