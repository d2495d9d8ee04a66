//! What a command line, or a line of a script, does with the host's mounts, as far as its words show.
//! Pure.

use crate::doctor::finding::Kind;
use crate::node::owner::Directories;
use std::path::{Component, Path, PathBuf};

/// Where network namespaces are.
const NETNS: &str = "/run/netns";

/// Programs that use a store of container images, and the option by which each is told another one.
const STORE: [&str; 2] = ["podman", "buildah"];

/// Options with which podman and buildah work elsewhere, or say something of themselves.
const OTHER_STORE: [&str; 8] =
    ["--root", "--remote", "-r", "--url", "--connection", "--version", "-v", "--help"];

/// Programs that remove what they are given.
const REMOVERS: [&str; 7] = ["rm", "rmdir", "unlink", "umount", "tmpwatch", "tmpreaper", "shred"];

/// Words after which the name of a program is only a name.
const NAMING: [&str; 12] = [
    "install", "remove", "purge", "upgrade", "which", "-v", "-V", "type", "echo", "printf", "man",
    "restart",
];

/// What the words of lines are judged by.
#[derive(Debug, Clone)]
pub struct Judge {
    /// The directories of kubelet and the runtimes.
    pub directories: Directories,
    /// The store that podman and its like use by themselves, if it is the runtime's.
    pub shared_store: Option<PathBuf>,
}

impl Judge {
    /// What `line` does, each once.
    #[must_use]
    pub fn line(&self, line: &str) -> Vec<Kind> {
        let words: Vec<&str> = line.split(separates).filter(|word| !word.is_empty()).collect();
        let mut kinds = Vec::new();
        for (index, word) in words.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|index| words.get(index));
            if before.is_some_and(|before| NAMING.contains(before)) {
                continue;
            }
            let rest = words.get(index + 1..).unwrap_or_default();
            match program(word) {
                "nsenter" if enters_init(rest) => kinds.push(Kind::EntersInit),
                name if STORE.contains(&name) && self.is_on_store(rest) => kinds.push(Kind::Store),
                "skopeo" if self.copies_to_store(rest) => kinds.push(Kind::Store),
                "kubeadm" if rest.first() == Some(&"reset") => kinds.push(Kind::Cleaner),
                name if REMOVERS.contains(&name) && self.names_ours(rest) => {
                    kinds.push(Kind::Cleaner);
                }
                "find" if removes(rest) && self.names_ours(rest) => kinds.push(Kind::Cleaner),
                _ => {}
            }
            if reads_init(word) {
                kinds.push(Kind::ReadsInit);
            }
        }
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    fn is_on_store(&self, rest: &[&str]) -> bool {
        let Some(store) = &self.shared_store else { return false };
        let mut words = rest.iter();
        while let Some(word) = words.next() {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            if name == "--root" {
                let value = if value.is_empty() { words.next().copied() } else { Some(value) };
                return value.is_some_and(|value| Path::new(value) == store);
            }
            if OTHER_STORE.contains(&name) {
                return false;
            }
            // The subcommand, or an option that says nothing of this.
            if !word.starts_with('-') {
                return true;
            }
        }
        false
    }

    fn copies_to_store(&self, rest: &[&str]) -> bool {
        self.shared_store.is_some()
            && rest.iter().any(|word| {
                // containers-transports(5): a store in brackets is one of its own.
                let named = word.strip_prefix("containers-storage:");
                named.is_some_and(|name| !name.is_empty())
            })
    }

    /// Whether one of the words is a path at or below a directory of kubelet's or a runtime's.
    fn names_ours(&self, words: &[&str]) -> bool {
        words.iter().any(|word| word.starts_with('/') && self.is_ours(Path::new(word)))
    }

    /// Whether `path` is one of the directories of kubelet and the runtimes, or below one.
    #[must_use]
    pub fn is_ours(&self, path: &Path) -> bool {
        let path = plain_path(path);
        self.roots().any(|root| path.starts_with(root))
    }

    /// The directories of kubelet and the runtimes.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        let others = self.directories.runtimes.iter().map(PathBuf::as_path);
        [self.directories.kubelet.as_path(), Path::new(NETNS)].into_iter().chain(others)
    }
}

