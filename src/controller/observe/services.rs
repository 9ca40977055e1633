//! The application's Services with their endpoints, and the preview Service.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Gathered, SERVICE, routes::Ports, seen};
use crate::{
    controller::SERVICE_NAME_LABEL,
    engine::{PreviewView, RolloutView, RunView, Seen, ServiceView},
    workload::{
        endpoints::{self, EndpointCount, Question},
        object::{self, items, label, text},
        revision_service::is_preview_of,
        service::{self, pin_of, port_names, publishes_not_ready},
    },
};

pub(super) struct Services {
    pub views: Vec<ServiceView>,
    pub preview: Option<PreviewView>,
    /// Whose endpoints the application's Services have, by Service.
    pub counts: BTreeMap<String, EndpointCount>,
}

pub(super) fn views(gathered: &Gathered, rollout: &RolloutView, open: Option<&RunView>, ports: &Ports) -> Services {
    let mut counts = BTreeMap::new();
    let mut views = Vec::new();
    for name in names(gathered, rollout, open) {
        let state = match seen(gathered.objects.get(&(SERVICE, name.clone()))) {
            Seen::Known(document) => match count(gathered, document, ports.of(&name)) {
                Ok(found) => {
                    counts.insert(name.clone(), found.clone());
                    Seen::Known(service::view(document, found))
                }
                Err(why) => Seen::Unknown(why),
            },
            Seen::Absent => Seen::Absent,
            Seen::Unknown(why) => Seen::Unknown(why),
        };
        views.push(ServiceView { name, state });
    }
    Services { views, preview: preview(gathered, rollout), counts }
}

/// Names of the application's Services: the open run's, else the spec's, even if the rest of the spec is invalid.
fn names(gathered: &Gathered, rollout: &RolloutView, open: Option<&RunView>) -> Vec<String> {
    if let Some(run) = open {
        return run.spec.services.clone();
    }
    if let Ok(spec) = &rollout.spec {
        return spec.services.clone();
    }
    let written = items(&gathered.rollout, "/spec/traffic/services").iter();
    written.filter_map(|service| text(service, "/name")).map(str::to_owned).collect()
}

/// The endpoints of one Service by revision; an error is why they cannot be told. `ports`: their numbers, empty for all.
pub(super) fn count(gathered: &Gathered, service: &Value, ports: &[i64]) -> Result<EndpointCount, String> {
    let slices = gathered.slices.as_ref().map_err(ToString::to_string)?;
    let pods = gathered.pods.as_ref().map_err(ToString::to_string)?;
    let source_pods = gathered.source_pods.as_ref().map_err(ToString::to_string)?;
    let known = pods.iter().chain(source_pods).chain(&gathered.foreign_pods);
    let known: Vec<&Value> = known.collect();
    let named = port_names(service, ports);
    let of_service = slices.iter().filter(|slice| label(slice, SERVICE_NAME_LABEL) == Some(object::name(service)));
    let of_service: Vec<&Value> = of_service.collect();
    let question = Question {
        rollout: object::name(&gathered.rollout),
        source_deployment: text(&gathered.rollout, "/spec/workload/deploymentRef/name"),
        ports: (!named.is_empty()).then_some(named.as_slice()),
        publish_not_ready: publishes_not_ready(service),
    };
    Ok(endpoints::count(&of_service, &known, question))
}

/// The preview Service; somebody else's of that name counts as missing, and a refusal says so.
fn preview(gathered: &Gathered, rollout: &RolloutView) -> Option<PreviewView> {
    let name = rollout.spec.as_ref().ok()?.preview.clone()?;
    match seen(gathered.objects.get(&(SERVICE, name.clone()))) {
        Seen::Known(found) if is_preview_of(found, &rollout.name) => {
            Some(PreviewView { name, exists: true, selects: pin_of(found).map(str::to_owned) })
        }
        // Nothing can be done about one that is not ours or cannot be read.
        Seen::Known(_) | Seen::Unknown(_) => None,
        Seen::Absent => Some(PreviewView { name, exists: false, selects: None }),
    }
}
