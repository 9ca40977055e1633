//! The writes of a decision, in order.
//!
//! # Flow
//! One write after another; the first that fails stops the rest. Writes that lower the canary's weight are one group: sent
//! together, each tried again by itself, none waiting for another, and attempted even if something before them failed.
//!
//! # Guarantees
//! Every write builds on the document that the decision has seen and carries its resourceVersion: a stale one is a 409,
//! after which everything is looked at again. Every action does nothing if what it asks for is so already.
//!
//! # Caveats
//! A write without an answer may have happened. Nothing here assumes that it did not.

mod intents;
mod objects;
mod policies;
mod revisions;
mod routes;
mod runs;
mod seal;
mod services;

use std::time::Duration;

use futures::future::{Either, join_all, select};
use serde_json::Value;

use super::{Cluster, ClusterError, Documents, Kind, Memory, Moment, Pace, Runtime, WriteSite};
use crate::{
    api::{Percent, RunPhase},
    engine::{Action, Decision, RouteEdit, RouteState, RunWrite, World},
    traffic::Tested,
};

pub use intents::refuse_orphans;
pub use revisions::dry_run;
pub use runs::status_patch;

/// Tries of one lowering write in one pass.
const LOWERING_TRIES: usize = 3;
const LOWERING_PAUSE: Duration = Duration::from_millis(200);
/// If the record of an abort cannot be written for this long, the routes are lowered without it: waiting costs requests,
/// and lowering is right whatever the record says.
pub const ABORT_PATIENCE: Duration = Duration::from_secs(1);
/// Tries to write the record of an abort.
const ABORT_TRIES: usize = 5;

/// What a write has changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Put(Kind, Value),
    Gone(Kind, String),
    /// The dry-run of a revision's template.
    Said(String, Result<(), String>),
}

type Changes = Result<Vec<Change>, ClusterError>;

/// Where the writes of one pass are made.
pub struct Site<'p> {
    pub cluster: &'p dyn Cluster,
    pub world: &'p World,
    pub documents: &'p mut Documents,
    pub memory: &'p mut Memory,
    pub now: &'p Moment,
    /// Normally [`ABORT_PATIENCE`].
    pub patience: Duration,
    /// Writes that were made.
    pub writes: usize,
    pub pace: &'p Pace,
    pub runtime: &'p dyn Runtime,
}

