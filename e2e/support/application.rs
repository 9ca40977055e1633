//! The application's manifests: a Service, a route and a Rollout, as an owner would write them.

use serde_json::{Value, json};
use tidegate::controller::{DEPLOYMENT, GRPC_ROUTE, HTTP_ROUTE, Kind, ROLLOUT, SERVICE};

use super::Space;

#[derive(Clone)]
pub struct Application {
    pub name: String,
    pub host: String,
    pub replicas: u32,
    /// An HPA has spec.replicas: the owner's manifest leaves it out.
    pub scaled: bool,
    pub version: String,
    /// Environment of the demo application besides VERSION.
    pub environment: Vec<(String, String)>,
    pub steps: Value,
    pub soak: &'static str,
    pub strategy: Option<Value>,
    pub preview: Option<String>,
    /// The Rollout manages the route. Without it the route is there all the same, for the load.
    pub routed: bool,
    /// The route is a GRPCRoute, and the load calls the application by gRPC.
    pub grpc: bool,
    /// The template comes from a Deployment of the same name.
    pub deployment_ref: bool,
    pub budget: Option<Value>,
    pub metrics: Value,
    /// Fields of spec.analysis besides: how certain a verdict has to be.
    pub judging: Value,
    /// None: the default one.
    pub provider: Option<String>,
    /// Runs that are kept. None: as many as usual.
    pub history: Option<u32>,
    pub progress_deadline: &'static str,
    pub warm: &'static str,
    pub drain: &'static str,
}

impl Application {
    pub fn new(space: &Space) -> Self {
        Self {
            name: "app".into(),
            host: format!("{}.example", space.namespace),
            replicas: 3,
            scaled: false,
            version: "v1".into(),
            environment: Vec::new(),
            steps: json!([{"weight": 20, "bake": "1s"}, {"weight": 50, "bake": "1s"}]),
            soak: "1s",
            strategy: None,
            preview: None,
            routed: true,
            grpc: false,
            deployment_ref: false,
            budget: None,
            metrics: json!([]),
            judging: json!({}),
            provider: None,
            history: None,
            progress_deadline: "60s",
            warm: "1s",
            drain: "2s",
        }
    }

    /// Errors at Contour's Envoy: 5xx of all answers, per backend.
    pub fn envoy_errors() -> Value {
        json!([{"name": "errors", "ratio": {
            "bad": "envoy_cluster_upstream_rq_xx{envoy_cluster_name=\"{{ route.cluster }}\",envoy_response_code_class=\"5\"}",
            "total": "envoy_cluster_upstream_rq_xx{envoy_cluster_name=\"{{ route.cluster }}\"}",
        }}])
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub fn template(&self) -> Value {
        let mut environment = vec![json!({"name": "VERSION", "value": self.version})];
        environment.extend(self.environment.iter().map(|(name, value)| json!({"name": name, "value": value})));
        json!({
            "metadata": {
                "labels": {"app": self.name},
                "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
            },
            "spec": {
                "terminationGracePeriodSeconds": 10,
                "containers": [{
                    "name": "app",
                    "image": format!("tidegate.io/demo:{}", self.version),
                    "command": ["lab", "app"],
                    "env": environment,
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
                }],
            },
        })
    }

    pub fn service(&self) -> Value {
        let mut port = json!({"name": "http", "port": 80, "targetPort": "http"});
        if self.grpc {
            port["appProtocol"] = json!("kubernetes.io/h2c");
        }
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": self.name, "labels": {"team": "demo"}},
            "spec": {"selector": {"app": self.name}, "ports": [port]},
        })
    }

    pub const fn route_kind(&self) -> Kind {
        if self.grpc { GRPC_ROUTE } else { HTTP_ROUTE }
    }

    pub fn route(&self) -> Value {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": self.route_kind().kind, "metadata": {"name": self.name},
            "spec": {
                "parentRefs": [{"name": "edge", "namespace": "projectcontour"}],
                "hostnames": [self.host],
                // A weight that is written is compared at the end: what is left out would not be.
                "rules": [{"backendRefs": [{"name": self.name, "port": 80, "weight": 1}]}],
            },
        })
    }

    /// The referenced Deployment, without replicas: the Rollout has them.
    pub fn deployment(&self) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": self.name},
            "spec": {"selector": {"matchLabels": {"app": self.name}}, "template": self.template()},
        })
    }

    pub fn rollout(&self) -> Value {
        let workload = if self.deployment_ref {
            json!({"deploymentRef": {"name": self.name}})
        } else {
            json!({"template": self.template()})
        };
        let routes = if self.routed {
            json!([{"gatewayAPI": {"kind": self.route_kind().kind, "name": self.name}}])
        } else {
            json!([])
        };
        let canary = json!({"canary": {"steps": self.steps, "soak": self.soak}});
        let mut spec = json!({
            "release": self.version,
            "workload": workload,
            "traffic": {"services": [{"name": self.name}], "routes": routes, "warm": self.warm, "drain": self.drain},
            "strategy": self.strategy.clone().unwrap_or(canary),
            "progressDeadline": self.progress_deadline,
        });
        if !self.scaled && !self.deployment_ref {
            spec["replicas"] = json!(self.replicas);
        }
        if !self.metrics.as_array().is_none_or(Vec::is_empty) {
            spec["analysis"] = self.judging.clone();
            spec["analysis"]["metrics"] = self.metrics.clone();
            if let Some(provider) = &self.provider {
                spec["analysis"]["provider"] = json!(provider);
            }
        }
        if let Some(limit) = self.history {
            spec["runHistoryLimit"] = json!(limit);
        }
        if let Some(preview) = &self.preview {
            spec["traffic"]["preview"] = json!({"service": preview});
        }
        if let Some(budget) = &self.budget {
            spec["errorBudget"] = budget.clone();
        }
        json!({"apiVersion": "tidegate.io/v1alpha1", "kind": "Rollout", "metadata": {"name": self.name}, "spec": spec})
    }

    /// Everything, as its owner applies it.
    pub async fn apply(&self, space: &Space) {
        space.apply_as("owner", false, SERVICE, self.service()).await.expect("the Service is applied");
        space.apply_as("owner", false, self.route_kind(), self.route()).await.expect("the route is applied");
        if self.deployment_ref {
            space.apply_as("owner", false, DEPLOYMENT, self.deployment()).await.expect("the Deployment is applied");
            space.scale(DEPLOYMENT, &self.name, self.replicas).await;
        }
        self.release(space).await;
        if self.scaled {
            space.scale(ROLLOUT, &self.name, self.replicas).await;
        }
    }

    /// The Rollout (and the referenced Deployment) as it is now, applied by its owner.
    pub async fn release(&self, space: &Space) {
        if self.deployment_ref {
            space.apply_as("owner", false, DEPLOYMENT, self.deployment()).await.expect("the Deployment is applied");
        }
        space.apply_as("owner", false, ROLLOUT, self.rollout()).await.expect("the Rollout is applied");
    }
}
