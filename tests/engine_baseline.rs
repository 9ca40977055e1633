//! Runs whose control is a baseline, on the typed model: what it gets, when it goes, and that nothing of it outlives the run. The
//! laws are checked on every decision.

mod model;

use model::{Model, step};
use tidegate::{
    api::{ActionType, Percent, Reason, RunOutcome, RunPhase},
    engine::{Action, BaselineRefs, CanaryRefs, Decision, DeploymentView, RevisionView, RouteEdit, Seen, decide, laws},
    stats::Verdict,
};

const BASELINE: &str = "v1-baseline";

/// A run to `v2` through these weights.
fn run(weights: &[u32], routes: usize) -> Model {
    let steps = weights.iter().map(|weight| step(*weight, 20)).chain([step(100, 0)]).collect();
    let mut model = Model::adopted(steps, routes);
    model.spec().baseline = true;
    model.template("v2");
    model
}

fn pods(model: &Model, revision: &str) -> u32 {
    let deployment = model.world.revisions.get(revision).and_then(|view| view.deployment.as_ref());
    deployment.map_or(0, |deployment| deployment.desired)
}

fn settled_at(model: &mut Model, weight: u32) {
    model.until(&format!("weight {weight}"), 90, |model| {
        model.share() == Percent::whole(weight) && model.run().settled_at.is_some()
    });
}

/// Until the end, and a while after it: nothing is left of the run.
fn to_the_end(model: &mut Model, outcome: RunOutcome) {
    model.until("the end", 300, |model| model.ended() && model.run().outcome == Some(outcome));
    model.during(20, |_| true);
    model.assert_at_rest();
    assert!(model.world.revisions.values().all(RevisionView::is_without_services));
    assert!(model.world.revisions.get(BASELINE).is_none_or(|view| view.proven.is_none() && !view.recorded));
}

#[test]
fn a_baseline_has_the_canarys_pods_and_its_weight_or_what_is_left() {
    for routes in [1, 2] {
        let mut model = run(&[10, 50, 80], routes);
        for (weight, baseline) in [(10, 10), (50, 50), (80, 20)] {
            settled_at(&mut model, weight);
            assert_eq!(model.baseline_share(), Some(Percent::whole(baseline)), "at {weight}");
            assert_eq!((pods(&model, BASELINE), pods(&model, "v1")), (pods(&model, "v2"), 4), "at {weight}");
        }
        settled_at(&mut model, 100);
        assert_eq!(model.baseline_share(), Some(Percent::ZERO));
        assert_eq!(model.world.runs[0].spec.baseline.as_deref(), Some(BASELINE));
        to_the_end(&mut model, RunOutcome::Promoted);
        assert_eq!(model.world.revisions["v2"].proven, Some(2));
    }
}

#[test]
fn no_backend_is_named_before_the_baselines_pods_are_ready_and_both_are_named_at_once() {
    let mut model = run(&[10], 1);
    model.ready_after.insert(BASELINE.into(), 20_000);
    model.until("pods", 10, |model| pods(model, BASELINE) == 1);
    model.during(15, |model| {
        model.baseline_share().is_none() && model.route_refs() == CanaryRefs::Absent && model.share() == Percent::ZERO
    });
    model.until("named", 20, |model| model.baseline_share().is_some());
    assert_eq!((model.route_refs(), model.baseline_share()), (CanaryRefs::At(Percent::ZERO), Some(Percent::ZERO)));
    to_the_end(&mut model, RunOutcome::Promoted);
}

#[test]
fn a_baseline_that_never_gets_ready_is_reverted_by_the_deadline() {
    let mut model = run(&[10], 1);
    model.ready_after.insert(BASELINE.into(), u64::MAX / 2);
    to_the_end(&mut model, RunOutcome::Reverted);
    let message = model.run().message;
    assert!(message.contains("0 of 1 baseline pods ready, 1 needed for weight 10"), "{message}");
}

