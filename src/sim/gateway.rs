//! A Gateway: it says of each route whether it is accepted, and its data plane works by it a little later.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{agenda::Event, server::Writer, world::World};
use crate::{
    controller::{Kind, SERVICE},
    workload::object::{items, name, namespace, number, text},
};

/// One rule as the data plane works by it: Services and their weights.
pub type Rule = Vec<(String, u64)>;

/// What the data plane works by.
#[derive(Debug, Default)]
pub struct Gateway {
    pub rules: BTreeMap<(Kind, String, String), Vec<Rule>>,
    /// The routes as it has seen them last; the data plane follows.
    seen: BTreeMap<(Kind, String, String), Arc<Value>>,
    /// Ready pods by namespace and Service.
    pub endpoints: BTreeMap<(String, String), Vec<String>>,
    /// It says nothing of what is written.
    pub silent: bool,
}

/// The rules of a route's document.
pub fn rules(route: &Value) -> Vec<Rule> {
    let backend = |reference: &Value| {
        let weight = number(reference, "/weight").unwrap_or(1);
        Some((text(reference, "/name")?.to_owned(), u64::try_from(weight).unwrap_or(0)))
    };
    let rule = |rule: &Value| items(rule, "/backendRefs").iter().filter_map(backend).collect();
    items(route, "/spec/rules").iter().map(rule).collect()
}

impl World {
    /// The Gateway's look at a route: its word in the status now, the data plane later.
    pub(super) fn see_route(&mut self, kind: Kind, namespace: &str, name: &str) {
        let Some(route) = self.server.get(kind, namespace, name) else {
            self.gateway.rules.remove(&(kind, namespace.to_owned(), name.to_owned()));
            return;
        };
        if self.gateway.silent {
            return;
        }
        let delay = self.draw(self.habits.data_plane);
        let key = (kind, namespace.to_owned(), name.to_owned());
        self.gateway.seen.insert(key, route.clone());
        self.plan(delay, Event::RouteApplied { kind, namespace: namespace.into(), name: name.into() });
        self.say_accepted(kind, &route);
    }

    fn say_accepted(&mut self, kind: Kind, route: &Value) {
        let generation = number(route, "/metadata/generation");
        let exists = |service: &String| self.server.get(SERVICE, namespace(route), service).is_some();
        let resolved = rules(route).iter().flatten().all(|(service, _)| exists(service));
        let condition = |kind: &str, holds: bool| {
            json!({
                "type": kind,
                "status": if holds { "True" } else { "False" },
                "reason": if holds { kind } else { "BackendNotFound" },
                "message": "",
                "observedGeneration": generation,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        };
        let parent = |reference: &Value| {
            json!({
                "parentRef": reference,
                "controllerName": "simulated.io/gateway",
                "conditions": [condition("Accepted", true), condition("ResolvedRefs", resolved)],
            })
        };
        let parents: Vec<Value> = items(route, "/spec/parentRefs").iter().map(parent).collect();
        let status = json!({"parents": parents});
        if route.get("status") == Some(&status) {
            return;
        }
        let mut document = route.clone();
        document["status"] = status;
        let writer = Writer::new("gateway", &self.clock.text());
        // A conflict means that the route has changed, and is looked at again.
        let _ = self.server.replace(&writer, kind, namespace(route), name(route), "status", &document);
        self.after_commits();
    }

    /// The data plane works by what the Gateway saw last.
    pub(super) fn apply_route(&mut self, kind: Kind, namespace: &str, name: &str) {
        let key = (kind, namespace.to_owned(), name.to_owned());
        if let Some(route) = self.gateway.seen.get(&key) {
            let rules = rules(route);
            self.gateway.rules.insert(key, rules);
        }
    }
}
