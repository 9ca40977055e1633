//! Laws on Services, Deployments and the Rollout itself: S3 shrink last, S7 last proven, S10 what is not ours, S11 deletion.

use serde_json::{Value, json};

use super::{
    Change, Verdicts, broken,
    marks::marks,
    mirror::{Mirror, need},
};
use crate::{
    api::{FINALIZER, ORPHAN_ANNOTATION, REVISION_LABEL, ROLLOUT_LABEL, RUN_ANNOTATION, Reason},
    controller::{CONTROLLER_REVISION, GRPC_ROUTE, HTTP_ROUTE, SERVICE},
    engine::Broken,
    workload::object::{annotation, condition, items, label, name, namespace, number, text},
};

pub fn service(mirror: &Mirror, change: &Change) -> Verdicts {
    let Some(document) = change.document() else { return Verdicts::new() };
    if label(document, ROLLOUT_LABEL).is_some() {
        return Verdicts::new();
    }
    match (change.before, change.after) {
        (Some(before), Some(after)) => vec![foreign_fields(before, after), last_proven(mirror, before, after)],
        _ => vec![broken("S10", format!("Service {} of somebody else's was created or deleted", name(document)))],
    }
}

fn pin(service: &Value) -> Option<&str> {
    service.pointer("/spec/selector")?.get(REVISION_LABEL)?.as_str()
}

/// S10: of an application's Service only the added key of the selector and the mark are ours.
fn foreign_fields(before: &Value, after: &Value) -> Option<Broken> {
    let of_others = |document: &Value| {
        let mut spec = document["spec"].clone();
        if let Some(selector) = spec.get_mut("selector").and_then(Value::as_object_mut) {
            selector.remove(REVISION_LABEL);
        }
        let mut annotations = document.pointer("/metadata/annotations").cloned().unwrap_or_else(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.remove(RUN_ANNOTATION);
        }
        json!({"spec": spec, "annotations": annotations, "labels": document.pointer("/metadata/labels")})
    };
    let same = of_others(before) == of_others(after);
    if same { None } else { broken("S10", format!("Service {}: fields of its owner differ", name(after))) }
}

/// S7: a Service selects a revision that was proven, or one that a run of its Rollout names.
fn last_proven(mirror: &Mirror, before: &Value, after: &Value) -> Option<Broken> {
    let revision = pin(after).filter(|revision| pin(before) != Some(*revision))?;
    let space = namespace(after);
    let mut records =
        mirror.all(CONTROLLER_REVISION, space).filter(|record| label(record, REVISION_LABEL) == Some(revision));
    let owner = records.find_map(|record| label(record, ROLLOUT_LABEL));
    let known = owner.is_some_and(|rollout| {
        let in_run = |run: &Value| [text(run, "/spec/stable"), text(run, "/spec/canary")].contains(&Some(revision));
        // The first revision is adopted: its template serves already.
        let is_first = !mirror.has_proven(space, rollout);
        is_first || mirror.is_proven(space, rollout, revision) || mirror.open_runs(space, rollout).any(in_run)
    });
    if known { None } else { broken("S7", format!("Service {} selects {revision}, which is not proven", name(after))) }
}

pub fn deployment(mirror: &Mirror, change: &Change) -> Verdicts {
    let Some(before) = change.before else { return vec![one_of_each(mirror, change)] };
    vec![shrink_last(mirror, change, before)]
}

/// S12: a revision has one Deployment.
fn one_of_each(mirror: &Mirror, change: &Change) -> Option<Broken> {
    let made = change.after?;
    let (rollout, revision) = (label(made, ROLLOUT_LABEL)?, label(made, REVISION_LABEL)?);
    let same =
        |other: &&Value| label(other, ROLLOUT_LABEL) == Some(rollout) && label(other, REVISION_LABEL) == Some(revision);
    let mut others = mirror.all(change.kind, namespace(made)).filter(same);
    others.next().and_then(|other| broken("S12", format!("{} and {} are of {revision}", name(other), name(made))))
}

