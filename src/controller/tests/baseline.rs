//! A baseline's objects: made from stable's record, seen without one, and taken out when nothing else is known of the run.

use super::*;
use crate::{
    controller::{CONTROLLER_REVISION, Kind},
    engine::{BaselineRefs, CanaryRefs},
    workload::{object, record, revision_service},
};

const BASELINE: &str = "old-baseline";
const NAME: &str = "checkout-old-baseline";

/// The run with a baseline, stable's record, and routes that name both at 50.
fn with_baseline() -> Fake {
    let fake = cluster();
    let mut run = run();
    run["spec"]["baseline"] = json!(BASELINE);
    fake.put(RUN, run);
    let template = json!({"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [{"name": "old"}]}});
    fake.put(CONTROLLER_REVISION, record::build(&rollout(), "old", &template, None, 1));
    for name in ["a", "b"] {
        fake.put(HTTP_ROUTE, three_arms(name));
    }
    fake
}

fn three_arms(name: &str) -> Value {
    let mut route = route(name, [0, 50]);
    let refs = route["spec"]["rules"][0]["backendRefs"].as_array_mut().unwrap();
    refs.push(json!({"name": NAME, "port": 80, "weight": 50}));
    route
}

async fn act(fake: &Fake, action: Action) {
    let (world, mut documents) = look(fake, &mut Memory::default()).await.unwrap();
    let decision = decision(&world, None, vec![action]);
    assert_eq!(carry_out(fake, &world, &mut documents, &decision).await, Outcome::Done);
}

async fn world(fake: &Fake) -> World {
    look(fake, &mut Memory::default()).await.unwrap().0
}

fn read(fake: &Fake, kind: Kind) -> Option<Value> {
    fake.read(kind, "shop", NAME)
}

#[tokio::test]
async fn a_baselines_pods_have_stables_template_and_a_label_of_their_own() {
    let fake = with_baseline();
    act(&fake, Action::CreateDeployment { revision: BASELINE.into(), replicas: 2 }).await;
    let made = read(&fake, DEPLOYMENT).unwrap();
    assert_eq!((&made["spec"]["replicas"], object::label(&made, "tidegate.io/revision")), (&json!(2), Some(BASELINE)));
    let template = &made["spec"]["template"];
    assert_eq!(template["metadata"]["labels"]["tidegate.io/revision"], BASELINE);
    assert_eq!(template["spec"]["containers"][0]["name"], "old");
    assert_eq!(made["spec"]["selector"]["matchLabels"]["tidegate.io/revision"], BASELINE);
    let view = &world(&fake).await.revisions[BASELINE];
    assert_eq!((view.recorded, view.proven, view.deployment.as_ref().unwrap().desired), (false, None, 2));
}

#[tokio::test]
async fn its_services_are_seen_when_its_pods_are_gone() {
    let fake = with_baseline();
    assert!(!world(&fake).await.revisions.contains_key(BASELINE));
    fake.put(SERVICE, revision_service::build(&service("checkout"), &rollout(), BASELINE, None));
    assert_eq!(world(&fake).await.revisions[BASELINE].services.len(), 1);
    act(&fake, Action::DeleteServices { revision: BASELINE.into() }).await;
    assert_eq!(read(&fake, SERVICE), None);
    assert!(!world(&fake).await.revisions.contains_key(BASELINE));
}

#[tokio::test]
async fn a_route_of_a_run_is_read_and_lowered_with_its_baseline() {
    let fake = with_baseline();
    let seen = world(&fake).await;
    let state = seen.routes[0].state.known().unwrap();
    let fifty = Percent::whole(50);
    assert!(state.is_at(fifty, Some(fifty)), "{state:?}");
    let mut back = lowering(&seen).remove(0);
    if let Action::Route { baseline, .. } = &mut back {
        *baseline = Some(BASELINE.into());
    }
    act(&fake, back).await;
    let seen = world(&fake).await;
    assert!(seen.routes[0].state.known().unwrap().is_at(Percent::ZERO, Some(Percent::ZERO)));
}

#[tokio::test]
async fn a_baseline_that_is_left_in_a_route_without_an_open_run_is_known_by_its_name() {
    let fake = with_baseline();
    let mut over = run();
    over["status"]["phase"] = json!("Ended");
    fake.put(RUN, over);
    let mut marked = three_arms("a");
    marked["metadata"]["annotations"] = json!({"tidegate.io/run": "checkout-new-1"});
    fake.put(HTTP_ROUTE, marked);
    let seen = world(&fake).await;
    let refs = CanaryRefs::At(Percent::whole(50));
    let state = seen.routes[0].state.known().unwrap();
    assert_eq!(state.baseline, Some(BaselineRefs { revision: BASELINE.into(), refs }));
    assert_eq!(seen.routes[1].state.known().unwrap().baseline, None, "another's, without a mark of ours");
}

#[tokio::test]
async fn the_source_is_the_stable_revision_and_never_its_baseline() {
    let fake = with_baseline();
    let mut referring = rollout();
    referring["spec"]["workload"] = json!({"deploymentRef": {"name": "source"}});
    fake.put(ROLLOUT, referring);
    act(&fake, Action::CreateDeployment { revision: BASELINE.into(), replicas: 2 }).await;
    let mut source = read(&fake, DEPLOYMENT).unwrap();
    source["metadata"] = json!({"name": "source", "namespace": "shop", "uid": "s", "generation": 1});
    let labels = source["spec"]["template"]["metadata"]["labels"].as_object_mut().unwrap();
    labels.retain(|key, _| key == "app");
    fake.put(DEPLOYMENT, source);
    assert_eq!(world(&fake).await.source.known().unwrap().revision, "old");
}
