//! Where the Lease is, and by which name a candidate goes.

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    path::Path,
};

/// The namespace of the pod that this process runs in; the file is in every pod that has a service account.
const POD_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
/// Outside a cluster everybody has to meet somewhere.
const ELSEWHERE: &str = "kube-system";
const NAME: &str = "tidegate";

/// A Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub namespace: String,
    pub name: String,
}

impl Place {
    /// What was asked for, or else: the pod's namespace, outside a pod the one that is worked in, or kube-system; and a name
    /// that is another one for each namespace that is worked in.
    pub fn new(namespace: Option<String>, name: Option<String>, works_in: Option<&str>) -> Self {
        Self::beside(read(POD_NAMESPACE.as_ref()), namespace, name, works_in)
    }

    fn beside(pod: Option<String>, namespace: Option<String>, name: Option<String>, works_in: Option<&str>) -> Self {
        let namespace =
            namespace.or(pod).or_else(|| works_in.map(str::to_owned)).unwrap_or_else(|| ELSEWHERE.to_owned());
        let own_name = || works_in.map_or_else(|| NAME.to_owned(), |works_in| format!("{NAME}-{works_in}"));
        Self { namespace, name: name.unwrap_or_else(own_name) }
    }
}

/// The host's name, which is the pod's, and something that no other process has: a container that is started again has its
/// pod's name too, and is another candidate.
pub fn identity() -> String {
    let host = read(HOST_NAME.as_ref()).unwrap_or_else(|| NAME.to_owned());
    // Seeded by the operating system in each process.
    format!("{host}_{:016x}", RandomState::new().build_hasher().finish())
}

fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installs_of_one_namespace_each_have_leases_of_their_own() {
        let pod = || Some("tidegate-system".to_owned());
        for (pod, namespace, name, works_in, expected) in [
            (pod(), None, None, None, "tidegate-system/tidegate"),
            (pod(), None, None, Some("shop"), "tidegate-system/tidegate-shop"),
            (pod(), Some("here"), Some("mine"), Some("shop"), "here/mine"),
            (None, None, None, Some("shop"), "shop/tidegate-shop"),
            (None, None, None, None, "kube-system/tidegate"),
        ] {
            let place = Place::beside(pod, namespace.map(str::to_owned), name.map(str::to_owned), works_in);
            assert_eq!(place.to_string(), expected);
        }
    }

    #[test]
    fn two_processes_of_one_host_go_by_different_names() {
        assert_ne!(identity(), identity());
    }
}
