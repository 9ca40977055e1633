//! Stories of the engine on a typed model: the laws are checked on every decision.

mod model;

use model::{Model, route, step};
use tidegate::{
    api::{ActionOutcome, ActionType, Gate, Percent, Phase, Reason, Replicas, RunOutcome, RunPhase, Span},
    engine::{CanaryRefs, DeploymentView, Refusal, Seen},
    stats::Verdict,
};

fn three_steps() -> Vec<tidegate::api::PlanStep> {
    vec![step(10, 20), step(50, 20), step(100, 0)]
}

#[test]
fn a_first_revision_is_adopted_without_steps() {
    let model = Model::adopted(three_steps(), 1);
    assert_eq!((model.phase().as_str(), model.reason("Completed").as_str()), ("Healthy", "Adopted"));
    assert!(model.world.runs.is_empty());
    model.assert_at_rest();
}

#[test]
fn another_template_while_the_first_revision_comes_up_is_adopted_and_no_pin_is_left() {
    let mut model = Model::new(three_steps(), 1);
    model.until("pods of v1", 10, |model| {
        model.world.revisions.get("v1").is_some_and(|view| view.deployment.as_ref().is_some_and(|pods| pods.pods > 0))
    });
    assert_eq!(model.world.revisions["v1"].proven, None);
    model.template("v2");
    model.until("adopted", 60, |model| model.world.revisions.get("v2").is_some_and(|view| view.proven.is_some()));
    model.until("v2 alone", 60, |model| model.world.revisions["v1"].deployment.is_none());
    model.until("no pin", 10, |model| model.world.services[0].state.known().is_some_and(|state| state.pin.is_none()));
    model.assert_at_rest();
}

#[test]
fn a_good_version_is_promoted_through_every_weight_and_everything_is_given_back() {
    for routes in [1, 2] {
        let mut model = Model::adopted(three_steps(), routes);
        model.template("v2");
        for weight in [10, 50, 100] {
            model.until(&format!("weight {weight}"), 60, |model| model.share() == Percent::whole(weight));
        }
        model.until("soak", 30, |model| model.run().phase == RunPhase::Soaking);
        assert_eq!((model.phase().as_str(), model.status("Serving").as_str()), ("Soaking", "True"));
        model.until("end", 120, Model::ended);
        model.until("rest", 10, |model| model.phase() == "Healthy");
        assert_eq!(model.run().outcome, Some(RunOutcome::Promoted));
        assert_eq!(model.reason("Completed"), "Promoted");
        assert_eq!(model.world.revisions["v2"].proven, Some(2));
        model.assert_at_rest();
    }
}

#[test]
fn nothing_is_written_at_rest() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("end", 300, Model::ended);
    model.during(10, |_| true);
    let writes = model.writes;
    model.during(600, |_| true);
    assert_eq!(model.writes, writes, "{}", model.timeline.join("\n"));
}

#[test]
fn a_fail_takes_all_traffic_back_in_the_same_pass_and_the_revision_is_not_tried_again() {
    let mut model = Model::adopted(three_steps(), 1);
    model.budget();
    model.evidence(Model::undecided());
    model.template("v2");
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
    model.evidence(Verdict::fail(Reason::BudgetSpent, "118 bad requests spent an allowance of 104"));
    model.pass();
    assert_eq!((model.share(), model.run().phase), (Percent::ZERO, RunPhase::Aborting));
    model.until("end", 90, Model::ended);
    assert_eq!((model.phase().as_str(), model.reason("Ready").as_str()), ("Degraded", "BudgetSpent"));
    assert_eq!((model.status("Stalled").as_str(), model.reason("Completed").as_str()), ("True", "Reverted"));
    model.assert_at_rest();
    model.during(300, |model| model.world.runs.len() == 1);
    model.evidence(Model::undecided());
    model.ask(ActionType::Retry, |_| {});
    model.until("second run", 10, |model| model.world.runs.len() == 2);
    model.until("answer", 5, |model| model.outcomes.last().is_some_and(|last| last.1 == ActionOutcome::Accepted));
}

