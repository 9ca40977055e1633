//! Others who write to the same object: appliers with and without force, people with kubectl, scalers, deletions.

use serde_json::{Value, json};
use tidegate::{
    controller::{
        ACTION, BACKEND_TLS_POLICY_V1ALPHA3, CONTROLLER_REVISION, DEPLOYMENT, EVENT, HTTP_ROUTE, Kind, Patch, ROLLOUT,
        RUN, SERVICE,
    },
    sim::{
        chance::Chance,
        server::{
            journal::{Asked, Deed},
            patching::merge_patched,
        },
    },
};

use super::sequence::{At, Step};

/// What comes in between; sometimes more than one request.
pub fn steps(chance: &mut Chance, of: &[Asked]) -> Vec<Step> {
    let kind = of[0].kind;
    let Some(manifest) = manifest(of) else { return Vec::new() };
    // Nobody edits Events.
    if kind == EVENT {
        return vec![step(&of[0], "kubectl", Deed::Create { document: manifest, dry_run: false })];
    }
    let by = |manager: &str, deed: Deed| step(&of[0], manager, deed);
    let force = chance.below(2) == 0;
    let apply = |document: Value| Deed::Patch(Patch::Apply { document, force });
    let merge = |document: Value| Deed::Patch(Patch::Merge(document));
    match chance.below(14) {
        0 => vec![by("argocd-controller", apply(manifest))],
        1 => vec![by("argocd-controller", apply(merged(&manifest, &stated(chance, |chance| edit(chance, kind)))))],
        2 => vec![by("flux", apply(merged(&bare(kind), &stated(chance, labels))))],
        3 => vec![by("flux", apply(merged(&bare(kind), &stated(chance, |chance| edit(chance, kind)))))],
        4 | 5 => vec![by("kubectl-edit", merge(edit(chance, kind)))],
        6 => vec![by("kubectl-annotate", merge(labels(chance)))],
        7 => vec![by("kubectl", Deed::Delete { uid: None })],
        8 => {
            let held = |finalizers: Value| merge(json!({"metadata": {"finalizers": finalizers}}));
            vec![
                by("holder", held(json!(["example.com/held"]))),
                by("kubectl", Deed::Delete { uid: None }),
                by("kubectl-edit", merge(edit(chance, kind))),
                by("holder", held(Value::Null)),
                by("kubectl-create", Deed::Create { document: manifest, dry_run: false }),
            ]
        }
        9 if kind == DEPLOYMENT || kind == ROLLOUT => {
            let mut scale =
                by("kube-controller-manager", merge(json!({"spec": {"replicas": 11 + chance.below(1_000)}})));
            scale.asked.subresource = "scale".into();
            vec![scale]
        }
        9 => vec![by("kubectl-edit", merge(json!({"status": {"replicas": 7}})))],
        10 => vec![by("argocd-controller", apply(bare(kind)))],
        11 => {
            let reset = json!({"op": "replace", "path": "/metadata/managedFields", "value": [{}]});
            vec![by("kubectl-edit", Deed::Patch(Patch::Json(vec![reset])))]
        }
        12 => vec![by("kubectl-create", Deed::Create { document: manifest, dry_run: false })],
        _ => {
            let test = json!({"op": "test", "path": "/metadata/name", "value": "another"});
            let add = json!({"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}});
            vec![by("kubectl-edit", Deed::Patch(Patch::Json(vec![test, add])))]
        }
    }
}

fn step(of: &Asked, manager: &str, deed: Deed) -> Step {
    let asked = Asked {
        site: None,
        manager: manager.into(),
        kind: of.kind,
        name: of.name.clone(),
        subresource: String::new(),
        deed,
        version: None,
    };
    Step { asked, at: At::Unsaid }
}

/// The object as its owner, or the controller, first wrote it.
fn manifest(of: &[Asked]) -> Option<Value> {
    let mut document = of.iter().find_map(|asked| match &asked.deed {
        Deed::Create { document, .. } | Deed::Patch(Patch::Apply { document, .. }) => Some(document.clone()),
        Deed::Patch(_) | Deed::Replace(_) | Deed::Delete { .. } => None,
    })?;
    document["apiVersion"] = json!(of[0].kind.api_version());
    document["kind"] = json!(of[0].kind.kind);
    if let Some(metadata) = document["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    Some(document)
}

fn merged(document: &Value, changes: &Value) -> Value {
    let mut merged = document.clone();
    merge_patched(&mut merged, changes);
    merged
}

fn bare(kind: Kind) -> Value {
    json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": "renamed"}})
}

fn labels(chance: &mut Chance) -> Value {
    let value = json!(chance.pick(&["a", "b"]));
    match chance.below(3) {
        0 => json!({"metadata": {"labels": {"example.com/team": value}}}),
        1 => json!({"metadata": {"annotations": {"example.com/note": value}}}),
        _ => json!({"metadata": {"labels": {"example.com/team": null}, "annotations": {"example.com/note": value}}}),
    }
}

/// What somebody may apply: a manifest says nothing of what is not there.
fn stated(chance: &mut Chance, draw: impl Fn(&mut Chance) -> Value) -> Value {
    loop {
        let edit = draw(chance);
        if !edit.to_string().contains("null") {
            return edit;
        }
    }
}

/// One change that somebody may make of an object of the kind, or try to make.
fn edit(chance: &mut Chance, kind: Kind) -> Value {
    let number = chance.below(4);
    let mut all = match kind {
        DEPLOYMENT => vec![
            json!({"spec": {"replicas": 1 + number}}),
            json!({"spec": {"replicas": null}}),
            json!({"spec": {"replicas": -1}}),
            json!({"spec": {"minReadySeconds": number}}),
            json!({"spec": {"paused": number > 1}}),
            json!({"spec": {"template": {"metadata": {"annotations": {"example.com/note": "x"}}}}}),
            json!({"spec": {"strategy": {"rollingUpdate": {"maxSurge": "50%"}}}}),
            json!({"spec": {"selector": {"matchLabels": {"app": "another"}}}}),
            json!({"metadata": {"annotations": {"deployment.kubernetes.io/revision": number.to_string()}}}),
        ],
        SERVICE => vec![
            json!({"spec": {"selector": {"app": "another"}}}),
            json!({"spec": {"selector": {"tidegate.io/revision": null}}}),
            json!({"spec": {"selector": null}}),
            json!({"spec": {"sessionAffinity": "ClientIP"}}),
            json!({"spec": {"ports": [{"name": "http", "port": 81 + number, "targetPort": "http"}]}}),
            json!({"spec": {"ports": []}}),
            json!({"spec": {"publishNotReadyAddresses": number > 1}}),
        ],
        HTTP_ROUTE => vec![
            json!({"spec": {"rules": [{"backendRefs": [{"name": "checkout", "port": 80, "weight": number}]}]}}),
            json!({"spec": {"hostnames": ["a.example"]}}),
            json!({"spec": {"hostnames": null}}),
        ],
        ROLLOUT => vec![
            json!({"spec": {"replicas": 1 + number}}),
            json!({"spec": {"replicas": -1}}),
            json!({"spec": {"paused": number > 1}}),
            json!({"spec": {"paused": null}}),
            json!({"spec": {"progressDeadline": "90s"}}),
            json!({"spec": {"unknown": number}}),
        ],
        RUN => vec![json!({"spec": {"release": "another"}}), json!({"spec": {"unknown": 1}})],
        ACTION => vec![json!({"spec": {"type": "Pause"}}), json!({"spec": {"reason": "another"}})],
        CONTROLLER_REVISION => vec![json!({"data": {"another": number}}), json!({"revision": number})],
        BACKEND_TLS_POLICY_V1ALPHA3 => vec![json!({"spec": {"validation": {"hostname": "another.example.com"}}})],
        other => unreachable!("nobody edits {}", other.kind),
    };
    all.swap_remove(chance.below(all.len() as u64) as usize)
}
