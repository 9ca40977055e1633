//! What every router must do, as golden files ("this YAML and 20 % give that YAML") and as laws over arbitrary rules.

mod acceptance;
mod baseline;

use baseline::WITH_BASELINE;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{Percent, RUN_ANNOTATION, Reason},
    engine::{CanaryRefs, weight_total},
    workload::patch::applied,
};

const BCD: Tested = Tested { canary: "bcd", baseline: None };

#[derive(Deserialize)]
struct Golden {
    kind: String,
    services: Vec<String>,
    #[serde(default)]
    rules: Vec<String>,
    canary: String,
    baseline: Option<String>,
    total: u32,
    before: Value,
    named: Value,
    share: Percent,
    shifted: Value,
}

impl Golden {
    fn tested(&self) -> Tested<'_> {
        Tested { canary: &self.canary, baseline: self.baseline.as_deref() }
    }

    fn added(&self) -> usize {
        self.tested().revisions().count()
    }
}

fn route(rules: Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "metadata": {"name": "checkout", "namespace": "shop", "resourceVersion": "5", "generation": 3},
        "spec": {"parentRefs": [{"name": "edge"}], "rules": rules, "unknown": {"field": [1]}},
    })
}

fn noted(mut route: Value, run: Option<&str>) -> Value {
    if let Some(run) = run {
        route["metadata"]["annotations"] = json!({ RUN_ANNOTATION: run });
    }
    route
}

fn drop_edit() -> RouteEdit {
    RouteEdit::Drop { run: "checkout-bcd-1".to_owned() }
}

fn name_edit() -> RouteEdit {
    RouteEdit::Name { run: "checkout-bcd-1".to_owned() }
}

/// Edits, and asks of the result what every edit must fulfil.
fn edited(
    router: &dyn Router,
    before: &Value,
    frozen: &RunRoute,
    tested: Tested,
    total: u32,
    edit: &RouteEdit,
) -> Value {
    let operations = router.edit(before, frozen, tested, total, edit);
    if let Some(first) = operations.first() {
        assert_eq!(first["path"], "/metadata/resourceVersion");
    }
    let after = applied(before, &operations);
    assert_eq!(router.edit(&after, frozen, tested, total, edit), Vec::<Value>::new(), "not idempotent: {edit:?}");
    after
}

fn check_golden(text: &str) {
    let golden: Golden = serde_yaml_ng::from_str(text).unwrap();
    let router = router(&golden.kind).unwrap();
    let before = route(golden.before.clone());
    let frozen = router.freeze(&before, &golden.services, &golden.rules, golden.total, golden.added()).unwrap();
    let edit =
        |document: &Value, edit: &RouteEdit| edited(router, document, &frozen, golden.tested(), golden.total, edit);
    let state = |document: &Value| router.read(document, &frozen, Some(golden.tested()), golden.total);
    let of_baseline = |share: Percent| golden.baseline.is_some().then(|| share.of_control(true));
    let named = edit(&before, &name_edit());
    assert_eq!(named, noted(route(golden.named.clone()), Some("checkout-bcd-1")));
    assert!(state(&named).is_at(Percent::ZERO, of_baseline(Percent::ZERO)));
    let baseline = of_baseline(golden.share).unwrap_or_default();
    let shifted = edit(&named, &RouteEdit::Weight { share: golden.share, baseline });
    assert_eq!(shifted, noted(route(golden.shifted.clone()), Some("checkout-bcd-1")));
    assert!(state(&shifted).is_at(golden.share, of_baseline(golden.share)));
    assert_eq!((&state(&shifted).original, state(&shifted).foreign_change), (&frozen, false));
    assert_eq!(edit(&shifted, &drop_edit()), before);
}

#[test]
fn a_single_backend_is_split() {
    check_golden(include_str!("golden/single.yaml"));
}

#[test]
fn a_foreign_backend_keeps_its_share_and_each_service_is_split_by_itself() {
    check_golden(include_str!("golden/shared.yaml"));
}

