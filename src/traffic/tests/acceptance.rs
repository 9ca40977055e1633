//! Whose acceptance of a route counts, and what is said of the parent that is waited for.

use super::*;

fn parent(name: &str, conditions: &[(&str, &str, i64)]) -> Value {
    let conditions: Vec<_> = conditions
        .iter()
        .map(|(kind, status, generation)| {
            json!({"type": kind, "status": status, "observedGeneration": generation, "reason": "Why", "message": "so"})
        })
        .collect();
    json!({"parentRef": {"name": name}, "controllerName": "example.com/gateway", "conditions": conditions})
}

#[test]
fn acceptance_is_that_of_every_counted_parent_at_the_present_generation() {
    let mut document = route(json!([shared_rule()]));
    document["spec"]["parentRefs"] = json!([{"name": "edge"}, {"name": "never"}]);
    let yes = [("Accepted", "True", 3), ("ResolvedRefs", "True", 3)];
    let never = parent("never", &[("Accepted", "False", 3)]);
    document["status"]["parents"] = json!([parent("edge", &yes), never]);
    let frozen = http().freeze(&document, &["checkout".to_owned()], &[], 100, 1).unwrap();
    let state = |parents: Value| {
        let mut document = document.clone();
        document["status"]["parents"] = parents;
        let state = http().read(&document, &frozen, Some(BCD), 100);
        (state.accepted, state.parent_silent, state.refs_unresolved, state.waiting_for.unwrap_or_default())
    };
    assert_eq!(state(json!([parent("edge", &yes), never])), (true, false, false, String::new()));
    let edge =
        |accepted, resolved| json!([parent("edge", &[("Accepted", accepted, 3), ("ResolvedRefs", resolved, 3)])]);
    let late = json!([parent("edge", &[("Accepted", "True", 3), ("ResolvedRefs", "True", 2)])]);
    let cases = [
        (
            json!([never]),
            true,
            false,
            "Gateway edge (example.com/gateway), which says nothing of the route: look whether that controller runs and \
             what parentRefs names exists",
        ),
        (
            json!([parent("edge", &yes[..1])]),
            true,
            false,
            "Gateway edge (example.com/gateway), which does not report ResolvedRefs: look at the log of that controller",
        ),
        (
            late,
            true,
            false,
            "Gateway edge (example.com/gateway): ResolvedRefs is True for generation 2 of the route, which is at 3; \
             if that stays so, look whether that controller runs and may write the route's status",
        ),
        (
            edge("False", "True"),
            false,
            false,
            "Gateway edge (example.com/gateway): Accepted is False (Why: so); correct what that names, in the route or in \
             its backends",
        ),
        (
            edge("True", "False"),
            false,
            true,
            "Gateway edge (example.com/gateway): ResolvedRefs is False (Why: so); correct what that names, in the route or \
             in its backends",
        ),
    ];
    for (parents, silent, unresolved, message) in cases {
        assert_eq!(state(parents), (false, silent, unresolved, message.to_owned()));
    }
    document["spec"]["parentRefs"] = json!([{"name": "never"}]);
    assert!(http().read(&document, &frozen, Some(BCD), 100).accepted, "a parent that was taken out is not waited for");
}
