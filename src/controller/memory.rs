//! What the shell remembers of one Rollout between two passes: times that facts have held, what the dry-run said, credits
//! not yet written.
//!
//! Nothing in here is needed for safety: after a restart every wait begins anew, which is the safe direction. All times
//! are monotonic milliseconds that the caller hands in.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Key, standstill::Told};
use crate::{
    api::{Reason, RolloutRunStatus},
    engine::{Fact, PolicyView, Revision, RevisionView},
};

/// Most that one pass credits. A process that was stopped or cut off for an hour has not watched for an hour: were more
/// credited, a bake could end without having been looked at.
const MOST_CREDIT_MILLIS: u64 = 10_000;

/// For how long a refusal of the dry-run is believed: a quota or an admission policy that refused may have changed.
const REFUSAL_MILLIS: u64 = 60_000;

/// One Rollout's memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    last_pass: Option<u64>,
    held: BTreeMap<Fact, u64>,
    dry_run: Option<DryRun>,
    run: Option<RunMemory>,
    hold: Option<(Reason, u64)>,
    /// What was told of standstills.
    pub told: Told,
    /// The revisions as they were last seen: going back must not wait for a list of pods that cannot be read.
    pub revisions: Option<BTreeMap<Revision, RevisionView>>,
    /// The policies that do not follow, as they were last seen.
    pub not_carried: Vec<PolicyView>,
    /// Passes in a row that ended early.
    pub failures: u32,
}

#[derive(Clone, Debug, PartialEq)]
struct DryRun {
    revision: Revision,
    outcome: Result<(), String>,
    at: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct RunMemory {
    name: String,
    written_at: u64,
    unwritten: Option<(String, Box<RolloutRunStatus>)>,
}

impl Memory {
    /// Begins a pass: how much time it may credit.
    pub fn begin(&mut self, now: u64) -> u64 {
        let elapsed = self.last_pass.map_or(0, |last| now.saturating_sub(last).min(MOST_CREDIT_MILLIS));
        self.last_pass = Some(now);
        for millis in self.held.values_mut() {
            *millis += elapsed;
        }
        elapsed
    }

    /// How long each fact of the last decision has held.
    pub fn held(&self) -> BTreeMap<Fact, u64> {
        self.held.clone()
    }

    /// Takes over the facts of a decision: new ones begin at 0, and one that is missing is forgotten.
    pub fn learn(&mut self, facts: &BTreeSet<Fact>) {
        self.held = facts.iter().map(|fact| (fact.clone(), self.held.get(fact).copied().unwrap_or(0))).collect();
    }

    /// What the dry-run said of this revision.
    pub fn dry_run(&self, revision: &str) -> Option<Result<(), String>> {
        self.dry_run.as_ref().filter(|known| known.revision == revision).map(|known| known.outcome.clone())
    }

    /// The dry-run refused this revision a while ago: what refused it may have changed.
    pub fn refusal_is_stale(&self, revision: &str, now: u64) -> bool {
        self.dry_run.as_ref().is_some_and(|known| {
            known.revision == revision && known.outcome.is_err() && now.saturating_sub(known.at) > REFUSAL_MILLIS
        })
    }

    pub fn dry_run_said(&mut self, revision: &str, outcome: Result<(), String>, now: u64) {
        self.dry_run = Some(DryRun { revision: revision.into(), outcome, at: now });
    }

    /// The run's status as far as it is known here, and how long ago it was last written.
    pub fn recall(
        &mut self,
        name: &str,
        resource_version: &str,
        written: Option<RolloutRunStatus>,
        now: u64,
    ) -> (Option<RolloutRunStatus>, u64) {
        if self.run.as_ref().is_none_or(|run| run.name != name) {
            self.run = Some(RunMemory { name: name.into(), written_at: now, unwritten: None });
        }
        let Some(run) = &mut self.run else { return (written, 0) };
        // Somebody else has written: what is remembered does not build on it.
        run.unwritten.take_if(|(version, _)| version != resource_version);
        let status = run.unwritten.as_ref().map_or(written, |(_, status)| Some((**status).clone()));
        (status, now.saturating_sub(run.written_at))
    }

    /// Keeps credits and evidence that are not worth a write.
    pub fn remember(&mut self, name: &str, resource_version: &str, status: Box<RolloutRunStatus>) {
        if let Some(run) = self.run.as_mut().filter(|run| run.name == name) {
            run.unwritten = Some((resource_version.into(), status));
        }
    }

