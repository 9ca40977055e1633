//! Policies that name the application's Service: what is said of them while a run lasts, and that no copy outlives it.

mod model;

use model::{Model, step};
use tidegate::{
    api::{Percent, RunOutcome},
    engine::PolicyView,
};

const CONDITION: &str = "BackendPolicyNotCarried";

fn policies(count: usize) -> Vec<PolicyView> {
    let view =
        |index| PolicyView { kind: "DestinationRule".into(), name: format!("rule-{index}"), service: "app".into() };
    (0..count).map(view).collect()
}

fn said(model: &Model) -> String {
    let conditions = &model.world.rollout.status.conditions;
    conditions.iter().find(|found| found.kind == CONDITION).map(|found| found.message.clone()).unwrap_or_default()
}

#[test]
fn a_policy_that_does_not_follow_is_said_from_a_runs_start_to_its_end() {
    let mut model = Model::adopted(vec![step(10, 20), step(100, 0)], 1);
    model.world.not_carried = policies(1);
    model.during(20, |model| model.status(CONDITION).is_empty());
    model.template("v2");
    model.until("a run", 10, |model| !model.run().message.is_empty());
    model.until("weight 10", 60, |model| model.status(CONDITION) == "True" && model.share() == Percent::whole(10));
    assert_eq!(
        said(&model),
        "DestinationRule rule-0 (Service app): named by Service, so not in force for the Services of revision v2"
    );
    model.until("the end", 120, |model| model.ended() || model.status(CONDITION) != "True");
    assert_eq!(model.run().outcome, Some(RunOutcome::Promoted));
    assert!(model.ended() && model.status(CONDITION).is_empty());
    model.during(20, |model| model.status(CONDITION).is_empty());
}

#[test]
fn at_most_five_policies_are_named() {
    for (count, last) in [(5, "rule-4 (Service app)"), (6, "rule-4 (Service app) and 1 more")] {
        let mut model = Model::adopted(vec![step(10, 20), step(100, 0)], 1);
        model.world.not_carried = policies(count);
        model.template("v2");
        model.until("the condition", 10, |model| model.status(CONDITION) == "True");
        assert!(said(&model).contains(&format!("{last}: named by Service")), "{}", said(&model));
        assert!(!said(&model).contains("rule-5"));
    }
}

#[test]
fn without_a_route_there_is_nothing_to_follow_to() {
    let mut model = Model::adopted(vec![step(50, 5), step(100, 0)], 0);
    model.world.not_carried = policies(1);
    model.template("v2");
    model.until("the end", 300, |model| !model.status(CONDITION).is_empty() || model.ended());
    assert!(model.ended() && model.status(CONDITION).is_empty());
}

#[test]
fn a_run_does_not_end_while_a_copy_of_a_policy_is_left() {
    let mut model = Model::adopted(vec![step(10, 20), step(100, 0)], 1);
    model.template("v2");
    model.until("the promotion", 120, |model| model.phase() == "Finishing");
    model.until("the traffic to be given back", 60, |model| model.share() == Percent::ZERO);
    let canary = model.world.revisions.get_mut("v2").unwrap();
    // Somebody has deleted the Services by hand.
    canary.services.clear();
    canary.policies = 1;
    model.until("the end", 120, Model::ended);
    assert_eq!(model.world.revisions["v2"].policies, 0);
    assert!(model.timeline.iter().any(|line| line.contains("DeleteServices")), "{}", model.timeline.join("\n"));
}
