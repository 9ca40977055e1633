//! What a simulated cluster is furnished with: the file's documents, and in place of those that it lacks plain ones.
//!
//! Metrics that cannot be simulated are left out or made to succeed, and each of these is said.

use serde_json::{Value, json};

use super::{
    SimulateArguments,
    stand_in::{container, errors, namespace, succeeding},
};
use crate::{
    api::Span,
    cli::{
        manifest::{Manifest, Written},
        measured::choose,
        plan::expected_rate,
    },
    controller::{
        ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE, DEPLOYMENT, GRPC_ROUTE, HTTP_ROUTE, Kind, METRICS_PROVIDER,
        NAMESPACE as NAMESPACE_KIND, ROLLOUT, ROLLOUT_POLICY, SERVICE,
    },
    measure::{Order, missing},
    sim::{
        Behaviour, Deed, EPOCH_SECONDS, Entry,
        trial::{Trial, When},
    },
    workload::object::{items, name},
};

const DEFAULT_RATE: f64 = 50.0;
const NAMESPACE: &str = "default";
/// The image of the new version, where only its being another one counts.
const TAG: &str = ":simulated";
/// From the beginning of a step to a foreign write.
const RESET: u64 = 30_000;

/// What is being put together.
struct Furniture<'m> {
    manifest: &'m Manifest,
    written: &'m Written,
    namespace: String,
    documents: Vec<(Kind, Value)>,
    assumed: Vec<String>,
}

/// The trial, and what is assumed in it, a phrase each. Err: why there is none.
pub fn trial(
    given: &SimulateArguments,
    manifest: &Manifest,
    written: &Written,
    namespace: Option<&str>,
) -> Result<(Trial, Vec<String>), String> {
    let steps = written.valid.steps.len();
    if given.from_step as usize > steps {
        return Err(format!("--from-step is {}, and it has {steps} steps: name one of them", given.from_step));
    }
    let chosen = written.namespace.as_deref().or(namespace).unwrap_or(NAMESPACE).to_owned();
    let mut furniture = Furniture { manifest, written, namespace: chosen, documents: Vec::new(), assumed: Vec::new() };
    if written.namespace.is_none() && namespace.is_some() {
        furniture.assumed.push(format!("namespace {} (--namespace)", furniture.namespace));
    }
    let rate = furniture.rate(given);
    furniture.assumed.push(format!("{} % of stable's bad", 100.0 * given.error_ratio));
    let template = furniture.workload();
    furniture.services(&template);
    furniture.routes();
    let scrape_interval = furniture.provider();
    furniture.templates();
    furniture.policies();
    furniture.rollout();
    let image = template["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned();
    let (canary, deeds) = furniture.troubles(given, &format!("{}{TAG}", untagged(&image)));
    furniture.assumed.push(format!("seed {}", given.seed));
    let Furniture { namespace, documents, assumed, .. } = furniture;
    let trial = Trial {
        entries: entries(written, &namespace),
        namespace,
        rollout: written.name.clone(),
        documents,
        seed: given.seed,
        requests_per_second: rate,
        scrape_seconds: i64::try_from(scrape_interval.as_millis() / 1_000).unwrap_or(1).max(1),
        stable: (image, Behaviour { errors: given.error_ratio, ..Behaviour::default() }),
        canary,
        deeds,
        approves: given.approve,
        limit: given.limit.as_millis(),
    };
    Ok((trial, assumed))
}

/// Where requests arrive: at the routes, else at the Services.
fn entries(written: &Written, namespace: &str) -> Vec<Entry> {
    let route = |(kind, name): &(String, String)| Entry::Route {
        kind: route_kind(kind),
        namespace: namespace.to_owned(),
        name: name.clone(),
    };
    let service = |name: &String| Entry::Service { namespace: namespace.to_owned(), name: name.clone() };
    let valid = &written.valid;
    if valid.routes.is_empty() {
        valid.services.iter().map(service).collect()
    } else {
        valid.routes.iter().map(route).collect()
    }
}

fn route_kind(word: &str) -> Kind {
    if word == GRPC_ROUTE.kind { GRPC_ROUTE } else { HTTP_ROUTE }
}

/// The image without tag and digest; a colon before a slash is a registry's port.
fn untagged(image: &str) -> &str {
    let bare = image.split('@').next().unwrap_or(image);
    match bare.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => bare,
    }
}

