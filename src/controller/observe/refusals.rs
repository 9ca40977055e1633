//! Everything that stands against starting a run, all at once.

use serde::Deserialize;
use serde_json::Value;

use super::{Gathered, SERVICE, policies, routes::Routes, seen, services::Services};
use crate::{
    api::{Reason, RolloutRunSpec, RunRoute},
    engine::{Refusal, RolloutView, Seen},
    workload::{
        endpoints::foreign_refusal,
        object::{self, is_terminating, items, text},
        revision_service::preview_refusal,
        scale_source::scale_target_conflicts,
        service,
    },
};

#[derive(Default)]
pub(super) struct Refusals {
    pub found: Vec<Refusal>,
    /// What could not be read.
    pub unread: Vec<String>,
}

pub(super) fn all(
    gathered: &Gathered,
    rollout: &RolloutView,
    template: Option<&Value>,
    services: &Services,
    routes: &Routes,
) -> Refusals {
    let mut refusals = Refusals::default();
    refusals.missing(services, routes);
    // First the cause: two Rollouts on one Service have each other's pods behind it.
    refusals.services_taken(gathered, rollout, services);
    for view in &services.views {
        let Seen::Known(document) = seen(gathered.objects.get(&(SERVICE, view.name.clone()))) else { continue };
        if let Some(template) = template {
            refusals.found.extend(service::refusals(document, template, routes.ports.of(&view.name)));
        }
        refusals.found.extend(services.counts.get(&view.name).and_then(|count| foreign_refusal(&view.name, count)));
    }
    refusals.found.extend(routes.refusals.iter().cloned());
    refusals.found.extend(preview(gathered, rollout));
    let (bound, unread) = policies::refusals(gathered, services);
    refusals.found.extend(bound);
    refusals.unread.extend(unread);
    refusals.scale_targets(gathered, rollout);
    refusals.rules_busy(gathered, rollout, &routes.frozen);
    refusals
}

fn preview(gathered: &Gathered, rollout: &RolloutView) -> Option<Refusal> {
    let name = rollout.spec.as_ref().ok()?.preview.clone()?;
    match seen(gathered.objects.get(&(SERVICE, name))) {
        Seen::Known(found) => preview_refusal(found, &rollout.name),
        Seen::Absent | Seen::Unknown(_) => None,
    }
}

impl Refusals {
    /// Neither may be absent when something starts; what was read before and is gone now is the engine's to follow.
    fn missing(&mut self, services: &Services, routes: &Routes) {
        for service in services.views.iter().filter(|service| service.state.is_absent()) {
            let message = format!("spec.traffic.services: Service {} does not exist", service.name);
            self.found.push(Refusal { reason: Reason::ServiceMissing, message });
        }
        for route in routes.views.iter().filter(|route| route.state.is_absent()) {
            let message = format!("spec.traffic.routes: {} {} does not exist", route.kind, route.name);
            self.found.push(Refusal { reason: Reason::RouteMissing, message });
        }
    }

    /// Another Rollout names the same Service: the older one has it.
    fn services_taken(&mut self, gathered: &Gathered, rollout: &RolloutView, services: &Services) {
        let others = match &gathered.rollouts {
            Ok(rollouts) => rollouts.iter().filter(|other| object::name(other) != rollout.name),
            Err(error) => return self.unread.push(error.to_string()),
        };
        let age = |document: &Value| {
            let created = text(document, "/metadata/creationTimestamp").unwrap_or_default();
            (created.to_owned(), object::name(document).to_owned())
        };
        for other in others.filter(|other| age(other) < age(&gathered.rollout)) {
            let names = items(other, "/spec/traffic/services").iter().filter_map(|service| text(service, "/name"));
            for name in names.filter(|name| services.views.iter().any(|view| view.name == *name)) {
                let owner = object::name(other);
                let message = format!(
                    "Service {name} is named by Rollout {owner} too, which is older: name it in spec.traffic.services of \
                     one Rollout only"
                );
                self.found.push(Refusal { reason: Reason::ServiceTaken, message });
            }
        }
    }

    fn scale_targets(&mut self, gathered: &Gathered, rollout: &RolloutView) {
        let hpas = match &gathered.hpas {
            Ok(hpas) => hpas,
            Err(error) => return self.unread.push(error.to_string()),
        };
        let own = gathered.deployments.iter().flatten().map(object::name);
        let source = text(&gathered.rollout, "/spec/workload/deploymentRef/name");
        let scaled: Vec<String> = own.chain(source).map(str::to_owned).collect();
        self.found.extend(scale_target_conflicts(hpas, &scaled, &rollout.name));
    }

    /// A run of another Rollout uses one of the rules: they take turns.
    fn rules_busy(&mut self, gathered: &Gathered, rollout: &RolloutView, frozen: &[RunRoute]) {
        for read in gathered.other_runs.values() {
            let document = match read {
                Ok(Some(document)) if text(document, "/spec/rollout") != Some(&rollout.name) => document,
                Ok(_) => continue,
                Err(error) => {
                    self.unread.push(error.to_string());
                    continue;
                }
            };
            let Ok(spec) = RolloutRunSpec::deserialize(&document["spec"]) else { continue };
            let is_open = text(document, "/status/phase") != Some("Ended") && !is_terminating(document);
            for route in
                frozen.iter().filter(|route| is_open && spec.routes.iter().any(|used| share_a_rule(route, used)))
            {
                let message = format!(
                    "RolloutRun {} of Rollout {} uses the same rule of {} {}; this run starts when that one is over",
                    object::name(document),
                    spec.rollout,
                    route.kind,
                    route.name
                );
                self.found.push(Refusal { reason: Reason::RuleBusy, message });
            }
        }
    }
}

fn share_a_rule(one: &RunRoute, other: &RunRoute) -> bool {
    let same_rule = || one.rules.iter().any(|rule| other.rules.iter().any(|used| used.identity == rule.identity));
    one.kind == other.kind && one.name == other.name && same_rule()
}