#[test]
fn only_selected_rules_of_a_grpc_route_are_split() {
    check_golden(include_str!("golden/grpc.yaml"));
}

#[test]
fn every_router_manages_its_own_example() {
    for router in ROUTERS {
        let (example, services) = (router.example(), ["checkout".to_owned()]);
        assert_eq!(example["kind"], router.kind());
        let frozen = router.freeze(&example, &services, &[], 100, 1).unwrap();
        assert_eq!(router.ports(&frozen, "checkout"), [80]);
        let named = edited(*router, &example, &frozen, BCD, 100, &name_edit());
        for share in [20, 0, 100] {
            let share = Percent::whole(share);
            let after =
                edited(*router, &named, &frozen, BCD, 100, &RouteEdit::Weight { share, baseline: Percent::ZERO });
            assert_eq!(router.read(&after, &frozen, Some(BCD), 100).canary, CanaryRefs::At(share));
        }
        assert_eq!(edited(*router, &named, &frozen, BCD, 100, &drop_edit()), example);
    }
}

fn http() -> &'static dyn Router {
    router("HTTPRoute").unwrap()
}

fn refused(rules: Value, selected: &[&str], total: u32) -> Vec<(Reason, String)> {
    let selected: Vec<_> = selected.iter().map(|name| (*name).to_owned()).collect();
    let refusals = http().freeze(&route(rules), &["checkout".to_owned()], &selected, total, 1).unwrap_err();
    refusals.into_iter().map(|refusal| (refusal.reason, refusal.message)).collect()
}

