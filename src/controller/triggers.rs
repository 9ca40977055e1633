//! Watches: they decide when a Rollout is looked at, and nothing else. What is in the documents is read again by the pass.
//!
//! Each kind has a stream with a back-off of its own, so that a kind that the server does not have (no Gateway API) or
//! refuses to show stops nothing. Foreign kinds are watched by metadata only and not kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{Stream, StreamExt};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::Value;
use tokio::task::JoinSet;

use super::{
    ACTION, ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE, CONTROLLER_REVISION, DEBOUNCE, DEPLOYMENT, ENDPOINT_SLICE,
    GRPC_ROUTE, HTTP_ROUTE, Health, Index, Key, Kind, METRICS_PROVIDER, Metrics, POD, Queue, ROLLOUT, ROLLOUT_POLICY,
    RUN, SERVICE, relist::relisting,
};
use crate::api::ROLLOUT_LABEL;

/// Objects in one answer of a first list: it stands in memory whole, for each kind.
const WATCH_PAGE: u32 = 50;

/// Foreign and own objects, and whether only those with our label matter.
const OBJECTS: [(Kind, bool); 11] = [
    (POD, true),
    (CONTROLLER_REVISION, true),
    (SERVICE, false),
    (DEPLOYMENT, false),
    (ENDPOINT_SLICE, false),
    (HTTP_ROUTE, false),
    (GRPC_ROUTE, false),
    (ANALYSIS_TEMPLATE, false),
    (CLUSTER_ANALYSIS_TEMPLATE, false),
    (METRICS_PROVIDER, false),
    (ROLLOUT_POLICY, false),
];

/// Every kind that is watched.
pub fn kinds() -> Vec<Kind> {
    [ROLLOUT, ACTION, RUN].into_iter().chain(OBJECTS.map(|(kind, _)| kind)).collect()
}

/// What the streams need.
#[derive(Clone)]
pub struct Triggers {
    pub client: Client,
    /// Only this namespace; None: all.
    pub namespace: Option<String>,
    pub index: Arc<Index>,
    pub queue: Arc<Queue>,
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
}

impl Triggers {
    /// Starts one task per kind; they end when the set is dropped.
    pub fn start(self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(self.clone().rollouts());
        tasks.spawn(self.clone().actions());
        tasks.spawn(self.clone().runs());
        for (kind, labelled) in OBJECTS {
            tasks.spawn(self.clone().objects(kind, labelled));
        }
        tasks
    }

    async fn rollouts(self) {
        let mut listed = BTreeSet::new();
        let mut events = self.stream(ROLLOUT, self.api::<DynamicObject>(ROLLOUT), false);
        while let Some(event) = events.next().await {
            let affected = match event {
                watcher::Event::Init => {
                    listed.clear();
                    BTreeSet::new()
                }
                watcher::Event::InitApply(object) => {
                    let key = key_of(&object);
                    listed.insert(key.clone());
                    self.index.update(&key, &document(&object))
                }
                watcher::Event::InitDone => {
                    self.health.set_ready(true);
                    let gone = self.index.keys().into_iter().filter(|key| !listed.contains(key));
                    gone.flat_map(|key| self.index.remove(&key)).collect()
                }
                watcher::Event::Apply(object) => self.index.update(&key_of(&object), &document(&object)),
                watcher::Event::Delete(object) => self.index.remove(&key_of(&object)),
            };
            self.look_at(affected);
        }
    }

    /// Actions without an outcome; one that names no Rollout is answered by the pass too.
    async fn actions(self) {
        let mut events = self.stream(ACTION, self.api::<DynamicObject>(ACTION), false);
        while let Some(event) = events.next().await {
            if let watcher::Event::InitApply(object) | watcher::Event::Apply(object) = event
                && object.data.pointer("/status/outcome").is_none()
                && let Some(rollout) = object.data.pointer("/spec/rollout").and_then(Value::as_str)
            {
                let key = Key::new(object.namespace().unwrap_or_default(), rollout);
                self.look_at(BTreeSet::from([key]));
            }
        }
    }

