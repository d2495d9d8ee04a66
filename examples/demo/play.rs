//! What is done on the host, and what each step should lead to.

use crate::look::{View, directory_of, namespace_at, namespace_of};
use crate::programs::Programs;
use crate::service::Service;
use crate::table::{Table, colour};
use crate::{Outcome, cannot, say, stage};
use kubens::message::{plain, quoted};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// How many mounts the service makes.
const COUNT: usize = 400;

/// Shows everything: what was not as it should be, and nothing when all was.
pub(crate) fn play(scratch: &Path) -> Outcome<Vec<&'static str>> {
    let places = Places::make(scratch)?;
    let play = Play { programs: Programs::find()?, places, scratch: plain(scratch).to_string() };
    say(&format!("On a host of its own, in S={}:\n\n", plain(scratch)))?;
    let untouched = View::of("self")?.count();
    play.pin()?;
    let before = [View::of("self")?, play.seen_inside()?].map(|view| view.count());
    let service = play.serve()?;
    let visible = play.visible(&service, before)?;
    say(&visible.text(colour()))?;
    let kept = play.kept(&service)?;
    say(&kept.text(colour()))?;
    let ended = play.end(service, untouched)?;
    say(&ended.text(colour()))?;
    Ok([visible, kept, ended].iter().flat_map(Table::wrong).collect())
}

/// The places in the scratch directory.
struct Places {
    /// Where the namespace is pinned.
    pin: PathBuf,
    /// The working directory of the service.
    work: PathBuf,
    /// Where the service mounts.
    node: PathBuf,
    /// What is exposed.
    exposed: PathBuf,
    /// Where one mount is made from inside, exposed; one more, not exposed; one on the host.
    points: [PathBuf; 3],
}

impl Places {
    fn make(scratch: &Path) -> Outcome<Self> {
        let exposed = scratch.join("exposed");
        let points = [exposed.join("volume"), scratch.join("inside"), scratch.join("host")];
        let places = Self {
            pin: scratch.join("kubens/mnt"),
            work: scratch.join("work"),
            node: scratch.join("node"),
            exposed,
            points,
        };
        for directory in places.points.iter().chain([&places.work, &places.node]) {
            fs::create_dir_all(directory)
                .map_err(|error| cannot(format!("make {}", quoted(directory)), &error))?;
        }
        Ok(places)
    }
}

struct Play {
    programs: Programs,
    places: Places,
    /// The scratch directory, as it is written where it is said.
    scratch: String,
}

impl Play {
    /// Pins the namespace.
    fn pin(&self) -> Outcome<()> {
        let Places { pin, exposed, .. } = &self.places;
        let options = ["--from-here", "--path"].map(OsStr::new);
        let more = [pin.as_os_str(), "--expose".as_ref(), exposed.as_os_str()];
        let output = self.kubens("pin", &[&options[..], &more[..]].concat())?;
        if output.status.success() { Ok(()) } else { Err("nothing is pinned".to_owned()) }
    }

