//! The two servers that are asked the same: the simulator's and the lab's. What the controller asks goes through its own
//! `Cluster`, what others ask through kube's client.

use std::sync::Arc;

use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch as KubePatch, PatchParams, PostParams},
};
use serde_json::Value;
use tidegate::{
    api::FIELD_MANAGER,
    controller::{Cluster, ClusterError, Kind, Live, Patch, WriteSite},
    sim::server::{
        ApiServer, Writer,
        journal::{Asked, Deed},
    },
};

use crate::support::{
    Space,
    space::{client_of, config_of},
};

/// The model's time stands still: times are not compared.
const NOW: &str = "2026-01-01T00:00:00Z";

/// An answer without a document, as the controller tells them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    Conflict,
    Exists,
    NotFound,
    Refused,
    Unavailable,
}

/// What a server says, and why in its own words.
pub type Answer = Result<Value, (Word, String)>;

pub struct Model {
    server: ApiServer,
    namespace: String,
}

impl Model {
    pub fn new(namespace: &str) -> Self {
        Self { server: ApiServer::default(), namespace: namespace.to_owned() }
    }

    pub fn get(&self, kind: Kind, name: &str) -> Option<Value> {
        self.server.get(kind, &self.namespace, name).map(Arc::unwrap_or_clone)
    }

    pub fn ask(&mut self, asked: &Asked) -> Answer {
        let writer = Writer::new(&asked.manager, NOW);
        let Asked { kind, name, subresource, .. } = asked;
        let (server, space) = (&mut self.server, self.namespace.as_str());
        let answer = match &asked.deed {
            Deed::Create { document, dry_run } => server.create(&writer, *kind, space, document, *dry_run),
            Deed::Patch(patch) => server.patch(&writer, *kind, space, name, subresource, patch),
            Deed::Replace(document) => server.replace(&writer, *kind, space, name, subresource, document),
            Deed::Delete { uid } => {
                let gone = server.delete(&writer, *kind, space, name, uid.as_deref());
                return deleted(asked, gone.map_err(worded));
            }
        };
        answer.map(Arc::unwrap_or_clone).map_err(worded)
    }
}

#[derive(Clone)]
pub struct Real {
    ours: Arc<Live>,
    others: Space,
}

impl Real {
    pub async fn new(namespace: &str) -> Self {
        let ours = Live::new(config_of("tidegate").await, Arc::default()).expect("a client");
        let others = Space { client: client_of("owner").await, namespace: namespace.to_owned() };
        Self { ours: Arc::new(ours), others }
    }

    pub async fn get(&self, kind: Kind, name: &str) -> Option<Value> {
        self.others.get(kind, name).await
    }

    pub async fn ask(&self, asked: &Asked) -> Answer {
        if asked.manager == FIELD_MANAGER { self.by_us(asked).await } else { self.by_others(asked).await }
    }

    async fn by_us(&self, asked: &Asked) -> Answer {
        let site = asked.site.unwrap_or(WriteSite::Event);
        let Asked { kind, name, subresource, .. } = asked;
        let space = self.others.namespace.as_str();
        let answer = match &asked.deed {
            Deed::Create { document, dry_run } => self.ours.create(site, *kind, space, document, *dry_run).await,
            Deed::Patch(patch) => self.ours.patch(site, *kind, space, name, subresource, patch).await,
            Deed::Replace(_) => panic!("the controller replaces nothing"),
            Deed::Delete { uid } => {
                let uid = uid.as_deref().unwrap_or_default();
                self.ours.delete(site, *kind, space, name, uid).await.map(|()| Value::Null)
            }
        };
        answer.map_err(worded)
    }

    async fn by_others(&self, asked: &Asked) -> Answer {
        let Asked { name, subresource, manager, .. } = asked;
        let api = self.others.api(asked.kind);
        let params = PostParams { dry_run: false, field_manager: Some(manager.clone()) };
        let answer = match &asked.deed {
            Deed::Create { document, .. } => api.create(&params, &object(document)).await,
            Deed::Replace(document) if subresource.is_empty() => api.replace(name, &params, &object(document)).await,
            Deed::Replace(document) => api.replace_subresource(subresource, name, &params, &object(document)).await,
            Deed::Patch(patch) => patched(&api, asked, patch).await,
            Deed::Delete { uid } => {
                let mut params = DeleteParams::background();
                params.preconditions =
                    uid.clone().map(|uid| kube::api::Preconditions { uid: Some(uid), resource_version: None });
                let gone = api.delete(name, &params).await.map(drop);
                return deleted(asked, gone.map_err(said));
            }
        };
        answer.map_err(said).map(|object| serde_json::to_value(object).expect("an object is JSON"))
    }
}

async fn patched(api: &Api<DynamicObject>, asked: &Asked, patch: &Patch) -> Result<DynamicObject, kube::Error> {
    let mut params = PatchParams { field_manager: Some(asked.manager.clone()), ..PatchParams::default() };
    let patch: KubePatch<Value> = match patch {
        Patch::Json(operations) => {
            let operations = Value::Array(operations.clone());
            KubePatch::Json(serde_json::from_value(operations).expect("JSON patch operations"))
        }
        Patch::Merge(document) => KubePatch::Merge(document.clone()),
        Patch::Apply { document, force } => {
            params.force = *force;
            KubePatch::Apply(document.clone())
        }
    };
    if asked.subresource.is_empty() {
        api.patch(&asked.name, &params, &patch).await
    } else {
        api.patch_subresource(&asked.subresource, &asked.name, &params, &patch).await
    }
}

fn object(document: &Value) -> DynamicObject {
    serde_json::from_value(document.clone()).expect("an object")
}

/// To the controller what is gone, or is another object, is deleted.
fn deleted(asked: &Asked, gone: Result<(), (Word, String)>) -> Answer {
    match gone {
        Err((Word::NotFound | Word::Conflict, _)) if asked.manager == FIELD_MANAGER => Ok(Value::Null),
        gone => gone.map(|()| Value::Null),
    }
}

fn worded(error: ClusterError) -> (Word, String) {
    let word = match &error {
        ClusterError::Conflict { .. } => Word::Conflict,
        ClusterError::Exists { .. } => Word::Exists,
        ClusterError::NotFound { .. } => Word::NotFound,
        ClusterError::Refused { .. } => Word::Refused,
        ClusterError::Unavailable { .. } => Word::Unavailable,
    };
    (word, error.to_string())
}

const GONE: &str = "UID in object meta: ";

fn said(error: kube::Error) -> (Word, String) {
    let word = match &error {
        kube::Error::Api(status) => match status.code {
            404 => Word::NotFound,
            409 if status.reason == "AlreadyExists" => Word::Exists,
            // What was deleted a moment ago is found in the server's cache and no longer in its store, which then has no UID.
            409 if status.message.ends_with(GONE) => Word::NotFound,
            409 => Word::Conflict,
            400 | 403 | 405 | 413 | 415 | 422 => Word::Refused,
            _ => Word::Unavailable,
        },
        _ => Word::Unavailable,
    };
    (word, error.to_string())
}
