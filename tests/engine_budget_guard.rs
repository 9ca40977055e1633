//! Stories of RolloutPolicies that guard the error budget: a start waits while the service burns it, begins by itself, and begins
//! on a person's word; what cannot be measured holds, too.

mod model;

use model::{Model, step};
use tidegate::{
    api::{ActionOutcome, ActionType, Gate, Percent, RunOutcome},
    stats::{Burn, Requests},
};

const GUARDED: &str = "{errorBudget: {minRemaining: 10}}";

/// v1 is adopted, and v2 is asked for under this policy. The objective is 99.9 %.
fn released(policy: &str) -> Model {
    let mut model = Model::adopted(vec![step(10, 5), step(50, 5), step(100, 0)], 1);
    model.budget();
    model.evidence(Model::undecided());
    model.policy("sre", policy);
    model.template("v2");
    model
}

/// Of 100,000 requests over 1 h and over 5 min these bad ones, and nothing else.
fn bad(long: f64, short: f64) -> Burn {
    let [long, short] = [long, short].map(|bad| Requests { all: 100_000.0, bad });
    let spent = Some(Requests { all: 1e9, bad: 0.0 });
    Burn { pages: [[long, short], [Requests::default(); 2]], spent }
}

/// This part of a budget of 1,000 requests is left.
fn left(part: f64) -> Burn {
    Burn { spent: Some(Requests { all: 1_000_000.0, bad: 1_000.0 * (1.0 - part) }), ..bad(0.0, 0.0) }
}

fn message(model: &Model) -> String {
    model.world.rollout.status.message.clone().unwrap_or_default()
}

fn last_answer(model: &Model) -> (ActionOutcome, String) {
    let (_, outcome, message) = model.outcomes.last().expect("an answer").clone();
    (outcome, message)
}

fn first_decision(model: &Model) -> String {
    model.run().decisions.entries.first().expect("a decision").message.clone()
}

fn waits(model: &Model) -> bool {
    model.world.runs.is_empty() && (model.phase(), model.reason("Ready")) == ("Pending".into(), "BudgetBurning".into())
}

#[test]
fn a_start_waits_while_the_service_burns_its_budget_and_begins_by_itself_when_it_is_well() {
    let mut model = released(GUARDED);
    model.burn = Some(Ok(bad(3_000.0, 2_000.0)));
    model.until("the wait", 10, waits);
    assert_eq!(model.status("Completed"), "False");
    assert_eq!(
        message(&model),
        "a new template waits: the service burns its error budget 30.0 times as fast as the objective of 99.9 % allows over 1h \
         and 20.0 times over 5m, which pages from 14.4 on (RolloutPolicy sre); if this release is the repair: tidegate override \
         app -n shop --reason WHY"
    );
    let questions = model.questions;
    model.during(300, waits);
    assert!((9..=11).contains(&(model.questions - questions)), "{} questions in 300 s", model.questions - questions);
    model.burn = Some(Ok(bad(3_000.0, 1_000.0)));
    model.until("a run", 36, |model| !model.world.runs.is_empty());
    model.until("the end", 300, Model::ended);
    assert_eq!(model.run().outcome, Some(RunOutcome::Promoted));
    model.assert_at_rest();
}

#[test]
fn too_little_left_of_the_budget_holds_a_start_whatever_the_speed_is() {
    let mut model = released("{errorBudget: {onBurn: Ignore, minRemaining: 10}}");
    model.burn = Some(Ok(Burn { pages: bad(9_000.0, 9_000.0).pages, ..left(0.099) }));
    model.until("the wait", 10, waits);
    let said = "the service has 9.9 % left of its error budget, 10 % at least is needed (RolloutPolicy sre)";
    assert!(message(&model).contains(said), "{}", message(&model));
    model.burn = Some(Ok(Burn { pages: bad(9_000.0, 9_000.0).pages, ..left(0.1) }));
    model.until("a run", 36, |model| !model.world.runs.is_empty());
}

