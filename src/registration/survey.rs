//! Which hooks a runtime runs, in its order, and what keeps the others from it.
//!
//! oci-hooks(5): a file masks those of the same name in directories before its own; hooks run in the
//! order of their lower-case names. What oci-hooks(5) leaves out is as in `pkg/hooks` of
//! containers/common: a file that is not taken in masks nothing, and where the first faulty file of a
//! directory is so because its program is missing, all that is wrong in that directory is passed over (seen
//! with podman 4.3: `errors.Is` finds the first error at the bottom of those that follow).

use crate::message::quoted;
use crate::registration::configured::{ADMINISTRATORS, DEFAULT};
use crate::registration::definition::{self, Hook, Reading, Remark};
use crate::registration::document::{Place, text};
use crate::registration::file::{self, Directory, Found, Held, Program};
use crate::registration::{Consequence, Runtime, Severity};
use crate::systemd::rooted::Rooted;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Something that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file or directory.
    pub path: PathBuf,
    /// The place in it.
    pub place: Option<Place>,
    /// How bad.
    pub severity: Severity,
    /// What follows.
    pub consequence: Consequence,
    /// What it is; escaped.
    pub what: String,
    /// Whether it is that the program of the hook is not there.
    pub is_missing_program: bool,
}

/// The usual directories with hook files that are none of those that the runtime reads.
#[must_use]
pub fn unread(read: &[Directory], root: &Rooted) -> Vec<Finding> {
    let is_read = |path: &&Path| read.iter().any(|directory| directory.path == **path);
    let usual = [DEFAULT, "/run/containers/oci/hooks.d", ADMINISTRATORS].map(Path::new);
    let others = usual.iter().filter(|path| !is_read(path)).map(|path| file::directory(root, path));
    let with_hooks = others.filter(|directory| {
        directory
            .files
            .as_ref()
            .is_ok_and(|files| files.iter().any(|file| file::is_hook_name(&file.name)))
    });
    let finding = |directory: Directory| Finding {
        path: directory.path,
        place: None,
        severity: Severity::Warning,
        consequence: Consequence::Skipped,
        what: "has hook files, and is no directory that the settings name".to_owned(),
        is_missing_program: false,
    };
    with_hooks.map(finding).collect()
}

/// A hook file that the runtime takes in.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Where it is.
    pub path: PathBuf,
    /// Its name.
    pub name: OsString,
    /// What it says.
    pub hook: Hook,
    /// The file that takes its place, if there is one.
    pub masked_by: Option<PathBuf>,
}

/// What a runtime makes of its directories.
#[derive(Debug, Default)]
pub struct Survey {
    /// The hooks in the order in which they run; masked ones among them.
    pub hooks: Vec<Loaded>,
    /// All that is wrong, by directory and file.
    pub findings: Vec<Finding>,
}

/// What `runtime` makes of `directories`, whose later ones count more.
#[must_use]
pub fn survey(runtime: Runtime, directories: &[Directory], root: &Rooted) -> Survey {
    let mut survey = Survey::default();
    for directory in directories {
        survey.take(runtime, directory, root);
    }
    survey.order();
    survey.findings.sort_by(|one, other| one.path.cmp(&other.path));
    survey
}

impl Survey {
    fn find(&mut self, path: &Path, remark: Remark, place: Option<Place>) {
        let Remark { severity, consequence, what, .. } = remark;
        let path = path.to_owned();
        let is_missing_program = false;
        self.findings.push(Finding {
            path,
            place,
            severity,
            consequence,
            what,
            is_missing_program,
        });
    }

    fn whole(&mut self, path: &Path, severity: Severity, consequence: Consequence, what: String) {
        self.find(path, Remark { offset: None, severity, consequence, what, is_late: false }, None);
    }

