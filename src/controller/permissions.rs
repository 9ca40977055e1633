//! What the controller may do in a cluster, gathered from those who do it: what passes read, the watches, the sites that
//! write, and the routers with them. `tidegate rbac` prints it, and the chart's Roles are that print.
//!
//! Nothing is granted by a wildcard, and nothing on Secrets. What is missing here is refused in the simulated cluster as an
//! API server would, and what is too much is found in the lab's audit log.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::LazyLock,
};

use super::{
    ACTION, ADMISSION_BINDING, ADMISSION_POLICY, ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE, CONTROLLER_REVISION,
    COPIED_POLICIES, DEPLOYMENT, ENDPOINT_SLICE, HPA, Kind, LEASE, METRICS_PROVIDER, NAMESPACE, POD, POLICIES, ROLLOUT,
    ROLLOUT_POLICY, RUN, SERVICE, WriteSite, route_kind, triggers,
};
use crate::traffic::ROUTERS;

/// What is done, as the API server calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    Create,
    Delete,
    Get,
    List,
    Patch,
    Watch,
}

impl Verb {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Get => "get",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Watch => "watch",
        }
    }
}

/// One thing that may be done. Roles know no versions, so a kind of two versions is one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// Whether a Role in a namespace can grant it. A Namespace counts as within itself.
    pub namespaced: bool,
    pub group: &'static str,
    /// "services", or "rollouts/status".
    pub resource: String,
    pub verb: Verb,
}

/// What passes read, besides routes and policies.
const READS: [(Kind, &[Verb]); 17] = [
    (ROLLOUT, &[Verb::Get, Verb::List]),
    (RUN, &[Verb::Get, Verb::List]),
    (ACTION, &[Verb::List]),
    (ANALYSIS_TEMPLATE, &[Verb::Get]),
    (CLUSTER_ANALYSIS_TEMPLATE, &[Verb::Get]),
    (METRICS_PROVIDER, &[Verb::List]),
    (ROLLOUT_POLICY, &[Verb::List]),
    (ADMISSION_POLICY, &[Verb::Get]),
    (ADMISSION_BINDING, &[Verb::Get]),
    (DEPLOYMENT, &[Verb::Get, Verb::List]),
    (CONTROLLER_REVISION, &[Verb::Get, Verb::List]),
    (SERVICE, &[Verb::Get, Verb::List]),
    (POD, &[Verb::Get, Verb::List]),
    (NAMESPACE, &[Verb::Get]),
    (ENDPOINT_SLICE, &[Verb::List]),
    (HPA, &[Verb::List]),
    (LEASE, &[Verb::Get]),
];

static ALL: LazyLock<BTreeSet<Permission>> = LazyLock::new(gathered);

/// Everything that the controller may do.
pub fn permissions() -> &'static BTreeSet<Permission> {
    &ALL
}

/// Whether the controller's Roles grant this. `subresource` is "" or "status" or "scale".
pub fn is_granted(verb: Verb, kind: Kind, subresource: &str) -> bool {
    ALL.contains(&permission(kind, subresource, verb))
}

/// The kinds of routes that a router knows.
pub(super) fn routes() -> Vec<Kind> {
    ROUTERS.iter().map(|router| route_kind(router.kind())).collect()
}

/// The rules of the chart's Roles: those that a Role in one namespace can grant, and those for what no namespace has. The
/// Lease is not among them: the chart grants it by name, where it is.
pub fn rules_yaml() -> String {
    let mut text = String::from("# Generated from what the controller's parts declare: make generate\n");
    for (name, namespaced) in [("namespaced", true), ("cluster", false)] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}:");
        let mut verbs: BTreeMap<(&str, &str), BTreeSet<Verb>> = BTreeMap::new();
        for permission in ALL.iter().filter(|it| it.namespaced == namespaced && it.group != LEASE.group) {
            verbs.entry((permission.group, &permission.resource)).or_default().insert(permission.verb);
        }
        let mut rules: BTreeMap<(&str, BTreeSet<Verb>), Vec<&str>> = BTreeMap::new();
        for ((group, resource), verbs) in verbs {
            rules.entry((group, verbs)).or_default().push(resource);
        }
        for ((group, verbs), resources) in rules {
            let verbs: Vec<&str> = verbs.into_iter().map(Verb::word).collect();
            let (resources, verbs) = (resources.join(", "), verbs.join(", "));
            let _ = writeln!(text, "- apiGroups: [\"{group}\"]\n  resources: [{resources}]\n  verbs: [{verbs}]");
        }
    }
    text
}

fn gathered() -> BTreeSet<Permission> {
    let mut all = BTreeSet::new();
    let mut grant = |kinds: &[Kind], subresource: &str, verbs: &[Verb]| {
        let pairs = kinds.iter().flat_map(|kind| verbs.iter().map(|verb| (*kind, *verb)));
        all.extend(pairs.map(|(kind, verb)| permission(kind, subresource, verb)));
    };
    for (kind, verbs) in READS {
        grant(&[kind], "", verbs);
    }
    grant(&routes(), "", &[Verb::Get]);
    grant(&POLICIES, "", &[Verb::List]);
    grant(&COPIED_POLICIES, "", &[Verb::Get]);
    grant(&triggers::kinds(), "", &[Verb::List, Verb::Watch]);
    for site in WriteSite::ALL {
        let (kinds, subresource, verbs) = site.does();
        grant(&kinds, subresource, verbs);
    }
    all
}

fn permission(kind: Kind, subresource: &str, verb: Verb) -> Permission {
    let separator = if subresource.is_empty() { "" } else { "/" };
    Permission {
        namespaced: kind.namespaced || kind == NAMESPACE,
        group: kind.group,
        resource: format!("{}{separator}{subresource}", kind.plural),
        verb,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_is_read_watched_and_written_under_the_kind_of_its_example() {
        for router in ROUTERS {
            let (kind, example) = (route_kind(router.kind()), router.example());
            assert_eq!((&example["kind"], &example["apiVersion"]), (&kind.kind.into(), &kind.api_version().into()));
            for verb in [Verb::Get, Verb::List, Verb::Watch, Verb::Patch] {
                assert!(is_granted(verb, kind, ""), "{} {}", verb.word(), kind.plural);
            }
        }
    }

    #[test]
    fn what_nobody_declares_is_not_granted() {
        for permission in permissions() {
            let rare = ["secrets", "configmaps", "serviceaccounts", "roles", "*"];
            assert!(!rare.contains(&permission.resource.as_str()), "{permission:?}");
            assert!(permission.namespaced || [Verb::Get, Verb::List, Verb::Watch].contains(&permission.verb));
        }
        assert!(is_granted(Verb::Patch, DEPLOYMENT, "scale") && !is_granted(Verb::Patch, DEPLOYMENT, "status"));
        assert!(!is_granted(Verb::Delete, ROLLOUT, "") && !is_granted(Verb::Create, POD, ""));
    }
}
