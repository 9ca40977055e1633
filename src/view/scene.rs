//! What one look at a Rollout shows: the object, its current run, the pods of its revisions, and the time.
//!
//! It is gathered elsewhere; questions that several parts of a page ask of it are answered here.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::age;
use crate::api::{Condition, Percent, Phase, PlanStep, Reason, Rollout, RolloutRun, RolloutRunStatus, RunPhase};

/// Pods of one revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    pub desired: u32,
    pub ready: u32,
}

pub struct Scene<'a> {
    pub rollout: &'a Rollout,
    /// The run that the Rollout's status names.
    pub run: Option<&'a RolloutRun>,
    /// Pods by revision.
    pub pods: BTreeMap<String, Pods>,
    /// None: nothing that merely ages is shown, so that equal states give equal lines.
    pub now: Option<Timestamp>,
}

impl<'a> Scene<'a> {
    pub fn name(&self) -> &'a str {
        self.rollout.metadata.name.as_deref().unwrap_or_default()
    }

    pub fn namespace(&self) -> &'a str {
        self.rollout.metadata.namespace.as_deref().unwrap_or_default()
    }

    pub fn phase(&self) -> Option<Phase> {
        self.rollout.status.as_ref().and_then(|status| status.phase)
    }

    pub fn message(&self) -> &'a str {
        self.rollout.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default()
    }

    pub fn conditions(&self) -> &'a [Condition] {
        self.rollout.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    pub fn record(&self) -> Option<&'a RolloutRunStatus> {
        self.run.and_then(|run| run.status.as_ref())
    }

    /// The run is in the cluster still: it owns a part of the traffic, or gives it back.
    pub fn is_running(&self) -> bool {
        self.record().is_some_and(|record| record.phase != RunPhase::Ended)
    }

    /// The present step, while the run is in its steps.
    pub fn step(&self) -> Option<&'a PlanStep> {
        let record = self.record().filter(|record| record.phase == RunPhase::Stepping)?;
        self.run?.spec.plan.steps.get(record.step as usize)
    }

    /// The share that the revision under test is granted; 0 without one.
    pub fn weight(&self) -> Percent {
        match self.record() {
            Some(record) if self.is_running() => record.weight,
            Some(_) | None => Percent::ZERO,
        }
    }

    /// The reason that best says why the Rollout stands where it stands.
    pub fn reason(&self) -> Option<Reason> {
        let of_run = self.record().filter(|_| self.is_running()).and_then(|record| record.reason);
        let ready = self.conditions().iter().find(|condition| condition.kind == "Ready");
        ready.and_then(|ready| reason_of(&ready.reason)).or(of_run)
    }

    /// The controller has not seen the present spec; the generations it has and should have seen.
    pub fn unseen_generation(&self) -> Option<(i64, i64)> {
        let generation = self.rollout.metadata.generation.unwrap_or(0);
        let observed = self.rollout.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(-1);
        (observed < generation).then_some((observed, generation))
    }

    /// Milliseconds since the run's status was last written: what is in it as credit is as old as that.
    pub fn since_written(&self) -> Option<u64> {
        let (run, record) = (self.run?, self.record()?);
        let written = run.metadata.managed_fields.iter().flatten();
        let status = written.filter(|entry| entry.subresource.as_deref() == Some("status"));
        let latest = status.filter_map(|entry| entry.time.as_ref()).map(|time| time.0).max();
        let recorded = [&record.since, &record.settled_at].into_iter().flatten();
        let at = latest.or_else(|| recorded.filter_map(|time| age::moment(time)).max())?;
        Some(age::between(at, self.now?))
    }
}

/// The reason that a condition's word stands for; None for a word of a newer controller.
pub fn reason_of(word: &str) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|reason| reason.word() == word)
}