    /// The run's status stands in the cluster now.
    pub fn written(&mut self, name: &str, now: u64) {
        self.run = Some(RunMemory { name: name.into(), written_at: now, unwritten: None });
    }

    /// For how long the Rollout has waited for this reason; None: it does not wait.
    pub fn hold(&mut self, reason: Option<Reason>, now: u64) -> Option<(Reason, u64)> {
        let since = |known: &(Reason, u64)| (Some(known.0) == reason).then_some(known.1);
        let since = self.hold.as_ref().and_then(since).unwrap_or(now);
        self.hold = reason.map(|reason| (reason, since));
        reason.map(|reason| (reason, now.saturating_sub(since)))
    }
}

/// The memories of all Rollouts.
#[derive(Default)]
pub struct Memories {
    by_key: Mutex<HashMap<Key, Memory>>,
}

impl Memories {
    /// Takes a Rollout's memory out: if the pass panics, it begins anew.
    pub fn take(&self, key: &Key) -> Memory {
        self.lock().remove(key).unwrap_or_default()
    }

    pub fn put(&self, key: &Key, memory: Memory) {
        self.lock().insert(key.clone(), memory);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Memory>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_that_disappears_begins_anew() {
        let mut memory = Memory::default();
        let facts = BTreeSet::from([Fact::Named, Fact::Ready]);
        assert_eq!(memory.begin(1_000), 0);
        memory.learn(&facts);
        assert_eq!(memory.begin(4_000), 3_000);
        assert_eq!(memory.held(), BTreeMap::from([(Fact::Named, 3_000), (Fact::Ready, 3_000)]));
        memory.learn(&BTreeSet::from([Fact::Ready]));
        memory.begin(5_000);
        memory.learn(&facts);
        memory.begin(6_000);
        assert_eq!(memory.held(), BTreeMap::from([(Fact::Named, 1_000), (Fact::Ready, 5_000)]));
    }

    #[test]
    fn a_long_pause_is_credited_with_ten_seconds() {
        let mut memory = Memory::default();
        memory.begin(0);
        memory.learn(&BTreeSet::from([Fact::Named]));
        assert_eq!(memory.begin(3_600_000), 10_000);
        assert_eq!(memory.held().get(&Fact::Named), Some(&10_000));
        assert_eq!(memory.begin(0), 0);
    }

    #[test]
    fn credits_are_remembered_until_somebody_writes() {
        let mut memory = Memory::default();
        let (written, kept) = (RolloutRunStatus::default(), RolloutRunStatus { seq: 7, ..Default::default() });
        assert_eq!(memory.recall("run", "1", Some(written.clone()), 0), (Some(written.clone()), 0));
        memory.remember("run", "1", Box::new(kept.clone()));
        assert_eq!(memory.recall("run", "1", Some(written.clone()), 2_000), (Some(kept), 2_000));
        assert_eq!(memory.recall("run", "2", Some(written.clone()), 3_000), (Some(written.clone()), 3_000));
        assert_eq!(memory.recall("run", "1", Some(written.clone()), 4_000), (Some(written), 4_000));
    }

    #[test]
    fn a_refusal_is_asked_again_and_a_consent_is_not() {
        let mut memory = Memory::default();
        memory.dry_run_said("a", Err("no".into()), 0);
        assert_eq!((memory.dry_run("a"), memory.dry_run("b")), (Some(Err("no".into())), None));
        assert_eq!([1_000, 61_000].map(|now| memory.refusal_is_stale("a", now)), [false, true]);
        memory.dry_run_said("a", Ok(()), 61_000);
        assert!(!memory.refusal_is_stale("a", 900_000));
    }

    #[test]
    fn a_hold_ages_until_its_reason_changes() {
        let mut memory = Memory::default();
        assert_eq!(memory.hold(Some(Reason::Paused), 1_000), Some((Reason::Paused, 0)));
        assert_eq!(memory.hold(Some(Reason::Paused), 3_000), Some((Reason::Paused, 2_000)));
        assert_eq!(memory.hold(Some(Reason::RuleBusy), 4_000), Some((Reason::RuleBusy, 0)));
        assert_eq!(memory.hold(None, 5_000), None);
    }
}
