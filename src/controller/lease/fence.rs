//! A cluster that is written to only while this process leads: asked immediately before each write is sent.
//!
//! Reads pass. A request that is on its way when the lease is lost is not called back; the seal of the next leader makes it
//! fail.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::Leadership;
use crate::controller::{Cluster, ClusterError, Kind, Patch, WriteSite};

pub struct Fenced {
    inner: Arc<dyn Cluster>,
    leadership: Arc<Leadership>,
}

impl Fenced {
    pub fn new(inner: Arc<dyn Cluster>, leadership: Arc<Leadership>) -> Self {
        Self { inner, leadership }
    }

    fn check(&self, kind: Kind, namespace: &str, name: &str) -> Result<(), ClusterError> {
        if self.leadership.may_write() {
            return Ok(());
        }
        let message = "this process does not lead any more, and writes nothing".into();
        Err(ClusterError::Unavailable { object: kind.named(namespace, name), message })
    }
}

#[async_trait]
impl Cluster for Fenced {
    async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Option<Value>, ClusterError> {
        self.inner.get(kind, namespace, name).await
    }

    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Vec<Value>, ClusterError> {
        self.inner.list(kind, namespace, selector).await
    }

    async fn create(
        &self,
        site: WriteSite,
        kind: Kind,
        namespace: &str,
        document: &Value,
        dry_run: bool,
    ) -> Result<Value, ClusterError> {
        self.check(kind, namespace, crate::workload::object::name(document))?;
        self.inner.create(site, kind, namespace, document, dry_run).await
    }

    async fn patch(
        &self,
        site: WriteSite,
        kind: Kind,
        namespace: &str,
        name: &str,
        subresource: &str,
        patch: &Patch,
    ) -> Result<Value, ClusterError> {
        self.check(kind, namespace, name)?;
        self.inner.patch(site, kind, namespace, name, subresource, patch).await
    }

    async fn delete(
        &self,
        site: WriteSite,
        kind: Kind,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), ClusterError> {
        self.check(kind, namespace, name)?;
        self.inner.delete(site, kind, namespace, name, uid).await
    }
}
