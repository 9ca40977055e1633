//! What the oracle knows of the cluster: the documents as they stand, and for a while what was so a moment ago.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::{Change, accepted::Accepted};
use crate::{
    api::{PROVEN_ANNOTATION, REVISION_LABEL, ROLLOUT_LABEL},
    controller::{
        ACTION, CONTROLLER_REVISION, DEPLOYMENT, ENDPOINT_SLICE, GRPC_ROUTE, HTTP_ROUTE, Kind, ROLLOUT, ROLLOUT_POLICY,
        RUN, SERVICE, SERVICE_NAME_LABEL,
    },
    sim::clock::Millis,
    workload::object::{annotation, is_terminating, items, label, name, namespace, number, text},
};

/// How old a read may be on which a write rests.
const FRESH: Millis = 5_000;

const KEPT: [Kind; 10] = [
    ROLLOUT,
    ROLLOUT_POLICY,
    RUN,
    ACTION,
    SERVICE,
    DEPLOYMENT,
    CONTROLLER_REVISION,
    ENDPOINT_SLICE,
    HTTP_ROUTE,
    GRPC_ROUTE,
];

/// The documents, and the numbers of the last seconds.
#[derive(Debug, Default)]
pub struct Mirror {
    documents: BTreeMap<(Kind, String, String), Value>,
    /// When each was last written.
    written: BTreeMap<(Kind, String, String), Millis>,
    /// When somebody else last wrote the spec of a Service or a route.
    disturbed: Option<Millis>,
    /// Ready endpoints by namespace and Service, as they were.
    ready: BTreeMap<(String, String), Recent>,
    /// `spec.replicas` by namespace and Rollout, as they were.
    replicas: BTreeMap<(String, String), Recent>,
    /// Ready pods by namespace and Deployment, as they were.
    pods: BTreeMap<(String, String), Recent>,
    /// Since when runs go back, by namespace and name.
    going_back: BTreeMap<(String, String), Millis>,
    accepted: Accepted,
}

/// Values of the last seconds, and when each began.
#[derive(Debug, Default)]
struct Recent(VecDeque<(Millis, u32)>);

impl Recent {
    fn now_is(&mut self, at: Millis, value: u32) {
        while self.0.len() > 1 && self.0[1].0 + FRESH < at {
            self.0.pop_front();
        }
        self.0.push_back((at, value));
    }

    /// Values that held at some time within what counts as fresh.
    fn since(&self, now: Millis) -> impl Iterator<Item = u32> + '_ {
        let begin = now.saturating_sub(FRESH);
        let ended = |index: usize| self.0.get(index + 1).map_or(Millis::MAX, |(at, _)| *at);
        self.0.iter().enumerate().filter(move |(index, _)| ended(*index) >= begin).map(|(_, (_, value))| *value)
    }
}

impl Mirror {
    pub fn take(&mut self, change: &Change) {
        let Some(document) = change.document() else { return };
        if !KEPT.contains(&change.kind) {
            return;
        }
        let (namespace, name) = (namespace(document).to_owned(), name(document).to_owned());
        let id = (change.kind, namespace.clone(), name.clone());
        self.written.insert(id.clone(), change.at);
        let has_new_spec =
            self.documents.get(&id).map(|before| &before["spec"]) != change.after.map(|after| &after["spec"]);
        match change.after {
            Some(after) => self.documents.insert(id, after.clone()),
            None => self.documents.remove(&id),
        };
        if !change.ours && has_new_spec && [SERVICE, HTTP_ROUTE, GRPC_ROUTE].contains(&change.kind) {
            self.disturbed = Some(change.at);
        }
        match change.kind {
            HTTP_ROUTE | GRPC_ROUTE => self.accepted.take(change),
            DEPLOYMENT => {
                let ready = change.after.and_then(|after| number(after, "/status/readyReplicas"));
                let ready = ready.and_then(|ready| u32::try_from(ready).ok()).unwrap_or(0);
                self.pods.entry((namespace, name)).or_default().now_is(change.at, ready);
            }
            ENDPOINT_SLICE => {
                if let Some(service) = label(document, SERVICE_NAME_LABEL) {
                    let key = (namespace, service.to_owned());
                    let ready = change.after.map_or(0, ready_endpoints);
                    self.ready.entry(key).or_default().now_is(change.at, ready);
                }
            }
            RUN => {
                let goes_back = change.after.and_then(|after| text(after, "/status/phase")) == Some("Aborting");
                if goes_back {
                    self.going_back.entry((namespace, name)).or_insert(change.at);
                } else {
                    self.going_back.remove(&(namespace, name));
                }
            }
            ROLLOUT => {
                let replicas = change.after.and_then(|after| number(after, "/spec/replicas"));
                let replicas = replicas.and_then(|replicas| u32::try_from(replicas).ok()).unwrap_or(0);
                self.replicas.entry((namespace, name)).or_default().now_is(change.at, replicas);
            }
            _ => {}
        }
    }

    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Value> {
        self.documents.get(&(kind, namespace.to_owned(), name.to_owned()))
    }

