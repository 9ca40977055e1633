//! The cluster's own controllers, as far as a rollout sees them: Deployments make pods, pods get ready and end, Services get
//! EndpointSlices.
//!
//! A Deployment has pods, no ReplicaSets; a pod of another template is replaced once its successor is ready.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{agenda::Event, clock::Millis, server::Writer, world::World};
use crate::{
    controller::{DEPLOYMENT, ENDPOINT_SLICE, Kind, POD, SERVICE, SERVICE_NAME_LABEL},
    workload::{
        canonical::short_digest,
        deployment::desired,
        object::{self, items, label, number, text},
    },
};

const REPLICA_SET: Kind =
    Kind { group: "apps", version: "v1", kind: "ReplicaSet", plural: "replicasets", namespaced: true, optional: false };

/// How a version of the application behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Behaviour {
    /// From a pod's creation to its readiness; None: it never gets ready.
    pub ready: Option<Millis>,
    /// The part of its requests that fail.
    pub errors: f64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { ready: Some(2_000), errors: 0.001 }
    }
}

/// One pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    pub name: String,
    pub namespace: String,
    pub deployment: String,
    /// Digest of the template that it was made from.
    pub template: String,
    pub labels: Value,
    /// The image of its first container.
    pub image: String,
    pub started: Millis,
    pub ready: bool,
    pub terminating: bool,
}

/// All pods by name.
#[derive(Debug, Default)]
pub struct Pods {
    pub by_name: BTreeMap<(String, String), Pod>,
    pub behaviours: BTreeMap<String, Behaviour>,
    made: u64,
}

impl Pods {
    pub fn of<'p>(&'p self, namespace: &'p str, deployment: &'p str) -> impl Iterator<Item = &'p Pod> {
        self.by_name.values().filter(move |pod| pod.namespace == namespace && pod.deployment == deployment)
    }

    pub fn behaviour(&self, image: &str) -> Behaviour {
        self.behaviours.get(image).copied().unwrap_or_default()
    }
}

/// Kube's own name for what writes Deployments' statuses, pods and EndpointSlices.
const CONTROLLERS: &str = "kube-controller-manager";

impl World {
    pub(super) fn controllers(&self) -> Writer {
        Writer::new(CONTROLLERS, &self.clock.text())
    }

    /// The Deployment controller's look at one Deployment.
    pub(super) fn sync_deployment(&mut self, namespace: &str, name: &str) {
        let document = self.server.get(DEPLOYMENT, namespace, name).filter(|found| !object::is_terminating(found));
        let Some(document) = document else {
            let all: Vec<String> = self.pods.of(namespace, name).map(|pod| pod.name.clone()).collect();
            for pod in all {
                self.terminate(namespace, &pod);
            }
            return;
        };
        let (wanted, template) = (desired(&document) as usize, document["spec"]["template"].clone());
        let digest = short_digest(&template);
        let (new, old): (Vec<Pod>, Vec<Pod>) = self
            .pods
            .of(namespace, name)
            .filter(|pod| !pod.terminating)
            .cloned()
            .partition(|pod| pod.template == digest);
        for _ in new.len()..wanted {
            self.make_pod(&document, &template, &digest);
        }
        let mut surplus: Vec<&Pod> = new.iter().collect();
        // Those that are not ready go first, then the youngest.
        surplus.sort_by_key(|pod| (pod.ready, std::cmp::Reverse(pod.started)));
        for pod in surplus.iter().take(new.len().saturating_sub(wanted)) {
            self.terminate(namespace, &pod.name);
        }
        let ready = new.iter().filter(|pod| pod.ready).count();
        for pod in old.iter().take((old.len() + ready).saturating_sub(wanted)) {
            self.terminate(namespace, &pod.name);
        }
        self.write_deployment_status(&document, &digest);
    }

    fn make_pod(&mut self, deployment: &Value, template: &Value, digest: &str) {
        self.pods.made += 1;
        let (namespace, owner) = (object::namespace(deployment).to_owned(), object::name(deployment).to_owned());
        let name = format!("{owner}-{digest}-{}", self.pods.made);
        let mut labels = template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
        labels["pod-template-hash"] = json!(digest);
        let image = text(template, "/spec/containers/0/image").unwrap_or_default().to_owned();
        let pod = Pod {
            name: name.clone(),
            namespace: namespace.clone(),
            deployment: owner,
            template: digest.to_owned(),
            labels,
            started: self.clock.now(),
            ready: false,
            terminating: false,
            image: image.clone(),
        };
        self.write_pod(&pod);
        self.pods.by_name.insert((namespace.clone(), name.clone()), pod);
        if let Some(delay) = self.pods.behaviour(&image).ready {
            let delay = delay + self.chance.below(delay / 4 + 1);
            self.plan(delay, Event::PodReady { namespace, pod: name });
        }
    }