/// The path with `/var/run` as what it is everywhere, without dots.
fn plain_path(path: &Path) -> PathBuf {
    let path = match path.strip_prefix("/var/run") {
        Ok(rest) => Path::new("/run").join(rest),
        Err(_) => path.to_owned(),
    };
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// What ends a word in shells, unit files, crontabs and YAML.
fn separates(character: char) -> bool {
    character.is_whitespace() || "\"'`;|&()[]{}<>,".contains(character)
}

/// The name of a program, without its path and the prefixes of systemd.service(5).
fn program(word: &str) -> &str {
    let word = word.trim_start_matches(['-', '@', ':', '+', '!']);
    word.rsplit('/').next().unwrap_or(word)
}

/// Whether the options of nsenter(1) lead to PID 1's mount namespace.
fn enters_init(rest: &[&str]) -> bool {
    let mut target = false;
    let mut mount = false;
    let mut words = rest.iter().copied().peekable();
    while let Some(word) = words.next() {
        let is_init = |text: &str| text == "1";
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = long.split_once('=').unwrap_or((long, ""));
            match name {
                "target" if value.is_empty() => target |= words.peek().is_some_and(|w| is_init(w)),
                "target" => target |= is_init(value),
                "mount" if value.is_empty() => mount = true,
                "mount" => return names_init(value),
                "all" => mount = true,
                "" => break,
                _ => {}
            }
        } else if let Some(short) = word.strip_prefix('-') {
            // Letters without a value, up to one that may have one.
            for (index, letter) in short.char_indices() {
                let value = short.get(index + 1..).unwrap_or_default().trim_start_matches('=');
                match letter {
                    't' => {
                        let mut next = || words.peek().copied().unwrap_or_default();
                        target |= is_init(if value.is_empty() { next() } else { value });
                        break;
                    }
                    'm' if value.starts_with('/') => return names_init(value),
                    'm' | 'a' => mount = true,
                    _ if value.starts_with('/') => break,
                    _ => {}
                }
            }
        }
    }
    target && mount
}

/// Whether a file is that of PID 1's mount namespace, also where /proc is mounted elsewhere.
fn names_init(path: &str) -> bool {
    path.ends_with("/1/ns/mnt")
}

/// Whether a word names PID 1's mount table or its root directory.
fn reads_init(word: &str) -> bool {
    word.split('=').any(|part| {
        let inside = part.split_once("proc/1/").map(|(_, file)| file).unwrap_or_default();
        let file = inside.split(['/', ':', '"']).next().unwrap_or_default();
        matches!(file, "mounts" | "mountinfo" | "mountstats" | "root")
    })
}

