//! Who owns what after the writes of Tidegate and of those whose objects it edits.

use serde_json::{Value, json};

use super::*;
use crate::{
    api::REVISION_LABEL,
    sim::server::fields::Fields,
    workload::{
        object::{self, items},
        ownership, release_ownership, scale_source, service as app_service,
    },
};

/// Each entry as "manager operation subresource", with its paths.
fn owned(document: &Value) -> Vec<(String, Vec<String>)> {
    let part = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let one = |entry: &Value| {
        let owner = ["manager", "operation", "subresource"].map(|field| part(entry, field)).join(" ");
        (owner.trim_end().to_owned(), Fields::parse(&entry["fieldsV1"]).paths())
    };
    object::items(document, "/metadata/managedFields").iter().map(one).collect()
}

fn applied(document: Value) -> Patch {
    Patch::Apply { document, force: false }
}

#[test]
fn a_created_service_is_owned_with_its_defaults_and_without_what_is_allocated() {
    let mut server = ApiServer::default();
    let made = server.create(&us(), SERVICE, "shop", &service(), false).unwrap();
    assert_eq!(made["spec"]["clusterIP"], "10.96.0.2");
    let port = r#"f:spec/f:ports/k:{"port":80,"protocol":"TCP"}"#;
    let inside = ["f:port", "f:protocol", "f:targetPort"].map(|field| format!("{port}/{field}"));
    let mut expected = vec!["f:spec/f:internalTrafficPolicy".to_owned(), "f:spec/f:ports".into(), port.to_owned()];
    expected.extend(inside);
    expected.extend(["f:selector", "f:sessionAffinity", "f:type"].map(|field| format!("f:spec/{field}")));
    assert_eq!(owned(&made), [("tidegate Update".to_owned(), expected)]);
}

#[test]
fn a_pin_takes_the_selector_and_the_release_gives_it_up() {
    let mut server = ApiServer::default();
    let flux = Writer::new("flux", NOW);
    let live = server.patch(&flux, SERVICE, "shop", "checkout", "", &applied(service())).unwrap();
    let pin = app_service::pin_patch(&live, "abc", Some("run-1"));
    let pinned = server.patch(&us(), SERVICE, "shop", "checkout", "", &Patch::Json(pin)).unwrap();
    let conflict = server.patch(&flux, SERVICE, "shop", "checkout", "", &applied(service()));
    assert_eq!(said(conflict), Said::Conflict);
    let release = release_ownership(&pinned).unwrap();
    let released = server.patch(&us(), SERVICE, "shop", "checkout", "", &Patch::Json(release)).unwrap();
    assert!(owned(&released).iter().all(|(owner, _)| owner == "flux Apply"), "{:?}", owned(&released));
    assert_eq!(released["spec"]["selector"][REVISION_LABEL], "abc");
    let again = server.patch(&flux, SERVICE, "shop", "checkout", "", &applied(service())).unwrap();
    assert_eq!(again["spec"]["selector"], json!({"app": "checkout"}), "the owner's apply resets the field");
    assert_eq!(ownership::last_manager(&again).as_deref(), Some("flux"));
}

#[test]
fn an_apply_takes_away_what_it_no_longer_names() {
    let mut server = ApiServer::default();
    let flux = Writer::new("flux", NOW);
    let mut document = service();
    document["metadata"]["labels"] = json!({"a": "1", "b": "2"});
    document["spec"]["ports"] = json!([{"port": 80, "name": "http"}, {"port": 81, "name": "admin"}]);
    server.patch(&flux, SERVICE, "shop", "checkout", "", &applied(document.clone())).unwrap();
    document["metadata"]["labels"] = json!({"a": "1"});
    document["spec"]["ports"] = json!([{"port": 81, "name": "admin"}]);
    let live = server.patch(&flux, SERVICE, "shop", "checkout", "", &applied(document)).unwrap();
    assert_eq!(live["metadata"]["labels"], json!({"a": "1"}));
    assert_eq!(items(&live, "/spec/ports").len(), 1, "{}", live["spec"]["ports"]);
}

#[test]
fn our_own_objects_are_applied_with_force_on_the_version_that_was_read() {
    let mut server = server();
    let stale = version(&read(&server, SERVICE, "checkout"));
    let edit = Patch::Merge(json!({"spec": {"selector": {"app": "other"}}}));
    server.patch(&Writer::new("kubectl-edit", NOW), SERVICE, "shop", "checkout", "", &edit).unwrap();
    let mut document = service();
    let force = |document: &Value| Patch::Apply { document: document.clone(), force: true };
    document["metadata"]["resourceVersion"] = json!(stale);
    assert_eq!(said(server.patch(&us(), SERVICE, "shop", "checkout", "", &force(&document))), Said::Conflict);
    document["metadata"]["resourceVersion"] = json!(version(&read(&server, SERVICE, "checkout")));
    let live = server.patch(&us(), SERVICE, "shop", "checkout", "", &force(&document)).unwrap();
    assert_eq!(live["spec"]["selector"], json!({"app": "checkout"}));
}

