//! The Rollout's own object.

use serde::Deserialize;

use super::Gathered;
use crate::{
    api::{FINALIZER, ORPHAN_ANNOTATION},
    engine::{RolloutView, read_spec, validate},
    workload::object::{self, annotation, items, number, text},
};

pub(super) fn view(gathered: &Gathered) -> RolloutView {
    let document = &gathered.rollout;
    let finalizers = items(document, "/metadata/finalizers");
    // A namespace that cannot be read may well be there: there is something to restore.
    let leaving = |namespace: &serde_json::Value| text(namespace, "/status/phase") == Some("Terminating");
    RolloutView {
        name: object::name(document).to_owned(),
        namespace: object::namespace(document).to_owned(),
        uid: text(document, "/metadata/uid").unwrap_or_default().to_owned(),
        generation: number(document, "/metadata/generation").unwrap_or_default(),
        deleting: object::is_terminating(document),
        has_finalizer: finalizers.iter().any(|finalizer| finalizer == FINALIZER),
        orphan: annotation(document, ORPHAN_ANNOTATION) == Some("true"),
        namespace_terminating: gathered.namespace.as_ref().is_ok_and(|it| it.as_ref().is_some_and(leaving)),
        spec: read_spec(document).and_then(|spec| validate(object::name(document), &spec)),
        status: Deserialize::deserialize(&document["status"]).unwrap_or_default(),
    }
}
