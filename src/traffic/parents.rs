//! Whether a route's parents (Gateways, Services) have accepted what its spec says now.
//!
//! Only parents that had accepted the route when the run began are counted: one that never did would hold every run. It
//! does not tell a parent that is slow from one that is silent: that takes time.

use serde_json::{Value, json};

use crate::workload::{
    canonical::canonical,
    object::{items, name, namespace, number, text},
};

/// What the counted parents say of the present generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acceptance {
    pub accepted: bool,
    /// The first parent that has not accepted: its name, what it says of the route, and what to do about it.
    pub waiting_for: Option<String>,
    /// That parent says nothing of the present generation.
    pub silent: bool,
    pub refs_unresolved: bool,
}

/// What a parent still owes.
struct Debt {
    silent: bool,
    sentence: String,
}

impl Debt {
    const fn silence(sentence: String) -> Self {
        Self { silent: true, sentence }
    }
}

/// The parents that have accepted the route, each as canonical JSON of parentRef and controllerName.
pub fn counted(route: &Value) -> Vec<String> {
    let accepted =
        |parent: &&Value| condition(parent, "Accepted").and_then(|found| text(found, "/status")) == Some("True");
    items(route, "/status/parents").iter().filter(accepted).map(key).collect()
}

/// What `counted` parents say. If none was counted, those that accept the route now are: none is waited for in vain.
pub fn acceptance(route: &Value, frozen: &[String]) -> Acceptance {
    let anew = if frozen.is_empty() { counted(route) } else { Vec::new() };
    let keys = if frozen.is_empty() { &anew } else { frozen };
    let mut result = Acceptance::default();
    for wanted in keys.iter().filter(|wanted| is_wanted_still(route, wanted)) {
        let found = items(route, "/status/parents").iter().find(|parent| key(parent) == **wanted);
        let debt = match found {
            None => Some(Debt::silence(format!(
                "{}, which says nothing of the route: look whether that controller runs and what parentRefs names exists",
                describe_key(wanted)
            ))),
            Some(parent) => ["Accepted", "ResolvedRefs"].into_iter().find_map(|kind| debt(route, parent, kind)),
        };
        result.refs_unresolved |= found.is_some_and(|parent| is_unresolved(route, parent));
        if let (None, Some(debt)) = (&result.waiting_for, debt) {
            (result.waiting_for, result.silent) = (Some(debt.sentence), debt.silent);
        }
    }
    result.accepted = result.waiting_for.is_none();
    result
}

/// What the parent still owes; None: the condition is True at the present generation.
fn debt(route: &Value, parent: &Value, kind: &str) -> Option<Debt> {
    let parent_name = describe(parent);
    let Some(found) = condition(parent, kind) else {
        let advice = "look at the log of that controller";
        return Some(Debt::silence(format!("{parent_name}, which does not report {kind}: {advice}")));
    };
    let status = text(found, "/status").unwrap_or("Unknown");
    // What is said of a True is that it is true.
    let said = if status == "True" { "True".to_owned() } else { format!("{status} ({})", said(found)) };
    let (seen, wanted) = (number(found, "/observedGeneration"), number(route, "/metadata/generation"));
    if seen != wanted {
        let seen = seen.map_or_else(|| "no generation".to_owned(), |seen| format!("generation {seen}"));
        return Some(Debt::silence(format!(
            "{parent_name}: {kind} is {said} for {seen} of the route, which is at {}; if that stays so, look \
             whether that controller runs and may write the route's status",
            wanted.unwrap_or(0)
        )));
    }
    let advice = "correct what that names, in the route or in its backends";
    let sentence = format!("{parent_name}: {kind} is {said}; {advice}");
    (status != "True").then_some(Debt { silent: false, sentence })
}

/// Reason and message as the controller wrote them.
fn said(condition: &Value) -> String {
    let message: String = text(condition, "/message").unwrap_or_default().chars().take(160).collect();
    format!("{}: {message}", text(condition, "/reason").unwrap_or("no reason"))
}

fn is_unresolved(route: &Value, parent: &Value) -> bool {
    condition(parent, "ResolvedRefs").is_some_and(|found| {
        text(found, "/status") == Some("False")
            && number(found, "/observedGeneration") == number(route, "/metadata/generation")
    })
}

/// A parent that the route's owner has taken out of the spec is not waited for.
fn is_wanted_still(route: &Value, key: &str) -> bool {
    let Ok(parent) = serde_json::from_str::<Value>(key) else { return false };
    let identity = |reference: &Value| {
        [
            text(reference, "/group").unwrap_or("gateway.networking.k8s.io").to_owned(),
            text(reference, "/kind").unwrap_or("Gateway").to_owned(),
            text(reference, "/namespace").unwrap_or_else(|| namespace(route)).to_owned(),
            text(reference, "/name").unwrap_or_default().to_owned(),
            text(reference, "/sectionName").unwrap_or_default().to_owned(),
            number(reference, "/port").unwrap_or(0).to_string(),
        ]
    };
    let wanted = parent.get("parentRef").map(identity);
    items(route, "/spec/parentRefs").iter().any(|reference| Some(identity(reference)) == wanted)
}

fn condition<'d>(parent: &'d Value, kind: &str) -> Option<&'d Value> {
    items(parent, "/conditions").iter().find(|condition| text(condition, "/type") == Some(kind))
}

fn key(parent: &Value) -> String {
    canonical(&json!({"parentRef": parent.get("parentRef"), "controllerName": parent.get("controllerName")}))
}

fn describe_key(key: &str) -> String {
    serde_json::from_str::<Value>(key).map_or_else(|_| "a parent".to_owned(), |parent| describe(&parent))
}

fn describe(parent: &Value) -> String {
    let reference = parent.get("parentRef").unwrap_or(&Value::Null);
    let kind = text(reference, "/kind").unwrap_or("Gateway");
    let place = text(reference, "/namespace").map_or_else(String::new, |found| format!("{found}/"));
    let section = text(reference, "/sectionName").map_or_else(String::new, |found| format!(", section {found}"));
    let controller = text(parent, "/controllerName").unwrap_or("unknown controller");
    format!("{kind} {place}{}{section} ({controller})", text(reference, "/name").unwrap_or_default())
}

/// "HTTPRoute shop/checkout".
pub fn describe_route(kind: &str, route: &Value) -> String {
    match namespace(route) {
        "" => format!("{kind} {}", name(route)),
        namespace => format!("{kind} {namespace}/{}", name(route)),
    }
}
