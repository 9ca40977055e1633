//! What the design rests on, measured on the lab's cluster without a controller: how Envoy takes new backends, who owns an
//! atomic field after a JSON patch, what foreground deletion collects, and what a Service loses when its selector flips.
//!
//! It tests nothing of Tidegate. A fact that ceases to hold is a reason to change the design.

use kube::api::PropagationPolicy;
use serde_json::{Value, json};
use tidegate::controller::{DEPLOYMENT, HTTP_ROUTE, Kind, SERVICE};

use crate::support::{Application, Load, Space, space::rhythm};

const CONFIG_MAP: Kind =
    Kind { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps", namespaced: true, optional: false };

/// One ready pod with labels `app` and `colour`, answering as version `colour`, and a Service of that name for it.
async fn colour(space: &Space, colour: &str) {
    let mut app = Application::new(space);
    app.version = colour.into();
    let mut template = app.template();
    template["metadata"] = json!({"labels": {"app": "app", "colour": colour}});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": colour},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"colour": colour}}, "template": template},
    });
    space.apply_as("owner", false, DEPLOYMENT, deployment).await.expect("the Deployment is applied");
    space.apply_as("owner", false, SERVICE, service(colour, colour)).await.expect("the Service is applied");
    space
        .until("a ready pod", 30, async || {
            space.get(DEPLOYMENT, colour).await.unwrap_or_default()["status"]["readyReplicas"] == 1
        })
        .await;
}

fn service(name: &str, selects: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": "app", "colour": selects}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    })
}

/// Writes the route's backends by name and weight, and waits until the gateway has accepted them.
async fn backends(space: &Space, backends: &[(&str, u32)]) {
    let mut route = Application::new(space).route();
    let refs = backends.iter().map(|(name, weight)| json!({"name": name, "port": 80, "weight": weight}));
    route["spec"]["rules"][0]["backendRefs"] = refs.collect();
    space.apply_as("owner", false, HTTP_ROUTE, route).await.expect("the route is applied");
    space.until_accepted("app", 20).await;
}

#[tokio::test]
async fn a_backend_named_at_weight_0_first_loses_nothing_and_one_named_with_its_weight_does() {
    let space = Space::new("facts-switch").await;
    colour(&space, "blue").await;
    colour(&space, "green").await;
    backends(&space, &[("blue", 1)]).await;
    let host = Application::new(&space).host;
    let load = Load::when_served(&space, &host, 300).await;
    let (mut old, mut new) = ("blue", "green");
    for _ in 0..4 {
        backends(&space, &[(old, 1), (new, 0)]).await;
        // As long as a run lets a backend warm.
        rhythm(5.0).await;
        backends(&space, &[(old, 0), (new, 1)]).await;
        rhythm(0.5).await;
        backends(&space, &[(new, 1)]).await;
        rhythm(0.2).await;
        (old, new) = (new, old);
    }
    let tally = load.stop();
    assert_eq!(tally.failed(), 0, "4 careful switches: {:?}", tally.counts);
    assert!(tally.of("blue") > 500 && tally.of("green") > 500, "{:?}", tally.counts);

    let load = Load::when_served(&space, &host, 300).await;
    let mut switches = 0;
    while load.tally().failed() == 0 && switches < 60 {
        backends(&space, &[(new, 1)]).await;
        rhythm(0.5).await;
        (old, new) = (new, old);
        switches += 1;
    }
    let tally = load.stop();
    println!("{} of {} requests lost in {switches} careless switches (to {old})", tally.failed(), tally.sent);
    assert!(tally.failed() > 0, "{switches} careless switches lost nothing: naming at weight 0 is needless");
}

