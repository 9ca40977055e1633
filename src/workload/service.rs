//! The application's Service: the pin in its selector, the run's annotation, and why a Service cannot be used.
//!
//! It is somebody else's object: every write is a JSON patch of one selector key and one annotation, with the version that
//! was read.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    endpoints::EndpointCount,
    object::{annotation, items, name, number, text},
    ownership::last_manager,
    patch,
};
use crate::{
    api::{REVISION_LABEL, RUN_ANNOTATION, Reason, run_of_mark},
    engine::{Refusal, ServiceState},
};

/// How the Service stands, with its endpoints counted before.
pub fn view(service: &Value, endpoints: EndpointCount) -> ServiceState {
    ServiceState {
        pin: pin_of(service).map(str::to_owned),
        run: run_of(service).map(str::to_owned),
        epoch: annotation(service, RUN_ANNOTATION).map_or(0, |mark| run_of_mark(mark).1),
        ready: endpoints.ready,
        endpoints: endpoints.all,
        foreign: endpoints.foreign,
        last_manager: last_manager(service),
    }
}

/// The revision in the added selector key.
pub fn pin_of(service: &Value) -> Option<&str> {
    service.pointer("/spec/selector")?.get(REVISION_LABEL)?.as_str()
}

/// The run that uses the Service.
pub fn run_of(service: &Value) -> Option<&str> {
    annotation(service, RUN_ANNOTATION).map(|mark| run_of_mark(mark).0)
}

/// The selector as its owner wrote it.
pub fn own_selector(service: &Value) -> Map<String, Value> {
    let mut selector = service.pointer("/spec/selector").and_then(Value::as_object).cloned().unwrap_or_default();
    selector.remove(REVISION_LABEL);
    selector
}

pub fn publishes_not_ready(service: &Value) -> bool {
    service.pointer("/spec/publishNotReadyAddresses").and_then(Value::as_bool).unwrap_or(false)
}

/// Pins the Service to a revision; with a run's mark, its annotation is set too. Empty if it is so.
pub fn pin_patch(service: &Value, revision: &str, mark: Option<&str>) -> Vec<Value> {
    let mut operations = patch::set_member(service, "/spec/selector", REVISION_LABEL, revision);
    operations.extend(mark.into_iter().flat_map(|mark| patch::set_annotation(service, RUN_ANNOTATION, mark)));
    patch::versioned(service, operations)
}

/// Removes the pin and keeps the annotation: without a route, both revisions' pods share the Service.
pub fn share_patch(service: &Value, mark: &str) -> Vec<Value> {
    let mut operations = remove_pin(service);
    operations.extend(patch::set_annotation(service, RUN_ANNOTATION, mark));
    patch::versioned(service, operations)
}

/// Removes the pin and the annotation: the owner's form. Empty if it is so.
pub fn unpin_patch(service: &Value) -> Vec<Value> {
    let mut operations = remove_pin(service);
    operations.extend(patch::remove_annotation(service, RUN_ANNOTATION));
    patch::versioned(service, operations)
}

fn remove_pin(service: &Value) -> Vec<Value> {
    pin_of(service).map(|_| patch::remove(&patch::member("/spec/selector", REVISION_LABEL))).into_iter().collect()
}

/// Names of the Service's ports with these numbers, as EndpointSlices have them; a port without a name is "".
pub fn port_names(service: &Value, numbers: &[i64]) -> Vec<String> {
    let ports = items(service, "/spec/ports").iter();
    let wanted = ports.filter(|port| number(port, "/port").is_some_and(|found| numbers.contains(&found)));
    wanted.map(|port| text(port, "/name").unwrap_or_default().to_owned()).collect()
}

/// Everything that stands against using this Service with this template. `ports`: those that managed rules name; empty
/// means all that it has.
pub fn refusals(service: &Value, template: &Value, ports: &[i64]) -> Vec<Refusal> {
    let service_name = name(service);
    let mut sentences = Vec::new();
    if text(service, "/spec/type") == Some("ExternalName") {
        sentences.push(format!(
            "Service {service_name} has spec.type ExternalName: a split needs a Service that selects pods"
        ));
    } else if own_selector(service).is_empty() {
        sentences
            .push(format!("Service {service_name} has no spec.selector: a split needs a Service that selects pods"));
    }
    sentences.extend(selector_mismatch(service, template));
    let has = |wanted: i64| items(service, "/spec/ports").iter().any(|port| number(port, "/port") == Some(wanted));
    sentences.extend(ports.iter().filter(|port| !has(**port)).map(|port| {
        format!(
            "a managed rule names port {port} of Service {service_name}, which has {}: correct the rule's backendRefs or \
             the Service's spec.ports",
            listed(items(service, "/spec/ports").iter().filter_map(|port| number(port, "/port")), "no ports")
        )
    }));
    sentences.extend(missing_targets(service, template, ports));
    sentences.into_iter().map(|message| Refusal { reason: Reason::ServiceUnusable, message }).collect()
}