#[test]
fn a_reverted_revision_is_healthy_again_when_the_template_goes_back_and_may_be_tried_later() {
    let mut model = Model::adopted(three_steps(), 1);
    model.budget();
    model.evidence(Verdict::fail(Reason::BudgetSpent, "spent"));
    model.template("v2");
    model.until("end", 120, Model::ended);
    model.template("v1");
    model.until("healthy", 10, |model| model.phase() == "Healthy" && model.run().closed);
    model.evidence(Model::undecided());
    model.template("v2");
    model.until("second run", 10, |model| model.world.runs.len() == 2);
}

#[test]
fn pods_that_never_get_ready_are_reverted_by_the_deadline_without_traffic() {
    let mut model = Model::adopted(three_steps(), 1);
    model.ready_after.remove("v2");
    model.template("v2");
    model.until("pods", 10, |model| model.world.revisions.get("v2").is_some_and(|view| view.deployment.is_some()));
    model.during(40, |model| model.share() == Percent::ZERO && !model.ended());
    model.until("end", 90, Model::ended);
    assert_eq!(model.reason("Ready"), "NotReady");
    assert!(
        model.run().message.contains("0 of 1 canary pods ready, 1 needed for weight 10"),
        "{}",
        model.run().message
    );
    model.assert_at_rest();
}

#[test]
fn what_keeps_pods_from_getting_ready_is_said_while_they_are_waited_for_and_at_the_deadline() {
    let mut model = Model::adopted(three_steps(), 1);
    model.ready_after.remove("v2");
    model.template("v2");
    model.until("pods", 10, |model| model.world.revisions.get("v2").is_some_and(|view| view.deployment.is_some()));
    let trouble = "pod app-v2-x is in CrashLoopBackOff (container app: ended with exit code 1)";
    model.world.revisions.get_mut("v2").unwrap().trouble = Some(trouble.into());
    let said = format!("0 of 1 canary pods ready, 1 needed for weight 10; {trouble}");
    model.pass();
    assert_eq!(model.reason("Ready"), "WaitingForPods");
    model.during(30, |model| model.world.rollout.status.message.as_deref() == Some(said.as_str()));
    model.until("end", 90, Model::ended);
    assert_eq!(model.reason("Ready"), "NotReady");
    assert_eq!(model.run().message, format!("{said}; the progress deadline of 45s is over"));
}

#[test]
fn at_rest_a_pod_in_trouble_is_named_with_the_count() {
    let mut model = Model::adopted(three_steps(), 1);
    model.world.revisions.get_mut("v1").unwrap().deployment.as_mut().unwrap().ready = 3;
    model.ready_after.remove("v1");
    model.world.revisions.get_mut("v1").unwrap().trouble = Some("pod app-v1-x is in ImagePullBackOff".into());
    model.until("it is said", 40, |model| model.reason("Ready") == "PodsNotReady");
    let message = model.world.rollout.status.message.clone().unwrap();
    assert_eq!(message, "3 of 4 pods ready; pod app-v1-x is in ImagePullBackOff");
}

#[test]
fn no_verdict_for_the_present_weight_means_no_step_forward() {
    let mut model = Model::adopted(three_steps(), 1);
    model.budget();
    model.template("v2");
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
    model.during(300, |model| model.share() == Percent::whole(10));
    assert_eq!(model.reason("Ready"), "Warmup");
    model.evidence(Verdict::hold(Reason::MetricsUnavailable, "Prometheus does not answer"));
    model.during(300, |model| model.share() == Percent::whole(10));
    model.evidence(Model::undecided());
    model.until("weight 50", 30, |model| model.share() == Percent::whole(50));
}

#[test]
fn a_gate_holds_until_two_people_have_approved() {
    let mut steps = three_steps();
    steps[0].gates = vec![Gate { name: "qa".into(), approvals: 2 }];
    let mut model = Model::adopted(steps, 1);
    model.template("v2");
    model.until("gate", 90, |model| model.reason("Ready") == "AwaitingApproval");
    assert_eq!((model.phase().as_str(), model.status("Paused").as_str()), ("Paused", "True"));
    for (author, outcome) in
        [("ada", ActionOutcome::Accepted), ("ada", ActionOutcome::Refused), ("bob", ActionOutcome::Accepted)]
    {
        model.ask(ActionType::Approve, |action| action.author = author.into());
        model.until("answer", 5, |model| model.world.actions.is_empty());
        assert_eq!(model.outcomes.last().unwrap().1, outcome, "{:?}", model.outcomes);
    }
    model.until("weight 50", 30, |model| model.share() == Percent::whole(50));
}

