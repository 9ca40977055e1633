//! Policies that name the application's Service: copied and removed with the revision's Services, refused, or said.

use super::*;
use crate::{
    controller::{
        BACKEND_TLS_POLICY, BACKEND_TLS_POLICY_V1ALPHA3, BACKEND_TRAFFIC_POLICY, COPIED_POLICIES, Cluster,
        DESTINATION_RULE, Kind,
    },
    engine::PolicyView,
    workload::object,
};

fn policy(kind: Kind, name: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["targetRefs"] = json!([{"group": "", "kind": "Service", "name": "checkout"}]);
    json!({
        "apiVersion": format!("{}/{}", kind.group, kind.version), "kind": kind.kind,
        "metadata": {"name": name, "namespace": "shop"}, "spec": spec,
    })
}

fn tls(kind: Kind, hostname: &str) -> Value {
    policy(kind, "tls", json!({"validation": {"hostname": hostname, "wellKnownCACertificates": "System"}}))
}

/// The run's cluster with the canary's Deployment.
fn with_canary() -> Fake {
    let fake = cluster();
    let labels = json!({"tidegate.io/rollout": "checkout", "tidegate.io/revision": "new"});
    let metadata = json!({"name": "checkout-new", "namespace": "shop", "labels": labels});
    fake.put(DEPLOYMENT, json!({"metadata": metadata, "spec": {"replicas": 1}}));
    fake
}

async fn copies(fake: &Fake, kind: Kind) -> Vec<Value> {
    fake.list(kind, "shop", "tidegate.io/revision=new").await.unwrap()
}

/// Carries one action out on what is there now; the writes.
async fn act(fake: &Fake, action: Action) -> Vec<String> {
    let (world, mut documents) = look(fake, &mut Memory::default()).await.unwrap();
    let decision = decision(&world, None, vec![action]);
    assert_eq!(carry_out(fake, &world, &mut documents, &decision).await, Outcome::Done);
    fake.writes()
}

fn apply() -> Action {
    Action::ApplyServices { revision: "new".into() }
}

async fn is_stale(fake: &Fake) -> bool {
    look(fake, &mut Memory::default()).await.unwrap().0.revisions["new"].services_stale
}

#[tokio::test]
async fn a_tls_policy_is_copied_with_the_revisions_services_follows_its_original_and_goes_with_them() {
    for kind in COPIED_POLICIES {
        let fake = with_canary();
        fake.put(kind, tls(kind, "one.example"));
        let writes = act(&fake, apply()).await;
        let made = copies(&fake, kind).await;
        let name = object::name(&made[0]).to_owned();
        assert_eq!(writes, [format!("patch BackendTLSPolicy {name}"), "patch Service checkout-new".into()]);
        assert_eq!(made[0]["spec"]["targetRefs"][0]["name"], "checkout-new");
        assert_eq!(made[0]["metadata"]["ownerReferences"][0]["uid"], "u");
        let (world, _) = look(&fake, &mut Memory::default()).await.unwrap();
        assert_eq!((world.revisions["new"].policies, world.revisions["new"].services_stale), (1, false));
        assert_eq!(act(&fake, apply()).await, Vec::<String>::new());

        fake.put(kind, tls(kind, "two.example"));
        assert!(is_stale(&fake).await);
        assert_eq!(act(&fake, apply()).await, [format!("patch BackendTLSPolicy {name}")]);
        assert_eq!(copies(&fake, kind).await[0]["spec"]["validation"]["hostname"], "two.example");
        assert!(!is_stale(&fake).await);

        let writes = act(&fake, Action::DeleteServices { revision: "new".into() }).await;
        assert_eq!(writes, [format!("delete BackendTLSPolicy {name}"), "delete Service checkout-new".into()]);
        assert_eq!(fake.list(kind, "shop", "").await.unwrap().len(), 1, "the original stays");
    }
}

#[tokio::test]
async fn a_copy_goes_when_its_original_targets_the_service_no_more() {
    let (fake, kind) = (with_canary(), BACKEND_TLS_POLICY);
    fake.put(kind, tls(kind, "one.example"));
    act(&fake, apply()).await;
    let name = object::name(&copies(&fake, kind).await[0]).to_owned();
    let mut elsewhere = tls(kind, "one.example");
    elsewhere["spec"]["targetRefs"][0]["name"] = json!("cart");
    fake.put(kind, elsewhere);
    assert!(is_stale(&fake).await);
    assert_eq!(act(&fake, apply()).await, [format!("delete BackendTLSPolicy {name}")]);
    assert!(!is_stale(&fake).await);
}

#[tokio::test]
async fn a_server_of_both_versions_gets_one_copy() {
    let fake = with_canary();
    for kind in COPIED_POLICIES {
        fake.put(kind, tls(kind, "one.example"));
    }
    act(&fake, apply()).await;
    assert_eq!(copies(&fake, BACKEND_TLS_POLICY).await.len(), 1);
    assert_eq!(copies(&fake, BACKEND_TLS_POLICY_V1ALPHA3).await.len(), 0);
}

