//! The whole, in its order: check, set up, mount, look, take away, judge.

use crate::conformance::error::{Error, Failure};
use crate::conformance::judge::judge;
use crate::conformance::library;
use crate::conformance::part::mount_early;
use crate::conformance::party::{Party, Seen};
use crate::conformance::place::{Host, Pin, Side, found, intended, may_join};
use crate::conformance::runtime::{Kind, Runtime, Stage};
use crate::conformance::scratch::Scratch;
use crate::conformance::talk::Word;
use crate::conformance::troupe::Troupe;
use crate::conformance::watch::Watch;
use crate::conformance::{Report, Request};
use crate::message::quoted;
use nix::sys::prctl::{get_child_subreaper, set_child_subreaper};
use std::fs;
use std::time::{Duration, Instant};

/// How much longer a party waits than whoever tells it what to do.
const LONGER: Duration = Duration::from_secs(30);

/// How many steps there are: the root, four containers, the pinned side, mounting and looking.
const STEPS: u64 = 8;

/// What happens meanwhile.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A step begins: its number, of how many, and what it is.
    Step(u64, u64, &'a str),
    /// How it is done, for whoever asks.
    Note(&'a str),
}

/// Tries the guarantees and the matrix, and takes everything away again. `progress` is told of what
/// happens.
///
/// While it runs, this process adopts orphans, must have no other children and no other thread, and
/// interrupts end the trial, not the process.
///
/// # Errors
/// [`Failure`]: why it could not be tried. A promise that does not hold is none.
pub fn conduct(request: &Request, progress: &mut dyn FnMut(Event<'_>)) -> Result<Report, Failure> {
    let began = Instant::now();
    may_join()?;
    // First: who is inside is told that.
    let pin = Pin::read(&request.pin)?;
    let host = Host::read(request.from_here)?;
    let own = fs::read_link("/proc/self/exe")
        .map_err(|error| Error::io("find its own program", error))?;
    let needed = library::needed(&own)
        .map_err(|error| Error::io(format!("read {}", quoted(&own)), error))?;
    let runtime = Runtime::find(&request.runtime, &own)?;
    let pinned_side = || pin.as_ref().map(Pin::side).transpose();
    let kubelet_side = match request.as_kubelet {
        Some(pid) => Some(Side::of_process(pid)?),
        None => pinned_side()?,
    };
    let runtime_side = match request.as_runtime {
        Some(pid) => Side::of_process(pid)?,
        None => pinned_side()?.unwrap_or(Side::Here),
    };
    let table = pinned_side()?.map(|side| side.table(&own)).transpose()?;
    let recorded = pin.as_ref().and_then(|pin| pin.state.as_ref());
    let found = found(&host.table, table.as_ref(), &request.pin);
    let mode = intended(request.mode, recorded, &found);

    // From here on nothing ends this process before it has taken away what it leaves.
    let watch = Watch::start(request.timeout)?;
    let adopter = Adopter::start()?;
    let scratch = Scratch::make(request.directory.as_deref(), &host.table, recorded)?;
    let stage = Stage { scratch, own, needed, most: request.timeout.saturating_add(LONGER) };
    for note in notes(&stage, &runtime) {
        progress(Event::Note(&note));
    }
    let (name, kind, program) = (runtime.name.clone(), runtime.kind, runtime.program.clone());
    let mut troupe = Troupe::new(stage, runtime, runtime_side, kubelet_side);
    let seen = perform(&mut troupe, &watch, progress);
    let left = troupe.end();
    drop((adopter, watch));

    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => return Err(Failure { error, left }),
    };
    let (lines, cells) = judge(mode, &found, &seen);
    Ok(Report {
        mode,
        found: found.mode,
        pin: request.pin.clone(),
        namespace: pin.map(|pin| pin.identity),
        runtime: name,
        program: (kind != Kind::Builtin).then_some(program),
        lines,
        cells,
        took: began.elapsed(),
        warnings: host.warning.into_iter().collect(),
        left,
    })
}

fn perform(
    troupe: &mut Troupe,
    watch: &Watch,
    progress: &mut dyn FnMut(Event<'_>),
) -> Result<Seen, Error> {
    let mut step = 0;
    let mut tell = |what: &str| {
        step += 1;
        progress(Event::Step(step, STEPS, what));
        watch.tick("at the start")
    };
    tell("mounting the root of the containers")?;
    troupe.stage.scratch.furnish()?;
    mount_early(&troupe.stage.scratch.early())?;
    troupe.make_root()?;
    for party in Party::CONTAINERS {
        tell(&format!("starting '{party}'"))?;
        troupe.start_container(party, watch)?;
    }
    tell("starting 'pinned'")?;
    troupe.start_pinned(watch)?;
    // Only when all are there: what was mounted before a container was, it would have got anyway.
    tell("mounting")?;
    for party in Party::ALL {
        let is_played = party != Party::Pinned || troupe.kubelet_side.is_some();
        match party {
            Party::Host => troupe.host().mount()?,
            _ if is_played => {
                troupe.tell(party, Word::Mount)?;
                troupe.hear(party, Word::Mounted, watch)?;
            }
            _ => {}
        }
    }
    tell("looking")?;
    troupe.look(watch)
}

/// How it is done.
fn notes(stage: &Stage, runtime: &Runtime) -> Vec<String> {
    let mut notes = vec![
        format!("the scratch directory is {}", quoted(stage.scratch.path())),
        format!("the runtime is {}", quoted(&runtime.program)),
    ];
    if !stage.needed.is_empty() && runtime.kind != Kind::Builtin {
        notes.push(format!(
            "this program is not static: the containers also have its loader and libraries ({} files)",
            stage.needed.len()
        ));
    }
    notes
}

/// While it lives, the orphans among this process's descendants become its children.
struct Adopter(bool);

impl Adopter {
    fn start() -> Result<Self, Error> {
        let failed = |errno| Error::Act("adopt orphans".into(), errno);
        let before = get_child_subreaper().map_err(failed)?;
        set_child_subreaper(true).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for Adopter {
    fn drop(&mut self) {
        let _ = set_child_subreaper(self.0);
    }
}
