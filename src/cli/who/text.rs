//! What `kubens who` prints for people.

use crate::cli::terminal::Paint;
use crate::cli::who::Answer;
use crate::message::{plain, quoted};
use crate::node::holds::{Use, What};
use crate::node::process::Process;
use comfy_table::{Table, presets::NOTHING};
use std::path::Path;

/// How many descriptors are named in a line.
const FILES: usize = 4;

impl Answer<'_> {
    /// What people read.
    pub(super) fn as_text(&self, paint: Paint) -> String {
        let mut table = Table::new();
        table.load_preset(NOTHING).set_header(["NAMESPACE", "AT", "PROCESS", "HOLDS", "OF"]);
        for (place, copy) in self.copies.mounts.iter().enumerate() {
            let Some(space) = self.node.spaces.get(copy.space) else { continue };
            let own = if copy.goes_along { "" } else { ", a copy that stays" };
            let name = format!("{}{own}", self.name(space));
            let at = plain(&copy.point).to_string();
            let mut holders = self.holders.iter().filter(|one| one.copy == place).peekable();
            if holders.peek().is_none() {
                table.add_row([&name, &at, "none", "", ""]);
            }
            for holder in holders {
                let Some(process) = self.node.processes.get(holder.process) else { continue };
                let program = plain(process.program_name()).to_string();
                let process_told = format!("{} {program}", process.pid);
                table.add_row([
                    &name,
                    &at,
                    &process_told,
                    &used(&holder.uses),
                    &self.origin(process),
                ]);
            }
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let mut lines = vec![paint.strong(self.heading())];
        lines.extend(table.lines().map(|line| line.trim_end().to_owned()));
        for (space, point) in &self.copies.nested {
            let space = self.node.spaces.get(*space).map(|one| self.name(one)).unwrap_or_default();
            lines.push(format!("mounted on it: {} ({space})", quoted(point)));
        }
        for (device, path) in &self.kernel.loops {
            lines.push(format!("loop device {}: {}", plain(device), quoted(path)));
        }
        for path in &self.kernel.swaps {
            lines.push(format!("swapped to: {}", quoted(path)));
        }
        if self.copies.others > 0 {
            let number = self.copies.others;
            lines.push(format!("mounts of other parts of its file system: {number}"));
        }
        let verdict = self.verdict();
        lines.push(if self.is_held() { paint.bad(verdict) } else { paint.good(verdict) });
        lines.join("\n") + "\n"
    }

    fn heading(&self) -> String {
        let (major, minor) = self.mount.device();
        let (root, source) = (self.mount.root(), self.mount.source());
        let part = if *root == *Path::new("/") {
            String::new()
        } else {
            format!(", of which it shows {}", quoted(root.as_os_str()))
        };
        format!(
            "{}: {} of {}, device {major}:{minor}{part}",
            quoted(self.mount.point().as_os_str()),
            plain(self.mount.fstype().as_ref()),
            quoted(&*source),
        )
    }

    /// In one sentence.
    fn verdict(&self) -> String {
        let number = self.processes();
        let staying = self.copies.staying().count();
        let is_in_use = !self.kernel.loops.is_empty() || !self.kernel.swaps.is_empty();
        let mut text = match number {
            0 => "no process holds it".to_owned(),
            1 => "1 process holds it".to_owned(),
            number => format!("{number} processes hold it"),
        };
        if is_in_use {
            text += "; the kernel itself does";
        }
        if !self.copies.nested.is_empty() {
            text += "; what is mounted on it has to be unmounted first";
        }
        match staying {
            0 => {}
            1 => text += ", but 1 mount of it stays when it is unmounted",
            number => text = format!("{text}, but {number} mounts of it stay when it is unmounted"),
        }
        text
    }

    fn processes(&self) -> usize {
        let mut all: Vec<usize> = self.holders.iter().map(|holder| holder.process).collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }

    fn origin(&self, process: &Process) -> String {
        let pod = process.origin.pod.as_deref().map(|uid| self.pod(uid)).unwrap_or_default();
        match (process.container(), &process.origin.unit) {
            (Some(container), _) => format!("container {}{pod}", plain(container.short())),
            (None, Some(unit)) => format!("{}{pod}", plain(unit)),
            (None, None) => pod.trim_start_matches(" of ").to_owned(),
        }
    }
}

/// As what files are used, in a line.
fn used(uses: &[Use]) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut files = Vec::new();
    let mut mappings = 0;
    for one in uses {
        match one.what {
            What::Directory => words.push("working directory".to_owned()),
            What::Root => words.push("root directory".to_owned()),
            What::Program => words.push("program".to_owned()),
            What::File(number) => files.push(number.to_string()),
            What::Mapping => mappings += 1,
        }
    }
    if !files.is_empty() {
        let more = if files.len() > FILES { ", …" } else { "" };
        let named: Vec<String> = files.iter().take(FILES).cloned().collect();
        let word = if files.len() == 1 { "file" } else { "files" };
        words.push(format!("{} {word} ({}{more})", files.len(), named.join(", ")));
    }
    match mappings {
        0 => {}
        1 => words.push("1 mapping".to_owned()),
        number => words.push(format!("{number} mappings")),
    }
    words.join(", ")
}
