//! The World from the documents of one pass.
//!
//! Pure: reading was done before. What could not be read becomes Unknown with the reason, never Absent; inputs for which
//! the World has no Unknown of their own make the source Unknown, so that nothing starts or advances on a gap.

mod actions;
mod analysis;
mod authors;
mod budget;
mod guardrails;
mod order;
mod policies;
mod refusals;
mod revisions;
mod rollout;
mod routes;
mod runs;
mod services;

use serde_json::Value;

pub use actions::{expired, unconsumed};
pub use order::{Evaluation, seconds};
pub use revisions::source_template;

use super::{
    ACTION, BudgetQuestion, CONTROLLER_REVISION, COPIED_POLICIES, ClusterError, DEPLOYMENT, Documents, Gathered,
    Memory, Moment, ROLLOUT, RUN, SERVICE,
};
use crate::{
    api::RunPhase,
    engine::{EvidenceView, RunView, Seen, World},
};

/// One look at a Rollout.
#[derive(Debug)]
pub struct Observation {
    pub world: World,
    pub documents: Documents,
    /// What the open run is judged by; None: by nothing.
    pub evaluation: Option<Evaluation>,
    /// How the service's error budget is measured before a run; None: no policy guards it, or there is none.
    pub budget: Option<BudgetQuestion>,
}

/// Builds the World; an error means that what was begun cannot be told.
pub fn observe(
    gathered: Gathered,
    memory: &mut Memory,
    now: &Moment,
    epoch: i64,
    evidence: Option<EvidenceView>,
) -> Result<Observation, ClusterError> {
    let elapsed_millis = memory.begin(now.millis);
    let rollout = rollout::view(&gathered);
    let runs = runs::views(&gathered.runs, &rollout.uid, memory, now.millis)?;
    let open = open_run(&runs);
    let routes = routes::views(&gathered, &rollout, open);
    let services = services::views(&gathered, &rollout, open, &routes.ports);
    let revisions = revisions::views(&gathered, &routes.ports, memory)?;
    let source = revisions::source(&gathered);
    let referenced = gathered.source.iter().flatten().flatten().next();
    let template = source_template(&gathered.rollout, referenced);
    let refusals = refusals::all(&gathered, &rollout, template.as_ref(), &services, &routes);
    let not_carried = policies::not_carried(&gathered, &services, memory);
    let evaluation = open.and_then(|run| order::evaluation(&gathered, &rollout, run, &runs, &routes.ports));
    let mut unread = Vec::new();
    let actions = actions::views(&gathered, &mut unread);
    let guardrails = guardrails::facts(&gathered, &rollout, &now.text, &mut unread);
    unread.extend(refusals.unread);
    unread.extend(revisions.unread);
    let analysis = analysis::resolve(&gathered);
    let budget = budget::question(&gathered, &rollout, &analysis, &guardrails, &revisions.views, &runs, &routes.ports);
    let dry_run = source.known().and_then(|source| memory.dry_run(&source.revision));
    let world = World {
        now: now.text.clone(),
        elapsed_millis,
        held: memory.held(),
        epoch,
        source: if unread.is_empty() { source } else { Seen::Unknown(unread.join("; ")) },
        revisions: revisions.views,
        services: services.views,
        preview: services.preview,
        routes: routes.views,
        actions,
        spent_actions: gathered
            .actions
            .as_ref()
            .map_or_else(|_| Vec::new(), |all| actions::spent(all, &rollout.name, &now.text)),
        refusals: refusals.found,
        guardrails,
        not_carried,
        dry_run,
        analysis,
        evidence,
        rollout,
        runs,
    };
    Ok(Observation { documents: documents(gathered), world, evaluation, budget })
}

/// The run that is not over; at most one is.
pub fn open_run(runs: &[RunView]) -> Option<&RunView> {
    runs.iter().rev().find(|run| run.status.as_ref().is_none_or(|status| status.phase != RunPhase::Ended))
}

/// Everything that a write of this pass may build on.
fn documents(gathered: Gathered) -> Documents {
    let mut documents = Documents::default();
    documents.put(ROLLOUT, gathered.rollout);
    documents.put_all(RUN, gathered.runs);
    for (kind, read) in [
        (ACTION, gathered.actions),
        (CONTROLLER_REVISION, gathered.records),
        (DEPLOYMENT, gathered.deployments),
        (SERVICE, gathered.own_services),
    ] {
        documents.put_all(kind, read.into_iter().flatten());
    }
    documents.put_all(DEPLOYMENT, gathered.source.into_iter().flatten().flatten());
    for (kind, read) in gathered.policies.into_iter().filter(|(kind, _)| COPIED_POLICIES.contains(kind)) {
        documents.put_all(kind, read.into_iter().flatten());
    }
    for ((kind, _), read) in gathered.objects {
        documents.put_all(kind, read.into_iter().flatten());
    }
    documents
}

/// A document that was read, is not there, or could not be read.
fn seen(read: Option<&Result<Option<Value>, ClusterError>>) -> Seen<&Value> {
    match read {
        Some(Ok(Some(document))) => Seen::Known(document),
        Some(Ok(None)) | None => Seen::Absent,
        Some(Err(error)) => Seen::Unknown(error.to_string()),
    }
}
