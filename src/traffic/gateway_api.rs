//! HTTPRoute and GRPCRoute of the Gateway API: the share is a weight in `backendRefs`.
//!
//! It replaces whole `backendRefs` lists of managed rules (they are atomic for server-side apply) and one annotation; all
//! else stays byte for byte: matches, filters, timeouts, other rules, unknown fields.

use serde_json::{Value, json};

use super::{
    Router, marks,
    parents::{acceptance, counted, describe_route},
    rules::{self, ManagedRule, identity, managed},
    split::{
        Added, Arms, MOST_WEIGHT, Share, Tested, divide, largest_weight, local_service, service_name, shares, weight,
    },
};
use crate::{
    api::{Percent, Reason, RunRoute, RunRule},
    engine::{BaselineRefs, CanaryRefs, Refusal, RouteEdit, RouteState},
    workload::{
        object::{items, name, namespace, number, text},
        ownership::last_manager,
        patch,
    },
};

/// The Gateway API allows no more backends in a rule.
const MOST_BACKENDS: usize = 16;

pub static HTTP_ROUTE: GatewayApi = GatewayApi { kind: "HTTPRoute" };
pub static GRPC_ROUTE: GatewayApi = GatewayApi { kind: "GRPCRoute" };

/// A kind of route whose rules have `backendRefs` with weights.
pub struct GatewayApi {
    kind: &'static str,
}