#[test]
fn an_intent_for_another_run_step_or_rollout_changes_nothing_and_says_why() {
    let mut model = Model::adopted(three_steps(), 1);
    model.ask(ActionType::Promote, |_| {});
    model.template("v2");
    model.until("baking", 60, |model| model.reason("Ready") == "Baking");
    let name = model.world.runs[0].name.clone();
    model.ask(ActionType::Promote, |action| action.run = Some("app-old-1".into()));
    model.ask(ActionType::Promote, |action| action.step = Some(7));
    model.ask(ActionType::Abort, |action| action.rollout_uid = Some("uid-2".into()));
    model.until("answers", 10, |model| model.world.actions.is_empty());
    assert!(
        model.outcomes.iter().all(|(_, outcome, message)| *outcome == ActionOutcome::Refused && !message.is_empty())
    );
    assert_eq!((model.run().step, model.run().phase), (0, RunPhase::Stepping));
    model.ask(ActionType::Promote, |action| action.run = Some(name));
    model.until("step 1", 5, |model| model.run().step == 1);
}

#[test]
fn a_newer_template_in_the_steps_starts_anew_from_the_same_stable_revision() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("weight 50", 90, |model| model.share() == Percent::whole(50));
    model.template("v3");
    model.pass();
    assert_eq!(model.share(), Percent::ZERO);
    model.until("second run", 90, |model| model.world.runs.len() == 2);
    assert_eq!((model.world.runs[1].spec.stable.as_str(), model.world.runs[1].spec.canary.as_str()), ("v1", "v3"));
    assert_eq!(model.world.runs[0].status.as_ref().unwrap().outcome, Some(RunOutcome::Superseded));
    model.until("end", 300, |model| model.world.runs.len() == 2 && model.ended());
    assert_eq!(model.run().outcome, Some(RunOutcome::Promoted));
}

#[test]
fn a_newer_template_in_the_soak_cuts_it_short_and_traffic_does_not_go_back() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("soak", 120, |model| model.run().phase == RunPhase::Soaking);
    model.during(10, |_| true);
    model.template("v3");
    model.pass();
    assert_eq!((model.share(), model.run().phase), (Percent::FULL, RunPhase::Finishing));
    assert!(model.run().message.starts_with("soak cut short after 1"), "{}", model.run().message);
    model.until("second run", 120, |model| model.world.runs.len() == 2);
    assert_eq!(model.world.runs[1].spec.stable, "v2");
}

#[test]
fn the_old_revision_may_be_deleted_before_the_services_flip_to_the_new_one() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("finishing", 200, |model| model.run().phase == RunPhase::Finishing);
    assert_eq!(model.service_state().pin.as_deref(), Some("v1"));
    model.world.revisions.get_mut("v1").unwrap().deployment = None;
    model.until("end", 120, Model::ended);
    model.assert_at_rest();
}

/// The endpoints of a Deployment that was deleted are still there for a moment.
#[test]
fn no_service_flips_to_pods_whose_deployment_was_deleted() {
    let mut model = Model::adopted(three_steps(), 2);
    model.template("v2");
    model.until("finishing", 200, |model| model.run().phase == RunPhase::Finishing);
    model.until("proven", 5, |model| model.world.revisions["v2"].proven.is_some());
    let state = model.route_state(0);
    (state.canary, state.run) = (CanaryRefs::Absent, None);
    model.world.revisions.get_mut("v2").unwrap().deployment = None;
    assert_eq!(model.world.revisions["v2"].services["app"], 4);
    model.pass();
    assert_eq!(model.service_state().pin.as_deref(), Some("v1"));
    model.until("end", 120, Model::ended);
    model.assert_at_rest();
}