fn selector_mismatch(service: &Value, template: &Value) -> Option<String> {
    let labels = template.pointer("/metadata/labels");
    let differs = |(key, value): &(&String, &Value)| labels.and_then(|labels| labels.get(key.as_str())) != Some(*value);
    let selector = own_selector(service);
    let wrong: Vec<_> = selector.iter().filter(differs).collect();
    let (key, value) = wrong.first()?;
    let found = labels.and_then(|labels| labels.get(key.as_str())).and_then(Value::as_str);
    Some(format!(
        "Service {} selects {key}={}, but the pod template has {}: {} of {} selector keys do not match; correct \
         spec.selector of the Service or the template's labels",
        name(service),
        value.as_str().unwrap_or_default(),
        found.map_or_else(|| "no such label".to_owned(), |found| format!("{key}={found}")),
        wrong.len(),
        selector.len(),
    ))
}

/// Named targetPorts that no container of the template has.
fn missing_targets(service: &Value, template: &Value, ports: &[i64]) -> Vec<String> {
    let containers = ["/spec/containers", "/spec/initContainers"].into_iter().flat_map(|list| items(template, list));
    let named: BTreeSet<_> =
        containers.flat_map(|container| items(container, "/ports")).filter_map(|port| text(port, "/name")).collect();
    let counts = |port: &&Value| ports.is_empty() || number(port, "/port").is_some_and(|port| ports.contains(&port));
    items(service, "/spec/ports")
        .iter()
        .filter(counts)
        .filter_map(|port| text(port, "/targetPort"))
        .filter(|target| target.parse::<u16>().is_err() && !named.contains(target))
        .map(|target| {
            format!(
                "Service {} sends to targetPort {target}, which no container of the pod template has (it has {}): name the \
                 container's port {target} or correct the Service's spec.ports",
                name(service),
                listed(named.iter(), "no named ports")
            )
        })
        .collect()
}

fn listed<T: ToString>(items: impl Iterator<Item = T>, none: &str) -> String {
    let all: Vec<_> = items.map(|item| item.to_string()).collect();
    if all.is_empty() { none.to_owned() } else { all.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn app() -> Value {
        json!({"metadata": {"name": "checkout", "resourceVersion": "5"}, "spec": {"selector": {"app": "checkout"},
            "ports": [{"name": "http", "port": 80, "targetPort": "web"}, {"name": "admin", "port": 81, "targetPort": 8081}]}})
    }

    #[test]
    fn pin_then_unpin_gives_back_the_owners_form() {
        let pinned = patch::applied(&app(), &pin_patch(&app(), "abc", Some("run-1")));
        assert_eq!((pin_of(&pinned), run_of(&pinned)), (Some("abc"), Some("run-1")));
        assert_eq!(pin_patch(&pinned, "abc", Some("run-1")), Vec::<Value>::new());
        assert_eq!(pin_patch(&pinned, "abc", None), Vec::<Value>::new());
        assert_eq!(pin_patch(&pinned, "abc", Some("run-2")).len(), 2, "a new run always writes");
        let shared = patch::applied(&pinned, &share_patch(&pinned, "run-1"));
        assert_eq!((pin_of(&shared), run_of(&shared)), (None, Some("run-1")));
        for document in [pinned, shared] {
            assert_eq!(patch::applied(&document, &unpin_patch(&document)), app());
        }
        assert_eq!(unpin_patch(&app()), Vec::<Value>::new());
    }

    #[test]
    fn other_annotations_and_selector_keys_stay() {
        let mut noted = app();
        noted["metadata"]["annotations"] = json!({"a/b": "c"});
        let pinned = patch::applied(&noted, &pin_patch(&noted, "abc", Some("run-1")));
        assert_eq!(own_selector(&pinned), own_selector(&noted));
        assert_eq!(patch::applied(&pinned, &unpin_patch(&pinned)), noted);
    }

    #[test]
    fn what_cannot_be_used_is_said_all_at_once() {
        let template = json!({"metadata": {"labels": {"app": "checkout"}},
            "spec": {"containers": [{"ports": [{"name": "web", "containerPort": 8080}]}]}});
        assert_eq!(refusals(&app(), &template, &[80]), []);
        assert_eq!(port_names(&app(), &[81]), ["admin"]);
        let messages = |service: &Value, template: &Value, ports: &[i64]| -> Vec<String> {
            refusals(service, template, ports).into_iter().map(|refusal| refusal.message).collect()
        };
        assert_eq!(
            messages(&app(), &json!({"metadata": {"labels": {"app": "cart"}}, "spec": {}}), &[80, 8443]),
            [
                "Service checkout selects app=checkout, but the pod template has app=cart: 1 of 1 selector keys do not match; \
                 correct spec.selector of the Service or the template's labels",
                "a managed rule names port 8443 of Service checkout, which has 80, 81: correct the rule's backendRefs or the \
                 Service's spec.ports",
                "Service checkout sends to targetPort web, which no container of the pod template has (it has no named \
                 ports): name the container's port web or correct the Service's spec.ports",
            ]
        );
        let external = json!({"metadata": {"name": "db"}, "spec": {"type": "ExternalName"}});
        assert_eq!(
            messages(&external, &template, &[]),
            ["Service db has spec.type ExternalName: a split needs a Service that selects pods"]
        );
        let manual = json!({"metadata": {"name": "db"}, "spec": {"selector": {REVISION_LABEL: "abc"}}});
        assert_eq!(
            messages(&manual, &template, &[]),
            ["Service db has no spec.selector: a split needs a Service that selects pods"]
        );
    }
}