#[test]
fn a_fail_takes_the_weight_of_both_back_in_the_same_pass() {
    let mut model = run(&[10, 80], 2);
    model.budget();
    model.evidence(Model::undecided());
    settled_at(&mut model, 80);
    model.evidence(Verdict::fail(Reason::BudgetSpent, "spent"));
    model.pass();
    assert_eq!((model.share(), model.baseline_share()), (Percent::ZERO, Some(Percent::ZERO)));
    assert_eq!((pods(&model, "v2"), pods(&model, BASELINE)), (4, 4), "drained first");
    to_the_end(&mut model, RunOutcome::Reverted);
}

#[test]
fn with_few_stable_pods_the_canarys_traffic_goes_back_first_and_the_baseline_is_never_raised() {
    for (weight, ready, canary, baseline) in [(50, 1, 25, 50), (80, 2, 30, 20), (80, 1, 55, 20), (100, 2, 50, 0)] {
        let mut model = run(&[50, 80], 1);
        model.spec().soak = tidegate::api::Span::minutes(10);
        settled_at(&mut model, weight);
        model.ready_after.insert("v1".into(), u64::MAX / 2);
        model.world.revisions.get_mut("v1").unwrap().deployment.as_mut().unwrap().ready = ready;
        model.ready_after.insert(BASELINE.into(), 1_000);
        model.ask(ActionType::Abort, |_| {});
        model.pass();
        let shares = (model.share(), model.baseline_share());
        assert_eq!(shares, (Percent::whole(canary), Some(Percent::whole(baseline))), "from {weight} with {ready}");
        assert_eq!(model.status("AbortIncomplete"), "True");
        model.during(20, |model| (model.share(), model.baseline_share()) == shares);
        model.ready_after.insert("v1".into(), 0);
        to_the_end(&mut model, RunOutcome::Aborted);
    }
}

#[test]
fn a_deletion_in_mid_run_leaves_nothing_of_the_baseline() {
    let mut model = run(&[10, 50], 2);
    settled_at(&mut model, 50);
    model.world.rollout.deleting = true;
    model.pass();
    assert_eq!((model.share(), model.baseline_share()), (Percent::ZERO, Some(Percent::ZERO)));
    model.until("let go", 120, |model| !model.world.rollout.has_finalizer);
    assert!(model.world.routes.iter().all(|route| route.state.known().unwrap().is_without_refs()));
    assert_eq!(pods(&model, BASELINE), 0);
}

#[test]
fn a_lost_record_is_no_reason_to_leave_a_baseline_behind() {
    for weight in [10, 50, 100] {
        let mut model = run(&[10, 50], 1);
        model.spec().soak = tidegate::api::Span::minutes(10);
        settled_at(&mut model, weight);
        model.world.runs.clear();
        model.forget();
        to_the_end(&mut model, RunOutcome::Aborted);
        assert_eq!(model.world.runs[0].spec.baseline.as_deref(), Some(BASELINE));
    }
}

#[test]
fn a_crash_after_any_write_changes_nothing_about_the_end() {
    let writes = |outcome: RunOutcome, crash_after: Option<usize>| {
        let mut model = run(&[10, 80], 2);
        let begun = model.writes;
        model.crash_after = crash_after.map(|after| begun + after);
        if outcome == RunOutcome::Aborted {
            model.until("weight 80", 200, |model| model.share() == Percent::whole(80));
            model.ask(ActionType::Abort, |_| {});
        }
        to_the_end(&mut model, outcome);
        model.writes - begun
    };
    for outcome in [RunOutcome::Promoted, RunOutcome::Aborted] {
        for after in 1..=writes(outcome, None) {
            writes(outcome, Some(after));
        }
    }
}

#[test]
fn a_baseline_taken_out_of_the_route_starts_the_step_anew() {
    let mut model = run(&[10], 1);
    settled_at(&mut model, 10);
    model.route_state(0).baseline = None;
    model.pass();
    assert_eq!((model.run().weight, model.run().resets.len()), (Percent::ZERO, 1));
    assert_eq!(model.share(), Percent::ZERO);
    settled_at(&mut model, 10);
    assert_eq!(model.baseline_share(), Some(Percent::whole(10)));
    to_the_end(&mut model, RunOutcome::Promoted);
}