#[test]
fn the_strictest_of_several_policies_holds_and_is_named() {
    let mut model = released("{errorBudget: {onBurn: Ignore, minRemaining: 10}}");
    model.policy("strict", "{errorBudget: {minRemaining: 50}}");
    model.burn = Some(Ok(left(0.3)));
    model.until("the wait", 10, waits);
    assert!(message(&model).contains("50 % at least is needed (RolloutPolicy strict)"), "{}", message(&model));
}

#[test]
fn a_budget_that_cannot_be_read_holds_a_start_says_so_and_gives_way_to_a_person() {
    let mut model = released(GUARDED);
    model.during(100, |model| model.world.runs.is_empty());
    assert!(message(&model).starts_with("the metrics server is asked how fast"), "{}", message(&model));
    model.burn = Some(Err("metric errors: the metrics server did not answer in time".into()));
    model.until("it is said", 36, |model| model.reason("Ready") == "MetricsUnavailable");
    assert_eq!(model.phase(), "Pending");
    assert_eq!(
        message(&model),
        "a new template waits: the service's error budget, which RolloutPolicy sre guards, cannot be read: metric errors: the \
         metrics server did not answer in time; if this release is the repair: tidegate override app -n shop --reason WHY"
    );
    model.during(100, |model| model.world.runs.is_empty());
    model.ask(ActionType::Override, |action| action.reason = "the repair".into());
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
    assert_eq!(last_answer(&model), (ActionOutcome::Accepted, format!("RolloutRun {} was started", run_name(&model))));
    assert_eq!(
        first_decision(&model),
        "from revision v1 to v2; the guard of the error budget is overridden by ada: the repair"
    );
    assert_eq!(model.run().freeze_override, None, "nothing else is lifted");
}

fn run_name(model: &Model) -> String {
    model.world.runs.last().expect("a run").name.clone()
}

#[test]
fn an_override_lets_a_burning_service_have_its_repair_and_its_author_may_not_approve_it() {
    let mut model = released(GUARDED);
    model.spec().steps[0].gates = vec![Gate { name: "qa".into(), approvals: 1 }];
    model.burn = Some(Ok(bad(9_000.0, 9_000.0)));
    model.until("the wait", 10, waits);
    model.ask(ActionType::Override, |_| {});
    model.until("an answer", 10, |model| !model.outcomes.is_empty());
    assert_eq!(last_answer(&model).0, ActionOutcome::Refused, "without a reason");
    model.during(10, waits);
    model.ask(ActionType::Override, |action| action.reason = "the repair".into());
    model.until("the gate", 90, |model| model.reason("Ready") == "AwaitingApproval");
    model.ask(ActionType::Approve, |_| {});
    model.until("an answer", 10, |model| model.outcomes.len() == 3);
    let (outcome, why) = last_answer(&model);
    assert!(outcome == ActionOutcome::Refused && why.contains("(Override)"), "{why}");
    model.ask(ActionType::Approve, |action| action.author = "grace".into());
    model.until("the end", 300, Model::ended);
    assert_eq!(model.run().outcome, Some(RunOutcome::Promoted), "a run under way is not held");
}

#[test]
fn an_override_has_nothing_to_lift_while_the_service_is_well() {
    let mut model = released(GUARDED);
    model.burn = Some(Ok(bad(0.0, 0.0)));
    model.spec().paused = true;
    model.during(10, |model| model.reason("Ready") == "Paused");
    model.spec().paused = false;
    model.until("a run", 10, |model| !model.world.runs.is_empty());
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
    model.ask(ActionType::Override, |action| action.reason = "to be sure".into());
    model.until("an answer", 10, |model| !model.outcomes.is_empty());
    assert_eq!(last_answer(&model).0, ActionOutcome::Refused);
}

