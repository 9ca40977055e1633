//! `Cluster` by the API server: raw documents over kube's client.
//!
//! It deliberately does not retry a write: kube's own policy would repeat it for minutes, and a write that timed out has an
//! unknown result that only a new look can tell. A read is tried again within the limit of one request. It keeps no cache:
//! reads without a resourceVersion are consistent.
//! All that it remembers is which optional kinds are not served, and the last list of Rollouts for those who wait for one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::http;
use kube::{
    Client, Config,
    api::{DeleteParams, GetParams, ListParams, Patch as KubePatch, PatchParams, PostParams, Preconditions},
    core::{Request, Status, request::Error as RequestError},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::error::Elapsed;

use super::{
    Cluster, ClusterError, Kind, Metrics, Patch, ROLLOUT, Unserved, WriteSite,
    listed::{Claims, Listed, PAGE, typed},
    retry,
    shared::Shared,
};
use crate::api::FIELD_MANAGER;

/// Limit for one request, or for one read with all its attempts. Longer, and one stuck connection holds a Rollout's abort back; shorter, and a slow admission
/// webhook makes the results of writes unknown without need.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// The live cluster.
#[derive(Clone)]
pub struct Live {
    client: Client,
    limit: Duration,
    metrics: Arc<Metrics>,
    unserved: Arc<Unserved>,
    rollouts: Arc<Shared>,
}

/// Why there is no document.
enum Answer {
    Said(Box<Status>),
    Lost(String),
}

impl Answer {
    const fn code(&self) -> Option<u16> {
        match self {
            Self::Said(status) => Some(status.code),
            Self::Lost(_) => None,
        }
    }
}

impl From<Elapsed> for Answer {
    fn from(_: Elapsed) -> Self {
        Self::Lost("lists of the same kind were not answered in time".into())
    }
}

impl Live {
    /// A cluster that never repeats a request by itself.
    pub fn new(config: Config, metrics: Arc<Metrics>) -> Result<Self, kube::Error> {
        Self::with_limit(config, metrics, REQUEST_LIMIT)
    }

    /// The same with a limit of its own for each request, and connections of its own.
    pub fn with_limit(mut config: Config, metrics: Arc<Metrics>, limit: Duration) -> Result<Self, kube::Error> {
        config.default_retry = false;
        Ok(Self {
            client: Client::try_from(config)?,
            limit,
            metrics,
            unserved: Arc::default(),
            rollouts: Arc::default(),
        })
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: Result<http::Request<Vec<u8>>, RequestError>,
        limit: Duration,
    ) -> Result<T, Answer> {
        let request = request.map_err(|error| Answer::Lost(error.to_string()))?;
        match tokio::time::timeout(limit, self.client.request(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) => Err(Answer::Said(status)),
            Ok(Err(error)) => Err(Answer::Lost(chain(&error))),
            Err(_) => Err(Answer::Lost(format!("no answer within {} s", self.limit.as_secs()))),
        }
    }

    async fn read<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> Result<http::Request<Vec<u8>>, RequestError> + Send + Sync,
    ) -> Result<T, Answer> {
        let begin = Instant::now();
        let left = || self.limit.saturating_sub(begin.elapsed());
        let mut failed = 0;
        loop {
            let answer = match self.send(request(), left()).await {
                Ok(found) => return Ok(found),
                Err(answer) => answer,
            };
            failed += 1;
            match retry::pause(answer.code(), failed).filter(|pause| *pause < left()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(answer),
            }
        }
    }

    /// The Rollouts of a namespace, read once for all passes that ask.
    async fn shared_claims(&self, params: ListParams, namespace: &str) -> Result<Vec<Value>, Answer> {
        let list = self.rollouts.list(namespace, self.limit, self.claims(params, namespace));
        list.await.map(|documents| documents.to_vec())
    }

    /// The Rollouts of a namespace, page by page.
    async fn claims(&self, mut params: ListParams, namespace: &str) -> Result<Vec<Value>, Answer> {
        params.limit = Some(PAGE);
        let mut all = Vec::new();
        loop {
            let page: Claims = self.read(|| Request::new(path(ROLLOUT, namespace)).list(&params)).await?;
            params.continue_token = page.rest();
            all.extend(page.documents());
            if params.continue_token.is_none() {
                return Ok(all);
            }
        }
    }

    async fn write(
        &self,
        kind: Kind,
        verb: &'static str,
        object: String,
        request: Result<http::Request<Vec<u8>>, RequestError>,
    ) -> Result<Value, ClusterError> {
        let answer = self.send(request, self.limit).await.map_err(|answer| write_error(object, answer));
        self.metrics.api_write(kind.kind, verb, answer.is_err());
        answer
    }
}

#[async_trait]
impl Cluster for Live {
    async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Option<Value>, ClusterError> {
        match self.read(|| Request::new(path(kind, namespace)).get(name, &GetParams::default())).await {
            Ok(document) => Ok(Some(document)),
            Err(Answer::Said(status)) if names_absent_object(&status) => Ok(None),
            Err(answer) => Err(read_error(kind.named(namespace, name), answer)),
        }
    }

    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Vec<Value>, ClusterError> {
        if self.unserved.knows(kind, Instant::now()) {
            return Ok(Vec::new());
        }
        let params = if selector.is_empty() { ListParams::default() } else { ListParams::default().labels(selector) };
        let listed = match kind {
            ROLLOUT if selector.is_empty() => self.shared_claims(params, namespace).await,
            _ => self.read(|| Request::new(path(kind, namespace)).list(&params)).await.map(Listed::documents),
        };
        match listed {
            Ok(items) => Ok(items.into_iter().map(|item| typed(kind, item)).collect()),
            Err(Answer::Said(status)) if kind.optional && names_no_kind(&status) => {
                self.unserved.learn(kind, Instant::now());
                Ok(Vec::new())
            }
            Err(answer) => Err(read_error(kind.named(namespace, ""), answer)),
        }
    }