/// Whether find(1) removes what it finds.
fn removes(words: &[&str]) -> bool {
    let runs = |word: &&str| REMOVERS.contains(&program(word));
    words.contains(&"-delete")
        || (words.iter().any(|word| word.starts_with("-exec")) && words.iter().any(runs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::{Cleaner, EntersInit, ReadsInit, Store};
    use proptest::prelude::*;

    fn judge() -> Judge {
        Judge {
            directories: Directories::default(),
            shared_store: Some("/var/lib/containers/storage".into()),
        }
    }

    fn kinds(line: &str) -> Vec<Kind> {
        judge().line(line)
    }

    #[test]
    fn who_enters_pid_1s_mount_namespace_is_found() {
        for line in [
            "nsenter -t 1 -m -- df",
            "/usr/bin/nsenter -t1 -m df",
            "nsenter --target 1 --mount --uts -- sh",
            "nsenter --target=1 --all sh",
            "nsenter -at 1 sh",
            "nsenter -m -u -i -n -p -t 1 sh",
            "nsenter -mt1 sh",
            "nsenter -m/proc/1/ns/mnt -- /bin/systemctl reboot",
            "nsenter --mount=/host/proc/1/ns/mnt iscsiadm",
            "nsenter --mount=/rootfs/proc/1/ns/mnt --ipc=/rootfs/proc/1/ns/ipc mount",
            "sh -c 'true; exec nsenter -t 1 -m sh'",
            r#"command: ["nsenter", "--target", "1", "--mount"]"#,
        ] {
            assert_eq!(kinds(line), [EntersInit], "{line}");
        }
        for line in [
            "nsenter -t 1 -n ip a",
            "nsenter -t 12 -m df",
            "nsenter --target 1 --net=/run/netns/x sh",
            "nsenter --mount=/run/kubens/mnt df",
            "nsenter -n/proc/1/ns/net ip a",
            "apt-get install nsenter -t 1 -m",
            "myns-nsenter -t 1 -m",
        ] {
            assert_eq!(kinds(line), [], "{line}");
        }
    }

    #[test]
    fn who_reads_pid_1s_table_is_found() {
        for line in [
            "cat /proc/1/mounts",
            "--path=/host/proc/1/mountinfo",
            "findmnt -F /proc/1/mountinfo",
            "ls /proc/1/root/var/lib/kubelet",
            "chroot /proc/1/root sh",
        ] {
            assert_eq!(kinds(line), [ReadsInit], "{line}");
        }
        for line in
            ["cat /proc/11/mounts", "cat /proc/1/status", "/proc/1/ns/net", "/proc/self/mounts"]
        {
            assert_eq!(kinds(line), [], "{line}");
        }
    }

    #[test]
    fn who_uses_the_runtimes_store_is_found() {
        for line in [
            "/usr/bin/podman run --rm x",
            "podman --log-level=debug pull x",
            "-/usr/bin/podman auto-update",
            "buildah bud .",
            "skopeo copy docker://a containers-storage:a",
            "podman --root /var/lib/containers/storage ps",
            "podman --root=/var/lib/containers/storage ps",
            "0 3 * * * root podman system prune -f",
        ] {
            assert_eq!(kinds(line), [Store], "{line}");
        }
        for line in [
            "podman --root /srv/own ps",
            "podman --root=/srv/own ps",
            "podman --remote ps",
            "podman --version",
            "podman",
            "skopeo copy docker://a dir:/a",
            "skopeo inspect containers-storage:[vfs@/srv/own+/run/own]a",
            "apt-get install podman",
            "command -v podman >/dev/null",
            "systemctl restart podman",
            "/usr/bin/podman-compose up",
        ] {
            assert_eq!(kinds(line), [], "{line}");
        }
        let elsewhere = Judge { shared_store: None, ..judge() };
        assert_eq!(elsewhere.line("podman run x"), []);
    }

    #[test]
    fn who_removes_directories_of_kubelets_is_found() {
        for line in [
            "rm -rf /var/lib/kubelet",
            "/bin/rmdir /var/run/netns/x",
            "find /var/lib/kubelet/pods -type d -empty -delete",
            "find /run/containerd -mindepth 1 -exec rmdir {} +",
            "umount /var/lib/kubelet/pods/*",
            "kubeadm reset -f",
        ] {
            assert_eq!(kinds(line), [Cleaner], "{line}");
        }
        for line in [
            "rm -rf /var/lib/other",
            "rm -rf /var/lib/kubelet-old",
            "find /var/lib/kubelet -name x",
            "kubeadm join",
            "ls /var/lib/kubelet",
        ] {
            assert_eq!(kinds(line), [], "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_judged_without_a_panic(line in "(nsenter|podman|rm|find|-[a-z=]{1,4}|--[a-z]{1,6}=?|/proc/1/|1|[\\PC ]{0,6}| ){0,12}") {
            let _ = kinds(&line);
        }
    }
}
