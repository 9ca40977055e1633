//! All reads of one pass, at the API server, side by side.
//!
//! It draws no conclusions: every answer is kept as it came, an error as an error. Only the Rollout and its runs must be
//! readable, because without them nothing is known about what was begun.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use serde_json::Value;

use super::{
    ACTION, ADMISSION_BINDING, ADMISSION_POLICY, ANALYSIS_TEMPLATE, BACKEND_TLS_POLICY, BACKEND_TLS_POLICY_V1ALPHA3,
    CLUSTER_ANALYSIS_TEMPLATE, CONTROLLER_REVISION, Cluster, ClusterError, DEPLOYMENT, ENDPOINT_SLICE, GRPC_ROUTE, HPA,
    HTTP_ROUTE, Kind, METRICS_PROVIDER, NAMESPACE, POD, POLICIES, ROLLOUT, ROLLOUT_POLICY, RUN, SERVICE,
    SERVICE_NAME_LABEL, unconsumed,
};
use crate::{
    api::{ACTIONS_POLICY, ROLLOUT_LABEL},
    traffic::marks,
    workload::object::{self, items, text},
};

/// Foreign pods that are read to name their owners in a message.
const NAMED_FOREIGN_PODS: usize = 3;

pub type Read<T> = Result<T, ClusterError>;
/// Answers to reads of single objects.
pub type Objects = BTreeMap<(Kind, String), Read<Option<Value>>>;

/// Answers to lists of policies.
pub type Policies = BTreeMap<Kind, Read<Vec<Value>>>;

/// What the API server answered.
#[derive(Debug)]
pub struct Gathered {
    pub rollout: Value,
    /// Read only while the Rollout is being deleted, or if a RolloutPolicy asks for its labels.
    pub namespace: Read<Option<Value>>,
    pub runs: Vec<Value>,
    pub actions: Read<Vec<Value>>,
    /// Read only while an action waits: what vouches for its author, and the binding that puts it in force.
    pub actions_policy: Read<Option<Value>>,
    pub actions_binding: Read<Option<Value>>,
    pub records: Read<Vec<Value>>,
    /// The revisions' Deployments.
    pub deployments: Read<Vec<Value>>,
    /// The revisions' Services and the preview.
    pub own_services: Read<Vec<Value>>,
    pub pods: Read<Vec<Value>>,
    /// All Rollouts of the namespace.
    pub rollouts: Read<Vec<Value>>,
    pub hpas: Read<Vec<Value>>,
    /// With deploymentRef: the referenced Deployment and its pods.
    pub source: Option<Read<Option<Value>>>,
    pub source_pods: Read<Vec<Value>>,
    pub providers: Read<Vec<Value>>,
    /// All RolloutPolicies.
    pub guardrails: Read<Vec<Value>>,
    /// EndpointSlices of the application's and the revisions' Services.
    pub slices: Read<Vec<Value>>,
    /// The application's Services, one with the preview's name, routes, templates of metrics.
    pub objects: Objects,
    /// With a managed route: the namespace's policies that may name a Service.
    pub policies: Policies,
    /// Runs of other Rollouts that the routes are annotated with, by name.
    pub other_runs: Objects,
    /// Some pods behind the Services that are nobody's of this Rollout.
    pub foreign_pods: Vec<Value>,
}

