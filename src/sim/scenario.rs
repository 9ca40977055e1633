//! A small shop to try things on: one Rollout, its Service, its route, a metrics server, and two versions to go from and to.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    clock::Millis, habits::Habits, link::Crash, simulation::Simulation, traffic::Entry, workloads::Behaviour,
    world::World,
};
use crate::{
    controller::{
        BACKEND_TLS_POLICY, DEPLOYMENT, HTTP_ROUTE, Kind, METRICS_PROVIDER, ROLLOUT, ROLLOUT_POLICY, SERVICE,
    },
    workload::object::text,
};

pub const NAMESPACE: &str = "shop";
pub const ROLLOUT_NAME: &str = "checkout";
/// The Rollout beside it, where there is one.
pub const NEIGHBOUR: &str = "cart";
pub const ROUTE_NAME: &str = "checkout-route";
/// The versions that there are.
pub const IMAGES: [&str; 3] = ["shop:1", "shop:2", "shop:3"];
/// When windows of the simulator's RolloutPolicy open.
pub const EACH_MINUTE: &str = "* * * * *";
/// Time to adopt the first version.
const OPENING: Millis = 120_000;

/// What the shop is like.
#[derive(Clone, Debug, PartialEq)]
pub struct Shop {
    pub replicas: u32,
    /// Weights and bakes in seconds.
    pub steps: Vec<(u32, u64)>,
    pub soak_seconds: u64,
    pub drain_seconds: u64,
    pub deadline_seconds: u64,
    pub routed: bool,
    /// The control is a baseline; with a route only.
    pub baseline: bool,
    /// Compared on errors, with an error budget.
    pub judged: bool,
    /// The template is that of a Deployment, which the Rollout adopts.
    pub referenced: bool,
    /// A TLS policy names the Service.
    pub tls: bool,
    /// A RolloutPolicy freezes the first seconds of every minute; 0: there is none.
    pub freeze_seconds: u64,
    /// A RolloutPolicy guards the error budget; judged only.
    pub guarded: bool,
    /// The bad part of the requests before customers came.
    pub past_errors: f64,
    /// Another Rollout is on the same route.
    pub neighbour: bool,
    pub requests_per_second: f64,
}

impl Default for Shop {
    fn default() -> Self {
        Self {
            replicas: 4,
            steps: vec![(10, 5), (50, 5)],
            soak_seconds: 10,
            drain_seconds: 5,
            deadline_seconds: 60,
            routed: true,
            baseline: false,
            judged: false,
            referenced: false,
            tls: false,
            freeze_seconds: 0,
            guarded: false,
            past_errors: 0.001,
            neighbour: false,
            requests_per_second: 50.0,
        }
    }
}

impl Shop {
    pub fn documents(&self) -> Vec<(Kind, Value)> {
        let mut names = vec![ROLLOUT_NAME];
        names.extend(self.neighbour.then_some(NEIGHBOUR));
        let pair = |name: &&str| [(SERVICE, service(name)), (ROLLOUT, self.rollout(name))];
        let mut documents: Vec<(Kind, Value)> = names.iter().flat_map(pair).collect();
        if self.routed {
            documents.push((HTTP_ROUTE, route(&names)));
        }
        if self.judged {
            documents.push((METRICS_PROVIDER, provider()));
        }
        if self.referenced {
            documents.push((DEPLOYMENT, self.deployment()));
        }
        if self.tls {
            documents.push((BACKEND_TLS_POLICY, tls_policy()));
        }
        if self.freeze_seconds > 0 {
            let window = json!({
                "name": "each-minute", "schedule": EACH_MINUTE, "duration": format!("{}s", self.freeze_seconds),
            });
            documents.push((ROLLOUT_POLICY, policy("calm", json!({"freezeWindows": [window]}))));
        }
        if self.guarded {
            documents.push((ROLLOUT_POLICY, policy("sre", json!({"errorBudget": {"onBurn": "Hold"}}))));
        }
        documents
    }

    fn rollout(&self, name: &str) -> Value {
        let step = |(weight, bake): &(u32, u64)| json!({"weight": weight, "bake": format!("{bake}s")});
        let steps: Vec<Value> = self.steps.iter().map(step).collect();
        let mut spec = json!({
            "replicas": self.replicas,
            "workload": {"template": template(name)},
            "runHistoryLimit": 1,
            "traffic": {"services": [{"name": name}]},
            "strategy": {"canary": {"steps": steps, "soak": format!("{}s", self.soak_seconds)}},
            "progressDeadline": format!("{}s", self.deadline_seconds),
        });
        if self.routed {
            spec["traffic"]["routes"] = json!([{"gatewayAPI": {"name": ROUTE_NAME}}]);
            spec["traffic"]["drain"] = json!(format!("{}s", self.drain_seconds));
        }
        if self.referenced
            && let Some(spec) = spec.as_object_mut()
        {
            spec.remove("replicas");
            spec.insert("workload".into(), json!({"deploymentRef": {"name": name}}));
        }
        if self.baseline {
            spec["strategy"]["canary"]["baseline"] = json!(true);
        }
        if self.judged {
            let selector = |more: &str| {
                let cluster = "{{ route.cluster }}";
                format!("envoy_cluster_upstream_rq_xx{{envoy_cluster_name=\"{cluster}\"{more}}}")
            };
            spec["errorBudget"] = json!({"objective": "99.9"});
            spec["analysis"] = json!({"metrics": [{
                "name": "errors",
                "ratio": {"bad": selector(",envoy_response_code_class=\"5\""), "total": selector("")},
            }]});
        }
        json!({
            "apiVersion": "tidegate.io/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec,
        })
    }

