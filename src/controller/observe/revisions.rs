//! The revisions' objects, and which of them the source's template is.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{ClusterError, Gathered, Memory, SERVICE, policies, routes::Ports, seen, services};
use crate::{
    api::{REVISION_LABEL, SERVICE_LABEL, is_baseline, revision_name},
    engine::{Revision, RevisionView, Seen, SourceView},
    workload::{
        deployment,
        object::{self, label, text},
        pod, record, revision_service, scale_source,
        source::{self, equal_deployments, template_of_deployment, template_of_rollout},
    },
};

#[derive(Debug)]
pub(super) struct Revisions {
    pub views: BTreeMap<Revision, RevisionView>,
    /// Why they may be out of date.
    pub unread: Option<String>,
}

/// The revisions. If one of the lists cannot be read, those of the last pass count: going back depends on no list of
/// pods. Without a last pass there is nothing to go by.
pub(super) fn views(gathered: &Gathered, ports: &Ports, memory: &mut Memory) -> Result<Revisions, ClusterError> {
    match read(gathered, ports, memory.revisions.as_ref()) {
        Ok(views) => {
            memory.revisions = Some(views.clone());
            Ok(Revisions { views, unread: None })
        }
        Err(error) => match memory.revisions.clone() {
            Some(views) => Ok(Revisions { views, unread: Some(error.to_string()) }),
            None => Err(error),
        },
    }
}

fn read(
    gathered: &Gathered,
    ports: &Ports,
    before: Option<&BTreeMap<Revision, RevisionView>>,
) -> Result<BTreeMap<Revision, RevisionView>, ClusterError> {
    let records = gathered.records.as_ref().map_err(Clone::clone)?;
    let deployments = gathered.deployments.as_ref().map_err(Clone::clone)?;
    let own_services = gathered.own_services.as_ref().map_err(Clone::clone)?;
    let pods = gathered.pods.as_ref().map_err(Clone::clone)?;
    let mut views: BTreeMap<Revision, RevisionView> = BTreeMap::new();
    for document in records {
        if let Some(revision) = record::revision_of(document) {
            let view = views.entry(revision.to_owned()).or_default();
            view.recorded = true;
            view.proven = record::proven(document);
        }
    }
    for document in deployments {
        if let Some(revision) = revision_of(gathered, document) {
            let view = views.entry(revision.to_owned()).or_default();
            view.deployment = Some(deployment::view(document, pods));
            view.trouble = pod::trouble(pods.iter().filter(|pod| label(pod, REVISION_LABEL) == Some(revision)));
        }
    }
    for document in own_services {
        let (Some(revision), Some(app)) = (record::revision_of(document), label(document, SERVICE_LABEL)) else {
            continue;
        };
        // Only revisions with a record or pods are revisions; a baseline has no record, and its Services may outlive its pods.
        if is_baseline(revision) {
            views.entry(revision.to_owned()).or_default();
        }
        let Some(view) = views.get_mut(revision) else { continue };
        let count = services::count(gathered, document, ports.of(app));
        let ready = count.map(|count| count.ready.get(revision).copied().unwrap_or(0));
        // An unreadable slice is no ready endpoint: nothing is raised on it, and going back does not ask.
        view.services.insert(app.to_owned(), ready.unwrap_or(0));
        if let Seen::Known(original) = seen(gathered.objects.get(&(SERVICE, app.to_owned()))) {
            view.services_stale |= revision_service::stale(original, document);
        }
    }
    for (revision, view) in &mut views {
        policies::look(gathered, revision, view, before.and_then(|before| before.get(revision)));
    }
    Ok(views)
}

/// The revision of a Deployment that has the name of one; others with our labels are somebody's copies.
fn revision_of<'d>(gathered: &Gathered, deployment: &'d Value) -> Option<&'d str> {
    let revision = record::revision_of(deployment)?;
    (object::name(deployment) == revision_name(object::name(&gathered.rollout), revision)).then_some(revision)
}

/// The template that the spec asks for, by equality with what is recorded; the hash of a new one is only its name.
pub(super) fn source(gathered: &Gathered) -> Seen<SourceView> {
    let records = match &gathered.records {
        Ok(records) => records,
        Err(error) => return Seen::Unknown(error.to_string()),
    };
    let known = record::templates(records);
    let Some(referenced) = &gathered.source else {
        let Some(template) = template_of_rollout(&gathered.rollout) else { return Seen::Absent };
        return Seen::Known(SourceView { revision: source::revision_of(&template, &known), deployment: None });
    };
    let (deployments, pods) = match (&gathered.deployments, &gathered.source_pods) {
        (Ok(deployments), Ok(pods)) => (deployments, pods),
        (Err(error), _) | (_, Err(error)) => return Seen::Unknown(error.to_string()),
    };
    match seen(Some(referenced)) {
        Seen::Known(document) => {
            let same = deployments.iter().filter(|it| equal_deployments(document, it));
            let same = same.filter_map(|it| revision_of(gathered, it)).find(|it| !is_baseline(it)).map(str::to_owned);
            let revision = same.unwrap_or_else(|| source::revision_of(&template_of_deployment(document), &known));
            Seen::Known(SourceView { revision, deployment: Some(scale_source::view(document, pods)) })
        }
        Seen::Absent => Seen::Absent,
        Seen::Unknown(why) => Seen::Unknown(why),
    }
}

/// The source's template as it is written (or served), for refusals and for the revision's record.
pub fn source_template(rollout: &Value, referenced: Option<&Value>) -> Option<Value> {
    match text(rollout, "/spec/workload/deploymentRef/name") {
        Some(_) => referenced.map(template_of_deployment),
        None => template_of_rollout(rollout),
    }
}