#[test]
fn no_share_is_raised_to_pods_whose_deployment_was_deleted() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("step 2", 120, |model| model.run().step == 1);
    let canary = model.world.revisions.get_mut("v2").unwrap();
    canary.services.insert("app".into(), 2);
    canary.deployment = None;
    model.pass();
    assert_eq!(model.share(), Percent::whole(10), "{}", model.timeline.join("\n"));
    model.until("weight 50", 30, |model| model.share() == Percent::whole(50));
}

/// Then it may serve whoever the Service, which was reset, selects: nothing waits for a pin.
#[test]
fn a_promoted_revision_whose_deployment_was_deleted_is_made_again_at_once_behind_a_service_that_was_reset() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("finishing", 200, |model| model.run().phase == RunPhase::Finishing);
    model.until("flipped", 60, |model| model.world.services[0].state.known().unwrap().pin.as_deref() == Some("v2"));
    let state = model.service_state();
    (state.pin, state.run) = (None, None);
    model.world.revisions.get_mut("v2").unwrap().deployment = None;
    model.pass();
    assert!(model.world.revisions["v2"].deployment.is_some());
    model.until("end", 120, Model::ended);
    model.assert_at_rest();
}

#[test]
fn the_stable_template_again_is_an_abort_that_ends_healthy() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("soak", 120, |model| model.run().phase == RunPhase::Soaking);
    model.template("v1");
    model.pass();
    assert_eq!(model.share(), Percent::ZERO);
    model.until("healthy", 90, |model| model.phase() == "Healthy");
    assert_eq!(model.run().outcome, Some(RunOutcome::Superseded));
    assert_eq!(model.world.revisions["v1"].proven, Some(1));
}

#[test]
fn a_revision_promoted_before_comes_back_in_one_step() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("end", 300, Model::ended);
    model.budget();
    model.template("v1");
    model.until("second end", 90, |model| model.world.runs.len() == 2 && model.ended());
    assert!(model.world.runs[1].spec.plan.known);
    assert_eq!((model.run().outcome, model.world.revisions["v1"].proven), (Some(RunOutcome::Promoted), Some(3)));
}

#[test]
fn blue_green_brings_all_pods_up_before_any_traffic() {
    let ready = tidegate::api::PlanStep { replicas: Some(Replicas::Share("100%".into())), ..step(0, 20) };
    let mut model = Model::adopted(vec![ready, step(100, 0)], 1);
    model.template("v2");
    model.until("all pods", 30, |model| {
        model.world.revisions.get("v2").and_then(|view| view.deployment.clone()).is_some_and(|pods| pods.ready == 4)
    });
    assert_eq!(model.share(), Percent::ZERO);
    model.until("switch", 60, |model| model.share() == Percent::FULL);
    model.until("end", 120, Model::ended);
    assert_eq!(model.run().outcome, Some(RunOutcome::Promoted));
}

/// A run at weight 10 whose route somebody has reset twice.
fn contended() -> Model {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    for resets in 1..=2 {
        model.until("weight 10", 60, |model| model.share() == Percent::whole(10) && model.run().settled_at.is_some());
        let state = model.route_state(0);
        (state.canary, state.run) = (CanaryRefs::Absent, None);
        model.pass();
        assert_eq!((model.run().weight, model.run().resets.len()), (Percent::ZERO, resets));
    }
    assert_eq!((model.phase().as_str(), model.reason("Ready").as_str()), ("Paused", "RouteContended"));
    model
}

#[test]
fn a_contended_run_says_so_whatever_a_person_asks_and_is_tried_again_when_resumed() {
    let mut model = contended();
    for _ in 0..2 {
        model.ask(ActionType::Promote, |_| {});
        model.during(5, |_| true);
        let message = model.world.rollout.status.message.clone().unwrap();
        assert!(message.ends_with("route route-0 was reset again within an hour; held at weight 0"), "{message}");
        assert_eq!((model.phase().as_str(), model.reason("Ready").as_str()), ("Paused", "RouteContended"));
    }
    model.ask(ActionType::Resume, |_| {});
    model.until("again", 60, |model| model.share() == Percent::whole(10));
    assert_eq!(model.run().resets, []);
}

