//! The managed routes: frozen by the open run, or as they would be frozen now.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Gathered, seen};
use crate::{
    api::{PlanStep, Reason, RunRoute, is_run_of, revision_of_run},
    controller::route_kind,
    engine::{Refusal, RolloutView, RouteState, RouteView, RunView, Seen, ValidRollout, weight_total},
    traffic::{Router, Tested, baseline_in, marks, router},
    workload::object::{items, text},
};

#[derive(Default)]
pub(super) struct Routes {
    pub views: Vec<RouteView>,
    /// What a run would freeze, or has frozen.
    pub frozen: Vec<RunRoute>,
    pub ports: Ports,
    pub refusals: Vec<Refusal>,
}

/// Ports of the application's Services that managed rules name.
#[derive(Debug, Default)]
pub(super) struct Ports {
    by_service: BTreeMap<String, Vec<i64>>,
}

impl Ports {
    /// The port numbers; none means that every port counts.
    pub fn of(&self, service: &str) -> &[i64] {
        self.by_service.get(service).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, router: &dyn Router, frozen: &RunRoute, services: &[String]) {
        for service in services {
            let known = self.by_service.entry(service.clone()).or_default();
            let all: BTreeSet<i64> = known.iter().copied().chain(router.ports(frozen, service)).collect();
            *known = all.into_iter().collect();
        }
    }
}

pub(super) fn views(gathered: &Gathered, rollout: &RolloutView, open: Option<&RunView>) -> Routes {
    let mut routes = Routes::default();
    match (open, &rollout.spec) {
        (Some(run), _) => {
            let total = total(&run.spec.plan.steps);
            for frozen in run.spec.routes.iter().map(|frozen| latest(run, frozen)) {
                in_run(gathered, run, frozen, total, &mut routes);
            }
        }
        (None, Ok(spec)) => {
            for (kind, name) in &spec.routes {
                at_rest(gathered, rollout, kind, name, spec, &mut routes);
            }
        }
        // An invalid spec starts nothing, and without a run there is nothing to go back from.
        (None, Err(_)) => {}
    }
    routes
}

fn total(steps: &[PlanStep]) -> u32 {
    weight_total(steps.iter().map(|step| step.weight))
}

/// The route as the run has frozen it, or as it was read anew after a foreign write.
fn latest<'r>(run: &'r RunView, frozen: &'r RunRoute) -> &'r RunRoute {
    let anew = run.status.iter().flat_map(|status| &status.routes);
    anew.into_iter().find(|route| route.kind == frozen.kind && route.name == frozen.name).unwrap_or(frozen)
}

fn in_run(gathered: &Gathered, run: &RunView, frozen: &RunRoute, total: u32, routes: &mut Routes) {
    let Some(router) = known(&frozen.kind, &frozen.name, routes) else { return };
    let tested = Some(Tested { canary: &run.spec.canary, baseline: run.spec.baseline.as_deref() });
    let state = document(gathered, &frozen.kind, &frozen.name).map(|it| router.read(it, frozen, tested, total));
    routes.ports.add(router, frozen, &run.spec.services);
    routes.frozen.push(frozen.clone());
    routes.views.push(RouteView { kind: frozen.kind.clone(), name: frozen.name.clone(), state });
}

fn at_rest(
    gathered: &Gathered,
    rollout: &RolloutView,
    kind: &str,
    name: &str,
    spec: &ValidRollout,
    routes: &mut Routes,
) {
    let Some(router) = known(kind, name, routes) else { return };
    let (services, total, added) = (&spec.services, total(&spec.steps), 1 + usize::from(spec.baseline));
    let rules = rules(&gathered.rollout, kind, name);
    let state = document(gathered, kind, name).map(|document| {
        let canary = left_over(document, rollout);
        let baseline = baseline_in(document, services);
        let left = canary.map(|canary| Tested { canary, baseline: baseline.as_deref() });
        let owners = left.map(|tested| router.without(document, tested, total));
        let frozen = router.freeze(owners.as_ref().unwrap_or(document), services, &rules, total, added);
        let frozen = frozen.unwrap_or_else(|refusals| {
            routes.refusals.extend(refusals);
            RunRoute { kind: kind.into(), name: name.into(), ..RunRoute::default() }
        });
        routes.ports.add(router, &frozen, services);
        let state: RouteState = router.read(document, &frozen, left, total);
        routes.frozen.push(frozen);
        state
    });
    routes.views.push(RouteView { kind: kind.into(), name: name.into(), state });
}

/// The revision that a run without a record has left in the route: its name stands in the annotation.
fn left_over<'d>(document: &'d Value, rollout: &RolloutView) -> Option<&'d str> {
    marks(document).find(|run| is_run_of(run, &rollout.name)).and_then(revision_of_run)
}

fn known(kind: &str, name: &str, routes: &mut Routes) -> Option<&'static dyn Router> {
    let found = router(kind);
    if found.is_none() {
        let message = format!("{kind} {name}: no router of this kind is known");
        routes.refusals.push(Refusal { reason: Reason::RouteUnusable, message });
    }
    found
}

fn document<'g>(gathered: &'g Gathered, kind: &str, name: &str) -> Seen<&'g Value> {
    seen(gathered.objects.get(&(route_kind(kind), name.to_owned())))
}

/// Names of the rules that the spec selects of this route.
fn rules(rollout: &Value, kind: &str, name: &str) -> Vec<String> {
    let routes = items(rollout, "/spec/traffic/routes").iter().filter_map(|route| route.get("gatewayAPI"));
    let same = |route: &&Value| {
        route_kind(text(route, "/kind").unwrap_or_default()).kind == kind && text(route, "/name") == Some(name)
    };
    let names = routes.filter(same).flat_map(|route| items(route, "/rules"));
    names.filter_map(Value::as_str).map(str::to_owned).collect()
}