#[test]
fn everything_that_stands_against_a_route_is_said_at_once() {
    let many: Vec<_> = (0..16).map(|index| json!({"name": format!("b{index}"), "weight": 0})).collect();
    let crowded: Vec<_> = std::iter::once(json!({"name": "checkout"})).chain(many.into_iter().take(15)).collect();
    let rules = json!([
        {"backendRefs": [{"name": "checkout", "namespace": "other"}]},
        {"sessionPersistence": {"type": "Cookie"}, "backendRefs": [{"name": "checkout", "port": 80}, {"name": "checkout", "port": 81}]},
        {"backendRefs": crowded},
        {"backendRefs": [{"name": "checkout", "weight": 11}, {"name": "legacy", "weight": 2}]},
    ]);
    let found = refused(rules, &[], 100_000);
    let starts = [
        (
            Reason::RouteUnusable,
            "HTTPRoute shop/checkout, spec.rules[0] names Service checkout of namespace other, the Rollout is in shop",
        ),
        (Reason::RouteUnusable, "HTTPRoute shop/checkout, spec.rules[1] has sessionPersistence"),
        (
            Reason::RouteUnusable,
            "HTTPRoute shop/checkout, spec.rules[1] names Service checkout 2 times, once is allowed",
        ),
        (
            Reason::RouteUnusable,
            "HTTPRoute shop/checkout, spec.rules[2] has 16 backends and a run adds 1: 17, 16 are allowed",
        ),
        (
            Reason::WeightNotRepresentable,
            "HTTPRoute shop/checkout, spec.rules[3] needs the weight 1100000 for shares in steps of 1/100000, 1000000",
        ),
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for ((reason, message), (wanted, start)) in found.iter().zip(starts) {
        assert!(*reason == wanted && message.starts_with(start), "{message}");
    }
}

#[test]
fn a_route_without_a_usable_rule_is_refused() {
    let rules = json!([{"name": "a", "backendRefs": [{"name": "checkout", "weight": 0}, {"name": "other"}]}]);
    assert_eq!(
        refused(rules.clone(), &[], 100),
        [(
            Reason::RouteWithoutRule,
            "no rule of HTTPRoute shop/checkout gives weight to Service checkout: name it in a rule's backendRefs"
                .to_owned()
        )]
    );
    let message =
        "HTTPRoute shop/checkout has no rule named b: correct spec.traffic.routes[].gatewayAPI.rules, or name a rule b";
    assert_eq!(refused(rules, &["b"], 100), [(Reason::RouteWithoutRule, message.to_owned())]);
}

/// A run at 10 % on a rule that a foreign backend shares, and the owners' form of it.
fn at_ten(rules: Value) -> (RunRoute, Value) {
    let before = route(rules);
    let frozen = http().freeze(&before, &["checkout".to_owned()], &[], 100, 1).unwrap();
    let named = edited(http(), &before, &frozen, BCD, 100, &name_edit());
    let share = Percent::whole(10);
    (frozen.clone(), edited(http(), &named, &frozen, BCD, 100, &RouteEdit::Weight { share, baseline: Percent::ZERO }))
}

fn shared_rule() -> Value {
    json!({"matches": [{"path": {"value": "/"}}], "backendRefs": [{"name": "checkout", "weight": 3}, {"name": "legacy"}]})
}

#[test]
fn a_rule_that_moved_or_changed_is_found_again() {
    let (frozen, at) = at_ten(json!([shared_rule()]));
    let (mut moved, mut changed) = (at.clone(), at.clone());
    moved["spec"]["rules"].as_array_mut().unwrap().insert(0, json!({"backendRefs": [{"name": "assets"}]}));
    changed["spec"]["rules"][0]["timeouts"] = json!({"request": "1s"});
    for (document, index) in [(moved, 1), (changed, 0)] {
        let state = http().read(&document, &frozen, Some(BCD), 100);
        assert_eq!((state.canary, state.foreign_change), (CanaryRefs::At(Percent::whole(10)), false));
        let dropped = edited(http(), &document, &frozen, BCD, 100, &drop_edit());
        assert_eq!(dropped["spec"]["rules"][index]["backendRefs"], shared_rule()["backendRefs"]);
    }
    let mut gone = at;
    gone["spec"]["rules"] = json!([{"backendRefs": [{"name": "assets"}]}]);
    let state = http().read(&gone, &frozen, Some(BCD), 100);
    assert_eq!((state.canary, state.foreign_change, state.original.rules.len()), (CanaryRefs::Absent, true, 0));
    assert_eq!(
        http().edit(&gone, &frozen, BCD, 100, &RouteEdit::Weight { share: Percent::ZERO, baseline: Percent::ZERO }),
        Vec::<Value>::new()
    );
}

#[test]
fn a_reset_route_shows_no_canary_and_gets_no_weight_before_it_is_named_again() {
    let (frozen, at) = at_ten(json!([shared_rule()]));
    let mut reset = at;
    reset["spec"]["rules"][0] = shared_rule();
    let state = http().read(&reset, &frozen, Some(BCD), 100);
    assert_eq!((state.canary, state.foreign_change), (CanaryRefs::Absent, false));
    let raise = RouteEdit::Weight { share: Percent::whole(10), baseline: Percent::ZERO };
    assert_eq!(http().edit(&reset, &frozen, BCD, 100, &raise), Vec::<Value>::new());
    let named = edited(http(), &reset, &frozen, BCD, 100, &name_edit());
    assert_eq!(http().read(&named, &frozen, Some(BCD), 100).canary, CanaryRefs::At(Percent::ZERO));
}

#[test]
fn what_others_write_in_mid_run_is_kept_and_brought_back_to_their_scale() {
    let (frozen, at) = at_ten(json!([shared_rule()]));
    for (legacy, wanted) in [
        (200, json!([{"name": "checkout", "weight": 3}, {"name": "legacy", "weight": 2}])),
        (150, json!([{"name": "checkout", "weight": 300}, {"name": "legacy", "weight": 150}])),
        (100, shared_rule()["backendRefs"].clone()),
    ] {
        let mut changed = at.clone();
        changed["spec"]["rules"][0]["backendRefs"][1]["weight"] = json!(legacy);
        let state = http().read(&changed, &frozen, Some(BCD), 100);
        assert_eq!((state.canary, state.foreign_change), (CanaryRefs::At(Percent::whole(10)), legacy != 100));
        assert_eq!(json!(state.original.rules[0].backend_refs), wanted);
        let dropped = edited(http(), &changed, &frozen, BCD, 100, &drop_edit());
        assert_eq!(dropped["spec"]["rules"][0]["backendRefs"], wanted);
    }
}

#[test]
fn a_canary_taken_out_by_hand_does_not_leave_our_numbers_behind() {
    let (frozen, at) = at_ten(json!([shared_rule()]));
    let full = RouteEdit::Weight { share: Percent::FULL, baseline: Percent::ZERO };
    for mut document in [at.clone(), edited(http(), &at, &frozen, BCD, 100, &full)] {
        document["spec"]["rules"][0]["backendRefs"].as_array_mut().unwrap().pop();
        let state = http().read(&document, &frozen, Some(BCD), 100);
        assert_eq!((state.canary, state.foreign_change), (CanaryRefs::Absent, false));
        let dropped = edited(http(), &document, &frozen, BCD, 100, &drop_edit());
        assert_eq!(dropped["spec"]["rules"][0]["backendRefs"], shared_rule()["backendRefs"]);
    }
}

#[test]
fn an_application_service_taken_out_beside_the_canary_gets_its_place_back() {
    let (frozen, mut at) = at_ten(json!([shared_rule()]));
    at["spec"]["rules"][0]["backendRefs"].as_array_mut().unwrap().remove(0);
    let state = http().read(&at, &frozen, Some(BCD), 100);
    assert_eq!((state.canary, state.foreign_change), (CanaryRefs::Mixed(Percent::FULL), true));
    let lowered =
        edited(http(), &at, &frozen, BCD, 100, &RouteEdit::Weight { share: Percent::ZERO, baseline: Percent::ZERO });
    assert_eq!(http().read(&lowered, &frozen, Some(BCD), 100).canary, CanaryRefs::At(Percent::ZERO));
}

#[test]
fn going_back_is_possible_with_weights_that_do_not_fit_the_total() {
    let (frozen, mut at) = at_ten(json!([shared_rule()]));
    at["spec"]["rules"][0]["backendRefs"][1]["weight"] = json!(999_983);
    let lowered =
        edited(http(), &at, &frozen, BCD, 100, &RouteEdit::Weight { share: Percent::ZERO, baseline: Percent::ZERO });
    let weights = |index: usize| lowered["spec"]["rules"][0]["backendRefs"][index]["weight"].as_u64();
    assert_eq!((weights(0), weights(1), weights(2)), (Some(300), Some(999_983), Some(0)));
}

#[test]
fn without_any_record_the_canary_is_dropped_by_its_name() {
    let (_, at) = at_ten(json!([shared_rule()]));
    let nothing = RunRoute::default();
    let lowered =
        edited(http(), &at, &nothing, BCD, 100, &RouteEdit::Weight { share: Percent::ZERO, baseline: Percent::ZERO });
    assert_eq!(http().read(&lowered, &nothing, Some(BCD), 100).canary, CanaryRefs::At(Percent::ZERO));
    let dropped = edited(http(), &lowered, &nothing, BCD, 100, &drop_edit());
    let left = json!([{"name": "checkout", "weight": 3}, {"name": "legacy", "weight": 1}]);
    assert_eq!(dropped["spec"]["rules"][0]["backendRefs"], left);
    assert_eq!(http().without(&at, BCD, 100)["spec"]["rules"][0]["backendRefs"], left);
    assert_eq!(dropped["metadata"].get("annotations"), None);
}

#[test]
fn a_new_rule_and_a_partly_reset_route_are_told() {
    let second = json!({"name": "second", "backendRefs": [{"name": "checkout"}]});
    let (frozen, at) = at_ten(json!([shared_rule(), second]));
    let mut partly = at.clone();
    partly["spec"]["rules"][1] = second.clone();
    let state = http().read(&partly, &frozen, Some(BCD), 100);
    assert_eq!((state.canary, state.foreign_change), (CanaryRefs::Mixed(Percent::whole(10)), false));
    let mut grown = at;
    grown["spec"]["rules"].as_array_mut().unwrap().push(json!({"backendRefs": [{"name": "checkout", "port": 81}]}));
    let state = http().read(&grown, &frozen, Some(BCD), 100);
    assert_eq!((state.canary, state.foreign_change), (CanaryRefs::At(Percent::whole(10)), true));
    assert_eq!(state.original.rules.len(), 3);
}

/// A rule of the Service with any weights, foreign backends, filters and fields nobody knows yet.
fn any_rule() -> impl Strategy<Value = Value> {
    let backend = |name: &'static str| {
        (proptest::option::of(1..=9_u32), any::<bool>(), any::<u8>()).prop_map(move |(weight, filtered, unknown)| {
            let mut backend = json!({"name": name, "port": 80, "unknown": {"x": unknown}});
            if let Some(weight) = weight {
                backend["weight"] = json!(weight);
            }
            if filtered {
                backend["filters"] = json!([{"type": "RequestHeaderModifier"}]);
            }
            backend
        })
    };
    let foreign = proptest::option::of(backend("legacy"));
    let second = proptest::option::of(backend("checkout-eu"));
    (foreign, backend("checkout"), second, any::<u16>(), any::<bool>()).prop_map(
        |(foreign, own, second, path, ahead)| {
            let mut backends: Vec<_> = std::iter::once(own).chain(second).collect();
            backends.extend(foreign);
            if ahead {
                backends.reverse();
            }
            json!({"matches": [{"path": {"value": path}}], "future": {"y": [path]}, "backendRefs": backends})
        },
    )
}