    fn take(&mut self, runtime: Runtime, directory: &Directory, root: &Rooted) {
        let files = match &directory.files {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                let what = format!("cannot be read: {}", file::words(error));
                return self.whole(&directory.path, Severity::Error, Consequence::Skipped, what);
            }
        };
        let first = self.findings.len();
        for found in files {
            let path = directory.path.join(&found.name);
            match &found.content {
                Held::OtherName => {
                    let what = "does not end in '.json': nobody reads it".to_owned();
                    self.whole(&path, Severity::Warning, Consequence::Skipped, what);
                }
                Held::LeadsNowhere => {
                    let what = "is a link to nowhere".to_owned();
                    self.whole(&path, Severity::Error, Consequence::Skipped, what);
                }
                Held::Unreadable(why) => {
                    let what = format!("cannot be read: {why}");
                    self.whole(&path, Severity::Error, Consequence::Refused, what);
                }
                Held::Bytes(bytes) => {
                    self.judge(path, found, definition::read(bytes, runtime), (&text(bytes), root));
                }
            }
        }
        self.hush(first);
    }

    /// Has the faults after a missing program passed over: those of the findings from `first` on.
    fn hush(&mut self, first: usize) {
        let is_fault = |finding: &&mut Finding| match finding.consequence {
            Consequence::Refused => true,
            Consequence::Skipped => finding.is_missing_program,
            _ => false,
        };
        let faults = self.findings.iter_mut().skip(first).filter(is_fault);
        let mut before: Option<PathBuf> = None;
        for fault in faults {
            match &before {
                None if fault.consequence == Consequence::Refused => return,
                None => before = Some(fault.path.clone()),
                Some(path) if fault.consequence == Consequence::Refused => {
                    fault.consequence = Consequence::Skipped;
                    fault.what = format!("{}; not told because of {}", fault.what, quoted(path));
                }
                Some(_) => {}
            }
        }
    }

    /// Takes in a hook if all is right. The program is looked for after the file was parsed, and before the
    /// stages and regular expressions are looked at.
    fn judge(
        &mut self,
        path: PathBuf,
        found: &Found,
        reading: Reading,
        (text, root): (&str, &Rooted),
    ) {
        let is_refused = reading.is_refused();
        let program = reading.hook.as_ref().map(|hook| file::program(root, &hook.path));
        let is_missing = program == Some(Program::Missing);
        for mut remark in reading.remarks {
            if is_missing && remark.consequence == Consequence::Refused {
                remark.consequence = Consequence::Skipped;
            }
            let place = remark.offset.map(|offset| Place::of(text, offset));
            self.find(&path, remark, place);
        }
        let (Some(program), Some(hook)) = (program, reading.hook) else { return };
        let told = quoted(&hook.path).to_string();
        let (consequence, what) = match program {
            Program::Fine => (None, String::new()),
            Program::Missing => (Some(Consequence::Skipped), format!("there is no program {told}")),
            Program::Unreachable(why) => {
                (Some(Consequence::Refused), format!("cannot look at the program {told}: {why}"))
            }
            Program::NotFile => (Some(Consequence::Fails), format!("{told} is no program")),
            Program::NotExecutable => {
                (Some(Consequence::Fails), format!("the program {told} is not executable"))
            }
        };
        if let Some(consequence) = consequence {
            self.whole(&path, Severity::Error, consequence, what);
            if let Some(finding) = self.findings.last_mut() {
                finding.is_missing_program = is_missing;
            }
        }
        let is_out = matches!(consequence, Some(Consequence::Skipped | Consequence::Refused));
        if !is_refused && !is_out {
            self.hooks.push(Loaded { path, name: found.name.clone(), hook, masked_by: None });
        }
    }

    /// Masks, and puts in order.
    fn order(&mut self) {
        let names: Vec<(OsString, PathBuf)> =
            self.hooks.iter().map(|hook| (hook.name.clone(), hook.path.clone())).collect();
        let mut masked = Vec::new();
        for (index, hook) in self.hooks.iter_mut().enumerate() {
            let later = names.iter().skip(index + 1).rev().find(|(name, _)| *name == hook.name);
            hook.masked_by = later.map(|(_, path)| path.clone());
            masked.extend(hook.masked_by.clone().map(|by| (hook.path.clone(), by)));
        }
        for (path, by) in masked {
            // The administrator's file in place of the distribution's is what masking is for.
            let is_meant = by.starts_with("/etc") && !path.starts_with("/etc");
            let severity = if is_meant { Severity::Warning } else { Severity::Error };
            let what = format!("is masked by {}", quoted(&by));
            self.whole(&path, severity, Consequence::Skipped, what);
        }
        self.hooks.sort_by_key(|hook| hook.name.to_string_lossy().to_lowercase());
        let pairs: Vec<(PathBuf, PathBuf)> = self
            .running()
            .zip(self.running().skip(1))
            .filter(|(one, other)| {
                one.name.to_string_lossy().to_lowercase()
                    == other.name.to_string_lossy().to_lowercase()
            })
            .map(|(one, other)| (one.path.clone(), other.path.clone()))
            .collect();
        for (one, other) in pairs {
            let what = format!("differs from {} in case alone: either may run first", quoted(&one));
            self.whole(&other, Severity::Warning, Consequence::None, what);
        }
    }

    /// The hooks that are not masked, in the order in which they run.
    pub fn running(&self) -> impl Iterator<Item = &Loaded> {
        self.hooks.iter().filter(|hook| hook.masked_by.is_none())
    }

    /// Whether something is an error.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}