#[test]
fn a_scale_takes_the_replicas_and_leaves_the_rest() {
    let mut server = ApiServer::default();
    let flux = Writer::new("flux", NOW);
    let live = server.patch(&flux, DEPLOYMENT, "shop", "checkout", "", &applied(deployment())).unwrap();
    assert_eq!(scale_source::replicas_owner(&live).as_deref(), Some("flux"));
    let scale = Patch::Json(scale_source::scale_patch(&live, 3));
    let said = server.patch(&us(), DEPLOYMENT, "shop", "checkout", "scale", &scale).unwrap();
    assert_eq!((&said["kind"], &said["spec"]), (&json!("Scale"), &json!({"replicas": 3})));
    assert_eq!(said["status"]["selector"], "app=checkout");
    let scaled = read(&server, DEPLOYMENT, "checkout");
    assert_eq!((&scaled["spec"]["replicas"], generation(&scaled)), (&json!(3), Some(2)));
    let ours = owned(&scaled).into_iter().find(|(owner, _)| owner == "tidegate Update scale");
    assert_eq!(ours.map(|(_, paths)| paths), Some(vec!["f:spec/f:replicas".to_owned()]));
    assert_eq!(scale_source::replicas_owner(&scaled), None);
    let conflict = server.patch(&flux, DEPLOYMENT, "shop", "checkout", "", &applied(deployment()));
    assert_eq!(super::said(conflict), Said::Conflict);
    let stale = server.patch(&us(), DEPLOYMENT, "shop", "checkout", "scale", &scale);
    assert_eq!(super::said(stale), Said::Conflict);
    let none =
        server.patch(&us(), SERVICE, "shop", "checkout", "scale", &Patch::Merge(json!({"spec": {"replicas": 1}})));
    assert_eq!(super::said(none), Said::NotFound);
}

#[test]
fn a_scale_without_a_version_overwrites_and_its_object_without_one_is_refused() {
    let mut server = ApiServer::default();
    let mut rollout = server.create(&us(), ROLLOUT, "shop", &super::rollout(), false).unwrap().as_ref().clone();
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "checkout"}, "spec": {"replicas": 7}});
    server.replace(&us(), ROLLOUT, "shop", "checkout", "scale", &scale).unwrap();
    assert_eq!(read(&server, ROLLOUT, "checkout")["spec"]["replicas"], 7);
    rollout["metadata"]["resourceVersion"] = Value::Null;
    let refused = server.replace(&us(), ROLLOUT, "shop", "checkout", "", &rollout);
    assert_eq!(super::said(refused), Said::Refused);
}

#[test]
fn replicas_that_are_scaled_to_zero_belong_to_nobody() {
    let mut server = ApiServer::default();
    let flux = Writer::new("flux", NOW);
    let live = server.patch(&flux, DEPLOYMENT, "shop", "checkout", "", &applied(deployment())).unwrap();
    let scale = Patch::Json(scale_source::scale_patch(&live, 0));
    let said = server.patch(&us(), DEPLOYMENT, "shop", "checkout", "scale", &scale).unwrap();
    assert_eq!(said["spec"], json!({}), "a Scale leaves a zero away");
    let scaled = read(&server, DEPLOYMENT, "checkout");
    assert_eq!(scaled["spec"]["replicas"], 0);
    assert!(owned(&scaled).iter().all(|(_, paths)| !paths.contains(&"f:spec/f:replicas".to_owned())));
    let again = server.patch(&flux, DEPLOYMENT, "shop", "checkout", "", &applied(deployment())).unwrap();
    assert_eq!(again["spec"]["replicas"], 2, "the owner's apply takes them back without a conflict");
}

#[test]
fn a_status_is_owned_by_its_subresource() {
    let mut server = server();
    let status = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}], "replicas": 1}});
    let live = server.patch(&us(), DEPLOYMENT, "shop", "checkout", "status", &Patch::Merge(status)).unwrap();
    let (owner, paths) = owned(&live).pop().unwrap();
    assert_eq!(owner, "tidegate Update status");
    assert!(paths.contains(&r#"f:status/f:conditions/k:{"type":"Ready"}/f:status"#.to_owned()), "{paths:?}");
}