fn weight_of(backends: &Value, name: &str) -> u64 {
    let named = backends.as_array().unwrap().iter().filter(|backend| backend["name"] == name);
    named.map(|backend| backend.get("weight").map_or(1, |weight| weight.as_u64().unwrap())).sum()
}

proptest! {
    #[test]
    fn shares_are_exact_and_the_owners_form_comes_back(
        rules in proptest::collection::vec(any_rule(), 1..4),
        thousandths in 0..=100_000_u32,
        has_baseline: bool,
    ) {
        let share = Percent::from_thousandths(thousandths);
        let baseline = if has_baseline { share.of_control(true) } else { Percent::ZERO };
        let tested = if has_baseline { WITH_BASELINE } else { BCD };
        let total = weight_total([share].into_iter());
        let before = route(json!(rules));
        let services = ["checkout".to_owned(), "checkout-eu".to_owned()];
        let frozen = http().freeze(&before, &services, &[], total, tested.revisions().count()).unwrap();
        let named = edited(http(), &before, &frozen, tested, total, &name_edit());
        let after = edited(http(), &named, &frozen, tested, total, &RouteEdit::Weight { share, baseline });
        let state = http().read(&after, &frozen, Some(tested), total);
        prop_assert!(state.is_at(share, has_baseline.then_some(baseline)), "{:?} {:?}", state.canary, state.baseline);
        prop_assert_eq!((&state.original, state.foreign_change), (&frozen, false));
        for (index, old) in rules.iter().enumerate() {
            let (old, new) = (&old["backendRefs"], &after["spec"]["rules"][index]["backendRefs"]);
            let old_sum: u64 = ["checkout", "checkout-eu", "legacy"].iter().map(|name| weight_of(old, name)).sum();
            let new_sum: u64 = new.as_array().unwrap().iter().map(|backend| backend["weight"].as_u64().unwrap()).sum();
            prop_assert_eq!(weight_of(new, "legacy") * old_sum, weight_of(old, "legacy") * new_sum);
            for service in &services {
                let canary = weight_of(new, &format!("{service}-bcd"));
                let of_baseline = weight_of(new, &format!("{service}-abc-baseline"));
                let whole = canary + of_baseline + weight_of(new, service);
                prop_assert_eq!(whole * old_sum, weight_of(old, service) * new_sum);
                prop_assert_eq!(canary * 100_000, whole * u64::from(thousandths));
                prop_assert_eq!(of_baseline * 100_000, whole * u64::from(baseline.thousandths()));
            }
        }
        for document in [named, after] {
            prop_assert_eq!(edited(http(), &document, &frozen, tested, total, &drop_edit()), before.clone());
        }
    }
}