    async fn create(
        &self,
        _: WriteSite,
        kind: Kind,
        namespace: &str,
        document: &Value,
        dry_run: bool,
    ) -> Result<Value, ClusterError> {
        let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.into()) };
        let request = Request::new(path(kind, namespace)).create(&params, document.to_string().into_bytes());
        let name = document.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let object = kind.named(namespace, name);
        if dry_run {
            let answer = self.send(request.and_then(strict), self.limit).await;
            return answer.map_err(|answer| write_error(object, answer));
        }
        self.write(kind, "create", object, request).await
    }

    async fn patch(
        &self,
        _: WriteSite,
        kind: Kind,
        namespace: &str,
        name: &str,
        subresource: &str,
        patch: &Patch,
    ) -> Result<Value, ClusterError> {
        let object = kind.named(namespace, name);
        let (patch, params) = match kube_patch(patch) {
            Ok(pair) => pair,
            Err(message) => return Err(ClusterError::Refused { object, message }),
        };
        let request = Request::new(path(kind, namespace));
        let request = if subresource.is_empty() {
            request.patch(name, &params, &patch)
        } else {
            request.patch_subresource(subresource, name, &params, &patch)
        };
        self.write(kind, "patch", object, request).await
    }

    async fn delete(
        &self,
        _: WriteSite,
        kind: Kind,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), ClusterError> {
        let preconditions = Preconditions { uid: Some(uid.into()), resource_version: None };
        let params = DeleteParams::background().preconditions(preconditions);
        let request = Request::new(path(kind, namespace)).delete(name, &params);
        match self.write(kind, "delete", kind.named(namespace, name), request).await {
            // With another uid it is another object: ours is gone.
            Ok(_) | Err(ClusterError::NotFound { .. } | ClusterError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn path(kind: Kind, namespace: &str) -> String {
    let group = if kind.group.is_empty() { "/api".into() } else { format!("/apis/{}", kind.group) };
    let scope =
        if kind.namespaced && !namespace.is_empty() { format!("/namespaces/{namespace}") } else { String::new() };
    format!("{group}/{}{scope}/{}", kind.version, kind.plural)
}

/// Unknown fields in a dry-run are errors: a misspelt field of a pod template would be dropped without a word.
fn strict(mut request: http::Request<Vec<u8>>) -> Result<http::Request<Vec<u8>>, RequestError> {
    let uri = format!("{}&fieldValidation=Strict", request.uri());
    *request.uri_mut() = uri.parse().map_err(|_| RequestError::Validation(format!("{uri} is not a URI")))?;
    Ok(request)
}

fn kube_patch(patch: &Patch) -> Result<(KubePatch<Value>, PatchParams), String> {
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    Ok(match patch {
        Patch::Json(operations) => {
            let operations = serde_json::from_value(Value::Array(operations.clone()))
                .map_err(|error| format!("the patch is not RFC 6902: {error}"))?;
            (KubePatch::Json(operations), params)
        }
        Patch::Merge(document) => (KubePatch::Merge(document.clone()), params),
        Patch::Apply { document, force } => {
            (KubePatch::Apply(document.clone()), PatchParams { force: *force, ..params })
        }
    })
}

/// A 404 is about the object only if it names one: a kind that is not served (yet) answers 404 too, and reading that as
/// "there is none" would take every run for lost while the API server starts.
fn names_absent_object(status: &Status) -> bool {
    status.code == 404
        && status.reason == "NotFound"
        && status.details.as_ref().is_some_and(|details| !details.name.is_empty())
}

/// A 404 about no object: the kind is not served. An API server that does not know its own kinds yet answers 503.
fn names_no_kind(status: &Status) -> bool {
    status.code == 404 && !names_absent_object(status)
}

fn read_error(object: String, answer: Answer) -> ClusterError {
    match answer {
        Answer::Said(status) => ClusterError::Unavailable { object, message: said(&status) },
        Answer::Lost(message) => ClusterError::Unavailable { object, message },
    }
}

fn write_error(object: String, answer: Answer) -> ClusterError {
    let status = match answer {
        Answer::Said(status) => status,
        Answer::Lost(message) => return ClusterError::Unavailable { object, message },
    };
    match status.code {
        404 if names_absent_object(&status) => ClusterError::NotFound { object },
        409 if status.reason == "AlreadyExists" => ClusterError::Exists { object },
        409 => ClusterError::Conflict { object },
        400 | 403 | 405 | 413 | 415 | 422 => ClusterError::Refused { object, message: said(&status) },
        _ => ClusterError::Unavailable { object, message: said(&status) },
    }
}

/// The server's sentence, bounded: it goes into statuses.
fn said(status: &Status) -> String {
    let text: String = status.message.chars().take(512).collect();
    if text.is_empty() { format!("status {}", status.code) } else { text }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = inner.source();
    }
    text.chars().take(512).collect()
}

#[cfg(test)]
mod tests;
