//! A route with a baseline's backends: how they are told, taken out and found again.

use super::*;

/// A run of the canary with a baseline.
pub(super) const WITH_BASELINE: Tested = Tested { canary: "bcd", baseline: Some("abc-baseline") };

#[test]
fn a_baseline_is_one_more_backend_that_gets_as_much_as_the_canary() {
    check_golden(include_str!("../golden/baseline.yaml"));
}

#[test]
fn a_run_with_a_baseline_needs_room_for_two_backends_of_each_service() {
    let many = (0..14).map(|index| json!({"name": format!("b{index}"), "weight": 0}));
    let rules = json!([{"backendRefs": std::iter::once(json!({"name": "checkout"})).chain(many).collect::<Vec<_>>()}]);
    let freeze = |added| http().freeze(&route(rules.clone()), &["checkout".to_owned()], &[], 100, added);
    assert!(freeze(1).is_ok());
    let refusal = freeze(2).unwrap_err().remove(0);
    assert!(refusal.message.contains("has 15 backends and a run adds 2: 17, 16 are allowed"), "{}", refusal.message);
}

/// A run with a baseline, whose canary has 60 % of the shared rule.
fn at_sixty() -> (RunRoute, Value) {
    let before = route(json!([shared_rule()]));
    let frozen = http().freeze(&before, &["checkout".to_owned()], &[], 100, 2).unwrap();
    let named = edited(http(), &before, &frozen, WITH_BASELINE, 100, &name_edit());
    let (share, baseline) = (Percent::whole(60), Percent::whole(40));
    (frozen.clone(), edited(http(), &named, &frozen, WITH_BASELINE, 100, &RouteEdit::Weight { share, baseline }))
}

#[test]
fn a_baseline_that_somebody_took_out_or_moved_is_told() {
    let (frozen, at) = at_sixty();
    let read = |document: &Value| http().read(document, &frozen, Some(WITH_BASELINE), 100);
    let (sixty, forty) = (Percent::whole(60), Percent::whole(40));
    assert!(read(&at).is_at(sixty, Some(forty)) && !read(&at).is_at(sixty, None));
    let mut without = at.clone();
    without["spec"]["rules"][0]["backendRefs"].as_array_mut().unwrap().pop();
    assert_eq!((read(&without).baseline, read(&without).canary), (None, CanaryRefs::At(Percent::FULL)));
    let mut moved = at.clone();
    moved["spec"]["rules"][0]["backendRefs"][3]["weight"] = json!(40);
    assert!(!read(&moved).is_at(sixty, Some(forty)) && !read(&moved).gives_nothing());
    for document in [at, without, moved] {
        let nothing = RouteEdit::Weight { share: Percent::ZERO, baseline: Percent::ZERO };
        let lowered = edited(http(), &document, &frozen, WITH_BASELINE, 100, &nothing);
        assert!(read(&lowered).gives_nothing());
        assert!(read(&edited(http(), &lowered, &frozen, WITH_BASELINE, 100, &drop_edit())).is_without_refs());
    }
}

#[test]
fn without_any_record_a_baseline_is_found_by_its_name_and_dropped_with_the_canary() {
    let (_, at) = at_sixty();
    let services = ["checkout-eu".to_owned(), "checkout".to_owned()];
    assert_eq!(baseline_in(&at, &services).as_deref(), WITH_BASELINE.baseline);
    assert_eq!(baseline_in(&route(json!([shared_rule()])), &services), None);
    let left = json!([{"name": "checkout", "weight": 3}, {"name": "legacy", "weight": 1}]);
    assert_eq!(http().without(&at, WITH_BASELINE, 100)["spec"]["rules"][0]["backendRefs"], left);
    let dropped = edited(http(), &at, &RunRoute::default(), WITH_BASELINE, 100, &drop_edit());
    assert_eq!(dropped["spec"]["rules"][0]["backendRefs"], left);
}

#[test]
fn every_split_of_a_plan_with_a_baseline_is_exact_in_the_total_of_its_weights() {
    for weights in [vec!["1", "33", "50", "87"], vec!["0.1", "99.9"], vec!["0.25", "60", "99.75"], vec!["0.125", "70"]]
    {
        let weights: Vec<Percent> =
            weights.iter().map(|weight| weight.parse().unwrap()).chain([Percent::FULL]).collect();
        let total = weight_total(weights.iter().copied());
        let before = route(json!([shared_rule()]));
        let frozen = http().freeze(&before, &["checkout".to_owned()], &[], total, 2).unwrap();
        let mut now = edited(http(), &before, &frozen, WITH_BASELINE, total, &name_edit());
        for share in weights {
            let baseline = share.of_control(true);
            assert_eq!(baseline, share.min(share.rest()));
            now = edited(http(), &now, &frozen, WITH_BASELINE, total, &RouteEdit::Weight { share, baseline });
            let state = http().read(&now, &frozen, Some(WITH_BASELINE), total);
            assert!(state.is_at(share, Some(baseline)) && !state.foreign_change, "{share}: {now}");
        }
        assert_eq!(edited(http(), &now, &frozen, WITH_BASELINE, total, &drop_edit()), before);
    }
}
