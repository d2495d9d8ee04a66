//! Whether a runtime runs the hook of kubens: what is to be written or removed for that.
//!
//! Everything is looked at before: the files as they would be are judged like those that are there.

use crate::message::{plain, quoted};
use crate::registration::configured::{ADMINISTRATORS, Configured, configured, drop_ins};
use crate::registration::file::{self, Directory, Found, Held};
use crate::registration::shipped::{self, HOOK, Policy, SETTINGS};
use crate::registration::survey::{Finding, Survey, survey};
use crate::registration::write::{Change, contents, tidy, write};
use crate::registration::{Consequence, Error, Runtime, Severity};
use crate::systemd::rooted::Rooted;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What is to be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// The changes, in their order.
    pub changes: Vec<Change>,
    /// Where a run that was killed may have left something.
    pub touched: Vec<PathBuf>,
    /// The files that they are about, as seen from the root.
    pub files: Vec<PathBuf>,
    /// The service that has to be restarted for it.
    pub restart: Option<&'static str>,
    /// What an administrator should know.
    pub warnings: Vec<String>,
}

/// The hook file.
#[must_use]
pub fn hook_path() -> PathBuf {
    Path::new(ADMINISTRATORS).join(HOOK)
}

/// The file with the settings for `runtime`.
#[must_use]
pub fn settings_path(runtime: Runtime) -> PathBuf {
    drop_ins(runtime).join(SETTINGS)
}

/// What has `runtime` run the hook of kubens with `policy`, below `root`.
///
/// # Errors
/// [`Error::File`] for a file of the same name that is not ours; [`Error::Result`] if the hook would not
/// run, or something else would not run any more; [`Error::Read`].
pub fn enable(runtime: Runtime, policy: Policy, root: &Rooted) -> Result<Plan, Error> {
    let program = shipped::program(root);
    let hook = shipped::hook(policy, &program.to_string_lossy());
    let mut plan = Plan::default();
    plan.put(root, &hook_path(), &hook, shipped::is_hook)?;
    let settings = settings_path(runtime);
    let is_settings = |bytes: &[u8]| bytes == shipped::settings(runtime);
    let is_set = plan.put(root, &settings, shipped::settings(runtime), is_settings)?;
    let before = configured(runtime, root).without(&settings);
    let after = before.with(runtime, &settings, &shipped::directories());
    plan.judge(runtime, root, (&before, &after), &hook)?;
    if is_set {
        plan.restart = (runtime == Runtime::Crio).then_some("crio.service");
    }
    Ok(plan)
}

/// What takes that away again, for `runtimes`. The hook file stays while another runtime's settings that
/// are ours have it read.
///
/// # Errors
/// [`Error::File`] for a file that was changed; [`Error::Read`].
pub fn disable(runtimes: &[Runtime], root: &Rooted) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    for runtime in runtimes {
        let is_settings = |bytes: &[u8]| bytes == shipped::settings(*runtime);
        if plan.remove(root, &settings_path(*runtime), is_settings)? && *runtime == Runtime::Crio {
            plan.restart = Some("crio.service");
        }
    }
    let others = [Runtime::Crio, Runtime::Podman].into_iter().filter(|one| !runtimes.contains(one));
    for other in others {
        let path = settings_path(other);
        if there(root, &path)?.is_some_and(|(_, bytes)| bytes == shipped::settings(other)) {
            let hook = hook_path();
            plan.warnings.push(format!("{} stays: {} reads it", quoted(&hook), other.name()));
            return Ok(plan);
        }
    }
    plan.remove(root, &hook_path(), shipped::is_hook)?;
    Ok(plan)
}

impl Plan {
    /// Does it.
    ///
    /// # Errors
    /// [`Error::Act`]: everything is as before then.
    pub fn carry_out(&self) -> Result<(), Error> {
        write(&self.changes)?;
        self.touched.iter().try_for_each(|path| tidy(path))
    }

    /// Plans to have `path` hold `bytes`; whether that is a change. What is there must be ours.
    fn put(
        &mut self,
        root: &Rooted,
        path: &Path,
        bytes: &[u8],
        is_ours: impl Fn(&[u8]) -> bool,
    ) -> Result<bool, Error> {
        let outer = match there(root, path)? {
            Some((_, there)) if there == bytes => return Ok(false),
            Some((_, there)) if !is_ours(&there) => return Err(not_ours(path)),
            Some((outer, _)) => outer,
            None => outer(root, path)?,
        };
        self.changes.push(Change::Write(outer, bytes.to_vec()));
        self.files.push(path.to_owned());
        Ok(true)
    }

