//! One reconcile: observe, decide, check the laws, persist, act, settle, report.
//!
//! No policy: no `if` about weights, steps or verdicts.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

#[cfg(feature = "mutants")]
use super::mutation;
use super::{
    ABORT_PATIENCE, BudgetQuestion, Cluster, ClusterError, Documents, Evaluation, Evaluators, Events, Fenced, Key,
    Leadership, Memories, Memory, Metrics, Moment, Notifications, Observation, Outcome, Pace, ROLLOUT, Runtime, Site,
    WriteSite, dry_run, gather, may_act, observe, open_run, refuse_orphans, report, settle, status_patch,
};
use crate::{
    engine::{Decision, RunWrite, World, decide, laws},
    workload::object::text,
};

/// The next look after a pass that wrote something: the cluster has had a moment to answer.
const AFTER_WRITES: Duration = Duration::from_millis(200);
/// The next look at answered actions whose Rollout does not exist.
const ORPHANS_LOOK: Duration = Duration::from_secs(3_600);
const FIRST_RETRY: Duration = Duration::from_millis(50);
/// The next look while the Lease is asked who leads.
const CONTESTED: Duration = Duration::from_millis(250);
/// The longest wait after errors: an abort must not wait much longer than the API server is away.
const LAST_RETRY: Duration = Duration::from_secs(5);

/// What all passes share.
pub struct Shell {
    pub cluster: Arc<dyn Cluster>,
    pub metrics: Arc<Metrics>,
    pub runtime: Arc<dyn Runtime>,
    pub leadership: Arc<Leadership>,
    events: Events,
    evaluators: Evaluators,
    notifications: Option<Notifications>,
    memories: Memories,
    pace: Pace,
}

impl Shell {
    /// Writes go to the cluster only while this process leads.
    pub fn new(
        cluster: Arc<dyn Cluster>,
        metrics: Arc<Metrics>,
        events: Events,
        evaluators: Evaluators,
        runtime: Arc<dyn Runtime>,
        leadership: Arc<Leadership>,
    ) -> Self {
        let cluster = Arc::new(Fenced::new(cluster, leadership.clone()));
        let (memories, pace) = (Memories::default(), Pace::default());
        Self { cluster, metrics, runtime, leadership, events, evaluators, notifications: None, memories, pace }
    }

    /// Decisions are told to these receivers too.
    pub fn telling(self, notifications: Option<Notifications>) -> Self {
        Self { notifications, ..self }
    }

    fn forget(&self, key: &Key) {
        self.memories.take(key);
        self.evaluators.stop(key);
        self.evaluators.forget_burn(key);
        self.metrics.forget(key);
        if let Some(notifications) = &self.notifications {
            notifications.forget(key);
        }
    }
}

/// One pass over one Rollout. When to look again; None: it is gone.
pub async fn reconcile(shell: &Shell, key: &Key, now: Moment) -> Option<Duration> {
    let rollout = match shell.cluster.get(ROLLOUT, &key.namespace, &key.name).await {
        Ok(Some(rollout)) => rollout,
        Ok(None) => {
            shell.forget(key);
            return match refuse_orphans(&*shell.cluster, key, &now).await {
                Ok(false) => None,
                Ok(true) => Some(ORPHANS_LOOK),
                Err(_) => Some(LAST_RETRY),
            };
        }
        Err(error) => {
            let mut memory = shell.memories.take(key);
            let next = failed(shell, key, &mut memory, "observe", &error);
            shell.memories.put(key, memory);
            return Some(next);
        }
    };
    let mut memory = shell.memories.take(key);
    let next = pass(shell, key, rollout, &mut memory, &now).await;
    shell.memories.put(key, memory);
    Some(next)
}

async fn pass(shell: &Shell, key: &Key, rollout: Value, memory: &mut Memory, now: &Moment) -> Duration {
    let (epoch, evidence) = (shell.leadership.epoch(), shell.evaluators.latest(key));
    let gathered = match gather(&*shell.cluster, rollout).await {
        Ok(gathered) => gathered,
        Err(error) => return failed(shell, key, memory, "observe", &error),
    };
    let view = evidence.as_ref().map(|evidence| evidence.view.clone());
    let observation = observe(gathered, memory, now, epoch, view);
    let Observation { mut world, mut documents, evaluation, budget } = match observation {
        Ok(observation) => observation,
        Err(error) => return failed(shell, key, memory, "observe", &error),
    };
    match may_act(&*shell.cluster, &shell.leadership, &mut world).await {
        Ok(true) => {}
        Ok(false) => return CONTESTED,
        Err(error) => return failed(shell, key, memory, "observe", &error),
    }
    recall(shell, key, &mut world, &documents, budget.as_ref(), now);
    ask_again(shell, &mut world, &documents, memory, now).await;
    #[cfg(feature = "mutants")]
    mutation::of_world(&mut world);
    let decision = decide(&world);
    #[cfg(feature = "mutants")]
    let decision = mutation::of_decision(&world, decision);
    let broken = laws(&world, &decision);
    #[cfg(feature = "mutants")]
    let broken = mutation::noted(broken);
    for law in &broken {
        shell.metrics.law_broken(law.law);
    }
    let mut site = Site {
        cluster: &*shell.cluster,
        world: &world,
        documents: &mut documents,
        memory,
        now,
        patience: ABORT_PATIENCE,
        writes: 0,
        pace: &shell.pace,
        runtime: &*shell.runtime,
    };
    let outcome = if broken.is_empty() { site.carry_out(&decision).await } else { Outcome::Forbidden(broken) };
    let wrote = site.writes > 0;
    memory.learn(&decision.facts);

    let status = settle(&world, &decision, &outcome);
    let shown = status.as_ref().unwrap_or(&world.rollout.status);
    let age = evidence.map(|evidence| now.millis.saturating_sub(evidence.at_millis));
    shell.metrics.show(key, report::gauges(shown, &world, memory, age, now));
    report::transitions(key, &world, &decision, &outcome, &shell.events, &shell.metrics, now);
    if let Some(status) = &status {
        report::trouble(key, &world, &outcome, &shell.events, now);
        if let Err(error) = write_status(&*shell.cluster, &world, &documents, status).await {
            return failed(shell, key, memory, "settle", &error);
        }
        if matches!(outcome, Outcome::Done)
            && let Some(note) = memory.told.news(&world.rollout.status, status, &decision.notes, now.millis)
        {
            report::standstill(key, &world, &note, &shell.events, &shell.metrics, now);
        }
    }
    follow(shell, key, &world, evaluation, &decision, &outcome);
    if let Some(question) = budget.filter(|_| decision.wants_burn) {
        shell.evaluators.ask_burn(key, question);
    }
    next_look(shell, key, memory, &decision, &outcome, wrote)
}