    /// Lets a pod get ready, if it still is on its way.
    pub(super) fn pod_ready(&mut self, namespace: &str, name: &str) {
        self.set_ready(namespace, name, true);
    }

    /// All pods of an image get ready a moment later.
    pub(super) fn wake_pods(&mut self, image: &str) {
        let asleep: Vec<(String, String)> = self
            .pods
            .by_name
            .iter()
            .filter(|(_, pod)| pod.image == image && !pod.ready)
            .map(|(key, _)| key.clone())
            .collect();
        for (namespace, pod) in asleep {
            self.plan(1_000, Event::PodReady { namespace, pod });
        }
    }

    /// A pod's readiness as its probe finds it.
    pub(super) fn set_ready(&mut self, namespace: &str, name: &str, ready: bool) {
        let Some(pod) = self.pods.by_name.get_mut(&(namespace.to_owned(), name.to_owned())) else { return };
        if pod.terminating || pod.ready == ready {
            return;
        }
        pod.ready = ready;
        let pod = pod.clone();
        self.write_pod(&pod);
        self.look_at_deployment(namespace, &pod.deployment);
    }

    pub(super) fn terminate(&mut self, namespace: &str, name: &str) {
        let writer = self.controllers();
        // One that is gone already is gone.
        let _ = self.server.delete(&writer, POD, namespace, name, None);
        self.after_commits();
    }

    /// A pod was deleted: it serves no more, and is gone in a while.
    pub(super) fn pod_ends(&mut self, namespace: &str, name: &str) {
        let Some(pod) = self.pods.by_name.get_mut(&(namespace.to_owned(), name.to_owned())) else { return };
        (pod.terminating, pod.ready) = (true, false);
        let deployment = pod.deployment.clone();
        let delay = self.draw(self.habits.termination);
        self.plan(delay, Event::PodGone { namespace: namespace.into(), pod: name.into() });
        self.look_at_deployment(namespace, &deployment);
    }

    pub(super) fn pod_gone(&mut self, namespace: &str, name: &str) {
        let gone = self.pods.by_name.remove(&(namespace.to_owned(), name.to_owned()));
        let writer = self.controllers();
        let _ = self.server.delete_now(&writer, POD, namespace, name);
        self.after_commits();
        if let Some(pod) = gone {
            self.traffic.forget_pod(&pod.name);
            self.look_at_deployment(namespace, &pod.deployment);
        }
    }

    fn look_at_deployment(&mut self, namespace: &str, name: &str) {
        let delay = self.draw(self.habits.controllers);
        self.plan_once(delay, Event::Deployment { namespace: namespace.into(), name: name.into() });
    }

    /// The pod's object: created once, then its status.
    fn write_pod(&mut self, pod: &Pod) {
        let (writer, namespace) = (self.controllers(), pod.namespace.as_str());
        let found = match self.server.get(POD, namespace, &pod.name) {
            Some(found) => found,
            None => {
                let owner = self.replica_set(pod);
                let document = json!({
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {
                        "name": pod.name,
                        "namespace": namespace,
                        "labels": pod.labels,
                        "ownerReferences": [owner],
                    },
                    "spec": {"containers": [{"name": "app", "image": pod.image}], "nodeName": "node"},
                });
                let made = self.server.create(&writer, POD, namespace, &document, false);
                let Ok(made) = made else { return };
                made
            }
        };
        let mut document = Value::clone(&found);
        let ready = if pod.ready { "True" } else { "False" };
        document["status"] = json!({
            "phase": "Running",
            "startTime": found["metadata"]["creationTimestamp"],
            "conditions": [{"type": "Ready", "status": ready}],
        });
        let _ = self.server.replace(&writer, POD, namespace, &pod.name, "status", &document);
        self.after_commits();
    }

