//! The shell against a small cluster in memory: what a failed read, a conflict and a refused write lead to.

mod away;
mod baseline;
mod budget;
mod leaders;
mod notifications;
mod orphans;
mod policies;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    ACTION, ClusterError, DEPLOYMENT, Documents, Evaluators, Events, HTTP_ROUTE, Key, Machine, Memory, Metrics, Moment,
    Outcome, POD, Pace, Queue, ROLLOUT, RUN, Runtime, SERVICE, Servers, Shell, act::Site, fake::Fake, gather, observe,
    reconcile, settle,
};
use crate::{
    api::{Percent, Reason, RolloutRunSpec, RolloutRunStatus, RunPhase, RunRoute, Span},
    engine::{Action, Broken, Decision, RouteEdit, RunWrite, Seen, World},
    traffic::router,
};
use serde_json::{Value, json};

const EPOCH: i64 = 1;

fn now() -> Moment {
    Moment { millis: 1_000, text: "2026-01-01T00:00:00Z".into(), serial: 1 }
}

fn unavailable(object: &str) -> ClusterError {
    ClusterError::Unavailable { object: object.into(), message: "etcdserver: leader changed".into() }
}

fn service(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"app": "checkout"}, "ports": [{"port": 80, "targetPort": 8080}]},
    })
}

fn route(name: &str, weights: [u32; 2]) -> Value {
    let backend = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight});
    json!({
        "metadata": {"name": name, "namespace": "shop", "generation": 1},
        "spec": {"rules": [{"backendRefs": [backend("checkout", weights[0]), backend("checkout-new", weights[1])]}]},
    })
}

fn rollout() -> Value {
    let names = ["a", "b"].map(|name| json!({"gatewayAPI": {"kind": "HTTPRoute", "name": name}}));
    json!({
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "u", "generation": 3},
        "spec": {
            "replicas": 2,
            "workload": {"template": {"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": []}}},
            "traffic": {"services": [{"name": "checkout"}], "routes": names},
            "strategy": {"canary": {"steps": [{"weight": 50}]}},
        },
    })
}

/// A run in its steps with two routes at 50.
fn run() -> Value {
    let mut plain = route("a", [1, 0]);
    plain["spec"]["rules"][0]["backendRefs"] = json!([{"name": "checkout", "port": 80}]);
    let frozen = |name: &str| RunRoute {
        name: name.into(),
        ..router("HTTPRoute").unwrap().freeze(&plain, &["checkout".into()], &[], 100, 1).unwrap()
    };
    let step = |weight| crate::api::PlanStep { weight, ..Default::default() };
    let spec = RolloutRunSpec {
        rollout: "checkout".into(),
        rollout_uid: "u".into(),
        release: None,
        stable: "old".into(),
        canary: "new".into(),
        baseline: None,
        requested_by: None,
        plan: crate::api::Plan { steps: vec![step(Percent::whole(50)), step(Percent::FULL)], ..Default::default() },
        analysis: Default::default(),
        error_budget: None,
        progress_deadline: Span::minutes(10),
        services: vec!["checkout".into()],
        routes: vec![frozen("a"), frozen("b")],
        warm: Span::seconds(5),
        drain: Span::seconds(15),
    };
    let status = RolloutRunStatus { weight: Percent::whole(50), seq: 4, ..Default::default() };
    json!({
        "metadata": {"name": "checkout-new-1", "namespace": "shop", "labels": {"tidegate.io/rollout": "checkout"}},
        "spec": spec,
        "status": status,
    })
}

fn cluster() -> Fake {
    Fake::with([
        (ROLLOUT, rollout()),
        (RUN, run()),
        (SERVICE, service("checkout")),
        (HTTP_ROUTE, route("a", [50, 50])),
        (HTTP_ROUTE, route("b", [50, 50])),
    ])
}

async fn look(fake: &Fake, memory: &mut Memory) -> Result<(World, Documents), ClusterError> {
    let rollout = fake.read(ROLLOUT, "shop", "checkout").unwrap();
    let seen = observe(gather(fake, rollout).await?, memory, &now(), EPOCH, None)?;
    Ok((seen.world, seen.documents))
}

fn decision(world: &World, run: Option<RunWrite>, actions: Vec<Action>) -> Decision {
    Decision {
        run,
        actions,
        status: world.rollout.status.clone(),
        notes: Vec::new(),
        facts: BTreeSet::new(),
        wants_burn: false,
        wake: Duration::from_secs(5),
    }
}

fn abort(world: &World) -> Option<RunWrite> {
    let status = RolloutRunStatus { phase: RunPhase::Aborting, seq: 5, ..Default::default() };
    let name = world.runs[0].name.clone();
    Some(RunWrite::Status { name, status: Box::new(status), transition: true })
}

