//! Laws on numbers of pods: S1 no more than asked for, S2 an abort absorbs, S3 stable keeps its pods until a run is promoted.

use serde_json::Value;

use super::{Change, Verdicts, broken, mirror::Mirror};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL},
    controller::ROLLOUT,
    engine::Broken,
    workload::object::{label, name, namespace, number, text},
};

pub fn deployment(mirror: &Mirror, change: &Change) -> Verdicts {
    let Some(scaled) = Scaled::of(mirror, change) else { return Verdicts::new() };
    vec![scaled.ceiling(), scaled.absorbed(), scaled.stable_keeps()]
}

/// A Deployment of a revision with another number of pods than before.
struct Scaled<'c> {
    mirror: &'c Mirror,
    change: &'c Change<'c>,
    document: &'c Value,
    rollout: &'c str,
    revision: &'c str,
    had: u32,
    has: u32,
}

impl<'c> Scaled<'c> {
    fn of(mirror: &'c Mirror, change: &'c Change<'c>) -> Option<Self> {
        let document = change.document()?;
        let (rollout, revision) = (label(document, ROLLOUT_LABEL)?, label(document, REVISION_LABEL)?);
        let desired = |document: &Value| u32::try_from(number(document, "/spec/replicas").unwrap_or(1)).unwrap_or(0);
        let (had, has) = (change.before.map_or(0, desired), change.after.map_or(0, desired));
        let exists = mirror.get(ROLLOUT, namespace(document), rollout).is_some();
        (exists && had != has).then_some(Self { mirror, change, document, rollout, revision, had, has })
    }

    fn space(&self) -> &str {
        namespace(self.document)
    }

    /// The open run of this Rollout that names the revision so.
    fn run(&self, role: &str) -> Option<&Value> {
        let mut runs = self.mirror.open_runs(self.space(), self.rollout);
        runs.find(|run| text(run, role) == Some(self.revision))
    }

    /// S1: capacity is bought once for each arm, not without end.
    fn ceiling(&self) -> Option<Broken> {
        let most = self.mirror.most_replicas(self.space(), self.rollout, self.change.at).max(1);
        let too_many = self.has > self.had && self.has > most;
        let message = || format!("{} gets {} pods, {most} are asked for", name(self.document), self.has);
        if too_many { broken("S1", message()) } else { None }
    }

    /// S2: what is under test gets no more pods while its run goes back.
    fn absorbed(&self) -> Option<Broken> {
        let run = self.run("/spec/canary").or_else(|| self.run("/spec/baseline"))?;
        let back = text(run, "/status/phase") == Some("Aborting") && text(run, "/spec/stable") != Some(self.revision);
        let message =
            || format!("{} goes from {} to {} pods while its run goes back", name(self.document), self.had, self.has);
        if back && self.has > self.had { broken("S2", message()) } else { None }
    }

    /// S3: until a run is promoted, stable can take everything back.
    fn stable_keeps(&self) -> Option<Broken> {
        let run = self.run("/spec/stable").filter(|run| text(run, "/spec/canary") != Some(self.revision))?;
        let tested = matches!(text(run, "/status/phase"), Some("Stepping" | "Soaking" | "Aborting"));
        let least = self.mirror.least_replicas(self.space(), self.rollout, self.change.at);
        let message = || {
            let (run, had, has) = (name(run), self.had, self.has);
            format!("{} goes from {had} to {has} pods, {least} are needed to end {run}", name(self.document))
        };
        if tested && self.has < self.had && self.has < least { broken("S3", message()) } else { None }
    }
}