#[tokio::test]
async fn a_policy_of_somebody_else_with_the_copys_name_is_left_alone() {
    let (fake, kind) = (with_canary(), BACKEND_TLS_POLICY);
    fake.put(kind, tls(kind, "one.example"));
    act(&fake, apply()).await;
    let mut taken = copies(&fake, kind).await.remove(0);
    taken["metadata"]["labels"] = json!({});
    taken["spec"] = json!({});
    fake.put(kind, taken.clone());
    let (world, mut documents) = look(&fake, &mut Memory::default()).await.unwrap();
    let outcome = carry_out(&fake, &world, &mut documents, &decision(&world, None, vec![apply()])).await;
    let Outcome::Stopped(ClusterError::Refused { object, message }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(object, format!("BackendTLSPolicy {}", object::name(&taken)));
    assert_eq!(message, "a BackendTLSPolicy of this name exists and does not belong to Rollout checkout");
}

#[tokio::test]
async fn session_persistence_of_the_service_is_a_refusal_and_other_policies_do_not_follow() {
    let fake = with_canary();
    let sticky = json!({"sessionPersistence": {"sessionName": "s"}});
    fake.put(BACKEND_TRAFFIC_POLICY, policy(BACKEND_TRAFFIC_POLICY, "sticky", sticky));
    fake.put(BACKEND_TRAFFIC_POLICY, policy(BACKEND_TRAFFIC_POLICY, "retries", json!({})));
    fake.put(DESTINATION_RULE, policy(DESTINATION_RULE, "pool", json!({"host": "checkout"})));
    let (world, _) = look(&fake, &mut Memory::default()).await.unwrap();
    let refused: Vec<_> = world.refusals.iter().filter(|refusal| refusal.message.contains("sticky")).collect();
    assert_eq!((refused.len(), refused[0].reason), (1, Reason::ServiceUnusable));
    let view =
        |kind: Kind, name: &str| PolicyView { kind: kind.kind.into(), name: name.into(), service: "checkout".into() };
    assert_eq!(world.not_carried, [view(DESTINATION_RULE, "pool"), view(BACKEND_TRAFFIC_POLICY, "retries")]);
}

#[tokio::test]
async fn policies_that_cannot_be_read_hold_a_start_up_and_lose_no_copy_but_a_warning_holds_nothing_up() {
    let (fake, kind, mut memory) = (with_canary(), BACKEND_TLS_POLICY, Memory::default());
    fake.put(kind, tls(kind, "one.example"));
    fake.put(DESTINATION_RULE, policy(DESTINATION_RULE, "pool", json!({"host": "checkout"})));
    act(&fake, apply()).await;
    let (before, _) = look(&fake, &mut memory).await.unwrap();
    for (call, is_held) in
        [("list BackendTLSPolicy", true), ("list XBackendTrafficPolicy", true), ("list DestinationRule", false)]
    {
        fake.fail(call, unavailable("policies"), 2);
        let (world, _) = look(&fake, &mut memory).await.unwrap();
        assert_eq!(world.source.is_unknown(), is_held, "{call}");
        assert_eq!((&world.revisions, &world.not_carried), (&before.revisions, &before.not_carried), "{call}");
        // Whatever else was asked for is used up.
        look(&fake, &mut memory).await.unwrap();
    }
}

#[tokio::test]
async fn without_a_route_no_policy_is_read() {
    let mut unrouted = rollout();
    unrouted["spec"]["traffic"]["routes"] = json!([]);
    let fake = Fake::with([(ROLLOUT, unrouted), (SERVICE, service("checkout"))]);
    let sticky = json!({"sessionPersistence": {"sessionName": "s"}});
    fake.put(BACKEND_TRAFFIC_POLICY, policy(BACKEND_TRAFFIC_POLICY, "sticky", sticky));
    fake.fail("list BackendTLSPolicy", unavailable("policies"), 9);
    let (world, _) = look(&fake, &mut Memory::default()).await.unwrap();
    assert!(world.source.known().is_some() && world.refusals.is_empty(), "{:?}", world.refusals);
}

#[tokio::test]
async fn no_policy_is_written_at_rest() {
    let fake = Arc::new(Fake::with([
        (ROLLOUT, rollout()),
        (SERVICE, service("checkout")),
        (HTTP_ROUTE, route("a", [1, 0])),
        (HTTP_ROUTE, route("b", [1, 0])),
        (BACKEND_TLS_POLICY, tls(BACKEND_TLS_POLICY, "one.example")),
        (DESTINATION_RULE, policy(DESTINATION_RULE, "pool", json!({"host": "checkout"}))),
    ]));
    let (shell, key) = (shell(&fake), Key::new("shop", "checkout"));
    for pass in 0..12 {
        assert!(reconcile(&shell, &key, Moment { millis: pass * 5_000, ..now() }).await.is_some());
    }
    assert!(fake.writes().iter().all(|write| !write.contains("Policy")));
    assert!(reconcile(&shell, &key, Moment { millis: 65_000, ..now() }).await.is_some());
    assert_eq!(fake.writes(), Vec::<String>::new());
}
