//! What the server answers to the writes of Tidegate and of its neighbours, by behaviour.

mod deletion;
mod ownership;

use serde_json::{Value, json};

use super::*;
use crate::{
    controller::{ACTION, CONTROLLER_REVISION, DEPLOYMENT, HTTP_ROUTE, ROLLOUT, SERVICE},
    workload::{object::number, patch},
};

const NOW: &str = "2026-01-01T00:00:00Z";

fn us() -> Writer {
    Writer::new("tidegate", NOW)
}

fn named(name: &str, more: Value) -> Value {
    let mut document = json!({"metadata": {"name": name}});
    super::patching::merge_patched(&mut document, &more);
    document
}

fn deployment() -> Value {
    named(
        "checkout",
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 2,
            "selector": {"matchLabels": {"app": "checkout"}},
            "template": {"metadata": {"labels": {"app": "checkout"}},
                "spec": {"containers": [{"name": "web", "image": "shop/web:1"}]}}}}),
    )
}

fn service() -> Value {
    named(
        "checkout",
        json!({"apiVersion": "v1", "kind": "Service",
            "spec": {"selector": {"app": "checkout"}, "ports": [{"port": 80, "targetPort": 8080}]}}),
    )
}

fn action() -> Value {
    named("abort", json!({"spec": {"type": "Abort", "rollout": "checkout"}}))
}

fn rollout() -> Value {
    named(
        "checkout",
        json!({"spec": {
            "workload": {"deploymentRef": {"name": "checkout"}},
            "traffic": {"services": [{"name": "checkout"}]},
            "strategy": {"steps": [{"weight": 10}]},
        }}),
    )
}

/// A server with one of each.
fn server() -> ApiServer {
    let mut server = ApiServer::default();
    let helm = Writer::new("helm", NOW);
    for (kind, document) in [(DEPLOYMENT, deployment()), (SERVICE, service()), (ACTION, action()), (ROLLOUT, rollout())]
    {
        server.create(&helm, kind, "shop", &document, false).unwrap();
    }
    server
}

fn read(server: &ApiServer, kind: Kind, name: &str) -> Value {
    Value::clone(&server.get(kind, "shop", name).unwrap())
}