#[test]
fn a_deleted_baseline_is_made_again_from_the_stable_revisions_record() {
    let mut model = run(&[10], 1);
    settled_at(&mut model, 10);
    model.world.revisions.get_mut(BASELINE).unwrap().deployment = None;
    model.pass();
    assert_eq!(pods(&model, BASELINE), 1);
    to_the_end(&mut model, RunOutcome::Promoted);
}

#[test]
fn a_run_that_compares_nothing_has_no_baseline() {
    let mut model = run(&[], 1);
    to_the_end(&mut model, RunOutcome::Promoted);
    model.template("v1");
    model.until("a second run", 20, |model| model.world.runs.len() == 2);
    model.until("its end", 120, Model::ended);
    assert!(model.world.runs.iter().all(|run| run.spec.baseline.is_none()) && model.world.runs[1].spec.plan.known);
}

/// The decision of a run at weight 50 with this action instead of its own.
fn broken(change: impl FnOnce(&mut Model), action: impl FnOnce(&Model) -> Action) -> Vec<&'static str> {
    let mut model = run(&[50], 1);
    settled_at(&mut model, 50);
    change(&mut model);
    let decision = Decision { actions: vec![action(&model)], run: None, ..decide(&model.world) };
    laws(&model.world, &decision).into_iter().map(|broken| broken.law).collect()
}

fn weights(model: &Model, share: u32, baseline: u32) -> Action {
    let (share, baseline) = (Percent::whole(share), Percent::whole(baseline));
    let original = Box::new(model.world.routes[0].state.known().unwrap().original.clone());
    let edit = RouteEdit::Weight { share, baseline };
    Action::Route { original, canary: "v2".into(), baseline: Some(BASELINE.into()), total: 100, edit }
}

fn refs(model: &mut Model, share: u32) {
    let refs = CanaryRefs::At(Percent::whole(share));
    model.route_state(0).baseline = Some(BaselineRefs { revision: BASELINE.into(), refs });
}

#[test]
fn the_laws_hold_for_a_baseline_as_for_a_canary() {
    let none: [&str; 0] = [];
    let starved = |model: &mut Model| {
        refs(model, 10);
        model.world.revisions.get_mut(BASELINE).unwrap().services.insert("app".into(), 1);
    };
    assert_eq!(broken(starved, |model| weights(model, 50, 50)), ["S1"]);
    assert_eq!(broken(|model| refs(model, 10), |model| weights(model, 50, 50)), none);
    let back = |model: &mut Model| {
        refs(model, 10);
        model.world.runs[0].status.as_mut().unwrap().phase = RunPhase::Aborting;
    };
    assert_eq!(broken(back, |model| weights(model, 0, 50)), ["S2"]);
    assert_eq!(broken(back, |model| weights(model, 0, 0)), none);
    assert_eq!(broken(|_| {}, |model| weights(model, 51, 50)), ["S1", "S5", "S2"]);
    let scale = |replicas| move |_: &Model| Action::Scale { revision: BASELINE.into(), replicas };
    assert_eq!(broken(|_| {}, scale(1)), ["S3"]);
    assert_eq!(broken(|model| refs(model, 0), scale(0)), none);
    let gone = |model: &mut Model| {
        model.world.revisions.get_mut(BASELINE).unwrap().deployment = Some(DeploymentView::default());
    };
    let delete = |_: &Model| Action::DeleteDeployment { revision: BASELINE.into() };
    assert_eq!(broken(gone, delete), ["S3"]);
    let open = |model: &mut Model| {
        model.world.revisions.get_mut(BASELINE).unwrap().deployment = None;
        if let Seen::Known(state) = &mut model.world.services[0].state {
            (state.pin, state.run) = (None, None);
        }
    };
    let create = |_: &Model| Action::CreateDeployment { revision: BASELINE.into(), replicas: 2 };
    assert_eq!(broken(open, create), ["S1"]);
}