#[test]
fn a_route_reset_twice_is_contended_and_held_at_weight_0() {
    let mut model = contended();
    model.during(1_500, |model| model.share() == Percent::ZERO && model.run().phase == RunPhase::Stepping);
    model.until("again", 700, |model| model.share() == Percent::whole(10));
}

#[test]
fn a_service_reset_is_pinned_again_before_anything_else() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10) && model.run().settled_at.is_some());
    model.service_state().pin = None;
    model.pass();
    assert_eq!(model.service_state().pin.as_deref(), Some("v1"));
    assert_eq!(model.run().resets.len(), 1);
}

/// Until then the Service may give the canary what its route does not.
#[test]
fn the_canary_keeps_its_pods_while_a_service_that_was_reset_is_not_pinned_again() {
    let mut model = Model::adopted(vec![step(30, 5), step(100, 0)], 1);
    model.template("v2");
    model.until("weight 30", 60, |model| model.share() == Percent::whole(30) && model.run().settled_at.is_some());
    let pods = |model: &Model| model.world.revisions["v2"].deployment.as_ref().unwrap().desired;
    assert_eq!(pods(&model), 2);
    model.spec().replicas = Some(2);
    model.service_state().pin = None;
    model.pass();
    assert_eq!(model.service_state().pin.as_deref(), Some("v1"));
    assert_eq!(pods(&model), 2);
    model.until("fewer pods", 10, |model| pods(model) == 1);
}

#[test]
fn a_missing_route_stalls_the_run_and_the_step_starts_anew_when_it_is_back() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("weight 50", 120, |model| model.share() == Percent::whole(50) && model.run().settled_at.is_some());
    model.world.routes[0].state = Seen::Absent;
    model.during(120, |model| {
        let pods = |revision: &str| model.world.revisions[revision].deployment.as_ref().unwrap().desired;
        model.reason("Stalled") == "RouteMissing" && pods("v1") == 4 && pods("v2") == 2
    });
    assert_eq!(model.phase(), "Degraded");
    model.world.routes[0] = route("HTTPRoute", "route-0");
    model.until("weight 50 again", 60, |model| model.share() == Percent::whole(50));
    assert_eq!((model.run().step, model.run().resets.len()), (1, 0));
    model.until("end", 200, Model::ended);
}

#[test]
fn a_missing_service_stalls_the_run_and_nothing_shrinks() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("weight 10", 120, |model| model.share() == Percent::whole(10) && model.run().settled_at.is_some());
    let before = std::mem::replace(&mut model.world.services[0].state, Seen::Absent);
    model.during(60, |model| model.reason("Stalled") == "ServiceMissing" && model.share() == Percent::whole(10));
    model.world.services[0].state = before;
    model.service_state().pin = None;
    model.service_state().run = None;
    model.until("at 0", 30, |model| model.share() == Percent::ZERO);
    model.until("end", 300, Model::ended);
    assert_eq!(model.run().outcome, Some(RunOutcome::Promoted));
}

#[test]
fn an_abort_gives_back_in_parts_while_stable_has_too_few_pods() {
    let mut model = Model::adopted(vec![step(80, 600), step(100, 0)], 1);
    model.template("v2");
    model.until("weight 80", 60, |model| model.share() == Percent::whole(80));
    model.ready_after.remove("v1");
    model.world.revisions.get_mut("v1").unwrap().deployment.as_mut().unwrap().ready = 2;
    model.ask(ActionType::Abort, |_| {});
    model.pass();
    assert_eq!(model.share(), Percent::whole(50));
    model.during(90, |model| model.share() == Percent::whole(50) && model.status("AbortIncomplete") == "True");
    model.ready_after.insert("v1".into(), 0);
    model.until("all back", 10, |model| model.share() == Percent::ZERO);
    model.until("end", 120, Model::ended);
    assert_eq!((model.reason("Ready").as_str(), model.run().outcome), ("Aborted", Some(RunOutcome::Aborted)));
}