#[tokio::test]
async fn a_field_that_was_patched_is_taken_from_its_owner_until_the_patchers_entry_is_removed() {
    let space = Space::new("facts-ownership").await;
    space.apply_as("owner", false, SERVICE, service("app", "blue")).await.expect("the Service is applied");
    let pin = json!([{"op": "add", "path": "/spec/selector/pin", "value": "x"}]);
    let patched = space.json_patch("patcher", SERVICE, "app", pin).await.expect("the selector is patched");
    let mut labelled = service("app", "blue");
    labelled["metadata"]["labels"] = json!({"unrelated": "label"});
    let conflict = space.apply_as("owner", false, SERVICE, labelled.clone()).await.expect_err("a conflict");
    assert!(conflict.to_string().contains(".spec.selector"), "{conflict}");

    let entries = patched["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let index = entries.iter().position(|entry| entry["manager"] == "patcher").expect("the patcher's entry");
    let give_up = json!([
        {"op": "replace", "path": "/metadata/resourceVersion", "value": patched["metadata"]["resourceVersion"]},
        {"op": "remove", "path": format!("/metadata/managedFields/{index}")},
    ]);
    let patched = space.json_patch("patcher", SERVICE, "app", give_up).await.expect("the entry is removed");
    assert_eq!(patched["spec"]["selector"]["pin"], "x", "the field itself stays");
    let applied = space.apply_as("owner", false, SERVICE, labelled).await.expect("the owner's apply succeeds again");
    assert_eq!(applied["spec"]["selector"], json!({"app": "app", "colour": "blue"}), "and resets the selector");
}

#[tokio::test]
async fn a_stale_resource_version_is_a_409_and_a_failed_test_a_422() {
    let space = Space::new("facts-stale").await;
    space.apply_as("owner", false, SERVICE, service("app", "blue")).await.expect("the Service is applied");
    for (operation, code) in [
        (json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}), 409),
        (json!({"op": "test", "path": "/spec/selector/colour", "value": "green"}), 422),
    ] {
        let patch = json!([operation, {"op": "add", "path": "/spec/selector/pin", "value": "x"}]);
        let refused = space.json_patch("patcher", SERVICE, "app", patch).await.expect_err("a refusal");
        assert!(matches!(&refused, kube::Error::Api(status) if status.code == code), "{refused}");
    }
}

#[tokio::test]
async fn foreground_deletion_collects_a_dependent_unless_it_has_a_second_living_owner() {
    let space = Space::new("facts-foreground").await;
    let owner = |name: &str| {
        let metadata = json!({"name": name, "finalizers": ["lab.tidegate.io/held"]});
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    };
    let first = space.create(CONFIG_MAP, owner("first")).await.expect("an owner");
    let second = space.create(CONFIG_MAP, owner("second")).await.expect("an owner");
    let reference = |owner: &Value| {
        let (name, uid) = (&owner["metadata"]["name"], &owner["metadata"]["uid"]);
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid, "blockOwnerDeletion": true})
    };
    for (name, owners) in [("alone", vec![&first]), ("kept", vec![&first, &second])] {
        let owners: Vec<Value> = owners.into_iter().map(reference).collect();
        let template =
            json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "app", "image": "none"}]}});
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "ownerReferences": owners},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template},
        });
        space.create(DEPLOYMENT, deployment).await.expect("a dependent");
    }
    space.delete(CONFIG_MAP, "first", PropagationPolicy::Foreground).await;
    space.until("the dependent to be collected", 30, async || space.get(DEPLOYMENT, "alone").await.is_none()).await;
    space
        .until("the other dependent to lose its first owner", 30, async || {
            let kept = space.get(DEPLOYMENT, "kept").await.expect("a dependent with a living owner stays");
            let owners = kept["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
            owners.len() == 1 && owners[0]["name"] == "second"
        })
        .await;
    assert!(space.get(CONFIG_MAP, "first").await.is_some(), "the finalizer still holds the owner");
    for name in ["first", "second"] {
        space.merge(CONFIG_MAP, name, json!({"metadata": {"finalizers": null}})).await.expect("the finalizer goes");
    }
}

#[tokio::test]
async fn a_selector_that_flips_between_ready_pods_loses_nothing() {
    let space = Space::new("facts-flip").await;
    colour(&space, "blue").await;
    colour(&space, "green").await;
    space.apply_as("owner", false, SERVICE, service("app", "blue")).await.expect("the Service is applied");
    backends(&space, &[("app", 1)]).await;
    let load = Load::when_served(&space, &Application::new(&space).host, 300).await;
    for flip in 0..16 {
        let colour = if flip % 2 == 0 { "green" } else { "blue" };
        space.apply_as("owner", false, SERVICE, service("app", colour)).await.expect("the Service is applied");
        rhythm(0.7).await;
    }
    let tally = load.stop();
    assert_eq!(tally.failed(), 0, "16 flips: {:?}", tally.counts);
    assert!(tally.of("blue") > 500 && tally.of("green") > 500, "{:?}", tally.counts);
}
