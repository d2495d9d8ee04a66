//! The names of pods, by UID. Kubelet keeps the logs of each pod in a directory that has both.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

/// Where kubelet keeps them, unless it was told otherwise.
pub const LOGS: &str = "/var/log/pods";

/// A pod's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The Kubernetes namespace.
    pub namespace: String,
    /// The name in it.
    pub name: String,
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}

/// The pods that have logs here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pods(BTreeMap<String, Name>);

impl Pods {
    /// Those of the directories `NAMESPACE_NAME_UID` in `logs`; none where that cannot be read.
    #[must_use]
    pub fn read(logs: &Path) -> Self {
        let entries = fs::read_dir(logs).into_iter().flatten().flatten();
        Self(entries.filter_map(|entry| parse(entry.file_name().to_str()?)).collect())
    }

    /// The name of the pod with this UID.
    #[must_use]
    pub fn name(&self, uid: &str) -> Option<&Name> {
        self.0.get(uid)
    }

    /// The UIDs of the pods that `wanted` means: a UID, a name, or `NAMESPACE/NAME`.
    #[must_use]
    pub fn matching(&self, wanted: &str) -> Vec<&str> {
        let is_meant = |uid: &str, name: &Name| {
            uid == wanted || name.name == wanted || name.to_string() == wanted
        };
        self.0
            .iter()
            .filter(|(uid, name)| is_meant(uid, name))
            .map(|(uid, _)| uid.as_str())
            .collect()
    }
}

/// Neither a Kubernetes namespace nor a pod's name nor a UID has an underscore.
fn parse(directory: &str) -> Option<(String, Name)> {
    let mut parts = directory.split('_');
    let (namespace, name, uid) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none() && ![namespace, name, uid].contains(&"");
    let name = Name { namespace: namespace.to_owned(), name: name.to_owned() };
    is_whole.then(|| (uid.to_owned(), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_found_by_each_of_their_names() {
        let logs = tempfile::tempdir().unwrap();
        for name in ["kube-system_etcd-node_0a1b", "default_web_77", "default_web", "__", "a_b_c_d"]
        {
            fs::create_dir(logs.path().join(name)).unwrap();
        }
        let pods = Pods::read(logs.path());
        assert_eq!(pods.name("77").unwrap().to_string(), "default/web");
        for wanted in ["etcd-node", "kube-system/etcd-node", "0a1b"] {
            assert_eq!(pods.matching(wanted), ["0a1b"], "{wanted}");
        }
        assert_eq!(pods.0.len(), 2);
        assert_eq!(Pods::read(Path::new("/nowhere")), Pods::default());
    }
}