/// Reads everything that a decision about this Rollout may look at.
pub async fn gather(cluster: &dyn Cluster, rollout: Value) -> Read<Gathered> {
    let ns = object::namespace(&rollout);
    let ours = format!("{ROLLOUT_LABEL}={}", object::name(&rollout));
    let spec = &rollout["spec"];
    let source = text(spec, "/workload/deploymentRef/name");
    let own = futures::future::join4(
        cluster.list(CONTROLLER_REVISION, ns, &ours),
        cluster.list(DEPLOYMENT, ns, &ours),
        cluster.list(SERVICE, ns, &ours),
        cluster.list(RUN, ns, &ours),
    );
    let others = futures::future::join5(
        cluster.list(ACTION, ns, ""),
        cluster.list(ROLLOUT, ns, ""),
        cluster.list(HPA, ns, ""),
        cluster.list(METRICS_PROVIDER, "", ""),
        cluster.list(ROLLOUT_POLICY, "", ""),
    );
    let source = get_named(cluster, DEPLOYMENT, ns, source);
    let ((records, deployments, own_services, runs), (actions, rollouts, hpas, providers, guardrails), source) =
        futures::join!(own, others, source);
    let runs = runs?;

    let own_names = own_services.iter().flatten().map(object::name);
    let names: BTreeSet<&str> = named_services(spec, &runs).into_iter().chain(own_names).collect();
    let endpoints = endpoints(cluster, ns, &names, &ours, source.as_ref());
    let by_label = |policy: &Value| policy.pointer("/spec/namespaces/matchLabels").is_some();
    let needs_namespace = object::is_terminating(&rollout) || guardrails.iter().flatten().any(by_label);
    let ((slices, pods, source_pods), objects, policies, namespace) = futures::join!(
        endpoints,
        get_all(cluster, ns, mentioned(spec, &runs)),
        policies(cluster, ns, spec, &runs),
        get_if(needs_namespace, cluster, NAMESPACE, ns)
    );

    let known: BTreeSet<&str> = runs.iter().map(object::name).collect();
    let users = objects.values().flatten().flatten().flat_map(marks);
    let users = users.filter(|run| !known.contains(run)).map(|run| (RUN, run.to_owned())).collect();
    let strangers = strangers(&slices, &pods, &source_pods, &named_services(spec, &runs));
    let waits = actions.as_ref().is_ok_and(|all| !unconsumed(all, object::name(&rollout)).is_empty());
    let (other_runs, foreign_pods, actions_policy, actions_binding) = futures::join!(
        get_all(cluster, ns, users),
        get_all(cluster, ns, strangers),
        get_if(waits, cluster, ADMISSION_POLICY, ACTIONS_POLICY),
        get_if(waits, cluster, ADMISSION_BINDING, ACTIONS_POLICY),
    );
    Ok(Gathered {
        namespace,
        runs,
        actions,
        actions_policy,
        actions_binding,
        records,
        deployments,
        own_services,
        pods,
        rollouts,
        hpas,
        source,
        source_pods,
        providers,
        guardrails,
        slices,
        objects,
        policies,
        other_runs,
        foreign_pods: foreign_pods.into_values().flatten().flatten().collect(),
        rollout,
    })
}

async fn get_named(
    cluster: &dyn Cluster,
    kind: Kind,
    namespace: &str,
    name: Option<&str>,
) -> Option<Read<Option<Value>>> {
    match name {
        Some(name) => Some(cluster.get(kind, namespace, name).await),
        None => None,
    }
}

/// Policies are followed to the Services of revisions, which only a managed route needs.
async fn policies(cluster: &dyn Cluster, namespace: &str, spec: &Value, runs: &[Value]) -> Policies {
    let routed =
        !items(spec, "/traffic/routes").is_empty() || open(runs).any(|run| !items(run, "/spec/routes").is_empty());
    if !routed {
        return Policies::new();
    }
    let reads = POLICIES.map(|kind| async move { (kind, cluster.list(kind, namespace, "").await) });
    let mut policies: Policies = join_all(reads).await.into_iter().collect();
    // A server that serves both versions shows every object in both.
    if policies.get(&BACKEND_TLS_POLICY).is_some_and(|read| read.as_ref().is_ok_and(|found| !found.is_empty())) {
        policies.remove(&BACKEND_TLS_POLICY_V1ALPHA3);
    }
    policies
}

/// EndpointSlices of these Services, and after them the pods: an endpoint's pod is then among them even if it is new.
async fn endpoints(
    cluster: &dyn Cluster,
    namespace: &str,
    services: &BTreeSet<&str>,
    ours: &str,
    source: Option<&Read<Option<Value>>>,
) -> (Read<Vec<Value>>, Read<Vec<Value>>, Read<Vec<Value>>) {
    let names = services.iter().copied().collect::<Vec<_>>().join(",");
    let selector = format!("{SERVICE_NAME_LABEL} in ({names})");
    let slices = list_if(!names.is_empty(), cluster, ENDPOINT_SLICE, namespace, &selector).await;
    let source = source.and_then(|read| read.as_ref().ok()).and_then(Option::as_ref);
    let of_source = source.map(selector_text).unwrap_or_default();
    let (pods, source_pods) = futures::join!(
        cluster.list(POD, namespace, ours),
        list_if(!of_source.is_empty(), cluster, POD, namespace, &of_source)
    );
    (slices, pods, source_pods)
}

/// Names of the application's Services: of the spec, and of runs that may still hold them.
fn named_services<'d>(spec: &'d Value, runs: &'d [Value]) -> BTreeSet<&'d str> {
    let of_spec = items(spec, "/traffic/services").iter().filter_map(|service| text(service, "/name"));
    let of_runs = open(runs).flat_map(|run| items(run, "/spec/services")).filter_map(Value::as_str);
    of_spec.chain(of_runs).collect()
}

