//! Every version of every object in a namespace, in the order of its commits, for the laws to be asked about it.
//!
//! What was committed comes from watches of its own, and from the proxy's record while the API server was away. A version
//! that nobody saw is not made up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use kube::{
    api::{DynamicObject, ListParams, WatchEvent, WatchParams},
    core::ObjectList,
};
use serde_json::Value;
use tidegate::{
    controller::{
        ACTION, CONTROLLER_REVISION, DEPLOYMENT, ENDPOINT_SLICE, GRPC_ROUTE, HTTP_ROUTE, Kind, ROLLOUT, RUN, SERVICE,
    },
    sim::{Change, Offence, Oracle},
};
use tokio::{task::JoinSet, time::Instant};

use super::{
    Space,
    proxy::{Proxy, Written},
    space::rhythm,
};

const KINDS: [Kind; 9] =
    [ROLLOUT, RUN, ACTION, SERVICE, DEPLOYMENT, CONTROLLER_REVISION, ENDPOINT_SLICE, HTTP_ROUTE, GRPC_ROUTE];

/// One version of an object.
#[derive(Clone)]
struct Version {
    /// The resourceVersion: one counter for all kinds.
    number: u64,
    seen: Instant,
    kind: Kind,
    document: Value,
    is_gone: bool,
}

type Versions = Arc<Mutex<Vec<Version>>>;

pub struct Ledger {
    space: Space,
    began: Instant,
    versions: Versions,
    _watches: JoinSet<()>,
}

/// What the laws say about all of it.
pub struct Judgement {
    /// Changes that the controllers made.
    pub ours: usize,
    pub offences: Vec<Offence>,
}

impl Judgement {
    /// The laws were asked, and none is broken.
    pub fn holds(&self) {
        assert!(self.ours > 10, "only {} changes of the controller were seen", self.ours);
        assert!(self.offences.is_empty(), "laws broken: {:#?}", self.offences);
    }
}

impl Ledger {
    /// Everything from here on.
    pub async fn open(space: &Space) -> Self {
        let (versions, mut watches) = (Versions::default(), JoinSet::new());
        for kind in KINDS {
            let list = space.api(kind).list(&ListParams::default()).await.expect("a list");
            let begin = Follower { space: space.clone(), kind, versions: versions.clone(), known: BTreeMap::new() };
            watches.spawn(begin.follow(list));
        }
        Self { space: space.clone(), began: Instant::now(), versions, _watches: watches }
    }

    /// Asks the laws about everything so far. Nothing may be going on any more.
    pub async fn judge(&self, proxies: &[&Proxy]) -> Judgement {
        self.space.until("the watches to have seen all there is", 20, async || self.is_whole().await).await;
        let written: Vec<Written> = proxies.iter().flat_map(|proxy| proxy.written()).collect();
        let versions = self.ordered(&written);
        let (mut oracle, mut known, mut ours) = (Oracle::default(), BTreeMap::new(), 0);
        let mut at = 0;
        for version in &versions {
            let id = (version.kind, name(&version.document));
            let is_ours = written.iter().any(|written| is_of(written, version));
            let seen = version.seen.duration_since(self.began).as_millis();
            at = at.max(u64::try_from(seen).unwrap_or(u64::MAX));
            let before: Option<Value> = known.remove(&id);
            let after = (!version.is_gone).then_some(&version.document);
            ours += usize::from(is_ours);
            oracle.see(&Change { at, ours: is_ours, kind: version.kind, before: before.as_ref(), after });
            known.extend(after.map(|after| (id, after.clone())));
        }
        Judgement { ours, offences: oracle.offences }
    }

    /// All versions, each once.
    fn ordered(&self, written: &[Written]) -> Vec<Version> {
        let mut versions = self.versions.lock().expect("no panic").clone();
        versions.extend(written.iter().filter_map(version_of));
        // Of two records of one version the watch's is first, with the time at which others could see it.
        versions.sort_by_key(|version| (version.number, version.kind));
        let mut met = BTreeSet::new();
        versions.retain(|version| met.insert((version.number, version.kind, name(&version.document))));
        versions
    }