    /// Plans to have nothing at `path`; whether that is a change. What is there must be ours.
    fn remove(
        &mut self,
        root: &Rooted,
        path: &Path,
        is_ours: impl Fn(&[u8]) -> bool,
    ) -> Result<bool, Error> {
        self.touched.push(outer(root, path)?);
        let Some((outer, there)) = there(root, path)? else {
            return Ok(false);
        };
        if !is_ours(&there) {
            return Err(not_ours(path));
        }
        self.changes.push(Change::Remove(outer));
        self.files.push(path.to_owned());
        Ok(true)
    }

    /// Judges what there would be.
    fn judge(
        &mut self,
        runtime: Runtime,
        root: &Rooted,
        (before, after): (&Configured, &Configured),
        hook: &[u8],
    ) -> Result<(), Error> {
        let name = runtime.name();
        let directories = after.directories();
        let ours = settings_path(runtime);
        if let Some(later) = after.source().filter(|source| *source != ours) {
            if directories.iter().any(|path| path == Path::new(ADMINISTRATORS)) {
                let text =
                    format!("{} has the last word on the directories of hooks", quoted(later));
                self.warnings.push(text);
            } else {
                return Err(Error::Result(format!(
                    "{name} would not read {}: {} has the last word, and does not name it",
                    plain(ADMINISTRATORS),
                    quoted(later)
                )));
            }
        }
        for path in before.directories().iter().filter(|path| !directories.contains(path)) {
            let read = file::directory(root, path);
            if read
                .files
                .is_ok_and(|files| files.iter().any(|found| file::is_hook_name(&found.name)))
            {
                let source = before.source().unwrap_or(&ours);
                return Err(Error::Result(format!(
                    "{name} would not read the hooks in {} any more, which {} names: move them to {}",
                    quoted(path),
                    quoted(source),
                    plain(ADMINISTRATORS)
                )));
            }
        }
        let mut read: Vec<Directory> =
            directories.iter().map(|path| file::directory(root, path)).collect();
        for directory in
            read.iter_mut().filter(|directory| directory.path == Path::new(ADMINISTRATORS))
        {
            let mut files =
                std::mem::replace(&mut directory.files, Ok(Vec::new())).unwrap_or_default();
            files.retain(|found| found.name != HOOK);
            files.push(Found { name: HOOK.into(), content: Held::Bytes(hook.to_vec()) });
            files.sort_by(|one, other| one.name.cmp(&other.name));
            directory.files = Ok(files);
        }
        let would = survey(runtime, &read, root);
        self.heed(runtime, &after.findings, &would)
    }

    /// Refuses what would not run, and warns of what others did wrong.
    fn heed(
        &mut self,
        runtime: Runtime,
        settings: &[Finding],
        would: &Survey,
    ) -> Result<(), Error> {
        for finding in settings.iter().chain(&would.findings) {
            let Finding { path, what, consequence, severity, .. } = finding;
            let end = consequence.told(runtime).map(|end| format!(" ({end})")).unwrap_or_default();
            let text = format!("{}: {what}{end}", quoted(path));
            let is_ours = *path == hook_path() && *severity == Severity::Error;
            if is_ours || *consequence == Consequence::Refused {
                return Err(Error::Result(format!("the hook would not run: {text}")));
            }
            if *severity == Severity::Error {
                self.warnings.push(text);
            }
        }
        if !would.running().any(|hook| hook.path == hook_path()) {
            return Err(Error::Result("the hook would not run".to_owned()));
        }
        Ok(())
    }
}

fn not_ours(path: &Path) -> Error {
    Error::File(
        path.to_owned(),
        "is not as kubens wrote it: change or remove it yourself".to_owned(),
    )
}

/// `path` as this process sees it, its directory without links.
fn outer(root: &Rooted, path: &Path) -> Result<PathBuf, Error> {
    let directory = path.parent().and_then(|parent| root.resolve(parent));
    let directory =
        directory.ok_or_else(|| Error::File(path.to_owned(), "has too many links".to_owned()))?;
    Ok(root.outer(&directory).join(path.file_name().unwrap_or(OsStr::new(""))))
}

/// The bytes of the file at `path` and where this process sees it; nothing if there is none.
fn there(root: &Rooted, path: &Path) -> Result<Option<(PathBuf, Vec<u8>)>, Error> {
    let outer = outer(root, path)?;
    let found = contents(&outer).map_err(|error| Error::Read(path.to_owned(), error.into()))?;
    Ok(found.map(|(bytes, _)| (outer, bytes)))
}
