//! Policies that target an application Service by name, and so say nothing of a revision's Service: BackendTLSPolicies are
//! copied for it, session persistence forbids a run, and of the other known kinds it is only said that they do not follow.
//!
//! It does not know whether a gateway honours a policy, and looks at one namespace only: a DestinationRule or a
//! ServiceProfile in a client's namespace is not seen.

use serde_json::{Value, json};

use super::{
    canonical::short_digest,
    object::{items, label, name, namespace, text},
    owners::owner_references,
};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL, Reason, SERVICE_LABEL, revision_service_name},
    engine::{PolicyView, Refusal},
};

/// A copy's name is a DNS label, like that of the Service it targets.
const LONGEST_NAME: usize = 63;
/// Digits of the digest in a copy's name: it tells the copies of one revision apart.
const DIGEST_LENGTH: usize = 8;

/// The copies of these BackendTLSPolicies that a revision's Services need: one for each policy and application Service.
pub fn copies<'d>(
    policies: impl Iterator<Item = &'d Value>,
    services: &[&str],
    rollout: &Value,
    revision: &str,
    source_deployment: Option<&Value>,
) -> Vec<Value> {
    let originals: Vec<&Value> = policies.filter(|policy| !is_copy(policy, name(rollout))).collect();
    let wanted = services.iter().flat_map(|service| originals.iter().map(move |policy| (*service, *policy)));
    wanted
        .filter(|(service, policy)| targets(policy, service))
        .map(|(service, policy)| copy(policy, service, rollout, revision, source_deployment))
        .collect()
}

/// A copy that Tidegate made for a revision of this Rollout.
pub fn is_copy(policy: &Value, rollout_name: &str) -> bool {
    label(policy, ROLLOUT_LABEL) == Some(rollout_name)
        && label(policy, REVISION_LABEL).is_some()
        && label(policy, SERVICE_LABEL).is_some()
}

/// The copy that was found is not the one that is wanted: the original has changed.
pub fn stale(wanted: &Value, found: &Value) -> bool {
    wanted.get("spec") != found.get("spec")
}

/// Why an XBackendTrafficPolicy forbids a run, if it binds sessions to this Service.
pub fn session_refusal(policy: &Value, service: &str) -> Option<Refusal> {
    if !binds_sessions(policy) || !targets(policy, service) {
        return None;
    }
    let message = format!(
        "XBackendTrafficPolicy {} gives Service {service} session persistence: weight 0 does not free sessions that are \
         bound to a backend; remove its spec.sessionPersistence, or Service {service} from its spec.targetRefs",
        name(policy)
    );
    Some(Refusal { reason: Reason::ServiceUnusable, message })
}

/// Of known kinds that are not copied: the policies that name one of these Services, without those that forbid a run.
pub fn not_carried<'d>(policies: impl Iterator<Item = &'d Value>, services: &[&str]) -> Vec<PolicyView> {
    let view = |policy: &Value, service: &str| PolicyView {
        kind: text(policy, "/kind").unwrap_or("policy").to_owned(),
        name: name(policy).to_owned(),
        service: service.to_owned(),
    };
    let named = policies.flat_map(|policy| {
        let named = services.iter().filter(move |service| names(policy, service));
        named.map(move |service| view(policy, service))
    });
    named.collect()
}

fn names(policy: &Value, service: &str) -> bool {
    match text(policy, "/kind").unwrap_or_default() {
        "DestinationRule" => {
            text(policy, "/spec/host").is_some_and(|host| is_host_of(host, service, namespace(policy), true))
        }
        "ServiceProfile" => is_host_of(name(policy), service, namespace(policy), false),
        _ => targets(policy, service) && !binds_sessions(policy),
    }
}

/// `checkout`, `checkout.shop`, `checkout.shop.svc` or that with the cluster's domain. A wildcard covers a revision's
/// Service too.
fn is_host_of(host: &str, service: &str, namespace: &str, short: bool) -> bool {
    let Some(rest) = host.strip_prefix(service) else { return false };
    let Some(rest) = rest.strip_prefix('.') else { return short && rest.is_empty() };
    let Some(rest) = rest.strip_prefix(namespace) else { return false };
    rest.is_empty() && short || rest == ".svc" || rest.starts_with(".svc.")
}

fn binds_sessions(policy: &Value) -> bool {
    policy.pointer("/spec/sessionPersistence").is_some_and(|found| !found.is_null())
}