    /// Only the loss of a run is news: all writes to it are the controller's own.
    async fn runs(self) {
        let mut events = self.stream(RUN, self.api::<PartialObjectMeta<DynamicObject>>(RUN), true);
        while let Some(event) = events.next().await {
            if let watcher::Event::Delete(object) = event {
                self.look_at(self.affected(RUN, &object));
            }
        }
    }

    async fn objects(self, kind: Kind, labelled: bool) {
        let mut events = self.stream(kind, self.api::<PartialObjectMeta<DynamicObject>>(kind), labelled);
        while let Some(event) = events.next().await {
            match event {
                watcher::Event::InitApply(object) | watcher::Event::Apply(object) | watcher::Event::Delete(object) => {
                    self.look_at(self.affected(kind, &object));
                }
                watcher::Event::Init | watcher::Event::InitDone => {}
            }
        }
    }

    fn affected(&self, kind: Kind, object: &PartialObjectMeta<DynamicObject>) -> BTreeSet<Key> {
        let none = BTreeMap::new();
        let labels = object.metadata.labels.as_ref().unwrap_or(&none);
        self.index.affected(kind, &object.namespace().unwrap_or_default(), &object.name_any(), labels)
    }

    fn look_at(&self, keys: BTreeSet<Key>) {
        for key in keys {
            self.queue.add(key, DEBOUNCE);
        }
    }

    fn api<K>(&self, kind: Kind) -> Api<K>
    where
        K: Resource<DynamicType = ApiResource, Scope = <DynamicObject as Resource>::Scope>,
    {
        let names = GroupVersionKind::gvk(kind.group, kind.version, kind.kind);
        let resource = ApiResource::from_gvk_with_plural(&names, kind.plural);
        match &self.namespace {
            Some(namespace) if kind.namespaced => Api::namespaced_with(self.client.clone(), namespace, &resource),
            _ => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// Events of one kind. Errors are counted and said once; the stream goes on after its back-off.
    fn stream<K>(
        &self,
        kind: Kind,
        api: Api<K>,
        labelled: bool,
    ) -> impl Stream<Item = watcher::Event<K>> + Unpin + use<K>
    where
        K: Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
    {
        let config = watcher::Config::default().page_size(WATCH_PAGE);
        let config = if labelled { config.labels(ROLLOUT_LABEL) } else { config };
        let (metrics, mut failing) = (self.metrics.clone(), false);
        let said = move |event: Result<watcher::Event<K>, watcher::Error>| {
            if let Err(error) = &event {
                metrics.watch_error(kind.kind);
                if !failing {
                    say(kind, error);
                }
            }
            failing = event.is_err();
            futures::future::ready(event.ok())
        };
        let events = relisting(move || watcher(api.clone(), config.clone()));
        Box::pin(events.default_backoff().filter_map(said))
    }
}

/// A kind that the server does not have is no fault of the connection: it says what to install, or what goes without.
fn say(kind: Kind, error: &watcher::Error) {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status),
        _ => None,
    };
    let unknown = status.is_some_and(|status| status.code == 404);
    if unknown && kind.group == ROLLOUT.group {
        tracing::warn!(
            kind = kind.kind,
            "the API server does not know the kinds of tidegate.io; install them: tidegate crds | kubectl apply --server-side -f -"
        );
    } else if unknown {
        tracing::info!(
            kind = kind.kind,
            group = kind.group,
            "the API server does not know this kind; Rollouts go without it"
        );
    } else {
        tracing::warn!(kind = kind.kind, %error, "a watch fails; it is tried again, and polling goes on");
    }
}

fn key_of(object: &DynamicObject) -> Key {
    Key::new(object.namespace().unwrap_or_default(), object.name_any())
}

fn document(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}