#[test]
fn a_retry_waits_too_and_an_override_lets_it_go() {
    let mut model = released("{}");
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
    model.ask(ActionType::Abort, |_| {});
    model.until("the end", 120, Model::ended);
    model.policy("sre", GUARDED);
    model.burn = Some(Ok(bad(9_000.0, 9_000.0)));
    model.ask(ActionType::Retry, |_| {});
    model.until("the wait", 10, |model| model.reason("Ready") == "BudgetBurning");
    model.during(60, |model| model.world.runs.len() == 1);
    model.ask(ActionType::Override, |action| action.reason = "the repair".into());
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
    let answers: Vec<_> = model.outcomes.iter().skip(1).map(|(_, outcome, said)| (*outcome, said.as_str())).collect();
    let retried = format!("RolloutRun {} was started", run_name(&model));
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert!(answers.contains(&(ActionOutcome::Accepted, retried.as_str())), "{answers:?}");
    let lifted = "the guard of the error budget is overridden by ada: the repair";
    assert!(answers.contains(&(ActionOutcome::Accepted, lifted)), "{answers:?}");
    assert!(model.run().decisions.entries.iter().any(|entry| entry.message.contains(lifted)));
}

#[test]
fn a_measurement_of_long_ago_lets_nothing_start() {
    let mut model = released(GUARDED);
    model.burn = Some(Ok(bad(9_000.0, 9_000.0)));
    model.until("the wait", 10, waits);
    model.spec().paused = true;
    model.during(100, |model| model.world.runs.is_empty());
    // The service is well, as of 100 s ago.
    model.spec().paused = false;
    model.burn = Some(Ok(bad(0.0, 0.0)));
    model.pass();
    assert!(model.world.runs.is_empty() && message(&model).contains("is asked how fast"), "{}", message(&model));
    model.until("a run", 10, |model| !model.world.runs.is_empty());
}

#[test]
fn a_measurement_without_what_is_spent_is_none_once_a_policy_asks_for_it() {
    let mut model = released("{errorBudget: {}}");
    model.burn = Some(Ok(Burn { spent: None, ..bad(9_000.0, 9_000.0) }));
    model.until("the wait", 10, waits);
    model.policy("sre", GUARDED);
    model.burn = Some(Ok(Burn { spent: None, ..bad(0.0, 0.0) }));
    model.during(60, |model| model.world.runs.is_empty());
    model.burn = Some(Ok(left(0.5)));
    model.until("a run", 36, |model| !model.world.runs.is_empty());
}

#[test]
fn nothing_is_asked_of_a_rollout_without_a_budget_of_a_first_revision_and_of_one_that_was_promoted_before() {
    let mut model = Model::new(vec![step(10, 5), step(100, 0)], 1);
    model.policy("sre", GUARDED);
    model.until("adopted", 60, |model| model.reason("Ready") == "Stable");
    model.template("v2");
    model.until("a run", 10, |model| !model.world.runs.is_empty());
    model.until("the end", 300, Model::ended);
    model.budget();
    model.burn = Some(Ok(bad(9_000.0, 9_000.0)));
    model.template("v1");
    model.until("v1 again", 120, |model| model.ended() && model.world.runs.last().unwrap().spec.canary == "v1");
    assert_eq!((model.run().outcome, model.questions), (Some(RunOutcome::Promoted), 0));
}

#[test]
fn a_burning_service_holds_no_abort_and_no_way_back() {
    let mut model = released(GUARDED);
    model.burn = Some(Ok(bad(0.0, 0.0)));
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
    model.burn = Some(Ok(bad(9_000.0, 9_000.0)));
    model.ask(ActionType::Abort, |_| {});
    model.until("the end", 60, Model::ended);
    assert_eq!(model.run().outcome, Some(RunOutcome::Aborted));
    model.assert_at_rest();
}

#[test]
fn a_newer_template_cuts_a_soak_short_only_if_it_may_start() {
    for (measured, is_cut) in [(bad(9_000.0, 9_000.0), false), (bad(0.0, 0.0), true)] {
        let mut model = released("{}");
        model.until("the soak", 120, |model| model.phase() == "Soaking");
        model.policy("sre", GUARDED);
        model.burn = Some(Ok(measured));
        model.template("v3");
        let (reason, runs) = if is_cut { ("", 2) } else { ("BudgetBurning", 1) };
        let next = |model: &Model| model.world.runs.len() == runs && (is_cut || model.reason("Ready") == reason);
        model.until("the next version's turn", 120, next);
        let decisions = model.world.runs[0].status.as_ref().unwrap().decisions.entries.iter();
        assert_eq!(decisions.filter(|entry| entry.message.contains("cut short")).count(), usize::from(is_cut));
    }
}