#[test]
fn a_lost_record_ends_as_state_lost_with_everything_given_back() {
    for status_only in [true, false] {
        let mut model = Model::adopted(three_steps(), 1);
        model.template("v2");
        model.until("weight 10", 120, |model| model.share() == Percent::whole(10));
        if status_only {
            model.world.runs[0].status = None;
        } else {
            model.world.runs.clear();
        }
        model.until("end", 120, Model::ended);
        assert_eq!((model.run().outcome, model.reason("Ready").as_str()), (Some(RunOutcome::Aborted), "Aborted"));
        assert!(model.run().message.contains("lost"), "{}", model.run().message);
        model.assert_at_rest();
    }
}

#[test]
fn a_lost_record_is_made_again_only_once_every_route_that_it_is_to_restore_can_be_read() {
    for deleting in [false, true] {
        let mut model = Model::adopted(three_steps(), 2);
        model.template("v2");
        model.until("weight 10", 120, |model| model.share() == Percent::whole(10));
        model.world.runs.clear();
        model.world.rollout.deleting = deleting;
        let known = std::mem::replace(&mut model.world.routes[1].state, Seen::Unknown("no answer".into()));
        model.during(30, |model| model.world.runs.is_empty() && model.world.revisions["v2"].deployment.is_some());
        let message = model.world.rollout.status.message.clone().unwrap_or_default();
        assert!(message.contains("no answer"), "{message}");
        model.world.routes[1].state = known;
        if deleting {
            model.until("finalizer gone", 120, |model| !model.world.rollout.has_finalizer);
        } else {
            model.until("end", 120, Model::ended);
        }
        model.assert_at_rest();
    }
}

#[test]
fn a_deleted_rollout_gives_everything_back_even_if_its_record_is_collected_first() {
    for (collected, seconds) in [(false, 20), (true, 20), (false, 110)] {
        let mut model = Model::adopted(three_steps(), 1);
        model.template("v2");
        model.during(seconds, |_| true);
        model.world.rollout.deleting = true;
        if collected {
            model.world.runs.clear();
        }
        model.until("finalizer gone", 120, |model| !model.world.rollout.has_finalizer);
        assert_eq!(model.world.rollout.status.phase, Some(Phase::Terminating));
        model.assert_at_rest();
    }
}

#[test]
fn replicas_may_change_in_a_run_and_the_weight_stays() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("weight 50", 120, |model| model.share() == Percent::whole(50));
    model.spec().replicas = Some(10);
    model.during(6, |model| model.share() == Percent::whole(50));
    let desired = |model: &Model, revision: &str| model.world.revisions[revision].deployment.as_ref().unwrap().desired;
    assert_eq!((desired(&model, "v1"), desired(&model, "v2")), (10, 5));
    assert_eq!(model.status("Completed"), "False");
    model.until("end", 200, Model::ended);
    assert_eq!(desired(&model, "v2"), 10);
}

#[test]
fn a_refused_start_says_everything_at_once_and_recovers_by_itself() {
    let mut model = Model::adopted(three_steps(), 1);
    model.world.refusals = vec![
        Refusal { reason: Reason::RouteMissing, message: "HTTPRoute a does not exist".into() },
        Refusal { reason: Reason::ForeignEndpoints, message: "3 of 13 endpoints belong to others".into() },
    ];
    model.template("v2");
    model.during(30, |model| model.world.runs.is_empty());
    let message = model.world.rollout.status.message.clone().unwrap();
    assert!(message.contains("HTTPRoute a") && message.contains("3 of 13"), "{message}");
    assert_eq!(model.status("Stalled"), "True");
    model.world.refusals.clear();
    model.until("run", 10, |model| model.world.runs.len() == 1);
}

#[test]
fn paused_holds_the_start_and_the_steps_but_not_the_way_back() {
    let mut model = Model::adopted(three_steps(), 1);
    model.spec().paused = true;
    model.template("v2");
    model.during(30, |model| model.world.runs.is_empty());
    assert_eq!((model.phase().as_str(), model.reason("Ready").as_str()), ("Pending", "Paused"));
    model.spec().paused = false;
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
    model.spec().paused = true;
    model.during(120, |model| model.share() == Percent::whole(10));
    assert_eq!(model.phase(), "Paused");
    model.ask(ActionType::Abort, |_| {});
    model.pass();
    assert_eq!(model.share(), Percent::ZERO);
}

