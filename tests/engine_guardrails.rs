//! Stories of RolloutPolicies: freeze windows, guardrails that a plan breaks, policies that tighten during a run.
//!
//! The model's time begins at midnight UTC of Thursday, 1 January 2026; the laws are checked on every decision.

mod model;

use model::{Model, step};
use tidegate::api::{ActionOutcome, ActionType, Gate, Percent, PlanStep, RunOutcome, RunPhase};

/// Open from 00:05 to 00:15 UTC of every day.
const MORNING: &str = "{freezeWindows: [{name: morning, schedule: '5 0 * * *', duration: 10m}]}";

fn three_steps() -> Vec<PlanStep> {
    vec![step(10, 20), step(50, 20), step(100, 0)]
}

fn adopted() -> Model {
    Model::adopted(three_steps(), 1)
}

fn pass_time_until(model: &mut Model, second: u64) {
    model.during(second - model.millis / 1_000, |_| true);
}

fn message(model: &Model) -> String {
    model.world.rollout.status.message.clone().unwrap_or_default()
}

fn last_answer(model: &Model) -> (ActionOutcome, String) {
    let (_, outcome, message) = model.outcomes.last().expect("an answer").clone();
    (outcome, message)
}

/// A run at weight 10 whose window opens before its bake is over.
fn frozen_at_10() -> Model {
    let mut model = adopted();
    model.policy("production", MORNING);
    pass_time_until(&mut model, 285);
    model.template("v2");
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
    model.until("the freeze", 40, |model| model.reason("Ready") == "Frozen");
    model
}

#[test]
fn a_new_template_waits_for_the_end_of_the_window_and_then_starts_by_itself() {
    let mut model = adopted();
    model.policy("production", MORNING);
    pass_time_until(&mut model, 310);
    model.template("v2");
    model.during(580, |model| model.world.runs.is_empty() && model.phase() == "Pending" || model.phase() == "Healthy");
    assert_eq!((model.reason("Ready").as_str(), model.status("Completed").as_str()), ("Frozen", "False"));
    assert_eq!(
        message(&model),
        "a new template waits: freeze window morning of RolloutPolicy production ends at 2026-01-01T00:15:00Z"
    );
    model.until("a run", 12, |model| !model.world.runs.is_empty());
    assert!(model.millis >= 900_000, "{}", model.millis);
    model.until("the end", 300, Model::ended);
    assert_eq!(model.run().outcome, Some(RunOutcome::Promoted));
}

#[test]
fn a_run_holds_at_its_weight_in_the_window_and_goes_on_by_itself() {
    let mut model = frozen_at_10();
    assert_eq!((model.phase().as_str(), model.status("Paused").as_str()), ("Paused", "True"));
    assert_eq!(
        message(&model),
        "freeze window morning of RolloutPolicy production ends at 2026-01-01T00:15:00Z; the run stays at weight 10"
    );
    model.during(500, |model| model.share() == Percent::whole(10));
    model.until("weight 50", 120, |model| model.share() == Percent::whole(50));
    assert!((900_000..906_000).contains(&model.millis), "{}", model.millis);
    model.until("the end", 300, Model::ended);
    assert_eq!(model.run().outcome, Some(RunOutcome::Promoted));
    model.assert_at_rest();
}

#[test]
fn a_freeze_does_not_count_towards_the_progress_deadline() {
    let mut model = adopted();
    model.policy("production", MORNING);
    model.ready_after.insert("v2".into(), 20_000);
    pass_time_until(&mut model, 298);
    model.template("v2");
    model.during(595, |model| model.share() == Percent::ZERO && model.run().phase == RunPhase::Stepping);
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
}

#[test]
fn full_promotion_and_promote_do_not_go_through_a_freeze() {
    for kind in [ActionType::Promote, ActionType::PromoteFull] {
        let mut model = frozen_at_10();
        model.ask(kind, |_| {});
        model.during(60, |model| model.share() == Percent::whole(10));
        assert_eq!(last_answer(&model).0, ActionOutcome::Accepted);
        assert_eq!(model.reason("Ready"), "Frozen");
    }
}

#[test]
fn going_back_goes_through_a_freeze() {
    let mut aborted = frozen_at_10();
    aborted.ask(ActionType::Abort, |_| {});
    aborted.until("the end", 90, Model::ended);
    assert_eq!(aborted.run().outcome, Some(RunOutcome::Aborted));
    aborted.assert_at_rest();
    assert!(aborted.millis < 900_000);

    let mut superseded = frozen_at_10();
    superseded.template("v1");
    superseded.until("healthy again", 90, |model| model.ended() && model.phase() == "Healthy");
    superseded.assert_at_rest();
    assert!(superseded.millis < 900_000);

    let mut deleted = frozen_at_10();
    deleted.world.rollout.deleting = true;
    deleted.until("the finalizer is gone", 120, |model| !model.world.rollout.has_finalizer);
    assert!(deleted.millis < 900_000);
}

