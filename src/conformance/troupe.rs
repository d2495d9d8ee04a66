//! Those who take part, each in a process of its own: started, told, heard, and taken away again.

use crate::conformance::error::Error;
use crate::conformance::part::{Part, read};
use crate::conformance::party::{Party, Seen};
use crate::conformance::place::{Side, VERB};
use crate::conformance::runtime::{Kind, Runtime, Stage};
use crate::conformance::talk::{Talk, Word};
use crate::conformance::watch::Watch;
use crate::message::{plain, quoted};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// All of them, and what they have been given.
#[derive(Debug)]
pub(super) struct Troupe {
    pub(super) stage: Stage,
    pub(super) runtime: Runtime,
    /// Where the runtime is started.
    pub(super) runtime_side: Side,
    /// Where the pinned side's part is played; none where nothing is pinned.
    pub(super) kubelet_side: Option<Side>,
    /// Directories elsewhere that the runtime will leave.
    pub(super) leaves: Vec<PathBuf>,
    pub(super) players: Vec<Player>,
}

/// One who has been started.
#[derive(Debug)]
pub(super) struct Player {
    pub(super) party: Party,
    pub(super) child: Child,
}

impl Troupe {
    pub(super) fn new(
        stage: Stage,
        runtime: Runtime,
        runtime_side: Side,
        kubelet_side: Option<Side>,
    ) -> Self {
        let leaves = runtime.leaves();
        Self { stage, runtime, runtime_side, kubelet_side, leaves, players: Vec::new() }
    }

    /// The host's part, which this process plays.
    pub(super) fn host(&self) -> Part {
        let scratch = &self.stage.scratch;
        Part { party: Party::Host, volume: scratch.volume(), root: Some(scratch.root()) }
    }

    /// Has the runtime's side mount the root of the containers.
    pub(super) fn make_root(&self) -> Result<(), Error> {
        let (directories, files) = self.stage.points();
        let mut words: Vec<OsString> = vec!["root".into()];
        for (option, paths) in [("--directory", directories), ("--file", files)] {
            words.extend(paths.into_iter().flat_map(|path| [option.into(), path.into()]));
        }
        words.push(self.stage.scratch.root().into());
        let what = "mount the root of the containers";
        self.runtime_side.ask(&self.stage.own, what, &words).map(drop)
    }

    /// Starts a container and waits until it is there.
    pub(super) fn start_container(&mut self, party: Party, watch: &Watch) -> Result<(), Error> {
        let environment = self.runtime.prepare(&self.stage, party)?;
        let mut command = self.by_runtime(&self.runtime.start(&self.stage, party));
        command.envs(environment);
        self.start(party, command, watch)
    }

    /// Starts the pinned side's part, if it has one, and waits until it is there.
    pub(super) fn start_pinned(&mut self, watch: &Watch) -> Result<(), Error> {
        let Some(side) = &self.kubelet_side else { return Ok(()) };
        let scratch = &self.stage.scratch;
        let mut words: Vec<OsString> = vec![VERB.into(), "part".into(), "--root".into()];
        words.push(scratch.root().into());
        let talk = scratch.talk(Party::Pinned);
        words.extend(self.stage.part(Party::Pinned, &scratch.volume(), &talk));
        let own = &self.stage.own;
        self.start(Party::Pinned, side.command(own, own.as_os_str(), &words), watch)
    }

    fn start(&mut self, party: Party, mut command: Command, watch: &Watch) -> Result<(), Error> {
        let log = self.stage.scratch.log(party);
        let log = File::create(&log)
            .map_err(|error| Error::io(format!("make {}", quoted(&log)), error))?;
        command.stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(|error| {
            Error::io(format!("start {}", quoted(command.get_program())), error)
        })?;
        self.players.push(Player { party, child });
        self.hear(party, Word::Ready, watch).map(drop)
    }

    /// Tells a party something.
    pub(super) fn tell(&self, party: Party, word: Word) -> Result<(), Error> {
        self.talk(party).say(word, "")
    }

    /// Waits until a party says `word`, and what it says.
    pub(super) fn hear(
        &mut self,
        party: Party,
        word: Word,
        watch: &Watch,
    ) -> Result<String, Error> {
        let talk = self.talk(party);
        let what = format!(
            "until '{party}' was {}",
            match word {
                Word::Ready => "there",
                Word::Mounted => "done mounting",
                _ => "done looking",
            }
        );
        loop {
            // Asked first: what it said before it ended is there by then.
            let has_ended = self.has_ended(party);
            if let Some(text) = talk.heard(word) {
                return Ok(text);
            }
            if let Some(text) = talk.heard(Word::Failed) {
                return Err(Error::Party(party, plain(&text).to_string()));
            }
            if has_ended {
                return Err(self.ended_early(party));
            }
            watch.tick(&what)?;
        }
    }

    /// What all of them see.
    pub(super) fn look(&mut self, watch: &Watch) -> Result<Seen, Error> {
        let parties: Vec<Party> = self.players.iter().map(|player| player.party).collect();
        let mut seen = Seen::from([(Party::Host, self.host().look())]);
        for &party in &parties {
            self.tell(party, Word::Look)?;
        }
        if self.runtime.kind != Kind::Builtin {
            // One that did not run saw nothing.
            let said = self.talk(Party::Hook).heard(Word::Seen).unwrap_or_default();
            seen.insert(Party::Hook, read(&said));
        }
        for &party in &parties {
            seen.insert(party, read(&self.hear(party, Word::Seen, watch)?));
        }
        Ok(seen)
    }

    /// The runtime with `words`, where it belongs.
    pub(super) fn by_runtime(&self, words: &[OsString]) -> Command {
        self.runtime_side.command(&self.stage.own, self.runtime.program.as_os_str(), words)
    }

    fn talk(&self, party: Party) -> Talk {
        Talk::at(&self.stage.scratch.talk(party))
    }

    fn has_ended(&mut self, party: Party) -> bool {
        let mut players = self.players.iter_mut();
        let player = players.find(|player| player.party == party);
        player.is_none_or(|player| !matches!(player.child.try_wait(), Ok(None)))
    }

    /// Why a party has ended that should not have: the last thing that was said.
    fn ended_early(&self, party: Party) -> Error {
        let log = fs::read(self.stage.scratch.log(party)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let last = log.lines().rev().find(|line| !line.trim().is_empty());
        let said =
            last.map_or_else(|| "it said nothing".to_owned(), |line| plain(line).to_string());
        if Party::CONTAINERS.contains(&party) {
            Error::Runtime(self.runtime.name.clone(), party, said)
        } else {
            Error::Party(party, said)
        }
    }
}