#[test]
fn without_a_route_the_services_endpoints_are_the_split() {
    let mut model = Model::adopted(vec![step(20, 20), step(50, 20), step(100, 0)], 0);
    model.template("v2");
    let pods = |model: &Model, revision: &str| {
        model.world.services[0].state.known().unwrap().ready.get(revision).copied().unwrap_or(0)
    };
    model.until("20 %", 60, |model| pods(model, "v2") == 1 && pods(model, "v1") == 4);
    model.until("50 %", 60, |model| pods(model, "v2") == 4 && pods(model, "v1") == 4);
    model.until("100 %", 60, |model| pods(model, "v2") == 4 && pods(model, "v1") == 0);
    model.until("end", 120, Model::ended);
    assert_eq!(model.run().outcome, Some(RunOutcome::Promoted));
    model.assert_at_rest();
}

#[test]
fn without_a_route_an_abort_is_one_write() {
    let mut model = Model::adopted(vec![step(20, 600), step(100, 0)], 0);
    model.template("v2");
    model.until("20 %", 60, |model| model.run().settled_at.is_some() && model.run().weight == Percent::whole(20));
    model.ask(ActionType::Abort, |_| {});
    model.pass();
    assert_eq!(model.service_state().pin.as_deref(), Some("v1"));
    model.until("end", 90, Model::ended);
    model.assert_at_rest();
}

#[test]
fn a_stable_deployment_that_is_deleted_is_made_again_and_the_run_goes_back() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("weight 50", 120, |model| model.share() == Percent::whole(50));
    model.world.revisions.get_mut("v1").unwrap().deployment = None;
    model.until("made again", 5, |model| model.world.revisions["v1"].deployment.is_some());
    assert_eq!(model.share(), Percent::whole(50), "nothing goes to a revision without ready pods");
    model.until("all back", 20, |model| model.share() == Percent::ZERO);
    model.until("end", 90, Model::ended);
}

#[test]
fn pause_and_full_promotion_are_intents_of_a_run() {
    let mut model = Model::adopted(vec![step(10, 600), step(100, 0)], 1);
    model.spec().soak = Span::ZERO;
    model.template("v2");
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10) && model.run().settled_at.is_some());
    model.ask(ActionType::Pause, |_| {});
    model.until("paused", 5, |model| model.reason("Ready") == "PausedAtStep");
    model.ask(ActionType::PromoteFull, |_| {});
    model.until("end", 120, Model::ended);
    assert_eq!(model.run().outcome, Some(RunOutcome::Promoted));
    let _: Option<DeploymentView> = None;
}

#[test]
fn a_deletion_that_cannot_restore_says_so_after_15_min_and_names_what_it_waits_for() {
    let mut model = Model::adopted(three_steps(), 1);
    model.world.rollout.deleting = true;
    model.world.services[0].state =
        Seen::Unknown("failed to reach the API server for Service shop/app: no answer".into());
    model.during(14 * 60, |model| model.status("RestoreIncomplete").is_empty());
    model.until("the condition", 120, |model| model.status("RestoreIncomplete") == "True");
    let message = model.world.rollout.status.message.clone().unwrap_or_default();
    assert!(message.contains("Service shop/app"), "{message}");
}

#[test]
fn the_record_of_stable_is_made_again_and_an_aborted_revision_is_never_adopted() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
    for revision in model.world.revisions.values_mut() {
        (revision.recorded, revision.proven) = (false, None);
    }
    model.ask(ActionType::Abort, |_| {});
    model.until("end", 120, Model::ended);
    model.during(60, |model| model.phase() == "Degraded");
    let revisions = &model.world.revisions;
    assert!(revisions["v1"].proven.is_some() && revisions["v1"].deployment.is_some(), "{revisions:?}");
    model.assert_at_rest();
    // At rest too: what serves is not a question of a record.
    for revision in model.world.revisions.values_mut() {
        (revision.recorded, revision.proven) = (false, None);
    }
    model.until("the record", 10, |model| model.world.revisions["v1"].proven.is_some());
    model.during(60, |model| model.world.revisions["v1"].deployment.is_some());
    assert_eq!(model.phase(), "Degraded");
    model.assert_at_rest();
}

