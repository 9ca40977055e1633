//! Which Rollouts mention an object by name: how an event about a foreign object finds the Rollouts it matters to.
//!
//! It only decides when to look; no decision rests on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use serde_json::Value;

use super::{
    ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE, DEPLOYMENT, ENDPOINT_SLICE, GRPC_ROUTE, HTTP_ROUTE, Key, Kind,
    METRICS_PROVIDER, ROLLOUT_POLICY, SERVICE,
};
use crate::api::ROLLOUT_LABEL;

/// The label on an EndpointSlice that names its Service.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// An object that a Rollout mentions: kind, namespace ("" for cluster-wide kinds), name ("" for any).
type Mention = (Kind, String, String);

#[derive(Default)]
pub struct Index {
    entries: RwLock<Entries>,
}

#[derive(Default)]
struct Entries {
    rollouts: BTreeMap<Key, Entry>,
    by_mention: BTreeMap<Mention, BTreeSet<Key>>,
}

struct Entry {
    fingerprint: u64,
    mentions: BTreeSet<Mention>,
}

impl Index {
    /// Takes a Rollout's document in. The Rollouts to look at: itself and its neighbours if anything but the status has
    /// changed, else none.
    pub fn update(&self, key: &Key, document: &Value) -> BTreeSet<Key> {
        let entry = Entry { fingerprint: fingerprint(document), mentions: mentions(key, document) };
        let mut entries = self.write();
        if entries.rollouts.get(key).is_some_and(|known| known.fingerprint == entry.fingerprint) {
            return BTreeSet::new();
        }
        let mut affected = entries.remove(key);
        for mention in &entry.mentions {
            entries.by_mention.entry(mention.clone()).or_default().insert(key.clone());
        }
        affected.extend(entries.neighbours(&entry.mentions));
        affected.insert(key.clone());
        entries.rollouts.insert(key.clone(), entry);
        affected
    }

    /// The Rollout is gone. The Rollouts to look at: itself and those that named the same Services.
    pub fn remove(&self, key: &Key) -> BTreeSet<Key> {
        let mut affected = self.write().remove(key);
        affected.insert(key.clone());
        affected
    }

    pub fn keys(&self) -> Vec<Key> {
        self.read().rollouts.keys().cloned().collect()
    }