/// All weight back on both routes, and a pin behind them.
fn lowering(world: &World) -> Vec<Action> {
    let back = |frozen: &RunRoute| Action::Route {
        original: Box::new(frozen.clone()),
        canary: "new".into(),
        baseline: None,
        total: 100,
        edit: RouteEdit::Weight { share: Percent::ZERO, baseline: Percent::ZERO },
    };
    let mut actions: Vec<Action> = world.runs[0].spec.routes.iter().map(back).collect();
    actions.push(Action::Pin { service: "checkout".into(), revision: "old".into(), run: None });
    actions
}

fn canary_weight(fake: &Fake, name: &str) -> Value {
    fake.read(HTTP_ROUTE, "shop", name).unwrap()["spec"]["rules"][0]["backendRefs"][1]["weight"].clone()
}

async fn carry_out(fake: &Fake, world: &World, documents: &mut Documents, decision: &Decision) -> Outcome {
    let (mut memory, now) = (Memory::default(), now());
    let mut site = Site {
        cluster: fake,
        world,
        documents,
        memory: &mut memory,
        now: &now,
        patience: Duration::ZERO,
        writes: 0,
        pace: &Pace::default(),
        runtime: &Machine::default(),
    };
    site.carry_out(decision).await
}

#[tokio::test]
async fn what_is_not_there_is_absent_and_what_cannot_be_read_is_unknown() {
    let fake = Fake::with([(ROLLOUT, rollout()), (RUN, run()), (SERVICE, service("checkout"))]);
    let (world, _) = look(&fake, &mut Memory::default()).await.unwrap();
    assert!(world.routes.iter().all(|route| route.state.is_absent()));
    assert!(world.services[0].state.known().is_some());

    let fake = cluster();
    for call in ["get HTTPRoute", "list EndpointSlice"] {
        fake.fail(call, unavailable("it"), 9);
    }
    let (world, _) = look(&fake, &mut Memory::default()).await.unwrap();
    assert!(world.routes.iter().all(|route| route.state.is_unknown()));
    assert!(world.services[0].state.is_unknown());
}

#[tokio::test]
async fn runs_that_cannot_be_listed_end_the_pass() {
    let fake = cluster();
    fake.fail("list RolloutRun", unavailable("runs"), 1);
    assert_eq!(look(&fake, &mut Memory::default()).await.unwrap_err(), unavailable("runs"));
}

#[tokio::test]
async fn pods_that_cannot_be_listed_leave_the_last_revisions_and_an_unknown_source() {
    let fake = cluster();
    let labels = json!({"tidegate.io/rollout": "checkout", "tidegate.io/revision": "new"});
    let metadata = json!({"name": "checkout-new", "namespace": "shop", "labels": labels});
    fake.put(DEPLOYMENT, json!({"metadata": metadata, "spec": {"replicas": 2}}));
    let mut pod = json!({"metadata": {"name": "checkout-new-x", "namespace": "shop", "labels": labels}});
    pod["status"] = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    fake.put(POD, pod);
    let mut memory = Memory::default();
    let (before, _) = look(&fake, &mut memory).await.unwrap();
    assert_eq!(before.revisions["new"].deployment.as_ref().unwrap().ready, 1);
    assert!(before.source.known().is_some());

    fake.fail("list Pod", unavailable("pods"), 9);
    let (world, _) = look(&fake, &mut memory).await.unwrap();
    assert_eq!(world.revisions, before.revisions);
    assert!(world.source.is_unknown() && world.services[0].state.is_unknown());
    assert_eq!(look(&fake, &mut Memory::default()).await.unwrap_err(), unavailable("pods"));
}

#[tokio::test]
async fn a_conflict_stops_the_pass_and_leaves_the_status_alone() {
    let fake = cluster();
    let (world, mut documents) = look(&fake, &mut Memory::default()).await.unwrap();
    fake.put(SERVICE, service("checkout"));
    let pin = |revision: &str| Action::Pin { service: "checkout".into(), revision: revision.into(), run: None };
    let actions = vec![pin("old"), Action::AddFinalizer];
    let decision = decision(&world, None, actions);
    let outcome = carry_out(&fake, &world, &mut documents, &decision).await;
    assert!(outcome.is_conflict(), "{outcome:?}");
    assert_eq!((fake.writes(), settle(&world, &decision, &outcome)), (Vec::new(), None));
}