    fn deployment(&self) -> Value {
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": ROLLOUT_NAME, "namespace": NAMESPACE},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": {"app": ROLLOUT_NAME}},
                "template": template(ROLLOUT_NAME),
            },
        })
    }

    /// The shop without a controller, and without customers.
    pub fn furnished(&self, seed: u64, habits: Habits) -> Simulation {
        let mut simulation = Simulation::new(seed, habits);
        self.furnish(&mut simulation);
        simulation
    }

    /// Puts the shop into an empty cluster.
    pub fn furnish(&self, simulation: &mut Simulation) {
        {
            let mut world = simulation.world.lock();
            world.past_errors = self.past_errors;
            world.traffic.entries = vec![if self.routed {
                Entry::Route { kind: HTTP_ROUTE, namespace: NAMESPACE.into(), name: ROUTE_NAME.into() }
            } else {
                Entry::Service { namespace: NAMESPACE.into(), name: ROLLOUT_NAME.into() }
            }];
            for image in IMAGES {
                world.pods.behaviours.insert(image.into(), Behaviour::default());
            }
        }
        if let Err(error) = simulation.furnish(&self.documents()) {
            unreachable!("a document of the shop is refused: {error}");
        }
    }

    /// The shop with its first version adopted and customers coming; or what its status says instead.
    pub fn open(&self, seed: u64, habits: Habits, crashes: &[Crash]) -> Result<Simulation, String> {
        let mut simulation = self.furnished(seed, habits);
        self.adopt(&mut simulation, crashes)?;
        Ok(simulation)
    }

    /// Lets a controller adopt the first version of what is furnished, and customers come.
    pub fn adopt(&self, simulation: &mut Simulation, crashes: &[Crash]) -> Result<(), String> {
        simulation.world.lock().crashes = crashes.iter().copied().collect();
        simulation.start_controllers();
        let is_open = simulation.run_until(OPENING, |world| phase(world) == "Healthy");
        // The data plane hears of the last pods a moment later.
        let now = simulation.clock.now() + 2_000;
        simulation.run_until(now, |_| false);
        simulation.world.lock().traffic.begin(now, self.requests_per_second);
        let status = rollout(&simulation.world.lock()).map(|rollout| rollout["status"].to_string());
        if is_open { Ok(()) } else { Err(status.unwrap_or_default()) }
    }

    /// How long a run lasts at most, when nothing goes wrong.
    pub fn longest(&self) -> Millis {
        let bakes: u64 = self.steps.iter().map(|(_, bake)| bake + self.deadline_seconds).sum();
        1_000 * (bakes + self.soak_seconds + 2 * self.deadline_seconds + 120)
    }
}

fn rollout(world: &World) -> Option<Arc<Value>> {
    world.server.get(ROLLOUT, NAMESPACE, ROLLOUT_NAME)
}

/// The Rollout's phase as its status says; empty: it has none.
pub fn phase(world: &World) -> String {
    rollout(world).and_then(|rollout| text(&rollout, "/status/phase").map(str::to_owned)).unwrap_or_default()
}

fn template(app: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "app", "image": IMAGES[0], "ports": [{"name": "http", "containerPort": 8080}]}]},
    })
}

fn tls_policy() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "BackendTLSPolicy",
        "metadata": {"name": "checkout-tls", "namespace": NAMESPACE},
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": ROLLOUT_NAME}],
            "validation": {"hostname": "checkout.example.com", "wellKnownCACertificates": "System"},
        },
    })
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    })
}

fn route(services: &[&str]) -> Value {
    // A rule is told from another by its matches; of a backend Tidegate knows less than what stands there.
    let rule = |name: &&str| {
        let filter = json!({"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-shop", "value": name}]}});
        let mut rule = json!({"backendRefs": [{"name": name, "port": 80, "filters": [filter]}]});
        if services.len() > 1 {
            rule["matches"] = json!([{"path": {"type": "PathPrefix", "value": format!("/{name}")}}]);
        }
        rule
    };
    let rules: Vec<Value> = services.iter().map(rule).collect();
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": ROUTE_NAME, "namespace": NAMESPACE},
        "spec": {
            "parentRefs": [{"name": "edge"}],
            "rules": rules,
        },
    })
}

fn policy(name: &str, mut spec: Value) -> Value {
    spec["namespaces"] = json!({"names": [NAMESPACE]});
    json!({
        "apiVersion": "tidegate.io/v1alpha1",
        "kind": "RolloutPolicy",
        "metadata": {"name": name},
        "spec": spec,
    })
}

fn provider() -> Value {
    json!({
        "apiVersion": "tidegate.io/v1alpha1",
        "kind": "MetricsProvider",
        "metadata": {"name": "prometheus"},
        "spec": {"address": "http://prometheus", "default": true, "scrapeInterval": "5s"},
    })
}
