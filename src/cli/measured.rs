//! The service's traffic from its metrics: asked of the MetricsProvider that a cluster has for it, or of an address.
//!
//! Without a cluster nobody knows the stable revision: a metric that selects by it cannot be asked for.

use std::sync::Arc;

use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};
use serde_json::Value;

use super::{
    Failure,
    connection::Connection,
    manifest::{Manifest, Templates, Written},
};
use crate::{
    api::{
        AddressKind, AnalysisTemplate, ClusterAnalysisTemplate, MetricsProvider, MetricsProviderSpec, Rollout, Span,
        TemplateKind, revision_service_name,
    },
    measure::{
        ArmNames, Figures, NoSecrets, Order, Prometheus, PrometheusError, Tenancy, Tenant, figures, missing, resolve,
    },
    stats::BudgetTerms,
};

/// Stands for the revision that a run would test: its name is not known, and nothing is asked of it.
const CANARY: &str = "canary";
const DEFAULT_PORT: u16 = 80;
const KIND: &str = "MetricsProvider";

/// Who is asked.
pub struct Source {
    pub connection: Option<Connection>,
    /// In place of the MetricsProvider's address.
    pub address: Option<String>,
}

/// Figures, and whose they are.
pub struct Measured {
    pub figures: Figures,
    pub provider: MetricsProviderSpec,
    /// For the reader: "MetricsProvider prometheus".
    pub from: String,
    /// The analysis has a metric that compares the arms.
    pub is_compared: bool,
}

impl Source {
    pub async fn measure(&self, manifest: &Manifest, written: &Written) -> Result<Measured, Failure> {
        let failed = |message: String| Failure::Measure { rollout: written.name.clone(), message };
        let namespace = self.namespace(written);
        let templates = self.templates(manifest, written).await?;
        let budget = written.valid.error_budget.as_ref();
        let routed = !written.valid.routes.is_empty();
        let analysis = resolve(&written.analysis, &templates, budget, routed).map_err(|refusals| {
            failed(refusals.into_iter().map(|refusal| refusal.message).collect::<Vec<_>>().join("; "))
        })?;
        let (from, provider) = self.provider(manifest, written, &namespace).await?;
        let service = written.valid.services.first().cloned().unwrap_or_default();
        let of_canary = if routed { revision_service_name(&service, CANARY) } else { service.clone() };
        let order = Order {
            namespace: namespace.clone(),
            rollout: written.name.clone(),
            metrics: analysis.metrics,
            budget: written.valid.error_budget.clone(),
            canary: ArmNames { service: of_canary, revision: CANARY.into() },
            stable: ArmNames { service: service.clone(), revision: self.stable(written).await? },
            port: self.port(manifest, written, &service).await?,
            ..Order::default()
        };
        let server = open(&from, &provider, &namespace).map_err(|error| failed(error.to_string()))?;
        let window = budget.and_then(|budget| budget.window).unwrap_or(BudgetTerms::DEFAULT_WINDOW);
        let found = figures(&order, &server, window, Timestamp::now().as_second()).await;
        let figures = found.map_err(|error| failed(format!("{from}: {error}")))?;
        let is_compared = order.metrics.iter().any(|metric| metric.ratio.is_some() || metric.latency.is_some());
        Ok(Measured { figures, provider, from, is_compared })
    }

    pub fn namespace(&self, written: &Written) -> String {
        let of_context = self.connection.as_ref().map(|connection| connection.namespace.clone());
        written.namespace.clone().or(of_context).unwrap_or_else(|| "default".into())
    }

    /// Those of the file, and those of the cluster that the file does not have.
    async fn templates(&self, manifest: &Manifest, written: &Written) -> Result<Templates, Failure> {
        let mut found = manifest.templates();
        let Some(connection) = &self.connection else { return Ok(found) };
        let namespace = self.namespace(written);
        for (kind, name) in missing(&written.analysis, &found) {
            let failed = |error| connection.failure(format!("read {kind:?} {name}"), &error);
            let spec = match kind {
                TemplateKind::AnalysisTemplate => {
                    let api: Api<AnalysisTemplate> = Api::namespaced(connection.client.clone(), &namespace);
                    api.get_opt(&name).await.map_err(failed)?.map(|template| template.spec)
                }
                TemplateKind::ClusterAnalysisTemplate => {
                    let api: Api<ClusterAnalysisTemplate> = Api::all(connection.client.clone());
                    let read = api.get_opt(&name).await.map_err(failed)?.map(|template| template.spec);
                    // Both kinds have the same fields.
                    read.map(|spec| crate::api::AnalysisTemplateSpec { args: spec.args, metrics: spec.metrics })
                }
            };
            found.extend(spec.map(|spec| (kind, name, spec)));
        }
        Ok(found)
    }

