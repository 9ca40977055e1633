//! A namespace of one's own on the lab's API server, and plain reads and writes in it.

use std::{future::Future, path::PathBuf, process::Command, time::Duration};

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PropagationPolicy},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate::controller::{ACTION, HTTP_ROUTE, Kind, LEASE, METRICS_PROVIDER, NAMESPACE, ROLLOUT, RUN};
use tokio::time::{Instant, sleep};

/// How often a wait looks again.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// How often it looks for a moment that must not be missed.
const CATCH_EVERY: Duration = Duration::from_millis(15);

/// Who the controllers are: the ServiceAccount that the chart makes for them.
pub const CONTROLLER: &str = "system:serviceaccount:tidegate-system:tidegate";

const ROLE: Kind = Kind { namespaced: true, ..rbac("Role", "roles") };
const ROLE_BINDING: Kind = Kind { namespaced: true, ..rbac("RoleBinding", "rolebindings") };
const CLUSTER_ROLE: Kind = rbac("ClusterRole", "clusterroles");
const CLUSTER_ROLE_BINDING: Kind = rbac("ClusterRoleBinding", "clusterrolebindings");

const fn rbac(kind: &'static str, plural: &'static str) -> Kind {
    Kind { group: "rbac.authorization.k8s.io", version: "v1", kind, plural, namespaced: false, optional: false }
}

#[derive(Clone)]
pub struct Space {
    pub client: Client,
    pub namespace: String,
}

/// A path that the lab gives to what runs inside it.
pub fn lab(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run this inside the lab (make test, make demo)"))
}

/// An object of the plain manifests, which are the chart's default release.
pub fn shipped(kind: &str, name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/tidegate.yaml");
    let text = std::fs::read_to_string(path).expect("the plain manifests");
    let documents =
        serde_yaml_ng::Deserializer::from_str(&text).map(|document| Value::deserialize(document).expect("YAML"));
    let is_it = |document: &Value| document["kind"] == kind && document["metadata"]["name"] == name;
    documents.into_iter().find(is_it).expect("one of this kind and name")
}

/// A client of one of the lab's users.
pub async fn client_of(user: &str) -> Client {
    Client::try_from(config_of(user).await).expect("a client")
}

/// What such a client is made from.
pub async fn config_of(user: &str) -> Config {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let path = PathBuf::from(lab("TIDEGATE_LAB_DIR")).join(format!("kubeconfig-{user}"));
    let file = Kubeconfig::read_from(path).expect("the lab's kubeconfig");
    Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.expect("a client config")
}