fn version(document: &Value) -> String {
    document["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

fn generation(document: &Value) -> Option<i64> {
    number(document, "/metadata/generation")
}

#[derive(Debug, PartialEq)]
enum Said {
    Well,
    Conflict,
    Exists,
    NotFound,
    Refused,
}

fn said<T>(answer: Result<T, ClusterError>) -> Said {
    match answer {
        Ok(_) => Said::Well,
        Err(ClusterError::Conflict { .. }) => Said::Conflict,
        Err(ClusterError::Exists { .. }) => Said::Exists,
        Err(ClusterError::NotFound { .. }) => Said::NotFound,
        Err(ClusterError::Refused { .. }) => Said::Refused,
        Err(error @ ClusterError::Unavailable { .. }) => panic!("{error}"),
    }
}

#[test]
fn a_created_object_gets_what_the_server_writes() {
    let mut server = ApiServer::default();
    let made = server.create(&us(), DEPLOYMENT, "shop", &deployment(), false).unwrap();
    let metadata = &made["metadata"];
    assert_eq!((&metadata["namespace"], &metadata["generation"]), (&json!("shop"), &json!(1)));
    assert_eq!((&metadata["resourceVersion"], &metadata["creationTimestamp"]), (&json!("1"), &json!(NOW)));
    assert_eq!(metadata["uid"].as_str().map(str::len), Some(36));
    assert_eq!(server.get(DEPLOYMENT, "shop", "checkout"), Some(made));
    let rollout = server.create(&us(), ROLLOUT, "shop", &rollout(), false).unwrap();
    assert_eq!(rollout["status"], json!({"observedGeneration": -1}));
    assert_eq!(server.commits().iter().map(|commit| commit.sequence).collect::<Vec<_>>(), [1, 2]);
    server.forget_all_but(1);
    assert_eq!((server.forgotten(), server.commits().len()), (1, 1));
}

#[test]
fn what_cannot_be_created_is_refused() {
    let mut server = server();
    let mut selectorless = deployment();
    selectorless["spec"]["selector"] = Value::Null;
    let renamed = |mut document: Value, name: &str| {
        document["metadata"]["name"] = json!(name);
        document
    };
    let strange = named("x", json!({"spec": {"type": "Explode", "rollout": "checkout"}}));
    for (kind, document, expected) in [
        (DEPLOYMENT, deployment(), Said::Exists),
        (DEPLOYMENT, renamed(deployment(), "Check_out"), Said::Refused),
        (DEPLOYMENT, renamed(selectorless, "other"), Said::Refused),
        (SERVICE, renamed(service(), "1st"), Said::Refused),
        (ACTION, strange, Said::Refused),
        (ACTION, named("y", json!({"spec": {"type": "Abort"}})), Said::Refused),
    ] {
        let before = server.commits().len();
        assert_eq!(said(server.create(&us(), kind, "shop", &document, false)), expected, "{document}");
        assert_eq!(server.commits().len(), before);
    }
}

#[test]
fn a_dry_run_answers_and_stores_nothing() {
    let mut server = server();
    let mut other = deployment();
    other["metadata"]["name"] = json!("other");
    assert_eq!(said(server.create(&us(), DEPLOYMENT, "shop", &other, true)), Said::Well);
    assert_eq!(said(server.create(&us(), DEPLOYMENT, "shop", &deployment(), true)), Said::Exists);
    assert_eq!(server.get(DEPLOYMENT, "shop", "other"), None);
}

#[test]
fn the_server_gives_a_name_to_an_object_that_asks_for_one() {
    let mut server = ApiServer::default();
    let document = json!({"metadata": {"generateName": "checkout-abort-"}, "spec": action()["spec"]});
    let names: Vec<String> = (0..2)
        .map(|_| server.create(&us(), ACTION, "shop", &document, false).unwrap()["metadata"]["name"].to_string())
        .collect();
    assert!(names[0] != names[1] && names.iter().all(|name| name.starts_with("\"checkout-abort-")), "{names:?}");
}

#[test]
fn versions_rise_with_every_change_and_only_with_a_change() {
    let mut server = server();
    let before = read(&server, SERVICE, "checkout");
    let nothing = Patch::Merge(json!({"spec": {"type": "ClusterIP"}}));
    let same = server.patch(&us(), SERVICE, "shop", "checkout", "", &nothing).unwrap();
    assert_eq!(*same, before);
    let labelled = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    let after = server.patch(&us(), SERVICE, "shop", "checkout", "", &labelled).unwrap();
    assert_eq!((version(&before).as_str(), version(&after).as_str()), ("2", "5"));
}

#[test]
fn a_patch_of_a_stale_version_is_a_conflict() {
    let mut server = server();
    let stale = |document: &Value| patch::versioned(document, vec![patch::add("/metadata/labels", json!({"a": "b"}))]);
    let document = read(&server, SERVICE, "checkout");
    let merge = json!({"metadata": {"resourceVersion": version(&document), "labels": {"a": "c"}}});
    let mut put = document.clone();
    put["spec"]["sessionAffinity"] = json!("ClientIP");
    let operations = Patch::Json(stale(&document));
    assert_eq!(said(server.patch(&us(), SERVICE, "shop", "checkout", "", &operations)), Said::Well);
    assert_eq!(said(server.patch(&us(), SERVICE, "shop", "checkout", "", &operations)), Said::Conflict);
    assert_eq!(said(server.patch(&us(), SERVICE, "shop", "checkout", "", &Patch::Merge(merge))), Said::Conflict);
    assert_eq!(said(server.replace(&us(), SERVICE, "shop", "checkout", "", &put)), Said::Conflict);
}

#[test]
fn operations_that_do_not_fit_are_refused_before_the_version_is_looked_at() {
    let mut server = server();
    for (kind, name, operation, expected) in [
        (SERVICE, "checkout", json!({"op": "test", "path": "/spec/type", "value": "NodePort"}), Said::Refused),
        (SERVICE, "checkout", json!({"op": "remove", "path": "/spec/selector/none"}), Said::Refused),
        (SERVICE, "checkout", json!({"op": "add", "path": "/spec/none/x", "value": 1}), Said::Refused),
        (SERVICE, "none", json!({"op": "remove", "path": "/spec/selector"}), Said::NotFound),
    ] {
        let stale = patch::replace("/metadata/resourceVersion", json!("1"));
        let patch = Patch::Json(vec![stale, operation.clone()]);
        assert_eq!(said(server.patch(&us(), kind, "shop", name, "", &patch)), expected, "{operation}");
    }
}

#[test]
fn each_subresource_changes_its_own_part() {
    let mut server = server();
    let both = Patch::Merge(json!({"spec": {"minReadySeconds": 3}, "status": {"observedGeneration": 1}}));
    for kind in [DEPLOYMENT, ROLLOUT] {
        let before = read(&server, kind, "checkout");
        let judged = server.patch(&us(), kind, "shop", "checkout", "status", &both).unwrap();
        assert_eq!((&judged["spec"], generation(&judged)), (&before["spec"], Some(1)), "{}", kind.kind);
        assert_eq!(judged["status"]["observedGeneration"], 1);
        let reset = Patch::Merge(json!({"spec": {"minReadySeconds": 3}, "status": {"observedGeneration": 9}}));
        let written = server.patch(&us(), kind, "shop", "checkout", "", &reset).unwrap();
        assert_eq!((&written["spec"]["minReadySeconds"], generation(&written)), (&json!(3), Some(2)));
        assert_eq!(written["status"]["observedGeneration"], 1, "{}", kind.kind);
    }
}

#[test]
fn what_is_immutable_stays() {
    let mut server = server();
    let record = json!({"metadata": {"name": "r"}, "data": {"template": {}}, "revision": 1});
    server.create(&us(), CONTROLLER_REVISION, "shop", &record, false).unwrap();
    for (kind, name, patch, expected) in [
        (ACTION, "abort", json!({"spec": {"type": "Pause"}}), Said::Refused),
        (ACTION, "abort", json!({"metadata": {"labels": {"a": "b"}}}), Said::Well),
        (DEPLOYMENT, "checkout", json!({"spec": {"selector": {"matchLabels": {"x": "y"}}}}), Said::Refused),
        (SERVICE, "checkout", json!({"spec": {"clusterIP": "10.96.9.9"}}), Said::Refused),
        (ROLLOUT, "checkout", json!({"spec": {"traffic": {"services": [{"name": "b"}]}}}), Said::Refused),
        (CONTROLLER_REVISION, "r", json!({"data": {"template": {"x": 1}}}), Said::Refused),
        (CONTROLLER_REVISION, "r", json!({"revision": 2}), Said::Well),
    ] {
        assert_eq!(
            said(server.patch(&us(), kind, "shop", name, "", &Patch::Merge(patch.clone()))),
            expected,
            "{patch}"
        );
    }
}

#[test]
fn lists_are_by_namespace_and_labels() {
    let mut server = server();
    let mut labelled = service();
    labelled["metadata"] = json!({"name": "a", "labels": {"app": "a"}});
    server.create(&us(), SERVICE, "other", &labelled, false).unwrap();
    let names = |namespace: &str, selector: &str| -> Vec<String> {
        let all = server.list(SERVICE, namespace, selector);
        all.iter().map(|document| document["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("", ""), ["a", "checkout"]);
    assert_eq!(names("shop", ""), ["checkout"]);
    assert_eq!(names("", "app in (a,b)"), ["a"]);
    assert_eq!(server.list(HTTP_ROUTE, "", ""), Vec::<Arc<Value>>::new());
}