#[test]
fn a_canary_without_its_record_is_promoted_all_the_same() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("weight 50", 120, |model| model.share() == Percent::whole(50));
    model.world.revisions.get_mut("v2").unwrap().recorded = false;
    model.until("end", 300, Model::ended);
    assert_eq!(model.run().outcome, Some(RunOutcome::Promoted));
    model.assert_at_rest();
}

#[test]
fn a_rollout_whose_objects_were_all_collected_still_gives_its_route_back() {
    for recreated in [false, true] {
        let mut model = Model::adopted(three_steps(), 1);
        model.template("v2");
        model.until("weight 50", 120, |model| model.share() == Percent::whole(50));
        model.world.rollout.deleting = !recreated;
        model.world.runs.clear();
        model.world.revisions.clear();
        if recreated {
            model.until("adoption", 120, |model| model.phase() == "Healthy");
            model.assert_at_rest();
        } else {
            model.until("finalizer gone", 120, |model| !model.world.rollout.has_finalizer);
            assert_eq!(model.share(), Percent::ZERO);
        }
    }
}

#[test]
fn a_start_that_is_refused_is_looked_at_now_and_then_only() {
    let mut model = Model::adopted(three_steps(), 1);
    let refusal = Refusal { reason: Reason::ServiceUnusable, message: "Service app has no selector".into() };
    model.world.refusals.push(refusal);
    model.template("v2");
    model.during(10, |_| true);
    assert_eq!(model.reason("Stalled"), "ServiceUnusable");
    let wake = tidegate::engine::decide(&model.world).wake;
    assert!(wake >= std::time::Duration::from_secs(1), "{wake:?}");
}

#[test]
fn the_pin_of_another_rollouts_run_is_never_taken_out() {
    for (deleting, run) in [(false, Some("other-v9-1")), (true, Some("other-v9-1")), (true, None)] {
        let mut model = Model::new(three_steps(), 1);
        model.world.rollout.has_finalizer = true;
        model.world.rollout.deleting = deleting;
        let message = "Service app is named by Rollout other too, which is older".to_owned();
        model.world.refusals.push(Refusal { reason: Reason::ServiceTaken, message });
        let state = model.service_state();
        (state.pin, state.run) = (Some("v9".to_owned()), run.map(str::to_owned));
        model.during(20, |_| true);
        let state = model.service_state();
        assert_eq!((state.pin.as_deref(), state.run.as_deref()), (Some("v9"), run));
    }
}

#[test]
fn a_run_does_not_end_while_a_service_that_may_be_pinned_cannot_be_read() {
    for routes in [0, 1] {
        let mut model = Model::adopted(three_steps(), routes);
        model.template("v2");
        model.until("canary pods", 60, |model| {
            model.world.revisions.get("v2").is_some_and(|v2| v2.deployment.is_some())
        });
        model.ask(ActionType::Abort, |_| {});
        model.until("no canary pods", 120, |model| model.world.revisions["v2"].deployment.is_none());
        let known = std::mem::replace(&mut model.world.services[0].state, Seen::Unknown("no answer".into()));
        model.during(30, |model| !model.ended());
        model.world.services[0].state = known;
        model.until("end", 60, Model::ended);
        model.assert_at_rest();
    }
}

#[test]
fn a_record_that_is_lost_once_only_the_winner_is_left_still_ends_with_everything_given_back() {
    let mut model = Model::adopted(three_steps(), 1);
    model.template("v2");
    model.until("only v2", 300, |model| {
        model.run().phase == RunPhase::Finishing && model.world.revisions["v1"].deployment.is_none()
    });
    assert!(model.service_state().pin.is_some());
    model.world.runs.clear();
    model.until("end", 120, Model::ended);
    assert_eq!(model.world.revisions["v2"].deployment.as_ref().map(|pods| pods.ready), Some(4));
    model.assert_at_rest();
}