    /// What the watches saw last is what is there.
    async fn is_whole(&self) -> bool {
        for kind in KINDS {
            let numbers = |documents: &[Value]| -> BTreeSet<(String, u64)> {
                documents.iter().map(|document| (name(document), number(document))).collect()
            };
            let there = numbers(&self.space.list(kind).await);
            let mut last = BTreeMap::new();
            for version in self.versions.lock().expect("no panic").iter().filter(|version| version.kind == kind) {
                let name = name(&version.document);
                if version.is_gone {
                    last.remove(&name);
                } else {
                    last.insert(name, version.document.clone());
                }
            }
            if numbers(&last.into_values().collect::<Vec<_>>()) != there {
                return false;
            }
        }
        true
    }
}

/// One kind's watch, taken up again whenever it ends.
struct Follower {
    space: Space,
    kind: Kind,
    versions: Versions,
    /// By name, as last seen.
    known: BTreeMap<String, Value>,
}

impl Follower {
    async fn follow(mut self, first: ObjectList<DynamicObject>) {
        let mut from = self.take_list(first);
        loop {
            let params = WatchParams::default().timeout(290);
            if let Ok(mut events) = self.space.api(self.kind).watch(&params, &from).await.map(StreamExt::boxed) {
                while let Some(Ok(event)) = events.next().await {
                    let (object, is_gone) = match event {
                        WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, false),
                        WatchEvent::Deleted(object) => (object, true),
                        WatchEvent::Bookmark(mark) => {
                            from = mark.metadata.resource_version;
                            continue;
                        }
                        WatchEvent::Error(_) => break,
                    };
                    from = object.metadata.resource_version.clone().unwrap_or(from);
                    self.take(serde_json::to_value(object).expect("an object is JSON"), is_gone);
                }
            }
            // The API server was away, or no longer has what came in between: what is there now is a version too.
            rhythm(0.2).await;
            if let Ok(list) = self.space.api(self.kind).list(&ListParams::default()).await {
                from = self.take_list(list);
            }
        }
    }

    /// The list's number.
    fn take_list(&mut self, list: ObjectList<DynamicObject>) -> String {
        let at = list.metadata.resource_version.unwrap_or_default();
        let documents: Vec<Value> =
            list.items.into_iter().map(|object| serde_json::to_value(object).expect("an object is JSON")).collect();
        let there: BTreeSet<String> = documents.iter().map(name).collect();
        let gone: Vec<Value> =
            self.known.iter().filter(|(name, _)| !there.contains(*name)).map(|(_, last)| last.clone()).collect();
        for mut document in gone {
            document["metadata"]["resourceVersion"] = at.clone().into();
            self.take(document, true);
        }
        for document in documents {
            if self.known.get(&name(&document)).is_none_or(|last| number(last) < number(&document)) {
                self.take(document, false);
            }
        }
        at
    }

    fn take(&mut self, document: Value, is_gone: bool) {
        if is_gone {
            self.known.remove(&name(&document));
        } else {
            self.known.insert(name(&document), document.clone());
        }
        let version = Version { number: number(&document), seen: Instant::now(), kind: self.kind, document, is_gone };
        self.versions.lock().expect("no panic").push(version);
    }
}

/// The object as a write left it, if the answer says so.
fn version_of(written: &Written) -> Option<Version> {
    let kind = KINDS.into_iter().find(|kind| written.answer["kind"] == kind.kind)?;
    // A deleted object that something still holds is answered as it was.
    (written.write.verb != "delete").then(|| Version {
        number: number(&written.answer),
        seen: written.sent,
        kind,
        document: written.answer.clone(),
        is_gone: false,
    })
}

/// This write made this version. A write that changed nothing is answered with a version that was seen before.
fn is_of(written: &Written, version: &Version) -> bool {
    if written.write.verb == "delete" {
        let uid = &version.document["metadata"]["uid"];
        let has = |path: &str| written.answer.pointer(path) == Some(uid);
        let ends = version.is_gone || !version.document["metadata"]["deletionTimestamp"].is_null();
        return ends && version.seen >= written.sent && (has("/details/uid") || has("/metadata/uid"));
    }
    let plural = written.write.resource.split('/').next().unwrap_or_default();
    plural == version.kind.plural && number(&written.answer) == version.number && version.seen >= written.sent
}

fn name(document: &Value) -> String {
    document["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

fn number(document: &Value) -> u64 {
    document["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}