    /// The Rollouts that an event about this object matters to.
    pub fn affected(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> BTreeSet<Key> {
        let entries = self.read();
        let mut affected = BTreeSet::new();
        if let Some(rollout) = labels.get(ROLLOUT_LABEL) {
            affected.insert(Key::new(namespace, rollout));
        }
        let (kind, name) = match labels.get(SERVICE_NAME_LABEL) {
            Some(service) if kind == ENDPOINT_SLICE => (SERVICE, service.as_str()),
            _ => (kind, name),
        };
        for name in [name, ""] {
            if let Some(keys) = entries.by_mention.get(&(kind, namespace.into(), name.into())) {
                affected.extend(keys.iter().cloned());
            }
        }
        affected
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, key: &Key) -> BTreeSet<Key> {
        let Some(entry) = self.rollouts.remove(key) else { return BTreeSet::new() };
        for mention in &entry.mentions {
            if let Some(keys) = self.by_mention.get_mut(mention) {
                keys.remove(key);
                if keys.is_empty() {
                    self.by_mention.remove(mention);
                }
            }
        }
        self.neighbours(&entry.mentions)
    }

    /// Rollouts that mention the same Services: only one may have them.
    fn neighbours(&self, mentions: &BTreeSet<Mention>) -> BTreeSet<Key> {
        let services = mentions.iter().filter(|mention| mention.0 == SERVICE);
        services.filter_map(|mention| self.by_mention.get(mention)).flatten().cloned().collect()
    }
}

/// Digest of all that is not written by the controller itself or by bookkeeping.
fn fingerprint(document: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    document["spec"].to_string().hash(&mut hasher);
    for field in ["uid", "deletionTimestamp", "finalizers", "annotations", "labels"] {
        document["metadata"][field].to_string().hash(&mut hasher);
    }
    // A status that was taken away is written again.
    document["status"].is_null().hash(&mut hasher);
    hasher.finish()
}

fn mentions(key: &Key, document: &Value) -> BTreeSet<Mention> {
    let spec = &document["spec"];
    let mut mentions = BTreeSet::new();
    let mut add = |kind: Kind, name: &Value| {
        if let Some(name) = name.as_str() {
            let namespace = if kind.namespaced { key.namespace.clone() } else { String::new() };
            mentions.insert((kind, namespace, name.to_owned()));
        }
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for service in list(&spec["traffic"]["services"]) {
        add(SERVICE, &service["name"]);
    }
    add(SERVICE, &spec["traffic"]["preview"]["service"]);
    add(DEPLOYMENT, &spec["workload"]["deploymentRef"]["name"]);
    for route in list(&spec["traffic"]["routes"]) {
        let route = &route["gatewayAPI"];
        let kind = if route["kind"] == "GRPCRoute" { GRPC_ROUTE } else { HTTP_ROUTE };
        add(kind, &route["name"]);
    }
    for template in list(&spec["analysis"]["templates"]) {
        let cluster = template["kind"] == "ClusterAnalysisTemplate";
        add(if cluster { CLUSTER_ANALYSIS_TEMPLATE } else { ANALYSIS_TEMPLATE }, &template["name"]);
    }
    if !spec["analysis"].is_null() || !spec["errorBudget"].is_null() {
        add(METRICS_PROVIDER, &Value::String(String::new()));
    }
    // Which Rollouts a policy selects is seen when they are looked at.
    add(ROLLOUT_POLICY, &Value::String(String::new()));
    mentions
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rollout(service: &str) -> Value {
        json!({
            "metadata": {"uid": "u"},
            "spec": {
                "workload": {"deploymentRef": {"name": "source"}},
                "traffic": {"services": [{"name": service}], "routes": [{"gatewayAPI": {"name": "web"}}]},
                "analysis": {"templates": [{"name": "golden"}]},
            },
        })
    }

    #[test]
    fn events_find_the_rollouts_that_mention_the_object() {
        let (index, key) = (Index::default(), Key::new("shop", "checkout"));
        assert_eq!(index.update(&key, &rollout("app")), BTreeSet::from([key.clone()]));
        let none = BTreeMap::new();
        let slice = BTreeMap::from([(SERVICE_NAME_LABEL.to_owned(), "app".to_owned())]);
        let child = BTreeMap::from([(ROLLOUT_LABEL.to_owned(), "other".to_owned())]);
        for (kind, namespace, name, labels, expected) in [
            (SERVICE, "shop", "app", &none, Some("checkout")),
            (SERVICE, "bank", "app", &none, None),
            (ENDPOINT_SLICE, "shop", "app-x7", &slice, Some("checkout")),
            (DEPLOYMENT, "shop", "source", &none, Some("checkout")),
            (HTTP_ROUTE, "shop", "web", &none, Some("checkout")),
            (GRPC_ROUTE, "shop", "web", &none, None),
            (ANALYSIS_TEMPLATE, "shop", "golden", &none, Some("checkout")),
            (METRICS_PROVIDER, "", "main", &none, Some("checkout")),
            (ROLLOUT_POLICY, "", "production", &none, Some("checkout")),
            (DEPLOYMENT, "shop", "other-abc", &child, Some("other")),
        ] {
            let expected: BTreeSet<Key> = expected.map(|name| Key::new("shop", name)).into_iter().collect();
            assert_eq!(index.affected(kind, namespace, name, labels), expected, "{} {name}", kind.kind);
        }
        index.remove(&key);
        assert!(index.affected(SERVICE, "shop", "app", &none).is_empty());
    }

    #[test]
    fn a_status_write_is_no_news_and_a_neighbour_hears_of_a_shared_service() {
        let (index, older, newer) = (Index::default(), Key::new("shop", "a"), Key::new("shop", "b"));
        let mut document = rollout("app");
        document["status"] = json!({"phase": "Healthy"});
        index.update(&older, &document);
        document["status"] = json!({"phase": "Degraded"});
        assert!(index.update(&older, &document).is_empty());
        assert_eq!(index.update(&newer, &rollout("app")), BTreeSet::from([older.clone(), newer.clone()]));
        assert_eq!(index.remove(&older), BTreeSet::from([older, newer]));
    }
}