impl Router for GatewayApi {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn example(&self) -> Value {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": self.kind,
            "metadata": {"name": "checkout", "namespace": "shop", "resourceVersion": "1", "generation": 1},
            "spec": {
                "parentRefs": [{"name": "edge"}],
                "rules": [{"backendRefs": [{"name": "checkout", "port": 80}]}],
            },
        })
    }

    fn freeze(
        &self,
        document: &Value,
        services: &[String],
        rules: &[String],
        total: u32,
        added: usize,
    ) -> Result<RunRoute, Vec<Refusal>> {
        let arms = Arms { namespace: namespace(document), services, tested: None };
        let route = describe_route(self.kind, document);
        let mut refusals = missing_rules(document, rules, &route);
        let mut found = Vec::new();
        for (index, rule) in items(document, "/spec/rules").iter().enumerate() {
            let selected =
                rules.is_empty() || text(rule, "/name").is_some_and(|name| rules.iter().any(|one| one == name));
            if !selected {
                continue;
            }
            let place = format!("{route}, spec.rules[{index}]");
            refusals.extend(elsewhere(rule, &arms, &place));
            let backends = items(rule, "/backendRefs");
            let served = arms.served_by(backends);
            if served.is_empty() {
                continue;
            }
            refusals.extend(unusable(rule, &served, &arms, (total, added), &place));
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            found.push(RunRule { index, identity: identity(rule), services: served, backend_refs: backends.to_vec() });
        }
        if found.is_empty() && refusals.is_empty() {
            refusals.push(without_rule(&route, services, rules));
        }
        if !refusals.is_empty() {
            return Err(refusals);
        }
        Ok(RunRoute {
            kind: self.kind.to_owned(),
            name: name(document).to_owned(),
            rules: found,
            selected: rules.to_vec(),
            parents: counted(document),
        })
    }

    fn without(&self, document: &Value, tested: Tested, total: u32) -> Value {
        let frozen = RunRoute::default();
        let services = rules::services(document, &frozen, Some(tested));
        let arms = Arms { namespace: namespace(document), services: &services, tested: Some(tested) };
        let mut owners = document.clone();
        for rule in managed(document, &frozen, &arms, total).iter().filter(|rule| is_in_play(rule, &arms)) {
            owners["spec"]["rules"][rule.index]["backendRefs"] = json!(rule.owners);
        }
        owners
    }

    fn read(&self, document: &Value, frozen: &RunRoute, tested: Option<Tested>, total: u32) -> RouteState {
        let services = rules::services(document, frozen, tested);
        let arms = Arms { namespace: namespace(document), services: &services, tested };
        let managed = managed(document, frozen, &arms, total);
        let served: Vec<_> = managed.iter().filter(|rule| !rule.services.is_empty()).collect();
        let acceptance = acceptance(document, &frozen.parents);
        let mark = tested.and_then(|tested| marks::of_revision(document, tested.canary));
        RouteState {
            run: mark.map(|(run, _)| run.to_owned()),
            epoch: mark.map_or(0, |(_, epoch)| epoch),
            canary: tested.map_or(CanaryRefs::Absent, |tested| refs(&managed, &arms, tested.canary)),
            baseline: tested.and_then(|tested| baseline_refs(&managed, &arms, tested.baseline?)),
            accepted: acceptance.accepted,
            waiting_for: acceptance.waiting_for,
            parent_silent: acceptance.silent,
            refs_unresolved: acceptance.refs_unresolved,
            foreign_change: served.len() != frozen.rules.len() || !served.iter().all(|rule| rule.is_as_frozen()),
            original: RunRoute {
                kind: self.kind.to_owned(),
                name: name(document).to_owned(),
                rules: served.iter().map(|rule| rule.to_freeze()).collect(),
                selected: frozen.selected.clone(),
                parents: frozen.parents.clone(),
            },
            last_manager: last_manager(document),
        }
    }

    fn edit(&self, document: &Value, frozen: &RunRoute, tested: Tested, total: u32, edit: &RouteEdit) -> Vec<Value> {
        let services = rules::services(document, frozen, Some(tested));
        let arms = Arms { namespace: namespace(document), services: &services, tested: Some(tested) };
        let mut operations = Vec::new();
        for rule in managed(document, frozen, &arms, total).iter().filter(|rule| is_in_play(rule, &arms)) {
            let wanted = backends_after(rule, &arms, tested, total, edit);
            if wanted != rule.now {
                operations.push(patch::replace(&format!("/spec/rules/{}/backendRefs", rule.index), json!(wanted)));
            }
        }
        operations.extend(match edit {
            RouteEdit::Name { run } => marks::add_mark(document, run),
            RouteEdit::Weight { share: _, baseline: _ } => Vec::new(),
            RouteEdit::Drop { run } => marks::remove(document, run),
        });
        patch::versioned(document, operations)
    }

    fn ports(&self, frozen: &RunRoute, service: &str) -> Vec<i64> {
        let rules = frozen.rules.iter().filter(|rule| rule.services.iter().any(|one| one == service));
        let backends = rules.flat_map(|rule| &rule.backend_refs);
        let mut ports: Vec<_> = backends
            .filter(|backend| service_name(backend) == Some(service) && weight(backend) > 0)
            .filter_map(|backend| number(backend, "/port"))
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

/// Rules that the run writes: the frozen ones, and any other that holds a backend of the run's.
fn is_in_play(rule: &ManagedRule, arms: &Arms) -> bool {
    rule.frozen.is_some() || arms.are_named_in(rule.now)
}

fn backends_after(rule: &ManagedRule, arms: &Arms, tested: Tested, total: u32, edit: &RouteEdit) -> Vec<Value> {
    let added = |services: &dyn Fn(Vec<String>) -> Vec<String>, shares: [Percent; 2]| -> Vec<Added> {
        let revisions = tested.revisions().zip(shares);
        let of = |(revision, share)| Added { revision, services: services(arms.named_in(rule.now, revision)), share };
        revisions.map(of).collect()
    };
    match edit {
        RouteEdit::Name { run: _ } => {
            let with_new = |named: Vec<String>| {
                let new = rule.services.iter().filter(|service| !named.contains(service));
                in_order(arms, named.iter().chain(new).cloned().collect())
            };
            divide(&rule.owners, arms, &added(&with_new, [Percent::ZERO; 2]), total)
        }
        // No backend gets weight in the write that first names it: a rule without one of ours stays as it is.
        RouteEdit::Weight { .. } if !arms.are_named_in(rule.now) => rule.now.to_vec(),
        RouteEdit::Weight { share, baseline } => {
            divide(&rule.owners, arms, &added(&|named| named, [*share, *baseline]), total)
        }
        RouteEdit::Drop { run: _ } => rule.owners.clone(),
    }
}

/// A revision's backends always stand in the same order, so that an edit on its own result changes nothing.
fn in_order(arms: &Arms, services: Vec<String>) -> Vec<String> {
    arms.services.iter().filter(|service| services.contains(service)).cloned().collect()
}

fn baseline_refs(rules: &[ManagedRule], arms: &Arms, revision: &str) -> Option<BaselineRefs> {
    let refs = refs(rules, arms, revision);
    (refs != CanaryRefs::Absent).then(|| BaselineRefs { revision: revision.to_owned(), refs })
}

/// How one revision's refs stand.
fn refs(rules: &[ManagedRule], arms: &Arms, revision: &str) -> CanaryRefs {
    let mut found = Vec::new();
    let mut is_named = false;
    for rule in rules.iter().filter(|rule| is_in_play(rule, arms)) {
        let named = arms.named_in(rule.now, revision);
        is_named |= !named.is_empty();
        let of_interest: Vec<_> =
            arms.services.iter().filter(|one| named.contains(one) || rule.services.contains(one)).cloned().collect();
        found.extend(shares(rule.now, arms, &of_interest, revision));
    }
    if !is_named {
        return CanaryRefs::Absent;
    }
    if let Some(Share::At(first)) = found.first().copied()
        && found.iter().all(|share| *share == Share::At(first))
    {
        return CanaryRefs::At(first);
    }
    // Nobody sends anything to any arm.
    if found.is_empty() {
        return CanaryRefs::At(Percent::ZERO);
    }
    let largest = found.into_iter().map(|share| match share {
        Share::Absent => Percent::ZERO,
        Share::At(share) | Share::Odd(share) => share,
    });
    CanaryRefs::Mixed(largest.max().unwrap_or(Percent::ZERO))
}

fn missing_rules(document: &Value, rules: &[String], route: &str) -> Vec<Refusal> {
    let exists = |name: &String| items(document, "/spec/rules").iter().any(|rule| text(rule, "/name") == Some(name));
    let missing = rules.iter().filter(|name| !exists(name));
    let sentence = |name: &String| {
        format!(
            "{route} has no rule named {name}: correct spec.traffic.routes[].gatewayAPI.rules, or name a rule {name}"
        )
    };
    missing.map(|name| refusal(Reason::RouteWithoutRule, sentence(name))).collect()
}

fn without_rule(route: &str, services: &[String], rules: &[String]) -> Refusal {
    let among = if rules.is_empty() { String::new() } else { format!(" among {}", rules.join(", ")) };
    let message = format!(
        "no rule of {route}{among} gives weight to Service {}: name it in a rule's backendRefs",
        services.join(" or Service ")
    );
    refusal(Reason::RouteWithoutRule, message)
}

/// Backends that name an application Service of another namespace.
fn elsewhere(rule: &Value, arms: &Arms, place: &str) -> Vec<Refusal> {
    let ours = |backend: &&Value| {
        local_service(backend, arms.namespace).is_none()
            && service_name(backend).is_some_and(|found| arms.services.iter().any(|service| service == found))
    };
    let sentence = |backend: &Value| {
        format!(
            "{place} names Service {} of namespace {}, the Rollout is in {}: a backend of another namespace cannot be \
             managed; remove backendRefs[].namespace or select other rules",
            text(backend, "/name").unwrap_or_default(),
            text(backend, "/namespace").unwrap_or_default(),
            arms.namespace
        )
    };
    let found = items(rule, "/backendRefs").iter().filter(ours);
    found.map(|backend| refusal(Reason::RouteUnusable, sentence(backend))).collect()
}

/// What stands against managing a rule that gives weight to `served`.
fn unusable(rule: &Value, served: &[String], arms: &Arms, (total, added): (u32, usize), place: &str) -> Vec<Refusal> {
    let backends = items(rule, "/backendRefs");
    let mut found = Vec::new();
    if rule.get("sessionPersistence").is_some_and(|value| !value.is_null()) {
        let message = format!(
            "{place} has sessionPersistence: weight 0 does not free sessions that are bound to a backend; remove it from \
             the rule or select other rules"
        );
        found.push(refusal(Reason::RouteUnusable, message));
    }
    for service in served {
        let times = backends.iter().filter(|backend| arms.application(backend) == Some(service)).count();
        if times > 1 {
            let message =
                format!("{place} names Service {service} {times} times, once is allowed: merge these backendRefs");
            found.push(refusal(Reason::RouteUnusable, message));
        }
    }
    let new = added * served.len();
    let most = backends.len() + new;
    if most > MOST_BACKENDS {
        let message = format!(
            "{place} has {} backends and a run adds {new}: {most}, {MOST_BACKENDS} are allowed; split the rule",
            backends.len()
        );
        found.push(refusal(Reason::RouteUnusable, message));
    }
    let largest = largest_weight(backends, total);
    if largest > MOST_WEIGHT {
        let message = format!(
            "{place} needs the weight {largest} for shares in steps of 1/{total}, {MOST_WEIGHT} is the largest: use fewer \
             decimals in the steps, or smaller weights in the rule"
        );
        found.push(refusal(Reason::WeightNotRepresentable, message));
    }
    found
}

fn refusal(reason: Reason, message: String) -> Refusal {
    Refusal { reason, message }
}
