//! A trial's record made into what the page shows: decisions and verdicts of the run's own record, in the order of time.

use std::collections::BTreeMap;

use crate::{
    api::{DecisionEntry, Reason, RolloutRunStatus, RunOutcome, RunPhase, Span},
    sim::{
        Deed, Millis,
        trial::{Record, Trial},
    },
    view::{Happened, Scene, Simulated, Spent, Weight, Whose, hints},
};

pub fn of(trial: &Trial, record: Record, assumed: Vec<String>) -> Simulated {
    let last = record.states.last().map(|(_, status)| status.clone()).unwrap_or_default();
    let canary = record.plan.as_ref().map(|spec| spec.canary.clone()).unwrap_or_default();
    let answered = record.answered.get(&canary).copied().unwrap_or_default();
    let spend = last.evidence.as_ref().and_then(|evidence| evidence.spend.as_ref());
    let outcome = last.outcome;
    let hints = record
        .left
        .as_ref()
        .map(|(rollout, run)| hints(&Scene { rollout, run: Some(run), pods: BTreeMap::new(), now: None }));
    Simulated {
        rollout: trial.rollout.clone(),
        namespace: trial.namespace.clone(),
        assumed: assumed.into_iter().chain(record.offences.iter().map(|law| format!("BROKEN LAW {law}"))).collect(),
        outcome,
        lasted: Span::millis(record.lasted),
        phase: record.phase.clone(),
        message: record.message.clone(),
        hints: hints.unwrap_or_default(),
        weights: weights(&record.states),
        events: events(&record),
        canary_requests: answered.total,
        canary_bad_requests: answered.bad,
        lost_requests: record.lost,
        budget: spend.map(|spend| Spent {
            requests: spend.excess_hundredths.max(0).unsigned_abs() / 100,
            allowance: spend.allowance,
        }),
    }
}

/// A weight that stands for less is no stair of its own.
const MOMENT: Millis = 5_000;

fn weights(states: &[(Millis, RolloutRunStatus)]) -> Vec<Weight> {
    let mut found: Vec<Weight> = Vec::new();
    for (at, status) in states {
        let at = if found.is_empty() { 0 } else { *at };
        let is_kept = status.outcome == Some(RunOutcome::Promoted) || status.phase == RunPhase::Finishing;
        let soak = status.phase == RunPhase::Soaking || is_kept;
        let next = Weight { at: Span::millis(at), weight: status.weight, soak };
        match found.last_mut() {
            Some(last) if (last.weight, last.soak) == (next.weight, next.soak) => {}
            Some(last) if last.weight == next.weight && at - last.at.as_millis() < MOMENT => last.soak = soak,
            _ => found.push(next),
        }
    }
    found
}

fn events(record: &Record) -> Vec<Happened> {
    let mut found: Vec<(Millis, Happened)> = Vec::new();
    let mut note = |at: Millis, kind: Whose, word: String, message: &str| {
        found.push((at, Happened { at: Span::millis(at), kind, word, message: message.to_owned() }));
    };
    let (mut decided, mut verdict) = (0, (String::new(), None));
    for (at, status) in &record.states {
        if let Some(evidence) = &status.evidence {
            let seen = (evidence.verdict.clone(), evidence.reason);
            let says_it = |entry: &DecisionEntry| entry.seq > decided && entry.message == evidence.message;
            let is_said = status.decisions.entries.last().is_some_and(says_it);
            // That the first windows of a step are waited for is no news.
            if seen != verdict && !evidence.verdict.is_empty() && evidence.reason != Some(Reason::Warmup) {
                if !is_said {
                    let reason = evidence.reason.map(|reason| format!(" ({})", reason.word())).unwrap_or_default();
                    note(*at, Whose::Evidence, format!("evidence {}{reason}", evidence.verdict), &evidence.message);
                }
                verdict = seen;
            }
        }
        for entry in status.decisions.entries.iter().filter(|entry| entry.seq > decided) {
            let word = format!("step {}, weight {}: {}", entry.step + 1, entry.weight, entry.reason.word());
            note(*at, Whose::Decision, word, &entry.message);
        }
        decided = status.decisions.entries.last().map_or(decided, |entry| entry.seq.max(decided));
    }
    for (at, phase, message) in &record.phases {
        if phase == "Paused" || phase == "Pending" {
            note(*at, Whose::Phase, phase.clone(), message);
        }
    }
    for (at, deed) in record.deeds.iter().filter(|(at, _)| *at <= record.lasted) {
        note(*at, Whose::Outside, told(deed), "");
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, event)| event).collect()
}

/// What was done from outside.
fn told(deed: &Deed) -> String {
    match deed {
        Deed::Fail { per_million, .. } => {
            format!("* the new revision fails {} % of its requests", *per_million as f64 / 1e4)
        }
        Deed::Prometheus { away: true } => "* the metrics server does not answer".into(),
        Deed::Prometheus { away: false } => "* the metrics server answers again".into(),
        Deed::ResetRoute { name } => format!("* another tool writes route {name} back"),
        Deed::Ask { kind, .. } => format!("* a person asks: {kind:?}"),
        Deed::Approve { gate, person, .. } => format!("* {person} approves gate {gate}"),
        Deed::Kill => "* the controller is killed, and started again".into(),
        other => format!("* {}", other.word()),
    }
}