fn targets(policy: &Value, service: &str) -> bool {
    items(policy, "/spec/targetRefs").iter().any(|target| is_service(target, service))
}

fn is_service(target: &Value, service: &str) -> bool {
    text(target, "/group").unwrap_or_default().is_empty()
        && text(target, "/kind") == Some("Service")
        && text(target, "/name") == Some(service)
}

fn copy(policy: &Value, service: &str, rollout: &Value, revision: &str, source_deployment: Option<&Value>) -> Value {
    let own = revision_service_name(service, revision);
    let targets = items(policy, "/spec/targetRefs").iter().filter(|target| is_service(target, service));
    let targets = targets.map(|target| {
        let mut target = target.clone();
        target["name"] = json!(own);
        target
    });
    let mut spec = policy["spec"].clone();
    spec["targetRefs"] = targets.collect();
    json!({
        "apiVersion": policy["apiVersion"],
        "kind": policy["kind"],
        "metadata": {
            "name": copy_name(name(policy), service, revision),
            "namespace": namespace(rollout),
            "labels": {ROLLOUT_LABEL: name(rollout), REVISION_LABEL: revision, SERVICE_LABEL: service},
            "ownerReferences": owner_references(rollout, source_deployment),
        },
        "spec": spec,
    })
}

/// `<policy>-<digest>-<revision>`, the policy's name cut where that is too long.
fn copy_name(policy: &str, service: &str, revision: &str) -> String {
    let digest: String = short_digest(&json!([policy, service])).chars().take(DIGEST_LENGTH).collect();
    let room = LONGEST_NAME.saturating_sub(DIGEST_LENGTH + revision.len() + 2);
    let stem: String = policy.chars().take(room).collect();
    format!("{}-{digest}-{revision}", stem.trim_end_matches(['-', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(kind: &str, name: &str, spec: Value) -> Value {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": "shop", "annotations": {"argocd.argoproj.io/tracking-id": "x"}},
            "spec": spec,
            "status": {"ancestors": []},
        })
    }

    fn target(service: &str) -> Value {
        json!({"group": "", "kind": "Service", "name": service})
    }

    fn tls(name: &str, targets: Value) -> Value {
        let validation = json!({"hostname": "checkout.example", "wellKnownCACertificates": "System"});
        policy("BackendTLSPolicy", name, json!({"targetRefs": targets, "validation": validation, "new": {"field": 1}}))
    }

    fn rollout() -> Value {
        json!({"metadata": {"name": "checkout", "namespace": "shop", "uid": "r1"}})
    }

    fn copied(policies: &[Value], services: &[&str]) -> Vec<Value> {
        copies(policies.iter(), services, &rollout(), "abc", None)
    }

    #[test]
    fn a_copy_says_the_same_of_the_revisions_service_and_of_nothing_else() {
        let mut section = target("checkout");
        section["sectionName"] = json!("https");
        let original = tls("tls", json!([target("other"), section]));
        let made = copied(std::slice::from_ref(&original), &["checkout"]);
        assert_eq!(made.len(), 1);
        let mut spec = original["spec"].clone();
        spec["targetRefs"] = json!([{"group": "", "kind": "Service", "name": "checkout-abc", "sectionName": "https"}]);
        assert_eq!(made[0]["spec"], spec);
        assert_eq!((&made[0]["apiVersion"], &made[0]["kind"]), (&original["apiVersion"], &original["kind"]));
        let metadata = &made[0]["metadata"];
        let labels = json!({ROLLOUT_LABEL: "checkout", REVISION_LABEL: "abc", SERVICE_LABEL: "checkout"});
        assert_eq!((&metadata["labels"], &metadata["annotations"]), (&labels, &Value::Null));
        assert_eq!(metadata["ownerReferences"][0]["uid"], "r1");
    }

    #[test]
    fn each_policy_is_copied_for_each_service_that_it_targets_and_a_copy_is_not_copied_again() {
        let both = tls("both", json!([target("a"), target("b")]));
        let of_another_kind = tls(
            "c",
            json!([{"group": "x.io", "kind": "Service", "name": "a"}, {"group": "",
            "kind": "Pod", "name": "a"}]),
        );
        let all = [both, tls("one", json!([target("b")])), tls("none", json!([target("z")])), of_another_kind];
        let made = copied(&all, &["a", "b"]);
        let targets: Vec<&str> = made.iter().filter_map(|copy| text(copy, "/spec/targetRefs/0/name")).collect();
        assert_eq!(targets, ["a-abc", "b-abc", "b-abc"]);
        let distinct: std::collections::BTreeSet<&str> = made.iter().map(name).collect();
        assert_eq!(distinct.len(), 3);
        assert!(made.iter().all(|copy| is_copy(copy, "checkout") && !is_copy(copy, "cart")));
        // Even if an application Service had the name of a revision's.
        assert_eq!(copied(&made, &["a-abc"]), Vec::<Value>::new());
    }

    #[test]
    fn a_copy_is_stale_when_its_original_says_something_else_and_only_then() {
        let original = tls("tls", json!([target("checkout")]));
        let wanted = &copied(std::slice::from_ref(&original), &["checkout"])[0];
        let mut found = wanted.clone();
        found["metadata"]["resourceVersion"] = json!("7");
        found["status"] = json!({"ancestors": [1]});
        assert!(!stale(wanted, &found));
        let mut changed = original;
        changed["spec"]["validation"]["hostname"] = json!("other.example");
        assert!(stale(&copied(&[changed], &["checkout"])[0], &found));
    }

    #[test]
    fn names_of_copies_are_dns_labels_and_differ_where_policies_or_services_do() {
        let long = "a.".repeat(126) + "z";
        let names = [
            copy_name("tls", "checkout", "abcdefghij"),
            copy_name("tls", "cart", "abcdefghij"),
            copy_name(&long, "checkout", "abcdefghij"),
            copy_name(&long[2..], "checkout", "abcdefghij"),
            copy_name(&("b".repeat(43) + "-c"), "checkout", "abcdefghij"),
        ];
        for name in &names {
            assert!(name.len() <= LONGEST_NAME && name.ends_with("-abcdefghij") && !name.contains(".-"), "{name}");
        }
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len());
        assert!(names[0].starts_with("tls-"));
    }

    #[test]
    fn session_persistence_of_a_service_forbids_a_run() {
        let sticky = json!({"targetRefs": [target("checkout")], "sessionPersistence": {"type": "Cookie"}});
        let mut retries = sticky.clone();
        retries["sessionPersistence"] = Value::Null;
        let policy = |spec: &Value| policy("XBackendTrafficPolicy", "sticky", spec.clone());
        let refusal = session_refusal(&policy(&sticky), "checkout").unwrap();
        assert_eq!(
            (refusal.reason, refusal.message.as_str()),
            (
                Reason::ServiceUnusable,
                "XBackendTrafficPolicy sticky gives Service checkout session persistence: weight 0 does not free sessions \
                 that are bound to a backend; remove its spec.sessionPersistence, or Service checkout from its \
                 spec.targetRefs"
            )
        );
        assert_eq!(session_refusal(&policy(&sticky), "cart"), None);
        assert_eq!(session_refusal(&policy(&retries), "checkout"), None);
        // It is said once: as a refusal or as what does not follow.
        for (spec, count) in [(sticky, 0), (retries, 1)] {
            assert_eq!(not_carried([policy(&spec)].iter(), &["checkout"]).len(), count);
        }
    }

    #[test]
    fn a_policy_that_names_the_service_in_any_form_does_not_follow() {
        let rule = |host: &str| policy("DestinationRule", "rule", json!({"host": host}));
        let profile = |name: &str| policy("ServiceProfile", name, json!({}));
        for (policy, expected) in [
            (rule("checkout"), true),
            (rule("checkout.shop"), true),
            (rule("checkout.shop.svc"), true),
            (rule("checkout.shop.svc.cluster.local"), true),
            (rule("checkout.bank.svc.cluster.local"), false),
            (rule("checkout-abc"), false),
            (rule("checkout.shopping"), false),
            (rule("*.shop.svc.cluster.local"), false),
            (profile("checkout.shop.svc.cluster.local"), true),
            (profile("checkout.shop.svc.example"), true),
            (profile("checkout"), false),
            (profile("cart.shop.svc.cluster.local"), false),
        ] {
            let found = not_carried([policy.clone()].iter(), &["cart-x", "checkout"]);
            assert_eq!(!found.is_empty(), expected, "{policy}");
        }
        let found = not_carried([rule("checkout")].iter(), &["checkout"]);
        assert_eq!(
            found,
            [PolicyView { kind: "DestinationRule".into(), name: "rule".into(), service: "checkout".into() }]
        );
    }
}