    /// A reference to the pod's ReplicaSet, which is made if it is not there.
    fn replica_set(&mut self, pod: &Pod) -> Value {
        let (writer, namespace) = (self.controllers(), pod.namespace.as_str());
        let name = format!("{}-{}", pod.deployment, pod.template);
        let uid = |document: &Option<Arc<Value>>| document.as_ref().map(|document| document["metadata"]["uid"].clone());
        let reference = |kind: &str, name: &str, uid: Option<Value>| json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true});
        let mut found = self.server.get(REPLICA_SET, namespace, &name);
        if found.is_none() {
            let deployment = uid(&self.server.get(DEPLOYMENT, namespace, &pod.deployment));
            let owner = reference("Deployment", &pod.deployment, deployment);
            let document = json!({
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {"name": name, "namespace": namespace, "labels": pod.labels, "ownerReferences": [owner]},
                "spec": {"selector": {"matchLabels": {"pod-template-hash": pod.template}}},
            });
            found = self.server.create(&writer, REPLICA_SET, namespace, &document, false).ok();
        }
        reference("ReplicaSet", &name, uid(&found))
    }

    fn write_deployment_status(&mut self, deployment: &Value, digest: &str) {
        let (namespace, name) = (object::namespace(deployment), object::name(deployment));
        let pods: Vec<&Pod> = self.pods.of(namespace, name).filter(|pod| !pod.terminating).collect();
        let count = |holds: &dyn Fn(&Pod) -> bool| pods.iter().filter(|pod| holds(pod)).count();
        let ready = count(&|pod| pod.ready);
        let status = json!({
            "observedGeneration": number(deployment, "/metadata/generation"),
            "replicas": pods.len(),
            "updatedReplicas": count(&|pod| pod.template == digest),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": (desired(deployment) as usize).saturating_sub(ready),
        });
        if deployment.get("status") == Some(&status) {
            return;
        }
        let mut document = deployment.clone();
        document["status"] = status;
        let writer = self.controllers();
        // A conflict means that it has changed, and is looked at again.
        let _ = self.server.replace(&writer, DEPLOYMENT, namespace, name, "status", &document);
        self.after_commits();
    }

    /// Makes the EndpointSlices of a namespace as its Services and pods are now.
    pub(super) fn sync_endpoints(&mut self, namespace: &str) {
        for service in self.server.list(SERVICE, namespace, "") {
            self.write_slice(&service);
        }
        let delay = self.draw(self.habits.endpoints);
        self.plan_once(delay, Event::EndpointsApplied { namespace: namespace.into() });
    }

    fn write_slice(&mut self, service: &Arc<Value>) {
        let (namespace, name) = (object::namespace(service), object::name(service));
        let Some(selector) = service.pointer("/spec/selector").and_then(Value::as_object) else { return };
        let selected = |pod: &&Pod| {
            pod.namespace == namespace && selector.iter().all(|(key, value)| pod.labels.get(key) == Some(value))
        };
        let endpoint = |pod: &Pod| {
            json!({
                "addresses": [format!("10.0.0.{}", pod.name.len())],
                "conditions": {"ready": pod.ready, "serving": pod.ready, "terminating": pod.terminating},
                "targetRef": {"kind": "Pod", "name": pod.name, "namespace": namespace},
            })
        };
        let endpoints: Vec<Value> = self.pods.by_name.values().filter(selected).map(endpoint).collect();
        let port = |port: &Value| json!({"name": text(port, "/name").unwrap_or_default(), "port": 8080});
        let ports: Vec<Value> = items(service, "/spec/ports").iter().map(port).collect();
        let slice = format!("{name}-slice");
        let mut document = match self.server.get(ENDPOINT_SLICE, namespace, &slice) {
            Some(found) if found["endpoints"] == json!(endpoints) && found["ports"] == json!(ports) => return,
            Some(found) => Value::clone(&found),
            None => json!({
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": slice,
                    "namespace": namespace,
                    "labels": {SERVICE_NAME_LABEL: name},
                    "ownerReferences": [
                        {"apiVersion": "v1", "kind": "Service", "name": name, "uid": text(service, "/metadata/uid")},
                    ],
                },
                "addressType": "IPv4",
            }),
        };
        document["endpoints"] = json!(endpoints);
        document["ports"] = json!(ports);
        let writer = self.controllers();
        let _ = match document["metadata"].get("resourceVersion") {
            Some(_) => self.server.replace(&writer, ENDPOINT_SLICE, namespace, &slice, "", &document),
            None => self.server.create(&writer, ENDPOINT_SLICE, namespace, &document, false),
        };
        self.after_commits();
    }

    /// The data plane takes a namespace's endpoints over: for each Service the names of its ready pods.
    pub(super) fn apply_endpoints(&mut self, namespace: &str) {
        self.gateway.endpoints.retain(|(of, _), _| of != namespace);
        for slice in self.server.list(ENDPOINT_SLICE, namespace, "") {
            let Some(service) = label(&slice, SERVICE_NAME_LABEL) else { continue };
            let ready = |endpoint: &&Value| endpoint.pointer("/conditions/ready") == Some(&json!(true));
            let pods = items(&slice, "/endpoints").iter().filter(ready);
            let pods = pods.filter_map(|endpoint| text(endpoint, "/targetRef/name")).map(str::to_owned).collect();
            self.gateway.endpoints.insert((namespace.to_owned(), service.to_owned()), pods);
        }
    }
}
