//! Metrics servers, opened once for all runs that use them, and the Secrets they need.
//!
//! It asks nothing itself. Of Secrets it can only get one by its name, in the controller's own namespace.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::{Cluster, SECRET};
use crate::{
    api::MetricsProviderSpec,
    measure::{Content, Prometheus, Provider, Secrets, Tenancy, Tenant},
};

/// Opens metrics servers.
pub trait Providers: Send + Sync {
    /// The MetricsProvider of this name for a namespace, or why it cannot be asked.
    fn open(&self, name: &str, spec: &MetricsProviderSpec, namespace: &str) -> Result<Arc<dyn Provider>, String>;
}

/// Metrics servers as their specs say.
pub struct Servers {
    secrets: Arc<dyn Secrets>,
    /// Those that a run uses: each has connections, and certificates of its own.
    opened: Mutex<HashMap<String, (MetricsProviderSpec, Weak<Prometheus>)>>,
}

impl Servers {
    /// `namespace` is the controller's own.
    pub fn new(cluster: Arc<dyn Cluster>, namespace: &str) -> Self {
        let secrets = Arc::new(OwnSecrets { cluster, namespace: namespace.to_owned() });
        Self { secrets, opened: Mutex::default() }
    }

    fn server(&self, name: &str, spec: &MetricsProviderSpec) -> Result<Arc<Prometheus>, String> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|_, (_, server)| server.strong_count() > 0);
        let known = opened.get(name).filter(|(known, _)| known == spec).and_then(|(_, server)| server.upgrade());
        if let Some(server) = known {
            return Ok(server);
        }
        let server = Prometheus::new(name, spec, self.secrets.clone()).map_err(|error| error.to_string())?;
        if spec.is_shared() && spec.tenancy.is_empty() {
            tracing::warn!(
                provider = name,
                "several namespaces may use this MetricsProvider and it has no tenancy: a query may read any of its series"
            );
        }
        let server = Arc::new(server);
        opened.insert(name.to_owned(), (spec.clone(), Arc::downgrade(&server)));
        Ok(server)
    }
}

impl Providers for Servers {
    fn open(&self, name: &str, spec: &MetricsProviderSpec, namespace: &str) -> Result<Arc<dyn Provider>, String> {
        let server = self.server(name, spec)?;
        Ok(Arc::new(Tenant { server, tenancy: Tenancy::new(&spec.tenancy, namespace) }))
    }
}

/// Secrets of the controller's own namespace.
struct OwnSecrets {
    cluster: Arc<dyn Cluster>,
    namespace: String,
}

#[async_trait]
impl Secrets for OwnSecrets {
    fn named(&self, name: &str) -> String {
        SECRET.named(&self.namespace, name)
    }

    async fn read(&self, name: &str) -> Result<Option<Content>, String> {
        let found = self.cluster.get(SECRET, &self.namespace, name).await;
        Ok(found.map_err(|error| error.to_string())?.as_ref().map(content))
    }
}

/// What cannot be decoded is as if it were not there.
fn content(secret: &Value) -> Content {
    let data = secret["data"].as_object().into_iter().flatten();
    data.filter_map(|(key, value)| Some((key.clone(), BASE64_STANDARD.decode(value.as_str()?).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::{ClusterError, fake::Fake};

    fn spec() -> MetricsProviderSpec {
        MetricsProviderSpec { address: "http://prometheus:9090".into(), ..MetricsProviderSpec::default() }
    }

    #[test]
    fn runs_share_a_server_until_its_spec_changes_or_nobody_uses_it() {
        let servers = Servers::new(Arc::new(Fake::default()), "tidegate-system");
        let first = servers.server("a", &spec()).unwrap();
        assert!(Arc::ptr_eq(&first, &servers.server("a", &spec()).unwrap()));
        assert!(!Arc::ptr_eq(&first, &servers.server("b", &spec()).unwrap()));
        let other = MetricsProviderSpec { default: true, ..spec() };
        let second = servers.server("a", &other).unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        drop((first, second));
        let _third = servers.server("c", &spec()).unwrap();
        assert_eq!(servers.opened.lock().unwrap().keys().collect::<Vec<_>>(), ["c"]);
    }

    #[tokio::test]
    async fn secrets_are_got_by_name_from_the_controllers_namespace_only() {
        let document = |namespace: &str| json!({"metadata": {"name": "login", "namespace": namespace}, "data": {"token": "c2VjcmV0", "broken": "%"}});
        let fake = Arc::new(Fake::with([(SECRET, document("tidegate-system"))]));
        let secrets = OwnSecrets { cluster: fake.clone(), namespace: "tidegate-system".into() };
        let found = secrets.read("login").await.unwrap().unwrap();
        assert_eq!(found, Content::from([("token".to_owned(), b"secret".to_vec())]));
        assert_eq!(secrets.read("other").await, Ok(None));
        assert_eq!(secrets.named("login"), "Secret tidegate-system/login");
        fake.fail("get Secret", ClusterError::Unavailable { object: "Secret login".into(), message: "away".into() }, 1);
        assert!(secrets.read("login").await.unwrap_err().contains("away"));
        let elsewhere = OwnSecrets { cluster: Arc::new(Fake::with([(SECRET, document("shop"))])), ..secrets };
        assert_eq!(elsewhere.read("login").await, Ok(None));
    }
}
