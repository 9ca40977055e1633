//! A change of the leader as the shell sees it: what is sealed, what then fails, and who stops.

use super::*;
use crate::{
    api::RUN_ANNOTATION,
    controller::{Cluster, Leadership, Patch, WriteSite},
    workload::object::annotation,
};

const RUN_NAME: &str = "checkout-new-1";
const FAR: Duration = Duration::from_secs(86_400);

fn marked(mut document: Value, mark: &str) -> Value {
    document["metadata"]["annotations"] = json!({ RUN_ANNOTATION: mark });
    document
}

/// The run under way in this epoch, everything that it uses marked.
fn under_way(record: i64, mark: &str) -> Arc<Fake> {
    let fake = cluster();
    let mut run = run();
    run["status"]["epoch"] = json!(record);
    fake.put(RUN, run);
    fake.put(SERVICE, marked(service("checkout"), mark));
    for name in ["a", "b"] {
        fake.put(HTTP_ROUTE, marked(route(name, [50, 50]), mark));
    }
    Arc::new(fake)
}

fn candidate(fake: &Arc<Fake>) -> (Shell, Arc<Leadership>) {
    let alone = shell(fake);
    let leadership = Arc::new(Leadership::candidate(alone.runtime.clone()));
    let (events, _) = Events::new(alone.metrics.clone());
    let queue = Arc::new(Queue::new(alone.runtime.clone()));
    let servers = Arc::new(Servers::new(fake.clone(), "tidegate-system"));
    let evaluators = Evaluators::new(queue, alone.runtime.clone(), servers);
    let (metrics, runtime) = (alone.metrics.clone(), alone.runtime.clone());
    (Shell::new(fake.clone(), metrics, events, evaluators, runtime, leadership.clone()), leadership)
}

async fn pass(shell: &Shell) {
    assert!(reconcile(shell, &Key::new("shop", "checkout"), now()).await.is_some());
}

fn mark_of(fake: &Fake, kind: crate::controller::Kind, name: &str) -> String {
    annotation(&fake.read(kind, "shop", name).unwrap(), RUN_ANNOTATION).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_new_leader_seals_the_record_and_then_the_marks_before_it_acts() {
    let fake = under_way(1, RUN_NAME);
    let (shell, leadership) = candidate(&fake);
    leadership.lead(4, FAR);
    pass(&shell).await;
    let writes = fake.writes();
    let sealed = ["RolloutRun checkout-new-1", "Service checkout", "HTTPRoute a", "HTTPRoute b"];
    assert_eq!(writes[..4], sealed.map(|object| format!("patch {object}")), "{writes:?}");
    assert_eq!(fake.read(RUN, "shop", RUN_NAME).unwrap()["status"]["epoch"], 4);
    for (kind, name) in [(SERVICE, "checkout"), (HTTP_ROUTE, "a"), (HTTP_ROUTE, "b")] {
        assert_eq!(mark_of(&fake, kind, name), "checkout-new-1@4", "{name}");
    }
    // Once is enough.
    pass(&shell).await;
    assert!(!fake.writes().iter().any(|write| write == "patch HTTPRoute a"));
}

#[tokio::test]
async fn what_an_old_leader_has_under_way_fails_after_the_seal() {
    let fake = under_way(1, RUN_NAME);
    let late: Vec<(crate::controller::Kind, &str, Value)> =
        [(RUN, RUN_NAME), (SERVICE, "checkout"), (HTTP_ROUTE, "a"), (HTTP_ROUTE, "b")]
            .map(|(kind, name)| (kind, name, fake.read(kind, "shop", name).unwrap()))
            .into();
    let (shell, leadership) = candidate(&fake);
    leadership.lead(2, FAR);
    pass(&shell).await;
    for (kind, name, read) in late {
        let patch =
            Patch::Json(crate::workload::patch::versioned(&read, vec![json!({"op": "add", "path": "/x", "value": 1})]));
        let answer = fake.patch(WriteSite::RouteWeight, kind, "shop", name, "", &patch).await;
        assert!(matches!(answer, Err(ClusterError::Conflict { .. })), "{name}");
    }
}

#[tokio::test]
async fn a_leader_that_meets_a_newer_record_stops_until_its_lease_is_confirmed() {
    let fake = under_way(5, "checkout-new-1@5");
    let (shell, leadership) = candidate(&fake);
    leadership.lead(2, FAR);
    pass(&shell).await;
    assert_eq!((fake.writes(), leadership.may_write(), leadership.contested()), (Vec::new(), false, Some(5)));
    // A renewal that was under way proves nothing yet.
    leadership.lead(2, FAR);
    assert!(!leadership.may_write());
    leadership.lead(6, FAR);
    pass(&shell).await;
    assert_eq!(mark_of(&fake, HTTP_ROUTE, "a"), "checkout-new-1@6");
}

#[tokio::test]
async fn a_mark_that_no_leader_wrote_is_written_over() {
    let fake = under_way(2, "checkout-new-1@4000000000");
    let (shell, leadership) = candidate(&fake);
    leadership.lead(2, FAR);
    pass(&shell).await;
    assert_eq!((mark_of(&fake, HTTP_ROUTE, "a"), leadership.contested()), ("checkout-new-1@2".into(), None));
}

#[tokio::test]
async fn without_an_election_the_records_keep_the_epoch_that_they_have() {
    let fake = under_way(5, "checkout-new-1@5");
    pass(&shell(&fake)).await;
    assert_eq!(fake.read(RUN, "shop", RUN_NAME).unwrap()["status"]["epoch"], 5);
    assert_eq!(mark_of(&fake, HTTP_ROUTE, "a"), "checkout-new-1@5");
}

#[tokio::test]
async fn nobody_writes_before_the_lead_after_the_deadline_or_after_the_end() {
    let fake = under_way(1, RUN_NAME);
    let (shell, leadership) = candidate(&fake);
    pass(&shell).await;
    leadership.lead(2, Duration::ZERO);
    pass(&shell).await;
    leadership.lead(2, FAR);
    leadership.end();
    pass(&shell).await;
    assert_eq!(fake.writes(), Vec::<String>::new());
}