    /// Takes the pin away, or tries to: whether it is gone, and what was said.
    fn unpin(&self) -> Outcome<(bool, String)> {
        let options = ["--from-here", "--path"].map(OsStr::new);
        let output =
            self.kubens("unpin", &[&options[..], &[self.places.pin.as_os_str()]].concat())?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    /// `text` with the scratch directory under its short name.
    fn short(&self, text: impl AsRef<OsStr>) -> String {
        plain(text.as_ref()).to_string().replace(&self.scratch, "$S")
    }

    /// Shows a command.
    fn show(&self, words: &[&str], more: &[&OsStr]) -> Outcome<()> {
        let words = words.iter().map(|&word| word.to_owned());
        let line: Vec<_> = words.chain(more.iter().map(|word| self.short(word))).collect();
        say(&format!("# {}\n", line.join(" ")))
    }

    /// Runs `kubens VERB OPTIONS`, and shows the command and what it says.
    fn kubens(&self, verb: &str, options: &[&OsStr]) -> Outcome<Output> {
        self.show(&["kubens", verb], options)?;
        let output = run(Command::new(&self.programs.kubens).arg(verb).args(options))?;
        for said in [&output.stdout, &output.stderr] {
            for line in String::from_utf8_lossy(said).lines() {
                say(&format!("  {}\n", self.short(line)))?;
            }
        }
        Ok(output)
    }

    /// A command that runs `program` through the shim.
    fn shim(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(&self.programs.exec);
        command.arg("--namespace").arg(&self.places.pin).arg("--").arg(program);
        command
    }

    /// What a process in the namespace sees.
    fn seen_inside(&self) -> Outcome<View> {
        let output = run(self.shim("cat").arg("/proc/self/mountinfo"))?;
        worked("cat", &output)?;
        View::parse(&output.stdout)
    }

    /// Starts the service.
    fn serve(&self) -> Outcome<Service> {
        let count = COUNT.to_string();
        let Places { pin, node, work, .. } = &self.places;
        let words = ["--", "many-mounts"].map(OsStr::new);
        let more = [node.as_os_str(), count.as_ref()];
        self.show(
            &["kubens-exec", "--namespace"],
            &[&[pin.as_os_str()], &words[..], &more[..]].concat(),
        )?;
        let mut command = self.shim(&self.programs.service);
        let service = Service::start(command.args(more), work)?;
        say(&format!("  process {} is ready\n", service.pid))?;
        Ok(service)
    }

    /// Who sees what: the mounts of the service, and those that are made now on either side.
    fn visible(&self, service: &Service, before: [usize; 2]) -> Outcome<Table> {
        let Places { node, points: [exposed, inside, on_host], .. } = &self.places;
        let views = || Outcome::Ok([View::of("self")?, View::of(&service.started.to_string())?]);
        let mut table = Table::new("the host sees", "the namespace sees");
        table.note("mounts, before the service starts", before.map(|count| count.to_string()));
        let mut row = |what, count: &dyn Fn(&View) -> usize, expected: [usize; 2]| {
            let found = views()?.map(|view| count(&view));
            table.check(what, found.map(|count| count.to_string()), found == expected);
            Outcome::Ok(())
        };
        let [host, namespace] = before;
        row("mounts, while it runs", &View::count, [host, namespace + COUNT])?;
        row("the service's own among them", &|view| view.within(node), [0, COUNT])?;
        stage::mount_at(on_host)?;
        row("a mount made on the host now", &|view| view.within(on_host), [1, 1])?;
        for point in [exposed, inside] {
            worked(
                "the mount inside",
                &run(self.shim(&self.programs.own).arg("mount").arg(point))?,
            )?;
        }
        row("a mount made inside, where exposed", &|view| view.within(exposed), [1, 1])?;
        row("a mount made inside, elsewhere", &|view| view.within(inside), [0, 1])?;
        Ok(table)
    }

    /// What the shim leaves as it was, and what it does not.
    fn kept(&self, service: &Service) -> Outcome<Table> {
        let Places { pin, work, .. } = &self.places;
        let started = service.started.to_string();
        let mut table = Table::new("expected", "found");
        let good = service.pid == started;
        table.check("PID of the service", [started.clone(), service.pid.clone()], good);
        let good = &service.directory == work && &directory_of(&started)? == work;
        let directories = [work, &service.directory].map(|path| self.short(path));
        table.check("working directory", directories, good);
        let (pinned, found) = (namespace_at(pin)?, namespace_of(&started)?);
        let good = pinned == found && found != namespace_of("self")?;
        table.check("mount namespace", [pinned, found], good);
        Ok(table)
    }

    /// The end of it: the pin goes when nobody is inside, and takes all with it.
    fn end(&self, service: Service, untouched: usize) -> Outcome<Table> {
        let mut table = Table::new("expected", "found");
        say("\n")?;
        let word = |gone| if gone { "unpinned" } else { "refused" }.to_owned();
        let (gone, why) = self.unpin()?;
        let good = !gone && why.contains(&format!(" {} ", service.started));
        table.check("unpin, while the service runs", [word(false), word(gone)], good);
        service.end()?;
        say("  the service has ended\n")?;
        let [exposed, _, on_host] = &self.places.points;
        stage::unmount(exposed)?;
        stage::unmount(on_host)?;
        let (gone, _) = self.unpin()?;
        table.check("unpin, after its end", [word(true), word(gone)], gone);
        let found = View::of("self")?.count();
        let counts = [untouched, found].map(|count| count.to_string());
        table.check("mounts that the host sees then", counts, found == untouched);
        Ok(table)
    }
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Outcome<Output> {
    command
        .output()
        .map_err(|error| cannot(format!("start {}", quoted(command.get_program())), &error))
}

/// Whether a command worked; if not, what it said.
fn worked(what: &str, output: &Output) -> Outcome<()> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{what} failed ({}): {}", output.status, plain(said.trim_end())))
}
