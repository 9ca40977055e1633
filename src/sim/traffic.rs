//! Requests: they arrive at the routes, go where the data plane sends them, and are counted as proxies and pods count them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{chance::Chance, clock::Millis, world::World};
use crate::{api::REVISION_LABEL, controller::Kind};

/// Where requests arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Route {
        kind: Kind,
        namespace: String,
        name: String,
    },
    /// Without a route: straight at a Service.
    Service {
        namespace: String,
        name: String,
    },
}

/// Who counts: the proxy for each Service, and each pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    Service { namespace: String, service: String },
    Pod(String),
}

/// Requests so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub total: u64,
    pub bad: u64,
}

/// A scraped value.
pub type Scrape = (i64, Counted);

/// Requests of a second that nobody answered: no endpoint, or one that was gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    pub at: Millis,
    pub service: String,
    pub requests: u64,
}

/// The traffic, what was counted of it, and what was scraped.
#[derive(Debug, Default)]
pub struct Traffic {
    pub entries: Vec<Entry>,
    /// Requests a second, spread evenly over the entries.
    pub rate: f64,
    /// As many usually.
    pub usual: f64,
    /// From when on; before, there were as many as usual all the time, and nobody watched.
    pub begun: Millis,
    pub counters: BTreeMap<Counter, Counted>,
    pub scraped: BTreeMap<Counter, Vec<Scrape>>,
    /// The revisions of pods that were scraped, of those that are gone too.
    pub revisions: BTreeMap<String, String>,
    /// What the pods of each revision have answered.
    pub by_revision: BTreeMap<String, Counted>,
    pub sent: u64,
    pub bad: u64,
    /// The last requests that were lost; bounded.
    pub lost: Vec<Lost>,
    pub lost_requests: u64,
    /// The application was deleted: nobody is to answer any more.
    pub is_closed: bool,
}

/// Seconds of losses that are kept.
const LOST_KEPT: usize = 256;

impl Traffic {
    /// Customers come from now on.
    pub fn begin(&mut self, now: Millis, rate: f64) {
        (self.rate, self.usual, self.begun) = (rate, rate, now);
    }

    pub fn forget_pod(&mut self, pod: &str) {
        self.counters.remove(&Counter::Pod(pod.to_owned()));
    }

    fn count(&mut self, counter: Counter, requests: u64, bad: u64) {
        let counted = self.counters.entry(counter).or_default();
        counted.total += requests;
        counted.bad += bad;
    }

    fn lose(&mut self, at: Millis, service: &str, requests: u64) {
        if self.is_closed {
            return;
        }
        self.lost_requests += requests;
        if self.lost.len() < LOST_KEPT {
            self.lost.push(Lost { at, service: service.to_owned(), requests });
        }
    }
}

impl World {
    /// One second of requests, then the scrapes that are due.
    pub(super) fn second_of_traffic(&mut self) {
        let entries = self.traffic.entries.clone();
        let each = self.traffic.rate / entries.len().max(1) as f64;
        for entry in entries {
            let requests = self.chance.poisson(each);
            self.traffic.sent += requests;
            match entry {
                Entry::Service { namespace, name } => self.arrive(&namespace, &name, requests),
                Entry::Route { kind, namespace, name } => {
                    let rules = self.gateway.rules.get(&(kind, namespace.clone(), name)).cloned().unwrap_or_default();
                    for (rule, part) in divided(&mut self.chance, evenly(rules), requests) {
                        for (service, part) in divided(&mut self.chance, rule, part) {
                            self.arrive(&namespace, &service, part);
                        }
                    }
                }
            }
        }
        self.scrape();
    }

    /// Requests that the data plane sends to a Service.
    fn arrive(&mut self, namespace: &str, service: &str, requests: u64) {
        if requests == 0 {
            return;
        }
        let at = self.clock.now();
        let key = (namespace.to_owned(), service.to_owned());
        let pods = self.gateway.endpoints.get(&key).cloned().unwrap_or_default();
        let counter = Counter::Service { namespace: key.0, service: key.1 };
        if pods.is_empty() {
            self.traffic.lose(at, service, requests);
            self.traffic.bad += requests;
            self.traffic.count(counter, requests, requests);
            return;
        }
        for (name, part) in divided(&mut self.chance, evenly(pods.clone()), requests) {
            let pod = self.pods.by_name.get(&(namespace.to_owned(), name.clone()));
            let bad = match pod {
                Some(pod) => {
                    let revision = pod.labels.get(REVISION_LABEL).and_then(Value::as_str).unwrap_or_default();
                    self.traffic.revisions.insert(name.clone(), revision.to_owned());
                    let bad = self.chance.binomial(part, self.pods.behaviour(&pod.image).errors);
                    let answered = self.traffic.by_revision.entry(revision.to_owned()).or_default();
                    (answered.total, answered.bad) = (answered.total + part, answered.bad + bad);
                    self.traffic.count(Counter::Pod(name), part, bad);
                    bad
                }
                // A proxy that still sends to a pod that has ended tries another one, if there is one.
                None if pods.len() > 1 => 0,
                None => {
                    self.traffic.lose(at, service, part);
                    part
                }
            };
            self.traffic.bad += bad;
            self.traffic.count(counter.clone(), part, bad);
        }
    }

    /// Every target is scraped at its own second of the interval.
    fn scrape(&mut self) {
        let second = self.clock.seconds();
        let interval = self.scrape_seconds.max(1);
        for (counter, counted) in &self.traffic.counters {
            let phase = match counter {
                Counter::Service { .. } => 0,
                Counter::Pod(name) => i64::try_from(name.len()).unwrap_or(0) + name.bytes().map(i64::from).sum::<i64>(),
            };
            if (second + phase) % interval == 0 {
                self.traffic.scraped.entry(counter.clone()).or_default().push((second * 1_000, *counted));
            }
        }
    }
}

/// As many for each.
fn evenly<N>(names: impl IntoIterator<Item = N>) -> Vec<(N, u64)> {
    names.into_iter().map(|name| (name, 1)).collect()
}

/// Requests spread by weights, each one by chance.
fn divided<N>(chance: &mut Chance, rule: Vec<(N, u64)>, requests: u64) -> Vec<(N, u64)> {
    let (mut left, mut weight_left) = (requests, rule.iter().map(|(_, weight)| weight).sum::<u64>());
    let mut parts = Vec::with_capacity(rule.len());
    for (name, weight) in rule {
        let part = match weight {
            0 => 0,
            // The last one that has weight takes what is left.
            _ if weight == weight_left => left,
            _ => chance.binomial(left, weight as f64 / weight_left as f64),
        };
        (left, weight_left) = (left - part, weight_left - weight);
        parts.push((name, part));
    }
    parts
}