    /// When a document was last written, before this.
    pub fn written_at(&self, kind: Kind, document: &Value) -> Millis {
        let id = (kind, namespace(document).to_owned(), name(document).to_owned());
        self.written.get(&id).copied().unwrap_or(0)
    }

    /// How long a run has been going back.
    pub fn goes_back_for(&self, run: &Value, now: Millis) -> Millis {
        let key = (namespace(run).to_owned(), name(run).to_owned());
        self.going_back.get(&key).map_or(0, |since| now.saturating_sub(*since))
    }

    pub fn all<'m>(&'m self, kind: Kind, namespace: &'m str) -> impl Iterator<Item = &'m Value> {
        let of = move |((found, space, _), _): &(&(Kind, String, String), &Value)| *found == kind && space == namespace;
        self.documents.iter().filter(of).map(|(_, document)| document)
    }

    /// The most ready endpoints that a Service had within what counts as fresh.
    pub fn ready(&self, namespace: &str, service: &str, now: Millis) -> u32 {
        let key = (namespace.to_owned(), service.to_owned());
        self.ready.get(&key).and_then(|recent| recent.since(now).max()).unwrap_or(0)
    }

    /// The fewest pods that a Rollout asked for within what counts as fresh.
    pub fn least_replicas(&self, namespace: &str, rollout: &str, now: Millis) -> u32 {
        let key = (namespace.to_owned(), rollout.to_owned());
        self.replicas.get(&key).and_then(|recent| recent.since(now).min()).unwrap_or(0)
    }

    /// The most pods that it asked for in that time.
    pub fn most_replicas(&self, namespace: &str, rollout: &str, now: Millis) -> u32 {
        let key = (namespace.to_owned(), rollout.to_owned());
        self.replicas.get(&key).and_then(|recent| recent.since(now).max()).unwrap_or(0)
    }

    /// The most ready pods that a revision had in that time, by its Deployment and by its Services.
    pub fn most_ready(&self, namespace: &str, rollout: &str, revision: &str, now: Millis) -> u32 {
        let of = |found: &&Value| {
            label(found, ROLLOUT_LABEL) == Some(rollout) && label(found, REVISION_LABEL) == Some(revision)
        };
        let own = |kind: Kind| self.all(kind, namespace).filter(of).map(name);
        let pods = own(DEPLOYMENT).filter_map(|name| self.pods.get(&(namespace.to_owned(), name.to_owned())));
        let by_pods = pods.filter_map(|recent| recent.since(now).max()).max().unwrap_or(0);
        let by_services = own(SERVICE).map(|service| self.ready(namespace, service, now)).max().unwrap_or(0);
        by_pods.max(by_services)
    }

    /// Somebody else wrote a Service or a route, and a write of ours may rest on what was so before.
    pub fn is_disturbed(&self, now: Millis) -> bool {
        self.disturbed.is_some_and(|at| at + FRESH >= now)
    }

    /// The Rollout is being deleted.
    pub fn is_deleted(&self, namespace: &str, rollout: &str) -> bool {
        self.get(ROLLOUT, namespace, rollout).is_some_and(is_terminating)
    }

    /// Ready endpoints of the Service of a Rollout that has the fewest.
    pub fn least_ready(&self, namespace: &str, rollout: &str, now: Millis) -> u32 {
        let Some(document) = self.get(ROLLOUT, namespace, rollout) else { return 0 };
        let services = items(document, "/spec/traffic/services").iter().filter_map(|service| text(service, "/name"));
        services.map(|service| self.ready(namespace, service, now)).min().unwrap_or(0)
    }

    /// The Rollout and the revision that a Service of a revision is of.
    pub fn revision_of_service(&self, namespace: &str, service: &str) -> Option<(&str, &str)> {
        let document = self.get(SERVICE, namespace, service)?;
        Some((label(document, ROLLOUT_LABEL)?, label(document, REVISION_LABEL)?))
    }