#[tokio::test]
async fn a_record_that_was_overtaken_stops_everything() {
    let fake = cluster();
    let (world, mut documents) = look(&fake, &mut Memory::default()).await.unwrap();
    fake.put(RUN, run());
    let decision = decision(&world, abort(&world), lowering(&world));
    let outcome = carry_out(&fake, &world, &mut documents, &decision).await;
    assert!(matches!(outcome, Outcome::NotPersisted(ClusterError::Conflict { .. })), "{outcome:?}");
    assert_eq!(fake.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_route_that_cannot_be_lowered_holds_up_no_other() {
    let fake = cluster();
    let (world, mut documents) = look(&fake, &mut Memory::default()).await.unwrap();
    let refused = ClusterError::Refused { object: "HTTPRoute a".into(), message: "denied by policy".into() };
    fake.fail("patch HTTPRoute a", refused.clone(), 9);
    let outcome = carry_out(&fake, &world, &mut documents, &decision(&world, abort(&world), lowering(&world))).await;
    assert_eq!(outcome, Outcome::Stopped(refused));
    assert_eq!([canary_weight(&fake, "a"), canary_weight(&fake, "b")], [json!(50), json!(0)]);
    assert_eq!(fake.writes(), ["patch RolloutRun checkout-new-1", "patch HTTPRoute b"]);
}

#[tokio::test]
async fn a_lowering_write_that_meets_a_newer_route_is_made_again_on_it() {
    let fake = cluster();
    let (world, mut documents) = look(&fake, &mut Memory::default()).await.unwrap();
    fake.put(HTTP_ROUTE, route("a", [50, 50]));
    let outcome = carry_out(&fake, &world, &mut documents, &decision(&world, abort(&world), lowering(&world))).await;
    assert_eq!(outcome, Outcome::Done);
    assert_eq!([canary_weight(&fake, "a"), canary_weight(&fake, "b")], [json!(0), json!(0)]);
}

#[tokio::test]
async fn what_is_still_owned_of_an_owners_object_is_given_up_in_the_next_pass() {
    let (fake, mut taken) = (cluster(), service("checkout"));
    let entry = |manager, operation| json!({"manager": manager, "operation": operation, "fieldsV1": {}});
    taken["metadata"]["managedFields"] = json!([entry("owner", "Apply"), entry("tidegate", "Update")]);
    fake.put(SERVICE, taken.clone());
    let (world, mut documents) = look(&fake, &mut Memory::default()).await.unwrap();
    // Somebody writes the status in between.
    fake.put(SERVICE, taken);
    assert_eq!(carry_out(&fake, &world, &mut documents, &decision(&world, None, Vec::new())).await, Outcome::Done);
    let left = fake.read(SERVICE, "shop", "checkout").unwrap()["metadata"]["managedFields"].clone();
    assert_eq!(left, json!([entry("owner", "Apply")]));
}

#[tokio::test]
async fn an_abort_whose_record_cannot_be_written_lowers_the_routes() {
    let fake = cluster();
    let (world, mut documents) = look(&fake, &mut Memory::default()).await.unwrap();
    fake.fail("patch RolloutRun", unavailable("run"), 99);
    let outcome = carry_out(&fake, &world, &mut documents, &decision(&world, abort(&world), lowering(&world))).await;
    assert_eq!(outcome, Outcome::NotPersisted(unavailable("run")));
    assert_eq!([canary_weight(&fake, "a"), canary_weight(&fake, "b")], [json!(0), json!(0)]);
}

#[tokio::test]
async fn every_action_is_idempotent() {
    let fake = cluster();
    let (world, mut documents) = look(&fake, &mut Memory::default()).await.unwrap();
    let actions = vec![
        Action::AddFinalizer,
        Action::WriteReplicas { replicas: 5 },
        Action::RecordRevision { revision: "new".into() },
        Action::CreateDeployment { revision: "new".into(), replicas: 1 },
        Action::Scale { revision: "new".into(), replicas: 2 },
        Action::ApplyServices { revision: "new".into() },
        Action::MarkProven { revision: "new".into(), ordinal: 1 },
        Action::Pin { service: "checkout".into(), revision: "new".into(), run: Some("checkout-new-1".into()) },
        Action::Preview { service: "preview".into(), revision: "new".into() },
    ];
    let decision = decision(&world, None, actions);
    assert_eq!(carry_out(&fake, &world, &mut documents, &decision).await, Outcome::Done);
    assert_eq!(fake.writes().len(), 8);
    let (world, mut documents) = look(&fake, &mut Memory::default()).await.unwrap();
    assert_eq!(carry_out(&fake, &world, &mut documents, &decision).await, Outcome::Done);
    assert_eq!(fake.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_status_is_written_only_if_it_differs_and_never_claims_what_failed() {
    let fake = cluster();
    let (world, _) = look(&fake, &mut Memory::default()).await.unwrap();
    let same = decision(&world, None, Vec::new());
    assert_eq!(settle(&world, &same, &Outcome::Done), None);

    let mut claim = decision(&world, None, Vec::new());
    claim.status.weight = Some(Percent::whole(50));
    assert_eq!(settle(&world, &claim, &Outcome::Done).unwrap().weight, Some(Percent::whole(50)));
    let status = settle(&world, &claim, &Outcome::NotPersisted(unavailable("run"))).unwrap();
    let ready = status.conditions.iter().find(|condition| condition.kind == "Ready").unwrap();
    assert_eq!((status.weight, ready.status.as_str()), (None, "Unknown"));
    assert_eq!(ready.reason, Reason::ApiUnavailable.word());
    assert!(ready.message.contains("leader changed"), "{}", ready.message);
    let broken = vec![Broken { law: "S1", message: "weight 50 with 0 ready canary pods".into() }];
    let status = settle(&world, &claim, &Outcome::Forbidden(broken)).unwrap();
    assert!(status.message.unwrap().contains("S1: weight 50"));
}

#[tokio::test]
async fn a_service_of_somebody_else_is_not_taken_over() {
    let fake = cluster();
    fake.put(SERVICE, service("checkout-new"));
    let (world, mut documents) = look(&fake, &mut Memory::default()).await.unwrap();
    let decision = decision(&world, None, vec![Action::ApplyServices { revision: "new".into() }]);
    let outcome = carry_out(&fake, &world, &mut documents, &decision).await;
    assert!(matches!(&outcome, Outcome::Stopped(ClusterError::Refused { .. })), "{outcome:?}");
}

#[tokio::test]
async fn an_older_rollout_keeps_a_shared_service() {
    let fake = cluster();
    let mut older = rollout();
    older["metadata"] = json!({"name": "cart", "namespace": "shop", "creationTimestamp": "2020-01-01T00:00:00Z"});
    fake.put(ROLLOUT, older);
    let mut own = fake.read(ROLLOUT, "shop", "checkout").unwrap();
    own["metadata"]["creationTimestamp"] = json!("2021-01-01T00:00:00Z");
    fake.put(ROLLOUT, own);
    let (world, _) = look(&fake, &mut Memory::default()).await.unwrap();
    let reasons: BTreeMap<Reason, String> =
        world.refusals.iter().map(|refusal| (refusal.reason, refusal.message.clone())).collect();
    assert!(reasons[&Reason::ServiceTaken].contains("Rollout cart"), "{reasons:?}");
}

#[tokio::test]
async fn the_source_is_known_by_equality_and_not_by_its_hash() {
    let fake = cluster();
    let template = rollout()["spec"]["workload"]["template"].clone();
    let labels = json!({"tidegate.io/rollout": "checkout", "tidegate.io/revision": "oldname"});
    let metadata = json!({"name": "checkout-oldname", "namespace": "shop", "labels": labels});
    fake.put(super::CONTROLLER_REVISION, json!({"metadata": metadata, "data": {"template": template}}));
    let (world, _) = look(&fake, &mut Memory::default()).await.unwrap();
    let Seen::Known(source) = &world.source else { panic!("{:?}", world.source) };
    assert_eq!(source.revision, "oldname");
}

fn shell(fake: &Arc<Fake>) -> Shell {
    let metrics = Arc::new(Metrics::default());
    let (events, _) = Events::new(metrics.clone());
    let runtime: Arc<dyn Runtime> = Arc::new(Machine::default());
    let servers = Arc::new(Servers::new(fake.clone(), "tidegate-system"));
    let evaluators = Evaluators::new(Arc::new(Queue::new(runtime.clone())), runtime.clone(), servers);
    let leadership = Arc::new(super::Leadership::alone(runtime.clone()));
    Shell::new(fake.clone(), metrics, events, evaluators, runtime, leadership)
}

#[tokio::test]
async fn passes_over_a_rollout_come_to_rest() {
    let fake = Arc::new(Fake::with([
        (ROLLOUT, rollout()),
        (SERVICE, service("checkout")),
        (HTTP_ROUTE, route("a", [1, 0])),
        (HTTP_ROUTE, route("b", [1, 0])),
    ]));
    let (shell, key) = (shell(&fake), Key::new("shop", "checkout"));
    for pass in 0..12 {
        let now = Moment { millis: pass * 5_000, ..now() };
        assert!(reconcile(&shell, &key, now).await.is_some());
    }
    let writes = fake.writes();
    assert!(writes.iter().any(|write| write.starts_with("create Deployment checkout-")), "{writes:?}");
    assert!(fake.read(ROLLOUT, "shop", "checkout").unwrap()["status"]["phase"].is_string());
    assert!(reconcile(&shell, &key, Moment { millis: 65_000, ..now() }).await.is_some());
    assert_eq!(fake.writes(), Vec::<String>::new());
}
