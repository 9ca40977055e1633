//! How objects go: finalizers, preconditions, owners.

use serde_json::{Value, json};

use super::*;
use crate::controller::POD;

fn owned_by(name: &str, owners: &[(&Value, bool)]) -> Value {
    let reference = |(owner, blocks): &(&Value, bool)| {
        json!({"apiVersion": "v1", "kind": "X", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": blocks})
    };
    let mut document = service();
    document["metadata"] = json!({"name": name, "ownerReferences": owners.iter().map(reference).collect::<Vec<_>>()});
    document
}

fn delete(server: &mut ApiServer, kind: Kind, name: &str) -> Said {
    said(server.delete(&us(), kind, "shop", name, None))
}

fn settle(server: &mut ApiServer) {
    let sweeps = (0..10).take_while(|_| server.collect_garbage(NOW)).count();
    assert!(sweeps < 10, "the collector does not come to rest");
}

#[test]
fn a_deletion_is_of_the_object_with_this_uid() {
    let mut server = server();
    let uid = read(&server, SERVICE, "checkout")["metadata"]["uid"].as_str().unwrap().to_owned();
    assert_eq!(said(server.delete(&us(), SERVICE, "shop", "checkout", Some("other"))), Said::Conflict);
    assert_eq!(said(server.delete(&us(), SERVICE, "shop", "checkout", Some(&uid))), Said::Well);
    assert_eq!(said(server.delete(&us(), SERVICE, "shop", "checkout", Some(&uid))), Said::NotFound);
    let last = server.commits().last().unwrap();
    assert_eq!((last.verb, last.after.is_none(), last.before.is_some()), (Verb::Delete, true, true));
    server.create(&us(), SERVICE, "shop", &service(), false).unwrap();
    assert_ne!(read(&server, SERVICE, "checkout")["metadata"]["uid"], json!(uid), "another object");
}

#[test]
fn an_object_with_finalizers_goes_with_the_last_of_them() {
    let mut server = server();
    let finalizers = |list: &[&str]| Patch::Merge(json!({"metadata": {"finalizers": list}}));
    server.patch(&us(), ROLLOUT, "shop", "checkout", "", &finalizers(&["a/x", "a/y"])).unwrap();
    assert_eq!(delete(&mut server, ROLLOUT, "checkout"), Said::Well);
    let marked = read(&server, ROLLOUT, "checkout");
    assert_eq!((&marked["metadata"]["deletionTimestamp"], generation(&marked)), (&json!(NOW), Some(2)));
    assert_eq!(delete(&mut server, ROLLOUT, "checkout"), Said::Well);
    assert_eq!(read(&server, ROLLOUT, "checkout"), marked, "once is enough");
    let more = server.patch(&us(), ROLLOUT, "shop", "checkout", "", &finalizers(&["a/x", "a/y", "a/z"]));
    assert_eq!(said(more), Said::Refused);
    server.patch(&us(), ROLLOUT, "shop", "checkout", "", &finalizers(&["a/x"])).unwrap();
    assert!(server.get(ROLLOUT, "shop", "checkout").is_some());
    server.patch(&us(), ROLLOUT, "shop", "checkout", "", &finalizers(&[])).unwrap();
    assert_eq!(server.get(ROLLOUT, "shop", "checkout"), None);
}

#[test]
fn dependents_go_with_their_last_owner() {
    let mut server = server();
    let (rollout, source) = (read(&server, ROLLOUT, "checkout"), read(&server, DEPLOYMENT, "checkout"));
    for (name, owners) in [("one", vec![(&rollout, false)]), ("two", vec![(&rollout, false), (&source, false)])] {
        server.create(&us(), SERVICE, "shop", &owned_by(name, &owners), false).unwrap();
    }
    settle(&mut server);
    assert!(server.get(SERVICE, "shop", "one").is_some());
    delete(&mut server, ROLLOUT, "checkout");
    assert!(server.get(SERVICE, "shop", "one").is_some(), "the collector comes later");
    settle(&mut server);
    assert_eq!(server.get(SERVICE, "shop", "one"), None);
    let left = read(&server, SERVICE, "two");
    assert_eq!(left["metadata"]["ownerReferences"][0]["uid"], source["metadata"]["uid"]);
    delete(&mut server, DEPLOYMENT, "checkout");
    settle(&mut server);
    assert_eq!(server.get(SERVICE, "shop", "two"), None);
}

#[test]
fn a_foreground_deletion_waits_for_the_dependents_that_block_it() {
    let mut server = server();
    let rollout = read(&server, ROLLOUT, "checkout");
    let mut held = owned_by("one", &[(&rollout, true)]);
    held["metadata"]["finalizers"] = json!(["a/x"]);
    server.create(&us(), SERVICE, "shop", &held, false).unwrap();
    server.delete_in_foreground(&us(), ROLLOUT, "shop", "checkout").unwrap();
    settle(&mut server);
    assert!(read(&server, SERVICE, "one")["metadata"].get("deletionTimestamp").is_some());
    assert!(server.get(ROLLOUT, "shop", "checkout").is_some());
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    server.patch(&us(), SERVICE, "shop", "one", "", &free).unwrap();
    settle(&mut server);
    assert_eq!(server.get(ROLLOUT, "shop", "checkout"), None);
}

#[test]
fn a_pod_on_a_node_has_time_to_end() {
    let mut server = ApiServer::default();
    let pod = json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n", "containers": [{"name": "web"}]}});
    server.create(&us(), POD, "shop", &pod, false).unwrap();
    assert_eq!(delete(&mut server, POD, "a"), Said::Well);
    let leaving = read(&server, POD, "a");
    assert_eq!(leaving["metadata"]["deletionTimestamp"], "2026-01-01T00:00:30Z");
    server.delete_now(&us(), POD, "shop", "a").unwrap();
    assert_eq!(server.get(POD, "shop", "a"), None);
}