/// When to look again after a pass that came to its end.
fn next_look(
    shell: &Shell,
    key: &Key,
    memory: &mut Memory,
    decision: &Decision,
    outcome: &Outcome,
    wrote: bool,
) -> Duration {
    match outcome {
        Outcome::Done => {
            memory.failures = 0;
            if wrote { decision.wake.min(AFTER_WRITES) } else { decision.wake }
        }
        Outcome::Forbidden(_) => LAST_RETRY.min(decision.wake),
        Outcome::NotPersisted(error) => failed(shell, key, memory, "persist", error),
        Outcome::Stopped(error) => failed(shell, key, memory, "act", error),
    }
}

/// What is known beside the cluster: how far the receivers of decisions are, and how the error budget stands.
fn recall(
    shell: &Shell,
    key: &Key,
    world: &mut World,
    documents: &Documents,
    budget: Option<&BudgetQuestion>,
    now: &Moment,
) {
    if let Some(notifications) = &shell.notifications {
        notifications.follow(key, world, documents, now);
    }
    world.guardrails.burn = budget.and_then(|question| shell.evaluators.burn(key, question));
}

/// A template that the API server refused is asked about again now and then: a quota or a policy may have refused it.
async fn ask_again(shell: &Shell, world: &mut World, documents: &Documents, memory: &mut Memory, now: &Moment) {
    let Some(revision) = world.source.known().map(|source| source.revision.clone()) else { return };
    if !memory.refusal_is_stale(&revision, now.millis) {
        return;
    }
    // Without an answer the last one stands.
    if let Ok(Some(said)) = dry_run(&*shell.cluster, world, documents, &revision).await {
        memory.dry_run_said(&revision, said.clone(), now.millis);
        world.dry_run = Some(said);
    }
}

impl Site<'_> {
    /// The record first, then the actions.
    pub async fn carry_out(&mut self, decision: &Decision) -> Outcome {
        if let Err(error) = self.persist(decision).await {
            return Outcome::NotPersisted(error);
        }
        match self.act(decision).await {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::Stopped(error),
        }
    }
}

/// Writes the Rollout's status as a whole, on the newest version that this pass has seen.
async fn write_status(
    cluster: &dyn Cluster,
    world: &World,
    documents: &Documents,
    status: &crate::api::RolloutStatus,
) -> Result<(), ClusterError> {
    let (namespace, name) = (&world.rollout.namespace, &world.rollout.name);
    let Some(document) = documents.get(ROLLOUT, name) else { return Ok(()) };
    let version = text(document, "/metadata/resourceVersion").unwrap_or_default();
    let object = || format!("Rollout {namespace}/{name}");
    let status = serde_json::to_value(status)
        .map_err(|error| ClusterError::Refused { object: object(), message: error.to_string() })?;
    match cluster
        .patch(WriteSite::RolloutStatus, ROLLOUT, namespace, name, "status", &status_patch(version, &status))
        .await
    {
        // The finalizer went in this pass, and the Rollout with it.
        Ok(_) | Err(ClusterError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Lets the evaluator of this Rollout follow the run as it stands after the pass.
fn follow(
    shell: &Shell,
    key: &Key,
    world: &World,
    evaluation: Option<Evaluation>,
    decision: &Decision,
    outcome: &Outcome,
) {
    let happened = matches!(outcome, Outcome::Done | Outcome::Stopped(_));
    let status = match &decision.run {
        Some(RunWrite::Status { status, .. } | RunWrite::Remember { status, .. }) if happened => Some(&**status),
        Some(_) | None => open_run(&world.runs).and_then(|run| run.status.as_ref()),
    };
    match (evaluation, status) {
        (Some(evaluation), Some(status)) => shell.evaluators.follow(key, evaluation, status),
        (None, _) | (_, None) => shell.evaluators.stop(key),
    }
}

/// A pass that ended early: the next one comes soon, and later each time that it happens again.
fn failed(shell: &Shell, key: &Key, memory: &mut Memory, stage: &'static str, error: &ClusterError) -> Duration {
    let conflict = matches!(error, ClusterError::Conflict { .. });
    shell.metrics.reconcile_error(if conflict { "conflict" } else { stage });
    tracing::debug!(rollout = %key, stage, %error, "a pass ended early");
    let wait = FIRST_RETRY.saturating_mul(1 << memory.failures.min(10));
    memory.failures = memory.failures.saturating_add(1);
    wait.min(LAST_RETRY)
}