impl Furniture<'_> {
    fn rate(&mut self, given: &SimulateArguments) -> f64 {
        let expected = self.written.valid.error_budget.as_ref().and_then(expected_rate);
        let (rate, whose) = match (given.rps, expected) {
            (Some(rate), _) => (rate, ""),
            (None, Some(rate)) => (rate, " as errorBudget.expectedRequests means"),
            (None, None) => (DEFAULT_RATE, " (--rps)"),
        };
        self.assumed.push(format!("{rate:.0} req/s{whose}"));
        rate
    }

    /// A document of the file, in the Rollout's namespace.
    fn find(&self, kind: Kind, wanted: &str) -> Option<Value> {
        let is_it = |document: &&Value| {
            let group = document["apiVersion"].as_str().unwrap_or_default().split('/').next().unwrap_or_default();
            let group_is_right = kind.group.is_empty() || group == kind.group;
            document["kind"] == *kind.kind && name(document) == wanted && group_is_right
        };
        self.manifest.documents().iter().find(is_it).cloned()
    }

    /// The file's document, or one that is made up; the latter is said.
    fn put(&mut self, kind: Kind, wanted: &str, make: impl FnOnce() -> Value) -> Value {
        let found = self.find(kind, wanted);
        if found.is_none() {
            self.assumed.push(format!("{} {wanted} made up", kind.kind));
        }
        let mut document = found.unwrap_or_else(make);
        document["apiVersion"] = json!(kind.api_version());
        document["kind"] = json!(kind.kind);
        document["metadata"]["name"] = json!(wanted);
        if kind.namespaced {
            document["metadata"]["namespace"] = json!(self.namespace);
        }
        if let Some(members) = document.as_object_mut() {
            members.remove("status");
        }
        self.documents.push((kind, document.clone()));
        document
    }

    /// The pod template, that of the Deployment if the Rollout refers to one.
    fn workload(&mut self) -> Value {
        match self.written.valid.deployment_ref.clone() {
            Some(wanted) => {
                let labels = json!({"app": wanted});
                let made = json!({"spec": {
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": {"containers": [container()]}},
                }});
                self.put(DEPLOYMENT, &wanted, || made)["spec"]["template"].clone()
            }
            None => self.of_file()["spec"]["workload"]["template"].clone(),
        }
    }

    fn services(&mut self, template: &Value) {
        let labels = template["metadata"]["labels"].clone();
        let ports = items(template, "/spec/containers/0/ports").iter().map(|port| port["containerPort"].clone());
        let target = ports.into_iter().next().unwrap_or_else(|| json!(8080));
        for service in self.written.valid.services.clone() {
            self.put(
                SERVICE,
                &service,
                || json!({"spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": target}]}}),
            );
        }
    }

    fn routes(&mut self) {
        let services = self.written.valid.services.clone();
        for (kind, wanted) in self.written.valid.routes.clone() {
            let ports = services.iter().map(|service| json!({"name": service, "port": self.port(service)}));
            let rules: Vec<Value> = ports.map(|backend| json!({"backendRefs": [backend]})).collect();
            let route = self.put(
                route_kind(&kind),
                &wanted,
                || json!({"spec": {"parentRefs": [{"name": "gateway"}], "rules": rules}}),
            );
            let is_ours = |rule: &Value| {
                items(rule, "/backendRefs")
                    .iter()
                    .any(|backend| services.iter().any(|service| name_of(backend) == service))
            };
            // Requests for others are not simulated.
            let kept: Vec<Value> = items(&route, "/spec/rules").iter().filter(|rule| is_ours(rule)).cloned().collect();
            if let Some((_, route)) = self.documents.last_mut() {
                route["spec"]["rules"] = json!(kept);
            }
        }
    }

    fn port(&self, service: &str) -> Value {
        let found = self.documents.iter().find(|(kind, document)| *kind == SERVICE && name(document) == service);
        found.map_or_else(|| json!(80), |(_, service)| service["spec"]["ports"][0]["port"].clone())
    }

    /// The metrics server, and how often it scrapes.
    fn provider(&mut self) -> Span {
        let wanted = self.written.analysis.provider.clone();
        let known = self.manifest.providers();
        let chosen = choose(&known, wanted.as_deref(), &self.namespace);
        let interval = chosen.and_then(|(_, spec)| spec.scrape_interval).unwrap_or(Order::DEFAULT_SCRAPE_INTERVAL);
        let used = chosen.map(|(name, _)| name.clone()).or(wanted).unwrap_or_else(|| "prometheus".into());
        let judged =
            !crate::cli::manifest::is_empty(&self.written.analysis) || self.written.valid.error_budget.is_some();
        if judged {
            self.put(METRICS_PROVIDER, &used, || json!({"spec": {"address": "http://prometheus", "default": true}}));
        }
        interval
    }

    fn templates(&mut self) {
        let templates = self.manifest.templates();
        let lacking = missing(&self.written.analysis, &templates);
        for reference in self.written.analysis.templates.clone() {
            let kind = match reference.kind {
                crate::api::TemplateKind::AnalysisTemplate => ANALYSIS_TEMPLATE,
                crate::api::TemplateKind::ClusterAnalysisTemplate => CLUSTER_ANALYSIS_TEMPLATE,
            };
            if self.documents.iter().any(|(its, document)| *its == kind && name(document) == reference.name) {
                continue;
            }
            let args: Vec<Value> = reference.args.iter().map(|arg| json!({"name": arg.name})).collect();
            let number =
                lacking.iter().position(|(its, its_name)| *its == reference.kind && *its_name == reference.name);
            self.put(kind, &reference.name, || errors(&args, number.unwrap_or(0)));
            if let Some((_, mut template)) = self.documents.pop() {
                self.simplify(&mut template["spec"]["metrics"]);
                self.documents.push((kind, template));
            }
        }
    }

    /// The file's RolloutPolicies, and the namespace if they ask for its labels.
    fn policies(&mut self) {
        let policies: Vec<(String, Value)> =
            self.manifest.policies().map(|(name, spec)| (name, spec.clone())).collect();
        if policies.is_empty() {
            return;
        }
        let selectors: Vec<&Value> = policies.iter().map(|(_, spec)| &spec["namespaces"]["matchLabels"]).collect();
        if selectors.iter().any(|labels| labels.is_object()) {
            let place = self.namespace.clone();
            self.put(NAMESPACE_KIND, &place, || namespace(&selectors));
        }
        for (policy, _) in &policies {
            self.put(ROLLOUT_POLICY, policy, || Value::Null);
        }
        let beginning = jiff::Timestamp::from_second(EPOCH_SECONDS).unwrap_or_default();
        self.assumed.push(format!("a beginning at {beginning}, for freeze windows"));
    }

    fn rollout(&mut self) {
        let mut document = self.of_file();
        let labels = &self.written.labels;
        document["metadata"] = json!({"name": self.written.name, "namespace": self.namespace, "labels": labels});
        if document["spec"]["analysis"]["metrics"].is_array() {
            self.simplify(&mut document["spec"]["analysis"]["metrics"]);
        }
        if let Some(members) = document.as_object_mut() {
            members.remove("status");
        }
        self.documents.push((ROLLOUT, document));
    }

    fn of_file(&self) -> Value {
        self.find(ROLLOUT, &self.written.name).unwrap_or_default()
    }

    /// Thresholds get a query that succeeds; what needs more than counters goes.
    fn simplify(&mut self, metrics: &mut Value) {
        for metric in metrics.as_array_mut().into_iter().flatten() {
            let shown = name_of(metric).to_owned();
            if let Some(value) = succeeding(&metric["threshold"]) {
                self.assumed.push(format!("threshold metric {shown} taken as succeeding, its query is not simulated"));
                metric["threshold"]["query"] = json!(format!("vector({value})"));
            } else if metric["ratio"].is_null() {
                self.assumed.push(format!("metric {shown} left out: latency and gauges are not simulated"));
            }
        }
        if let Some(all) = metrics.as_array_mut() {
            all.retain(|metric| metric["latency"].is_null() && metric["gauge"].is_null());
        }
    }

    /// How the new version behaves, and what happens to it.
    fn troubles(&mut self, given: &SimulateArguments, image: &str) -> ((String, Behaviour), Vec<(When, Deed)>) {
        let mut behaviour = Behaviour { errors: given.error_ratio, ..Behaviour::default() };
        let mut deeds = Vec::new();
        let step = given.from_step - 1;
        if let Some(errors) = given.canary_errors {
            self.assumed.push(format!(
                "{} % of the new revision's bad from step {} on",
                100.0 * errors,
                given.from_step
            ));
            if step == 0 {
                behaviour.errors = errors;
            } else {
                let per_million = (errors * 1e6).round() as u64;
                deeds.push((When::AtStep(step, 0), Deed::Fail { image: image.to_owned(), per_million }));
            }
        }
        if given.pods_never_ready {
            behaviour.ready = None;
        }
        if let Some(span) = given.slow_pods {
            behaviour.ready = Some(span.as_millis());
        }
        if let Some(span) = given.prometheus_down {
            deeds.push((When::AtStep(step, 0), Deed::Prometheus { away: true }));
            deeds.push((When::AtStep(step, span.as_millis()), Deed::Prometheus { away: false }));
        }
        if given.reset_route {
            let reset =
                |(_, name): &(String, String)| (When::AtStep(step, RESET), Deed::ResetRoute { name: name.clone() });
            deeds.extend(self.written.valid.routes.iter().map(reset));
        }
        if let Some(at) = given.abort_at {
            let (rollout, kind) = (self.written.name.clone(), crate::api::ActionType::Abort);
            deeds.push((When::After(at.as_millis()), Deed::Ask { rollout, kind }));
        }
        let bakes: u64 = self.written.valid.steps.iter().map(|step| step.bake.as_millis()).sum();
        let whole = bakes + self.written.valid.soak.as_millis();
        let kills = given.controller_restarts;
        deeds.extend((0..kills).map(|kill| (When::After(whole * (2 * kill + 1) / (2 * kills)), Deed::Kill)));
        ((image.to_owned(), behaviour), deeds)
    }
}

fn name_of(value: &Value) -> &str {
    value["name"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_gets_another_tag_wherever_its_registry_listens() {
        for (image, bare) in [
            ("app", "app"),
            ("app:1", "app"),
            ("r:5000/a/b:1.2", "r:5000/a/b"),
            ("r:5000/a", "r:5000/a"),
            ("a@sha256:0", "a"),
        ] {
            assert_eq!(untagged(image), bare);
        }
    }
}