/// Single objects that the spec or an open run names.
fn mentioned(spec: &Value, runs: &[Value]) -> BTreeSet<(Kind, String)> {
    let mut wanted: BTreeSet<(Kind, String)> = BTreeSet::new();
    wanted.extend(named_services(spec, runs).into_iter().map(|name| (SERVICE, name.to_owned())));
    wanted.extend(text(spec, "/traffic/preview/service").map(|name| (SERVICE, name.to_owned())));
    let of_spec = items(spec, "/traffic/routes").iter().filter_map(|route| route.get("gatewayAPI"));
    let of_runs = open(runs).flat_map(|run| items(run, "/spec/routes"));
    for route in of_spec.chain(of_runs) {
        let kind = route_kind(text(route, "/kind").unwrap_or_default());
        wanted.extend(text(route, "/name").map(|name| (kind, name.to_owned())));
    }
    for template in items(spec, "/analysis/templates") {
        let of_cluster = text(template, "/kind") == Some(CLUSTER_ANALYSIS_TEMPLATE.kind);
        let kind = if of_cluster { CLUSTER_ANALYSIS_TEMPLATE } else { ANALYSIS_TEMPLATE };
        wanted.extend(text(template, "/name").map(|name| (kind, name.to_owned())));
    }
    wanted
}

fn open(runs: &[Value]) -> impl Iterator<Item = &Value> {
    runs.iter().filter(|run| text(run, "/status/phase") != Some("Ended"))
}

/// The kind of a route by its word; absent is the default.
pub fn route_kind(word: &str) -> Kind {
    if word == GRPC_ROUTE.kind { GRPC_ROUTE } else { HTTP_ROUTE }
}

/// A few pods behind the application's Services that belong neither to a revision nor to the referenced Deployment.
fn strangers(
    slices: &Read<Vec<Value>>,
    pods: &Read<Vec<Value>>,
    source_pods: &Read<Vec<Value>>,
    services: &BTreeSet<&str>,
) -> BTreeSet<(Kind, String)> {
    let (Ok(slices), Ok(pods), Ok(source_pods)) = (slices, pods, source_pods) else { return BTreeSet::new() };
    let known: BTreeSet<&str> = pods.iter().chain(source_pods).map(object::name).collect();
    let of_services = slices
        .iter()
        .filter(|slice| object::label(slice, SERVICE_NAME_LABEL).is_some_and(|service| services.contains(service)));
    let targets = of_services.flat_map(|slice| items(slice, "/endpoints")).filter_map(|it| it.get("targetRef"));
    let names = targets.filter(|target| text(target, "/kind") == Some("Pod")).filter_map(|it| text(it, "/name"));
    let unknown: BTreeSet<&str> = names.filter(|name| !known.contains(name)).collect();
    unknown.into_iter().take(NAMED_FOREIGN_PODS).map(|name| (POD, name.to_owned())).collect()
}

/// A Deployment's selector as text.
fn selector_text(deployment: &Value) -> String {
    let labels = deployment.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let pairs = labels.into_iter().flatten().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    let expressions = items(deployment, "/spec/selector/matchExpressions").iter().filter_map(|expression| {
        let values = items(expression, "/values").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
        let key = text(expression, "/key")?;
        Some(match text(expression, "/operator")? {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        })
    });
    pairs.chain(expressions).collect::<Vec<_>>().join(",")
}

async fn list_if(wanted: bool, cluster: &dyn Cluster, kind: Kind, namespace: &str, selector: &str) -> Read<Vec<Value>> {
    if wanted { cluster.list(kind, namespace, selector).await } else { Ok(Vec::new()) }
}

async fn get_if(wanted: bool, cluster: &dyn Cluster, kind: Kind, name: &str) -> Read<Option<Value>> {
    if wanted { cluster.get(kind, "", name).await } else { Ok(None) }
}

async fn get_all(cluster: &dyn Cluster, namespace: &str, wanted: BTreeSet<(Kind, String)>) -> Objects {
    let reads = wanted.into_iter().map(|(kind, name)| async move {
        let scope = if kind.namespaced { namespace } else { "" };
        let answer = cluster.get(kind, scope, &name).await;
        ((kind, name), answer)
    });
    join_all(reads).await.into_iter().collect()
}
