//! Who asked: what stands of it in a run's decisions, and whose approval does not count.

mod model;

use model::{Model, step};
use tidegate::{
    api::{ActionOutcome, ActionType, Gate, RolloutRunStatus, RunOutcome, RunPhase},
    engine::chain,
};

fn gated(approvals: u32) -> Model {
    let mut steps = vec![step(10, 20), step(50, 20), step(100, 0)];
    steps[0].gates = vec![Gate { name: "qa".into(), approvals }];
    let mut model = Model::adopted(steps, 1);
    model.template("v2");
    model.until("gate", 90, |model| model.reason("Ready") == "AwaitingApproval");
    model
}

/// One approval by this author, and its answer.
fn approve(model: &mut Model, author: &str) -> (ActionOutcome, String) {
    model.ask(ActionType::Approve, |action| action.author = author.into());
    model.until("answer", 5, |model| model.world.actions.is_empty());
    let (_, outcome, message) = model.outcomes.last().unwrap().clone();
    (outcome, message)
}

fn chained(status: &RolloutRunStatus) -> chain::Chain {
    chain::verify(&serde_json::to_value(status).unwrap()).unwrap_or_else(|flaws| panic!("{flaws:?}"))
}

#[test]
fn an_author_whom_nobody_has_verified_is_said_to_be_unverified_wherever_they_are_named() {
    let mut model = gated(2);
    model.ask(ActionType::Approve, |action| {
        action.verified = false;
        action.on_behalf_of = Some("carol".into());
    });
    model.until("answer", 5, |model| model.world.actions.is_empty());
    let said = "gate qa is approved by ada (author: unverified) on behalf of carol (unverified)";
    assert_eq!(model.outcomes.last().unwrap().2, said);
    assert!(!model.run().approvals[0].verified);
    let last = model.run().decisions.entries.last().unwrap().clone();
    let asked = last.asked.unwrap();
    assert!(last.message.starts_with(said), "{}", last.message);
    assert_eq!((asked.author.as_str(), asked.verified, asked.on_behalf_of.as_deref()), ("ada", false, Some("carol")));
    assert_eq!(approve(&mut model, "bob").1, "gate qa is approved by bob");
    assert!(model.run().approvals.iter().any(|approval| approval.author == "bob" && approval.verified));
}

#[test]
fn who_asked_for_the_run_does_not_approve_it() {
    let mut model = gated(1);
    model.ask(ActionType::Abort, |_| {});
    model.until("the end", 120, |model| model.ended());
    model.ask(ActionType::Retry, |action| action.author = "ada".into());
    model.until("a second run", 60, |model| model.world.runs.len() == 2);
    model.until("gate", 90, |model| model.reason("Ready") == "AwaitingApproval");
    let asked = model.world.runs[1].spec.requested_by.clone().unwrap();
    assert_eq!((asked.kind, asked.author.as_str(), asked.verified), (ActionType::Retry, "ada", true));
    assert_eq!(model.run().decisions.entries[0].asked, Some(asked));
    let (outcome, why) = approve(&mut model, "ada");
    assert_eq!(outcome, ActionOutcome::Refused);
    assert!(why.starts_with("ada has asked for RolloutRun") && why.ends_with("somebody else must approve it"), "{why}");
    assert_eq!(approve(&mut model, "bob").0, ActionOutcome::Accepted);
    model.until("step 2", 30, |model| model.run().step == 1);
}

/// A second run, which the Retry named `ci` has started.
fn retried_by_ci() -> Model {
    let mut model = gated(1);
    model.ask(ActionType::Abort, |_| {});
    model.until("the end", 120, |model| model.ended());
    model.ask(ActionType::Retry, |action| (action.name, action.uid) = ("ci".into(), "uid-of-the-retry".into()));
    model.until("a second run", 60, |model| model.world.runs.len() == 2);
    model.until("gate", 90, |model| model.reason("Ready") == "AwaitingApproval");
    model
}

