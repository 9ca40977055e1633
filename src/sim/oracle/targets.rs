//! Laws on what a backend's name stands for: S4 target before share, S3 no backend goes while a route names it with a share.

use serde_json::Value;

use super::{
    Change, Verdicts, broken,
    mirror::{Mirror, need},
};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL},
    controller::{ROLLOUT, RUN},
    engine::Broken,
    workload::object::{label, name, namespace, text},
};

pub fn service(mirror: &Mirror, change: &Change) -> Verdicts {
    let Some(document) = change.document() else { return Verdicts::new() };
    match (label(document, ROLLOUT_LABEL), label(document, REVISION_LABEL), change.after) {
        (Some(rollout), Some(_), None) => vec![still_named(mirror, change, document, rollout)],
        (Some(_), Some(revision), Some(after)) => vec![own_pods(after, revision)],
        (None, _, Some(after)) => vec![target_before_share(mirror, change, after)],
        _ => Verdicts::new(),
    }
}

fn selects(service: &Value) -> Option<&str> {
    service.pointer("/spec/selector")?.get(REVISION_LABEL)?.as_str()
}

/// S4: a revision's Service selects its pods only.
fn own_pods(after: &Value, revision: &str) -> Option<Broken> {
    let found = selects(after);
    let message = || format!("Service {} is of {revision} and selects {found:?}", name(after));
    if found == Some(revision) { None } else { broken("S4", message()) }
}

/// S3: a revision's Service goes when no route that may be in force gives it anything.
fn still_named(mirror: &Mirror, change: &Change, before: &Value, rollout: &str) -> Option<Broken> {
    let space = namespace(before);
    let share = mirror.share_of_service(space, name(before)).unwrap_or(0.0);
    let is_gone = mirror.get(ROLLOUT, space, rollout).is_none();
    if is_gone || share <= 0.0 || mirror.is_disturbed(change.at) {
        return None;
    }
    broken("S3", format!("Service {} goes while a route gives it {share} %", name(before)))
}

/// S4: an application's Service that gets requests selects the revision under test once that has the pods for them.
fn target_before_share(mirror: &Mirror, change: &Change, after: &Value) -> Option<Broken> {
    let revision = selects(after).filter(|revision| change.before.and_then(selects) != Some(*revision))?;
    let space = namespace(after);
    let runs = mirror.all(RUN, space);
    let run = runs
        .filter(|run| text(run, "/status/phase") != Some("Ended"))
        .find(|run| text(run, "/spec/canary") == Some(revision) && text(run, "/spec/stable") != Some(revision))?;
    let rollout = text(run, "/spec/rollout")?;
    // Without a route a Service turns as a step does, on the pods that its revisions have beside each other.
    let share = mirror.share_of_service(space, name(after))?;
    let needed = need(mirror.least_replicas(space, rollout, change.at), share);
    // A Deployment's status may be later than the endpoints of the revision's own Services.
    let ready = mirror.most_ready(space, rollout, revision, change.at);
    if mirror.is_disturbed(change.at) || ready >= needed {
        return None;
    }
    let message =
        format!("Service {} with {share} % selects {revision}: {ready} ready pods, {needed} needed", name(after));
    broken("S4", message)
}