    /// The unfinished runs of a Rollout.
    pub fn open_runs<'m>(&'m self, namespace: &'m str, rollout: &'m str) -> impl Iterator<Item = &'m Value> {
        let of = move |run: &&Value| text(run, "/spec/rollout") == Some(rollout);
        self.all(RUN, namespace).filter(of).filter(|run| text(run, "/status/phase") != Some("Ended"))
    }

    pub fn is_proven(&self, namespace: &str, rollout: &str, revision: &str) -> bool {
        self.proven(namespace, rollout).any(|record| label(record, REVISION_LABEL) == Some(revision))
    }

    /// Some revision of the Rollout was promoted or adopted.
    pub fn has_proven(&self, namespace: &str, rollout: &str) -> bool {
        self.proven(namespace, rollout).next().is_some()
    }

    fn proven<'m>(&'m self, namespace: &'m str, rollout: &'m str) -> impl Iterator<Item = &'m Value> {
        let of = move |record: &&Value| {
            label(record, ROLLOUT_LABEL) == Some(rollout) && annotation(record, PROVEN_ANNOTATION).is_some()
        };
        self.all(CONTROLLER_REVISION, namespace).filter(of)
    }

    /// The largest part, of 100, that any managed rule gives to pods of a revision.
    pub fn share(&self, namespace: &str, rollout: &str, revision: &str) -> f64 {
        self.rules(namespace).map(|rule| self.part(rule, namespace, rollout, revision)).fold(0.0, f64::max)
    }

    /// The largest part that any rule gives to a Service; None: no rule names it.
    pub fn share_of_service(&self, namespace: &str, service: &str) -> Option<f64> {
        let part = |rule: &Value| {
            let refs = parts(rule);
            let total: f64 = refs.iter().map(|(_, weight)| weight).sum();
            let (_, own) = refs.into_iter().find(|(named, _)| *named == service)?;
            Some(if total > 0.0 { 100.0 * own / total } else { 0.0 })
        };
        self.rules(namespace).filter_map(part).reduce(f64::max)
    }

    /// The rules of all routes: as they stand, and as they stood in every version that the parents may still work by.
    fn rules<'m>(&'m self, namespace: &'m str) -> impl Iterator<Item = &'m Value> {
        let stand = self.all(HTTP_ROUTE, namespace).chain(self.all(GRPC_ROUTE, namespace));
        stand.flat_map(|route| items(route, "/spec/rules")).chain(self.accepted.rules(namespace))
    }

    /// The part of 100 that a rule gives to pods of a revision.
    pub fn part(&self, rule: &Value, namespace: &str, rollout: &str, revision: &str) -> f64 {
        let refs = parts(rule);
        let total: f64 = refs.iter().map(|(_, weight)| weight).sum();
        let to = refs.iter().filter(|(service, _)| self.serves(namespace, service, rollout, revision));
        if total > 0.0 { 100.0 * to.map(|(_, weight)| weight).sum::<f64>() / total } else { 0.0 }
    }

    /// A Service may send requests to pods of this revision.
    fn serves(&self, namespace: &str, service: &str, rollout: &str, revision: &str) -> bool {
        let Some(document) = self.get(SERVICE, namespace, service) else { return false };
        if let Some((of, own)) = self.revision_of_service(namespace, service) {
            return of == rollout && own == revision;
        }
        let pin = document.pointer("/spec/selector").and_then(|selector| selector.get(REVISION_LABEL));
        let names_it = self.get(ROLLOUT, namespace, rollout).is_some_and(|rollout| {
            items(rollout, "/spec/traffic/services").iter().any(|named| text(named, "/name") == Some(service))
        });
        names_it && pin.is_none_or(|pin| pin == revision)
    }
}

/// The backends of a rule and their weights.
pub fn parts(rule: &Value) -> Vec<(&str, f64)> {
    let part = |reference: &'_ Value| number(reference, "/weight").unwrap_or(1) as f64;
    items(rule, "/backendRefs").iter().map(|found| (text(found, "/name").unwrap_or_default(), part(found))).collect()
}

/// Pods that a share of 100 needs, of all that are asked for.
pub fn need(full: u32, share: f64) -> u32 {
    if share <= 0.0 || full == 0 {
        return 0;
    }
    let exact = f64::from(full) * share / 100.0;
    // A share that was rounded to weights may be above what was granted by less than this.
    ((exact - 1e-6).ceil() as u32).max(1)
}

fn ready_endpoints(slice: &Value) -> u32 {
    let ready = |endpoint: &&Value| endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
    u32::try_from(items(slice, "/endpoints").iter().filter(ready).count()).unwrap_or(u32::MAX)
}