#[test]
fn a_fail_reverts_in_a_freeze() {
    let mut model = adopted();
    model.budget();
    model.evidence(Model::undecided());
    model.policy("production", MORNING);
    pass_time_until(&mut model, 285);
    model.template("v2");
    model.until("the freeze", 60, |model| model.reason("Ready") == "Frozen");
    model.evidence(tidegate::stats::Verdict::fail(tidegate::api::Reason::BudgetSpent, "spent"));
    model.pass();
    assert_eq!((model.share(), model.run().phase), (Percent::ZERO, RunPhase::Aborting));
}

#[test]
fn what_is_promoted_is_finished_in_a_freeze_and_a_soak_is_not_ended_in_it() {
    let mut promoted = adopted();
    promoted.policy("production", MORNING);
    pass_time_until(&mut promoted, 150);
    promoted.template("v2");
    promoted.until("the finish", 150, |model| model.run().phase == RunPhase::Finishing);
    promoted.policy("production", "{freezeWindows: [{name: always, schedule: '* * * * *', duration: 5m}]}");
    promoted.until("the end", 120, Model::ended);
    promoted.assert_at_rest();

    let mut soaking = adopted();
    soaking.template("v2");
    soaking.until("the soak", 200, |model| model.run().phase == RunPhase::Soaking);
    soaking.policy("production", "{freezeWindows: [{name: always, schedule: '* * * * *', duration: 5m}]}");
    soaking.during(120, |model| model.run().phase == RunPhase::Soaking);
    assert!(message(&soaking).contains("has no end in sight"), "{}", message(&soaking));
    soaking.policies.clear();
    soaking.until("the end", 120, Model::ended);
}

#[test]
fn a_revision_that_was_promoted_before_comes_back_in_a_freeze() {
    let mut model = adopted();
    model.template("v2");
    model.until("the end", 300, Model::ended);
    model.policy(
        "production",
        "{limits: {maxFirstStep: 1}, freezeWindows: [{name: x, schedule: '* * * * *', duration: 5m}]}",
    );
    model.template("v1");
    model.until("v1 is promoted", 120, |model| model.ended() && model.world.runs.last().unwrap().spec.canary == "v1");
    assert_eq!(model.run().outcome, Some(RunOutcome::Promoted));
}

#[test]
fn an_override_needs_a_reason_and_lets_this_run_go_on_until_the_window_ends() {
    let mut model = frozen_at_10();
    model.ask(ActionType::Override, |_| {});
    model.during(5, |model| model.share() == Percent::whole(10));
    assert_eq!(last_answer(&model).0, ActionOutcome::Refused);
    assert!(last_answer(&model).1.contains("it has no reason"), "{}", last_answer(&model).1);
    model.ask(ActionType::Override, |action| action.reason = "CVE-2026-1".into());
    model.until("weight 50", 60, |model| model.share() == Percent::whole(50));
    assert_eq!(
        last_answer(&model),
        (ActionOutcome::Accepted, "freeze windows are overridden until 2026-01-01T00:15:00Z by ada: CVE-2026-1".into())
    );
    let decisions = model.run().decisions.entries;
    assert!(decisions.iter().any(|entry| entry.message.contains("overridden") && entry.message.contains("by ada")));
    // A window that lasts longer than what was overridden holds again.
    model.policy("later", "{freezeWindows: [{name: long, schedule: '0 0 * * *', duration: 20m}]}");
    model.during(300, |model| model.share() == Percent::whole(50));
    assert!(message(&model).contains("freeze window long of RolloutPolicy later"), "{}", message(&model));
}

#[test]
fn an_override_lets_a_run_start_and_is_answered_by_that_run() {
    let mut model = adopted();
    model.policy("production", MORNING);
    pass_time_until(&mut model, 310);
    model.template("v2");
    model.until("pending", 5, |model| model.reason("Ready") == "Frozen");
    model.ask(ActionType::Override, |action| action.reason = "hotfix".into());
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
    assert_eq!(last_answer(&model).0, ActionOutcome::Accepted);
    assert_eq!(model.run().freeze_override.unwrap().author, "ada");
    model.until("the end", 300, Model::ended);
    assert!(model.millis < 900_000, "promoted inside the window");
    model.ask(ActionType::Override, |action| action.reason = "again".into());
    model.until("an answer", 10, |model| model.outcomes.len() == 2);
    assert_eq!(last_answer(&model).0, ActionOutcome::Refused);
}