impl Site<'_> {
    /// Writes the run's record, as far as the decision asks for it.
    pub async fn persist(&mut self, decision: &Decision) -> Result<(), ClusterError> {
        match &decision.run {
            None => Ok(()),
            Some(RunWrite::Status { name, status, transition: false }) if !self.pace.has_room(self.now.millis) => {
                self.remember(name, status);
                Ok(())
            }
            Some(RunWrite::Remember { name, status }) => {
                self.remember(name, status);
                Ok(())
            }
            Some(RunWrite::Create { name, spec }) => {
                let made = runs::create(self.cluster, self.world, self.documents, name, spec).await;
                self.take(made)
            }
            Some(RunWrite::Status { name, status, transition }) => {
                let goes_back = *transition && status.phase == RunPhase::Aborting;
                let written = if goes_back {
                    self.persist_abort(decision, name, status).await
                } else {
                    runs::write(self.cluster, self.world, self.documents, name, status).await
                };
                self.take(written)?;
                self.memory.written(name, self.now.millis);
                Ok(())
            }
        }
    }

    /// Keeps a record that is not worth a write now.
    fn remember(&mut self, name: &str, status: &crate::api::RolloutRunStatus) {
        let version = runs::version(self.documents, name);
        self.memory.remember(name, &version, Box::new(status.clone()));
    }

    /// An abort needs two writes and can do with one: the routes do not wait for a record that cannot be written.
    async fn persist_abort(&self, decision: &Decision, name: &str, status: &crate::api::RolloutRunStatus) -> Changes {
        let record = async {
            let mut tries = 1;
            loop {
                match runs::write(self.cluster, self.world, self.documents, name, status).await {
                    Err(error) if tries < ABORT_TRIES && !matches!(error, ClusterError::Conflict { .. }) => {
                        tries += 1;
                        self.runtime.sleep(self.patience / 4).await;
                    }
                    answer => return answer,
                }
            }
        };
        tokio::pin!(record);
        if let Either::Left((answer, _)) = select(record.as_mut(), self.runtime.sleep(self.patience)).await
            && !matches!(answer, Err(ref error) if !matches!(error, ClusterError::Conflict { .. }))
        {
            return answer;
        }
        tracing::warn!(run = name, "the record of an abort cannot be written; the routes are lowered without it");
        let lowering = decision.actions.iter().filter(|action| lowers(self.world, decision, action));
        let lowered = join_all(lowering.map(|action| self.lower(action))).await;
        // The answers are not taken in: the next pass reads the routes anew.
        drop(lowered);
        runs::write(self.cluster, self.world, self.documents, name, status).await
    }

    /// Carries out the decision's actions.
    pub async fn act(&mut self, decision: &Decision) -> Result<(), ClusterError> {
        let mut failed = None;
        let mut rest = decision.actions.as_slice();
        while let Some(first) = rest.first() {
            let group = rest.iter().take_while(|action| lowers(self.world, decision, action)).count();
            if group > 0 {
                let answers = join_all(rest[..group].iter().map(|action| self.lower(action))).await;
                for answer in answers {
                    failed = failed.or(self.take(answer).err());
                }
            } else if failed.is_none() {
                let answer = self.one(first, self.documents).await;
                failed = self.take(answer).err();
            }
            rest = &rest[group.max(1)..];
        }
        if failed.is_none() {
            let released = services::release_all(self.cluster, self.world, self.documents).await;
            failed = self.take(Ok(released)).err();
        }
        failed.map_or(Ok(()), Err)
    }

    /// One lowering write, tried again on a fresh document: giving weight back is right on every version of it.
    async fn lower(&self, action: &Action) -> Changes {
        let mut answer = self.one(action, self.documents).await;
        for _ in 1..LOWERING_TRIES {
            match &answer {
                Ok(_) | Err(ClusterError::Refused { .. } | ClusterError::NotFound { .. }) => break,
                Err(ClusterError::Conflict { .. } | ClusterError::Exists { .. }) => {}
                Err(ClusterError::Unavailable { .. }) => self.runtime.sleep(LOWERING_PAUSE).await,
            }
            answer = match self.fresh(action).await {
                Ok(documents) => self.one(action, &documents).await,
                Err(error) => Err(error),
            };
        }
        answer
    }

    /// The document that a lowering action edits, read again.
    async fn fresh(&self, action: &Action) -> Result<Documents, ClusterError> {
        let mut documents = Documents::default();
        let (kind, name) = if let Action::Route { original, .. } = action {
            (super::route_kind(&original.kind), original.name.as_str())
        } else if let Action::Pin { service, .. } = action {
            (super::SERVICE, service.as_str())
        } else {
            return Ok(self.documents.clone());
        };
        if let Some(document) = self.cluster.get(kind, &self.world.rollout.namespace, name).await? {
            documents.put(kind, document);
        }
        Ok(documents)
    }

    /// Takes over what a write has changed.
    fn take(&mut self, changes: Changes) -> Result<(), ClusterError> {
        for change in changes? {
            match change {
                Change::Put(kind, document) => self.documents.put(kind, document),
                Change::Gone(kind, name) => self.documents.remove(kind, &name),
                Change::Said(revision, outcome) => self.memory.dry_run_said(&revision, outcome, self.now.millis),
            }
            self.writes += 1;
        }
        Ok(())
    }

    async fn one(&self, action: &Action, documents: &Documents) -> Changes {
        let (cluster, world) = (self.cluster, self.world);
        match action {
            Action::AddFinalizer => objects::finalizer(cluster, world, documents, true).await,
            Action::RemoveFinalizer => objects::finalizer(cluster, world, documents, false).await,
            Action::WriteReplicas { replicas } => objects::replicas(cluster, world, documents, *replicas).await,
            Action::DryRun { revision } => {
                let said = revisions::dry_run(cluster, world, documents, revision).await?;
                Ok(said.map(|said| Change::Said(revision.clone(), said)).into_iter().collect())
            }
            Action::RecordRevision { revision } => revisions::record(cluster, world, documents, revision).await,
            Action::CreateDeployment { revision, replicas } => {
                revisions::create(cluster, world, documents, revision, *replicas).await
            }
            Action::Scale { revision, replicas } => {
                revisions::scale(cluster, world, documents, revision, *replicas).await
            }
            Action::DeleteDeployment { revision } => revisions::delete(cluster, world, documents, revision).await,
            Action::ApplyServices { revision } => services::apply(cluster, world, documents, revision).await,
            Action::DeleteServices { revision } => services::delete(cluster, world, documents, revision).await,
            Action::MarkProven { revision, ordinal } => {
                revisions::prove(cluster, world, documents, revision, *ordinal).await
            }
            Action::DeleteRecord { revision } => revisions::forget(cluster, world, documents, revision).await,
            Action::RestartPods { revision, at } => revisions::restart(cluster, world, documents, revision, at).await,
            Action::Pin { service, revision, run } => {
                services::pin(cluster, world, documents, service, revision, run.as_deref()).await
            }
            Action::Share { service, run } => services::share(cluster, world, documents, service, run).await,
            Action::Unpin { service } => services::unpin(cluster, world, documents, service).await,
            Action::Route { original, canary, baseline, total, edit } => {
                let tested = Tested { canary, baseline: baseline.as_deref() };
                routes::edit(cluster, world, documents, original, tested, *total, edit).await
            }
            Action::Seal { kind, name, run } => seal::seal(cluster, world, documents, kind, name, run).await,
            Action::Preview { service, revision } => {
                services::preview(cluster, world, documents, service, revision).await
            }
            Action::ScaleSource { replicas } => revisions::scale_source(cluster, world, documents, *replicas).await,
            Action::RestoreSource { revision } => revisions::restore_source(cluster, world, documents, revision).await,
            Action::Resolve { action, outcome, message, run } => {
                let run = run.as_deref();
                intents::resolve(cluster, world, documents, self.now, action, *outcome, message, run).await
            }
            Action::DeleteAction { action } => {
                objects::delete(WriteSite::ActionDelete, cluster, world, documents, super::ACTION, action).await
            }
            Action::DeleteRun { name } => {
                objects::delete(WriteSite::RunDelete, cluster, world, documents, super::RUN, name).await
            }
            Action::CloseRun { name, status } => runs::write(cluster, world, documents, name, status).await,
        }
    }
}

/// The action takes traffic from the canary: a smaller share in a route, or without routes the pin of a run that goes back.
fn lowers(world: &World, decision: &Decision, action: &Action) -> bool {
    if let Action::Route { original, edit: RouteEdit::Weight { share, baseline }, .. } = action {
        let route = world.routes.iter().find(|route| route.kind == original.kind && route.name == original.name);
        let shares = |state: &RouteState| (state.canary.largest(), state.baseline_refs().largest());
        let (of_canary, of_baseline) =
            route.and_then(|route| route.state.known()).map_or((Percent::FULL, Percent::ZERO), shares);
        return *share < of_canary || *share == of_canary && *baseline < of_baseline;
    }
    matches!(action, Action::Pin { .. }) && world.routes.is_empty() && goes_back(world, decision)
}

fn goes_back(world: &World, decision: &Decision) -> bool {
    let status = match &decision.run {
        Some(RunWrite::Status { status, .. } | RunWrite::Remember { status, .. }) => Some(&**status),
        Some(RunWrite::Create { .. }) | None => super::open_run(&world.runs).and_then(|run| run.status.as_ref()),
    };
    status.is_some_and(|status| status.phase == RunPhase::Aborting)
}