/// S3: no revision gets fewer pods than its largest committed share needs.
fn shrink_last(mirror: &Mirror, change: &Change, before: &Value) -> Option<Broken> {
    let (rollout, revision) = (label(before, ROLLOUT_LABEL)?, label(before, REVISION_LABEL)?);
    let desired = |document: &Value| u32::try_from(number(document, "/spec/replicas").unwrap_or(1)).unwrap_or(0);
    let (had, has) = (desired(before), change.after.map_or(0, desired));
    let space = namespace(before);
    let full = mirror.least_replicas(space, rollout, change.at);
    let needed = need(full, mirror.share(space, rollout, revision));
    // In a deletion the referenced Deployment's own pods take over.
    // Without the Rollout its objects go with it; a revision without records was never served.
    let is_gone = mirror.get(crate::controller::ROLLOUT, space, rollout).is_none();
    let is_left = mirror.is_deleted(space, rollout) && mirror.least_ready(space, rollout, change.at) >= had + needed;
    if is_gone || is_left || mirror.is_disturbed(change.at) || has >= had || has >= needed {
        return None;
    }
    broken("S3", format!("{} goes from {had} to {has} pods, its share needs {needed}", name(before)))
}

pub fn rollout(mirror: &Mirror, change: &Change) -> Verdicts {
    let Some(before) = change.before else { return Verdicts::new() };
    vec![own_fields(change), restored(mirror, change, before), withheld(change)]
}

/// What the controller withholds because it would break a law was decided wrongly all the same.
fn withheld(change: &Change) -> Option<Broken> {
    let said = |document: &Value| {
        let ready = condition(document, "Ready").filter(|it| text(it, "/reason") == Some(Reason::LawBroken.word()))?;
        text(ready, "/message").map(str::to_owned)
    };
    let now = change.after.and_then(said)?;
    if change.before.and_then(said).is_some() { None } else { broken("withheld", now) }
}

/// S10: of a Rollout the controller writes its finalizer, its status, and replicas that were absent.
fn own_fields(change: &Change) -> Option<Broken> {
    let (before, after) = (change.before?, change.after?);
    let mut expected = before["spec"].clone();
    if before.pointer("/spec/replicas").is_none_or(Value::is_null)
        && let Some(replicas) = after.pointer("/spec/replicas")
    {
        expected["replicas"] = replicas.clone();
    }
    if expected == after["spec"] {
        None
    } else {
        broken("S10", format!("the spec of Rollout {} was written", name(after)))
    }
}

/// S11: the finalizer goes when nothing of ours is left in routes and Services.
fn restored(mirror: &Mirror, change: &Change, before: &Value) -> Option<Broken> {
    let has = |document: &Value| items(document, "/metadata/finalizers").iter().any(|finalizer| finalizer == FINALIZER);
    if !has(before) || change.after.is_some_and(has) || annotation(before, ORPHAN_ANNOTATION) == Some("true") {
        return None;
    }
    let space = namespace(before);
    let of_rollout = |run: &&Value| text(run, "/spec/rollout") == Some(name(before));
    let runs: Vec<&str> = mirror.all(crate::controller::RUN, space).filter(of_rollout).map(name).collect();
    let pinned = mirror
        .all(SERVICE, space)
        .find(|service| label(service, ROLLOUT_LABEL).is_none() && pin(service).is_some() && is_marked(service, &runs));
    let mut routes = [HTTP_ROUTE, GRPC_ROUTE].into_iter().flat_map(|kind| mirror.all(kind, space));
    let routed = routes.find(|route| is_marked(route, &runs));
    let message =
        |kind: &str, left: &Value| format!("the finalizer goes while {kind} {} bears a run's mark", name(left));
    let left = pinned.map(|service| ("Service", service)).or(routed.map(|route| ("route", route)));
    left.and_then(|(kind, left)| broken("S11", message(kind, left)))
}

fn is_marked(document: &Value, runs: &[&str]) -> bool {
    marks(document).any(|(run, _)| runs.contains(&run))
}
