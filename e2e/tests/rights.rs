//! The chart's Roles compared with what the controllers of all the other tests were granted and refused, as the audit log has
//! it. It runs last, in the lab that the others ran in: `make lab-test`.

use std::collections::BTreeSet;

use tidegate::controller::permissions;

use crate::support::{
    audit::{Decision, decisions},
    space::CONTROLLER,
};

/// A verb on a resource, as a rule has it.
type Right = (String, String, String);

/// Rights for what none of these tests brings about. The simulated cluster grants them too, and its stories use them.
const RARE: [(&str, &str, &str); 1] = [
    // An answered action is deleted a day later, if it belongs to no run.
    ("delete", "tidegate.io", "rolloutactions"),
];
/// Rights for what comes about by chance.
const BY_CHANCE: [(&str, &str, &str); 1] = [
    // Read only if somebody has made one of that name between a pass's look and its write.
    ("get", "apps", "controllerrevisions"),
];

/// An apply that makes the object, answered with 201, needs both rights and is logged as a patch.
fn rights(decision: &Decision) -> Vec<Right> {
    let Decision { verb, group, resource, code, .. } = decision;
    let mut used = vec![(verb.clone(), group.clone(), resource.clone())];
    if verb == "patch" && *code == 201 {
        used.push(("create".into(), group.clone(), resource.clone()));
    }
    used
}

#[test]
fn no_request_was_refused_and_no_right_was_idle() {
    let decisions = decisions(CONTROLLER);
    assert!(decisions.len() > 1_000, "only {} requests: the other tests come before this one", decisions.len());
    let refused: BTreeSet<Right> = decisions.iter().filter(|decision| !decision.granted).flat_map(rights).collect();
    assert!(refused.is_empty(), "refused: {refused:#?}");
    let used: BTreeSet<Right> = decisions.iter().flat_map(rights).collect();
    let granted: BTreeSet<Right> = permissions()
        .iter()
        .map(|right| (right.verb.word().to_owned(), right.group.to_owned(), right.resource.clone()))
        .collect();
    let listed = |rights: &[(&str, &str, &str)]| -> BTreeSet<Right> {
        rights.iter().map(|(verb, group, resource)| ((*verb).into(), (*group).into(), (*resource).into())).collect()
    };
    let (rare, exempt) = (listed(&RARE), listed(&[RARE, BY_CHANCE].concat()));
    assert!(exempt.is_subset(&granted), "exempt, and not granted: {:#?}", exempt.difference(&granted));
    assert!(rare.is_disjoint(&used), "said to be rare, and used: {:#?}", rare.intersection(&used));
    let unused: BTreeSet<Right> = granted.difference(&used).cloned().collect();
    let idle: Vec<&Right> = unused.difference(&exempt).collect();
    assert!(idle.is_empty(), "{} requests, and never used: {idle:#?}", decisions.len());
}