/// Another action of that name, and its answer.
fn abort_by_another_ci(model: &mut Model) -> (ActionOutcome, String) {
    model.ask(ActionType::Abort, |action| (action.name, action.uid) = ("ci".into(), "uid-of-the-abort".into()));
    model.until("answer", 5, |model| model.world.actions.is_empty());
    let (_, outcome, message) = model.outcomes.last().unwrap().clone();
    (outcome, message)
}

#[test]
fn an_action_that_has_the_name_of_the_one_that_started_the_run_is_another_one() {
    let mut model = retried_by_ci();
    let (outcome, message) = abort_by_another_ci(&mut model);
    assert_eq!((outcome, message.as_str()), (ActionOutcome::Accepted, "aborted by ada"));
    model.until("the end", 120, |model| model.ended());
    assert_eq!(model.run().outcome, Some(RunOutcome::Aborted));
}

#[test]
fn the_action_that_started_the_run_is_answered_once_more_and_does_nothing() {
    let mut model = retried_by_ci();
    model.ask(ActionType::Retry, |action| (action.name, action.uid) = ("ci".into(), "uid-of-the-retry".into()));
    model.until("answer", 5, |model| model.world.actions.is_empty());
    let (_, outcome, message) = model.outcomes.last().unwrap().clone();
    assert!(outcome == ActionOutcome::Accepted && message.ends_with("was started"), "{message}");
    assert_eq!((model.world.runs.len(), model.ended()), (2, false));
}

#[test]
fn a_record_without_the_uid_knows_its_action_by_the_name() {
    let mut model = retried_by_ci();
    model.world.runs[1].spec.requested_by.as_mut().unwrap().uid = None;
    let (outcome, message) = abort_by_another_ci(&mut model);
    assert!(outcome == ActionOutcome::Accepted && message.ends_with("was started"), "{message}");
}

#[test]
fn a_restart_that_has_the_name_of_an_earlier_one_replaces_the_pods_again() {
    let mut model = Model::adopted(vec![step(100, 0)], 1);
    for uid in ["uid-1", "uid-2"] {
        model.ask(ActionType::Restart, |action| (action.name, action.uid) = ("nightly".into(), uid.into()));
        model.until("answer", 5, |model| model.world.actions.is_empty());
    }
    let restarts: Vec<_> = model.timeline.iter().filter(|line| line.contains("RestartPods")).collect();
    assert!(restarts.len() == 2 && restarts[0].contains("uid-1") && restarts[1].contains("uid-2"), "{restarts:?}");
}

#[test]
fn a_run_that_is_promoted_in_full_takes_no_approval() {
    let mut model = gated(2);
    model.ask(ActionType::PromoteFull, |_| {});
    model.ask(ActionType::Approve, |_| {});
    model.until("answers", 10, |model| model.world.actions.is_empty());
    let answers: Vec<_> = model.outcomes.iter().map(|(_, outcome, _)| *outcome).collect();
    assert_eq!(answers, [ActionOutcome::Accepted, ActionOutcome::Refused]);
    assert!(model.run().approvals.is_empty());
}

#[test]
fn every_decision_says_from_where_and_is_chained_to_the_one_before() {
    let mut model = gated(1);
    approve(&mut model, "bob");
    model.until("the end", 300, |model| model.ended());
    let run = model.run();
    let entries = &run.decisions.entries;
    assert_eq!((chained(&run).kept, entries[0].from), (entries.len(), None));
    for pair in entries.windows(2) {
        let from = pair[1].from.unwrap();
        assert_eq!((from.phase, from.step, from.weight), (pair[0].phase, pair[0].step, pair[0].weight));
        assert_eq!((pair[1].seq, pair[1].epoch), (pair[0].seq + 1, run.epoch));
    }
    assert_eq!(entries.last().unwrap().phase, RunPhase::Finishing);
    let by_action: Vec<_> = entries.iter().filter_map(|entry| entry.asked.as_ref()).collect();
    assert_eq!(by_action.len(), 1);
    assert_eq!((by_action[0].kind, by_action[0].author.as_str()), (ActionType::Approve, "bob"));
}