#[test]
fn several_policies_hold_to_the_last_end() {
    let mut model = adopted();
    model.policy("a", MORNING);
    model.policy("b", "{freezeWindows: [{name: noon, schedule: '10 0 * * *', duration: 10m}]}");
    pass_time_until(&mut model, 620);
    model.template("v2");
    model.until("pending", 5, |model| model.reason("Ready") == "Frozen");
    assert!(message(&model).contains("window noon of RolloutPolicy b ends at 2026-01-01T00:20:00Z"));
    model.until("a run", 600, |model| !model.world.runs.is_empty());
    assert!(model.millis >= 1_200_000);
}

#[test]
fn a_plan_that_breaks_policies_is_stalled_with_all_of_it_before_anything_moves_and_recovers() {
    let mut model = adopted();
    model.policy("a", "{limits: {maxFirstStep: 5, minTotalBake: 1h}}");
    model.policy("b", "{analysis: {metrics: [errors]}}");
    model.until("the condition", 10, |model| model.status("PolicyViolation") == "True");
    assert_eq!(model.phase(), "Healthy");
    model.template("v2");
    model.until("stalled", 10, |model| model.status("Stalled") == "True");
    assert_eq!((model.phase().as_str(), model.reason("Ready").as_str()), ("Degraded", "PolicyViolation"));
    for part in [
        "RolloutPolicy a: spec.strategy has a first step to weight 10, 5 at most",
        "the bakes of spec.strategy add up to 40s, 1h at least",
        "RolloutPolicy b: spec.analysis has no metric errors",
    ] {
        assert!(message(&model).contains(part), "{}", message(&model));
    }
    model.during(60, |model| model.world.runs.is_empty() && model.status("Stalled") == "True");
    model.policies.clear();
    model.until("a run", 10, |model| !model.world.runs.is_empty());
}

#[test]
fn a_run_holds_when_a_policy_tightens_and_may_always_go_back() {
    let mut model = adopted();
    model.template("v2");
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
    model.policy("strict", "{limits: {maxSpend: 1, maxFirstStep: 1}}");
    model.during(120, |model| model.share() == Percent::whole(10));
    assert_eq!((model.phase().as_str(), model.reason("Ready").as_str()), ("Paused", "PolicyViolation"));
    assert_eq!(
        message(&model),
        "RolloutPolicy strict: spec.errorBudget is missing, a maxSpend of 1 at most is asked for; the run stays at weight 10"
    );
    model.ask(ActionType::Abort, |_| {});
    model.until("the end", 90, Model::ended);
    model.assert_at_rest();
}

#[test]
fn a_policy_that_cannot_be_understood_holds_and_names_the_field() {
    let mut model = adopted();
    model.policy("broken", "{freezeWindows: [{name: x, schedule: '0 25 * * *', duration: 1h}]}");
    model.template("v2");
    model.until("stalled", 10, |model| model.reason("Ready") == "PolicyInvalid");
    assert!(
        message(&model).contains("RolloutPolicy broken: spec.freezeWindows[x]: schedule \"0 25 * * *\" is not five"),
        "{}",
        message(&model)
    );
    model.during(60, |model| model.world.runs.is_empty());
    model.policies.clear();
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
    model.policy("broken", "{freezeWindows: [{name: x, schedule: '0 0 * * *', timeZone: Mars/One, duration: 1h}]}");
    model.during(60, |model| model.share() == Percent::whole(10));
    assert_eq!((model.phase().as_str(), model.reason("Ready").as_str()), ("Paused", "PolicyInvalid"));
}

#[test]
fn approvals_of_excluded_accounts_do_not_count_even_if_they_were_given_before() {
    let mut steps = three_steps();
    steps[0].gates = vec![Gate { name: "qa".into(), approvals: 2 }];
    let mut model = Model::adopted(steps, 1);
    model.template("v2");
    model.until("weight 10", 60, |model| model.share() == Percent::whole(10));
    let approve = |model: &mut Model, author: &str| {
        let answers = model.outcomes.len();
        model.ask(ActionType::Approve, |action| action.author = author.into());
        model.until("an answer", 10, |model| model.outcomes.len() > answers);
        last_answer(model)
    };
    let controller = "system:serviceaccount:argocd:argocd-server";
    assert_eq!(approve(&mut model, controller).0, ActionOutcome::Accepted);
    model.policy("people", "{approvals: {excludedAuthors: ['system:serviceaccount:*']}}");
    assert_eq!(approve(&mut model, "bob").0, ActionOutcome::Accepted);
    model.during(60, |model| model.share() == Percent::whole(10));
    let (outcome, why) = approve(&mut model, "system:serviceaccount:flux:flux");
    assert_eq!(outcome, ActionOutcome::Refused);
    assert!(
        why.contains(
            "RolloutPolicy people excludes that account; another one approves, of those who have the ClusterRole \
                      tidegate-approver or tidegate-admin"
        ),
        "{why}"
    );
    assert_eq!(approve(&mut model, "ada").0, ActionOutcome::Accepted);
    model.until("weight 50", 60, |model| model.share() == Percent::whole(50));
}
