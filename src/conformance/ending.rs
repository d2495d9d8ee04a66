//! The end: those who take part are taken away again, with all that they may have left.

use crate::conformance::cgroups;
use crate::conformance::error::Error;
use crate::conformance::party::Party;
use crate::conformance::place::Side;
use crate::conformance::sweep::sweep;
use crate::conformance::talk::{TICK, Word};
use crate::conformance::troupe::{Player, Troupe};
use crate::message::{chain, quoted};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};
use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long who was told to end has for it, and what ends a container.
const PATIENCE: Duration = Duration::from_secs(5);

impl Troupe {
    /// Takes everything away again, in the reverse of its order: what could not be.
    pub(super) fn end(mut self) -> Vec<String> {
        let mut left = Vec::new();
        let mut players = std::mem::take(&mut self.players);
        for player in players.iter().rev() {
            // One that cannot be told is ended otherwise.
            let _ = self.tell(player.party, Word::End);
        }
        for player in players.iter_mut().rev() {
            self.take_away(player, &mut left);
        }
        if let Err(error) = self.host().unmount() {
            left.push(chain(&error));
        }
        end_orphans();
        let swept = [Some(&self.runtime_side), self.kubelet_side.as_ref(), Some(&Side::Here)];
        for side in swept.into_iter().flatten() {
            match self.sweep(side) {
                Ok(points) => {
                    left.extend(points.lines().map(|point| format!("'{point}' is still mounted")));
                }
                Err(error) => left.push(chain(&error)),
            }
        }
        for directory in &self.leaves {
            // Somebody else may have come to use it since.
            let _ = fs::remove_dir(directory);
        }
        let cgroups = cgroups::remove(self.stage.scratch.name());
        left.extend(cgroups.iter().map(|path| format!("the cgroup {} is left", quoted(path))));
        // What is still mounted there would be emptied.
        if left.is_empty() {
            if let Err(error) = self.stage.scratch.remove() {
                left.push(chain(&error));
            }
        } else {
            left.push(format!("{} is left", quoted(self.stage.scratch.path())));
        }
        left
    }

    /// Waits for one to end who was told to; ends him if he does not.
    fn take_away(&self, player: &mut Player, left: &mut Vec<String>) {
        let ended = wait_for(&mut player.child, PATIENCE);
        let is_container = Party::CONTAINERS.contains(&player.party);
        if is_container && (!ended || self.is_known(player.party)) {
            if let Some(words) = self.runtime.delete(&self.stage, player.party) {
                let mut delete = self.by_runtime(&words);
                delete.envs(self.runtime.prepare(&self.stage, player.party).ok().flatten());
                if let Ok(mut delete) = delete.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
                    if !wait_for(&mut delete, PATIENCE) {
                        kill_and_wait(&mut delete);
                    }
                }
            }
        }
        if !ended && !wait_for(&mut player.child, Duration::ZERO) {
            kill_and_wait(&mut player.child);
        }
        if is_container && self.is_known(player.party) {
            left.push(format!("the container '{}' is left", player.party));
        }
    }

    /// Whether the runtime still keeps something of a container.
    fn is_known(&self, party: Party) -> bool {
        let scratch = &self.stage.scratch;
        scratch.state().join(scratch.container(party)).exists()
    }

    fn sweep(&self, side: &Side) -> Result<String, Error> {
        let directory = self.stage.scratch.path();
        match side {
            Side::Here => sweep(directory),
            Side::There(_) => {
                let words = ["sweep".into(), directory.into()];
                let points = side.ask(&self.stage.own, "unmount what is left", &words)?;
                Ok(String::from_utf8_lossy(&points).into_owned())
            }
        }
    }
}

/// Whether a process has ended by itself, in this time.
fn wait_for(child: &mut Child, time: Duration) -> bool {
    let end = Instant::now() + time;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < end => sleep(TICK),
            Ok(None) => return false,
            _ => return true,
        }
    }
}

fn kill_and_wait(child: &mut Child) {
    // Nothing else can be done about one that cannot be.
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits for processes that runtimes have left behind, which are this one's children since it adopts
/// orphans; ends those that do not by themselves.
fn end_orphans() {
    let end = Instant::now() + PATIENCE;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => {}
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(_) => return,
        }
        if Instant::now() >= end {
            let list = fs::read_to_string(format!("/proc/self/task/{}/children", getpid()));
            for pid in list.unwrap_or_default().split_whitespace().flat_map(str::parse) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            if Instant::now() >= end + PATIENCE {
                return;
            }
        }
        sleep(TICK);
    }
}