    /// The address given, else the provider that the cluster has for this namespace.
    async fn provider(
        &self,
        manifest: &Manifest,
        written: &Written,
        namespace: &str,
    ) -> Result<(String, MetricsProviderSpec), Failure> {
        let name = written.analysis.provider.as_deref();
        let of_cluster = match &self.connection {
            Some(connection) => {
                let api: Api<MetricsProvider> = Api::all(connection.client.clone());
                let listed = api.list(&ListParams::default()).await;
                let all = listed.map_err(|error| connection.failure("list MetricsProviders", &error))?;
                all.into_iter().map(|provider| (provider.name_any(), provider.spec)).collect()
            }
            None => Vec::new(),
        };
        let known = of_cluster.into_iter().chain(manifest.providers()).collect::<Vec<_>>();
        let chosen = choose(&known, name, namespace);
        match (&self.address, chosen) {
            (Some(address), chosen) => {
                let scrape_interval = chosen.and_then(|(_, spec)| spec.scrape_interval);
                Ok((address.clone(), at(address, scrape_interval)))
            }
            (None, Some((name, spec))) => Ok((format!("{KIND} {name}"), spec.clone())),
            (None, None) => Err(Failure::NoProvider {
                rollout: written.name.clone(),
                provider: name.map(str::to_owned),
                namespace: namespace.to_owned(),
            }),
        }
    }

    /// The revision that serves; without a cluster, or before the first one, a name that selects nothing.
    async fn stable(&self, written: &Written) -> Result<String, Failure> {
        let Some(connection) = &self.connection else { return Ok("unknown".into()) };
        let api: Api<Rollout> = Api::namespaced(connection.client.clone(), &self.namespace(written));
        let read = api.get_opt(&written.name).await;
        let rollout = read.map_err(|error| connection.failure(format!("read Rollout {}", written.name), &error))?;
        Ok(rollout.and_then(|rollout| rollout.status?.stable_revision).unwrap_or_else(|| "unknown".into()))
    }

    /// The Service's port that the routes name: in the file, else in the cluster.
    async fn port(&self, manifest: &Manifest, written: &Written, service: &str) -> Result<u16, Failure> {
        if let Some(port) = port_in(manifest.documents(), service) {
            return Ok(port);
        }
        let Some(connection) = &self.connection else { return Ok(DEFAULT_PORT) };
        let namespace = self.namespace(written);
        let mut documents = Vec::new();
        for (kind, name) in &written.valid.routes {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", kind));
            let api: Api<DynamicObject> = Api::namespaced_with(connection.client.clone(), &namespace, &resource);
            let read = api.get_opt(name).await;
            let route = read.map_err(|error| connection.failure(format!("read {kind} {name}"), &error))?;
            documents.extend(route.map(|route| route.data));
        }
        Ok(port_in(&documents, service).unwrap_or(DEFAULT_PORT))
    }
}

/// The first port by which a route of these documents names the Service.
fn port_in(documents: &[Value], service: &str) -> Option<u16> {
    let rules = documents.iter().filter_map(|document| document["spec"]["rules"].as_array()).flatten();
    let backends = rules.filter_map(|rule| rule["backendRefs"].as_array()).flatten();
    let mut ports =
        backends.filter(|backend| backend["name"] == *service).filter_map(|backend| backend["port"].as_u64());
    ports.next().and_then(|port| u16::try_from(port).ok())
}

/// The provider of this name, else the default one; only one that the namespace may use.
pub fn choose<'p>(
    providers: &'p [(String, MetricsProviderSpec)],
    name: Option<&str>,
    namespace: &str,
) -> Option<&'p (String, MetricsProviderSpec)> {
    let mut usable = providers.iter().filter(|(_, spec)| spec.allows(namespace));
    match name {
        Some(name) => usable.find(|(found, _)| found == name),
        None => usable.find(|(_, spec)| spec.default),
    }
}

/// A server at an address that a person has given for their own program.
pub fn at(address: &str, scrape_interval: Option<Span>) -> MetricsProviderSpec {
    let allow_addresses = vec![AddressKind::Loopback, AddressKind::LinkLocal];
    MetricsProviderSpec { address: address.to_owned(), allow_addresses, scrape_interval, ..Default::default() }
}

/// The server, asked with the rights of the person who asks; `from` is how it is called.
pub fn open(from: &str, spec: &MetricsProviderSpec, namespace: &str) -> Result<Tenant, PrometheusError> {
    // An error only says that somebody was first: then there is a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let name = from.strip_prefix(KIND).unwrap_or(from).trim();
    let server = Arc::new(Prometheus::new(name, spec, Arc::new(NoSecrets))?);
    Ok(Tenant { server, tenancy: Tenancy::new(&spec.tenancy, namespace) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_port_is_the_one_that_a_route_names() {
        let route = json!({"spec": {"rules": [
            {"backendRefs": [{"name": "other", "port": 1}]},
            {"backendRefs": [{"name": "checkout", "port": 8080}, {"name": "checkout", "port": 9}]},
        ]}});
        assert_eq!(port_in(std::slice::from_ref(&route), "checkout"), Some(8_080));
        assert_eq!(port_in(&[route, json!({})], "cart"), None);
    }

    #[test]
    fn a_provider_is_the_named_or_the_default_one_that_the_namespace_may_use() {
        let spec = |default: bool, namespaces: &[&str]| MetricsProviderSpec {
            default,
            namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
            ..MetricsProviderSpec::default()
        };
        let known = [
            ("of-pay".to_owned(), spec(true, &["pay"])),
            ("all".to_owned(), spec(true, &["*"])),
            ("other".to_owned(), spec(false, &[])),
        ];
        for (name, namespace, chosen) in [
            (None, "shop", Some("all")),
            (None, "pay", Some("of-pay")),
            (Some("other"), "shop", Some("other")),
            (Some("of-pay"), "shop", None),
            (Some("none"), "shop", None),
        ] {
            assert_eq!(choose(&known, name, namespace).map(|(name, _)| name.as_str()), chosen, "{name:?} {namespace}");
        }
    }
}