impl Space {
    /// A fresh namespace; the CRDs and the MetricsProvider are there afterwards.
    pub async fn new(stem: &str) -> Self {
        let space = Self { client: client_of("admin").await, namespace: stem.to_owned() };
        space.crds().await;
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stem}});
        space.apply_as("lab", true, NAMESPACE, namespace).await.expect("a namespace");
        space.rights().await;
        space.provider("lab", &lab("TIDEGATE_LAB_PROMETHEUS"), true).await;
        space
    }

    /// The owner may do everything; the controllers what the chart's ClusterRole grants them.
    async fn rights(&self) {
        let shipped = shipped("ClusterRole", "tidegate");
        let mut role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "lab-tidegate"}});
        role["rules"] = shipped["rules"].clone();
        self.apply_as("lab", true, CLUSTER_ROLE, role).await.expect("the controllers' role");
        for (name, user, role) in [("owner", "owner", "cluster-admin"), ("tidegate", CONTROLLER, "lab-tidegate")] {
            let binding = json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": format!("lab-{name}")},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
            });
            self.apply_as("lab", true, CLUSTER_ROLE_BINDING, binding).await.expect("a user's rights");
        }
        // The API server takes a moment to follow: a controller that is refused meanwhile would be no news of its rights.
        let wanted = json!({"verb": "list", "group": ROLLOUT.group, "resource": ROLLOUT.plural});
        let review = json!({"metadata": {}, "spec": {"user": CONTROLLER, "resourceAttributes": wanted}});
        let review: SubjectAccessReview = serde_json::from_value(review).expect("a review");
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        self.until("the controllers' rights to be known", 20, async || {
            let answer = reviews.create(&kube::api::PostParams::default(), &review).await;
            answer.is_ok_and(|answer| answer.status.is_some_and(|status| status.allowed))
        })
        .await;
    }

    /// The controllers may use the namespace's Lease, as the chart grants it.
    pub async fn lease_rights(&self) {
        let lease = format!("tidegate-{}", self.namespace);
        let rule = |verbs: &[&str]| json!({"apiGroups": [LEASE.group], "resources": [LEASE.plural], "verbs": verbs});
        let mut own = rule(&["get", "patch"]);
        own["resourceNames"] = json!([lease]);
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "lease"},
            "rules": [rule(&["create"]), own],
        });
        self.apply_as("lab", true, ROLE, role).await.expect("a Role");
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "lease"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lease"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": CONTROLLER}],
        });
        self.apply_as("lab", true, ROLE_BINDING, binding).await.expect("its binding");
    }

    /// A MetricsProvider: the lab's Prometheus at this address.
    pub async fn provider(&self, name: &str, address: &str, default: bool) {
        let provider = json!({
            "apiVersion": "tidegate.io/v1alpha1", "kind": "MetricsProvider", "metadata": {"name": name},
            "spec": {
                "address": address, "allowAddresses": ["Loopback"], "default": default,
                "scrapeInterval": lab("TIDEGATE_LAB_SCRAPE_INTERVAL"),
            },
        });
        self.apply_as("lab", true, METRICS_PROVIDER, provider).await.expect("a MetricsProvider");
    }

    async fn crds(&self) {
        let kind = Kind {
            group: "apiextensions.k8s.io",
            version: "v1",
            kind: "CustomResourceDefinition",
            plural: "customresourcedefinitions",
            namespaced: false,
            optional: false,
        };
        for crd in tidegate::api::crds() {
            let document = serde_json::to_value(crd).expect("a CRD is JSON");
            self.apply_as("lab", true, kind, document).await.expect("the CRD is accepted");
        }
        for plural in ["rollouts", "rolloutruns", "rolloutactions", "metricsproviders", "rolloutpolicies"] {
            let name = format!("{plural}.tidegate.io");
            self.until(&format!("{name} is established"), 20, async || {
                let crd = self.get(kind, &name).await.unwrap_or_default();
                let conditions = crd["status"]["conditions"].as_array().cloned().unwrap_or_default();
                conditions.iter().any(|row| row["type"] == "Established" && row["status"] == "True")
            })
            .await;
        }
    }

    pub fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(kind.group, kind.version, kind.kind), kind.plural);
        if kind.namespaced {
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        }
    }

    pub async fn get(&self, kind: Kind, name: &str) -> Option<Value> {
        let found = self.api(kind).get_opt(name).await.expect("a read");
        found.map(|object| serde_json::to_value(object).expect("an object is JSON"))
    }

    pub async fn list(&self, kind: Kind) -> Vec<Value> {
        let list = self.api(kind).list(&ListParams::default()).await.expect("a list");
        list.items.into_iter().map(|object| serde_json::to_value(object).expect("an object is JSON")).collect()
    }

    /// Server-side apply, as `kubectl apply --server-side --field-manager=MANAGER [--force-conflicts]` does it.
    pub async fn apply_as(
        &self,
        manager: &str,
        force: bool,
        kind: Kind,
        document: Value,
    ) -> Result<Value, kube::Error> {
        let name = document["metadata"]["name"].as_str().expect("a name").to_owned();
        let mut params = PatchParams::apply(manager).validation_strict();
        params.force = force;
        let object = self.api(kind).patch(&name, &params, &Patch::Apply(document)).await?;
        Ok(serde_json::to_value(object).expect("an object is JSON"))
    }

    /// RFC 6902, by this field manager.
    pub async fn json_patch(
        &self,
        manager: &str,
        kind: Kind,
        name: &str,
        operations: Value,
    ) -> Result<Value, kube::Error> {
        let params = PatchParams { field_manager: Some(manager.into()), ..PatchParams::default() };
        let patch: Patch<()> = Patch::Json(serde_json::from_value(operations).expect("JSON patch operations"));
        let object = self.api(kind).patch(name, &params, &patch).await?;
        Ok(serde_json::to_value(object).expect("an object is JSON"))
    }

    pub async fn merge(&self, kind: Kind, name: &str, patch: Value) -> Result<Value, kube::Error> {
        let params = PatchParams { field_manager: Some("someone".into()), ..PatchParams::default() };
        let object = self.api(kind).patch(name, &params, &Patch::Merge(patch)).await?;
        Ok(serde_json::to_value(object).expect("an object is JSON"))
    }

    /// As a HorizontalPodAutoscaler scales.
    pub async fn scale(&self, kind: Kind, name: &str, replicas: u32) {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        self.api(kind).patch_scale(name, &PatchParams::default(), &patch).await.expect("it is scaled");
    }

    pub async fn create(&self, kind: Kind, document: Value) -> Result<Value, kube::Error> {
        let object: DynamicObject = serde_json::from_value(document).expect("an object");
        let created = self.api(kind).create(&kube::api::PostParams::default(), &object).await?;
        Ok(serde_json::to_value(created).expect("an object is JSON"))
    }

    pub async fn delete(&self, kind: Kind, name: &str, policy: PropagationPolicy) {
        let params = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
        self.api(kind).delete(name, &params).await.expect("a deletion");
    }

    /// The Rollout's status.
    pub async fn status(&self, name: &str) -> Value {
        self.get(ROLLOUT, name).await.map(|rollout| rollout["status"].clone()).unwrap_or_default()
    }

    /// The reason of the Rollout's condition Ready.
    pub async fn reason_of(&self, name: &str) -> String {
        let conditions = self.status(name).await["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().find(|row| row["type"] == "Ready");
        ready.and_then(|row| row["reason"].as_str()).unwrap_or_default().to_owned()
    }

    /// The newest RolloutRun of a Rollout, by creation.
    pub async fn newest_run(&self, rollout: &str) -> Option<Value> {
        let mut runs = self.list(RUN).await;
        runs.retain(|run| run["spec"]["rollout"] == rollout);
        runs.sort_by_key(|run| run["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned());
        runs.pop()
    }

    /// Looks until `done`; panics with what was waited for after `seconds`.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, seconds: u64, done: impl Fn() -> F) {
        self.look(what, LOOK_EVERY, seconds, done).await;
    }

    /// The same for what must be caught in the act.
    pub async fn catch<F: Future<Output = bool>>(&self, what: &str, seconds: u64, done: impl Fn() -> F) {
        self.look(what, CATCH_EVERY, seconds, done).await;
    }

    async fn look<F: Future<Output = bool>>(&self, what: &str, every: Duration, seconds: u64, done: impl Fn() -> F) {
        let end = Instant::now() + Duration::from_secs(seconds);
        while !done().await {
            if Instant::now() > end {
                panic!("{}: {what} not seen within {seconds} s\n{}", self.namespace, self.describe().await);
            }
            sleep(every).await;
        }
    }

    /// The newest run's status is like this.
    pub async fn until_run(&self, rollout: &str, what: &str, seconds: u64, like: impl Fn(&Value) -> bool) -> Value {
        let seen = async || self.newest_run(rollout).await.is_some_and(|run| like(&run["status"]));
        self.until(what, seconds, seen).await;
        self.newest_run(rollout).await.unwrap_or_default()
    }

    /// The newest run stands at this weight, accepted.
    pub async fn until_at(&self, rollout: &str, weight: u32, seconds: u64) -> Value {
        let at = |status: &Value| percent(&status["weight"]) == f64::from(weight) && !status["settledAt"].is_null();
        self.until_run(rollout, &format!("weight {weight} to stand"), seconds, at).await
    }

    pub async fn until_phase(&self, name: &str, phase: &str, seconds: u64) {
        self.until(&format!("phase {phase}"), seconds, async || self.status(name).await["phase"] == phase).await;
    }

    /// The Rollout serves with all its pods; `version` is in its template.
    pub async fn until_healthy(&self, name: &str, seconds: u64) {
        self.until("Ready=True at the present generation", seconds, async || {
            let Some(rollout) = self.get(ROLLOUT, name).await else { return false };
            let status = &rollout["status"];
            status["observedGeneration"] == rollout["metadata"]["generation"] && status["phase"] == "Healthy"
        })
        .await;
    }

    /// The release of this id has this outcome and nothing goes on any more.
    pub async fn until_outcome(&self, name: &str, release: &str, outcome: &str, seconds: u64) {
        self.until(&format!("{release} to be {outcome}"), seconds, async || {
            let status = self.status(name).await;
            let rests = status["phase"] == "Healthy" || status["phase"] == "Degraded";
            rests && status["release"]["id"] == release && status["release"]["outcome"] == outcome
        })
        .await;
    }

    /// The gateway has accepted the present generation of this HTTPRoute.
    pub async fn until_accepted(&self, route: &str, seconds: u64) {
        self.until("the route to be accepted", seconds, async || {
            let route = self.get(HTTP_ROUTE, route).await.unwrap_or_default();
            let parents = route["status"]["parents"].as_array().cloned().unwrap_or_default();
            let accepted = |parent: &Value| {
                let conditions = parent["conditions"].as_array().cloned().unwrap_or_default();
                conditions.iter().any(|row| {
                    row["type"] == "Accepted"
                        && row["status"] == "True"
                        && row["observedGeneration"] == route["metadata"]["generation"]
                })
            };
            parents.iter().any(accepted)
        })
        .await;
    }

    /// A RolloutAction; its name.
    pub async fn act(&self, kind: &str, rollout: &str, more: Value) -> String {
        let mut spec = json!({"type": kind, "rollout": rollout});
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        let metadata = json!({"generateName": format!("{}-", kind.to_lowercase())});
        let action =
            json!({"apiVersion": "tidegate.io/v1alpha1", "kind": "RolloutAction", "metadata": metadata, "spec": spec});
        let created = self.create(ACTION, action).await.expect("the action is created");
        created["metadata"]["name"].as_str().unwrap_or_default().to_owned()
    }

    /// The outcome of a RolloutAction and its sentence.
    pub async fn answer(&self, action: &str) -> (String, String) {
        self.until(&format!("an answer to {action}"), 20, async || {
            !self.get(ACTION, action).await.unwrap_or_default()["status"]["outcome"].is_null()
        })
        .await;
        let status = self.get(ACTION, action).await.unwrap_or_default()["status"].clone();
        let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
        (text("outcome"), text("message"))
    }

    /// Statuses of this namespace's Rollouts and runs, for a failure's message.
    async fn describe(&self) -> String {
        let mut text = String::new();
        for kind in [ROLLOUT, RUN] {
            for object in self.list(kind).await {
                let status = serde_json::to_string(&object["status"]).unwrap_or_default();
                text += &format!("{} {}: {status}\n", kind.kind, object["metadata"]["name"]);
            }
        }
        text
    }

    /// The lab's kubectl in this namespace.
    pub fn kubectl(&self, args: &[&str]) -> (bool, String) {
        let out = Command::new("kubectl").args(["-n", &self.namespace]).args(args).output().expect("kubectl");
        let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        (out.status.success(), text)
    }
}

/// A weight as the API writes it: a number or text.
pub fn percent(weight: &Value) -> f64 {
    weight.as_f64().or_else(|| weight.as_str()?.parse().ok()).unwrap_or_default()
}

/// The pause of a script that plays a person or a manager with a rhythm of its own; never a wait for an outcome.
pub async fn rhythm(seconds: f64) {
    sleep(Duration::from_secs_f64(seconds)).await;
}
