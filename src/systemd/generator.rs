//! `kubens-generator` (`systemd.generator(7)`): at every boot and every reload of systemd, before any
//! unit is read, it writes the drop-ins that start services in the pinned namespace.

use crate::elevation;
use crate::message::{Level, chain, quoted};
use crate::systemd::drop_in::DropIn;
use crate::systemd::group::Group;
use crate::systemd::log::Log;
use crate::systemd::plan::plan;
use crate::systemd::search::is_program;
use crate::systemd::survey::Survey;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, umask};
use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::panic;
use std::path::{Path, PathBuf};
use std::process;

/// What messages are from.
const NAME: &str = "kubens-generator";

/// Runs the generator. Whatever happens it returns, or ends with status 0: a generator that fails
/// takes all of what it wrote back, and unwraps what runs.
pub fn run() {
    panic::set_hook(Box::new(|bug| {
        Log::open(NAME).say(Level::Error, &format!("internal error, nothing is wrapped: {bug}"));
        process::exit(0);
    }));
    // In the initial file system there are no services of ours.
    if env::var_os("SYSTEMD_IN_INITRD").is_some_and(|value| value == "1") {
        return;
    }
    let log = Log::open(NAME);
    if let Err(error) = elevation::refuse() {
        return log.say(Level::Error, &chain(&error));
    }
    // Of the three directories the first: what is written there is weaker than /etc.
    let output = env::args_os().nth(1).map(PathBuf::from).filter(|output| output.is_absolute());
    let Some(output) = output else {
        log.say(
            Level::Error,
            "run by systemd, with the directory to write to; see kubens-generator(8)",
        );
        return;
    };
    let is_first_boot = env::var_os("SYSTEMD_FIRST_BOOT").is_some_and(|value| value == "1");
    let mut survey = Survey::of_files(Path::new("/"), is_first_boot, None);
    if let Err(error) = survey.locate() {
        survey.suppose();
        log.say(
            Level::Error,
            &format!("{}; taken to run where kubens.service pinned", chain(&error)),
        );
    }
    let Some(bin) = programs() else {
        return log
            .say(Level::Error, "cannot find kubens-exec and kubensenter; nothing is wrapped");
    };
    let plan = plan(&survey, &bin);
    for (level, text) in &plan.messages {
        log.say(*level, text);
    }
    for failure in write(&output, &plan.drop_ins) {
        log.say(Level::Error, &format!("{failure}; nothing of that is wrapped"));
    }
}

/// The directory with the programs of this installation, by where this one is:
/// `PREFIX/lib/systemd/system-generators`, or beside them. None if they are not there: no service must
/// be told to start by what does not exist.
#[must_use]
pub fn programs() -> Option<PathBuf> {
    let own = fs::read_link("/proc/self/exe").ok()?;
    let beside = own.parent()?.to_owned();
    let prefix = beside.ancestors().nth(3).map(|prefix| prefix.join("bin"));
    // A unit's file is UTF-8.
    let has_all = |bin: &PathBuf| {
        let names = ["kubens-exec", "kubensenter"];
        bin.to_str().is_some() && names.iter().all(|name| is_program(&bin.join(name)))
    };
    [Some(beside), prefix].into_iter().flatten().find(has_all)
}

/// Writes `drop_ins` below `output`: those of a group all or none, the groups first, and then those that
/// stand alone, all or none of them too.
///
/// What could not be written is a sentence each; of what belongs to it nothing is there then.
#[must_use]
pub fn write(output: &Path, drop_ins: &[DropIn]) -> Vec<String> {
    umask(Mode::from_bits_truncate(0o022));
    let mut failures = Vec::new();
    for group in [Some(Group::Node), Some(Group::K3s), Some(Group::Rke2), None] {
        let together: Vec<&DropIn> =
            drop_ins.iter().filter(|drop_in| drop_in.group == group).collect();
        failures.extend(write_together(output, &together).err());
    }
    failures
}

/// Writes all of `drop_ins`, or none.
fn write_together(output: &Path, drop_ins: &[&DropIn]) -> Result<(), String> {
    let mut made = Vec::new();
    let mut result = Ok(());
    for drop_in in drop_ins {
        let directory = output.join(format!("{}.d", drop_in.unit));
        let path = directory.join(&drop_in.name);
        result = make(&directory, &path, &drop_in.text)
            .map_err(|error| format!("cannot write {}: {error}", quoted(&path)));
        made.push((directory, path));
        if result.is_err() {
            break;
        }
    }
    if result.is_err() {
        for (directory, path) in made.iter().rev() {
            // Best effort: what cannot be removed could not be made either.
            let _ = fs::remove_file(beside(path));
            let _ = fs::remove_file(path);
            let _ = fs::remove_dir(directory);
        }
    }
    result
}

/// The file's name while it is written: systemd reads only what ends in `.conf`.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("conf~")
}

fn make(directory: &Path, path: &Path, text: &str) -> io::Result<()> {
    match fs::create_dir(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let new = beside(path);
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = File::from(open(&new, flags, Mode::from_bits_truncate(0o644))?);
    file.write_all(text.as_bytes())?;
    fs::rename(&new, path)
}
