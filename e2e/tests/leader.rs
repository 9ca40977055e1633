//! Two controllers and one Lease: the leader is killed, told to end, or cut off, in a run under way. Another goes on in time, what
//! the old one has on its way is refused, no request fails, and no law is broken.

use serde_json::json;
use tidegate::controller::{LEASE, RUN};
use tokio::time::{Duration, Instant};

use crate::{
    TIDEGATE,
    support::{Controller, Ledger, Proxy, Stage, partition::Way, space::rhythm},
};

const AFTER_CRASH: Duration = Duration::from_secs(25);
const AFTER_END: Duration = Duration::from_secs(3);

/// A leader, and another that stands by.
struct Pair {
    stage: Stage,
    first: Proxy,
    second: Proxy,
    standby: Controller,
    ledger: Ledger,
}

impl Pair {
    /// A run of version v2 stands at its first weight.
    async fn in_mid_run(namespace: &str) -> Self {
        let slow = json!([{"weight": 20, "bake": "8s"}, {"weight": 50, "bake": "2s"}]);
        let (mut stage, first) = Stage::led(namespace, TIDEGATE, |app| app.steps = slow).await;
        let second = Proxy::start(&stage.space).await;
        let standby = Controller::candidate(&stage.space, TIDEGATE, second.kubeconfig.clone());
        let ledger = Ledger::open(&stage.space).await;
        stage.release_to("v2", 20).await;
        assert!(acts(&second).is_none(), "the standby has written");
        Self { stage, first, second, standby, ledger }
    }

    /// How long after this moment the standby wrote first.
    async fn taken_over(&self, since: Instant) -> Duration {
        self.stage.space.until("the standby to act", 60, async || acts(&self.second).is_some()).await;
        acts(&self.second).map(|at| at.duration_since(since)).unwrap_or_default()
    }

    async fn promoted(mut self) {
        self.stage.until_outcome("v2", "Promoted").await;
        self.stage.owners_form().await;
        let runs = self.stage.space.list(RUN).await;
        assert_eq!(runs.len(), 1, "one run");
        let lease = format!("tidegate-{}", self.stage.space.namespace);
        let lease = self.stage.space.get(LEASE, &lease).await.expect("the Lease");
        assert_eq!(runs[0]["status"]["epoch"], lease["spec"]["leaseTransitions"], "sealed by the last leader");
        self.ledger.judge(&[&self.first, &self.second]).await.holds();
        self.stage.nothing_failed().await;
        assert!(self.standby.ended().is_none(), "the new leader runs");
    }
}

/// When a controller first wrote to anything but its Lease.
fn acts(proxy: &Proxy) -> Option<Instant> {
    proxy.written().iter().find(|written| written.write.resource != "leases").map(|written| written.sent)
}

#[tokio::test]
async fn when_the_leader_is_killed_the_standby_acts_within_25_s() {
    let mut pair = Pair::in_mid_run("leader-killed").await;
    let killed = Instant::now();
    pair.stage.controller.kill();
    let gap = pair.taken_over(killed).await;
    println!("{gap:?} after kill -9");
    assert!(gap <= AFTER_CRASH, "{gap:?}");
    pair.promoted().await;
}

#[tokio::test]
async fn when_the_leader_is_told_to_end_the_standby_acts_within_3_s() {
    let mut pair = Pair::in_mid_run("leader-ended").await;
    let told = Instant::now();
    pair.stage.controller.signal("TERM");
    let gap = pair.taken_over(told).await;
    println!("{gap:?} after SIGTERM");
    assert!(gap <= AFTER_END, "{gap:?}");
    let ended = pair.stage.controller.end().await;
    assert!(ended.success(), "{ended}");
    pair.promoted().await;
}

#[tokio::test]
async fn a_leader_without_its_lease_stops_and_its_late_write_is_refused() {
    let mut pair = Pair::in_mid_run("leader-late").await;
    pair.first.hold("httproutes");
    pair.stage.space.until("a write of the route to be on its way", 60, async || pair.first.holds() > 0).await;
    let cut = Instant::now();
    pair.first.way(Way::WithoutLeases);
    let gap = pair.taken_over(cut).await;
    println!("{gap:?} after the lease was cut off");
    assert!(gap <= AFTER_CRASH, "{gap:?}");
    let ended = pair.stage.controller.ended().expect("it has ended before another leads");
    assert!(!ended.success(), "{ended}");
    let sealed = || pair.second.written().iter().any(|written| written.write.resource == "httproutes");
    pair.stage.space.until("the route to be sealed", 20, async || sealed()).await;
    pair.first.let_go();
    pair.stage.space.until("the answers", 20, async || pair.first.late().len() == pair.first.holds()).await;
    println!("late: {:?}", pair.first.late());
    assert!(pair.first.late().iter().all(|code| *code == 409), "{:?}", pair.first.late());
    pair.promoted().await;
}

#[tokio::test]
async fn a_leader_that_reaches_nothing_but_its_lease_keeps_it_and_goes_on_later() {
    let mut pair = Pair::in_mid_run("leader-apart").await;
    pair.first.way(Way::OnlyLeases);
    rhythm(20.0).await;
    assert!(acts(&pair.second).is_none() && pair.stage.controller.ended().is_none(), "the lease is renewed");
    pair.first.way(Way::Open);
    pair.stage.until_outcome("v2", "Promoted").await;
    pair.promoted().await;
}

#[tokio::test]
async fn a_leader_that_was_stopped_for_half_a_minute_ends_without_a_write() {
    let mut pair = Pair::in_mid_run("leader-stopped").await;
    let stopped = Instant::now();
    pair.stage.controller.signal("STOP");
    let gap = pair.taken_over(stopped).await;
    assert!(gap <= AFTER_CRASH, "{gap:?}");
    pair.stage.controller.signal("CONT");
    let ended = pair.stage.controller.end().await;
    assert!(!ended.success(), "{ended}");
    let late: Vec<_> = pair.first.written().into_iter().filter(|written| written.sent > stopped + gap).collect();
    assert!(late.is_empty(), "{late:?}");
    pair.promoted().await;
}

/// As when a tool that does not look at the cluster switches the election on: the old pod still runs.
#[tokio::test]
async fn a_controller_without_an_election_gives_way_to_one_that_leads() {
    let slow = json!([{"weight": 20, "bake": "8s"}, {"weight": 50, "bake": "2s"}]);
    let (mut stage, first) = Stage::behind_proxy("leader-alone", TIDEGATE, |app| app.steps = slow).await;
    stage.space.lease_rights().await;
    let namespace = stage.space.namespace.clone();
    let lease = format!("tidegate-{namespace}");
    let flags = ["--leader-elect=false", "--lease-namespace", &namespace, "--lease-name", &lease];
    stage.controller.arguments = flags.map(str::to_owned).into();
    stage.controller.restart();
    let ledger = Ledger::open(&stage.space).await;
    stage.release_to("v2", 20).await;

    let second = Proxy::start(&stage.space).await;
    let standby = Controller::candidate(&stage.space, TIDEGATE, second.kubeconfig.clone());
    stage.space.until("the candidate to lead", 20, async || !second.written().is_empty()).await;
    let led = second.written().first().map(|written| written.sent).expect("its Lease");
    assert!(!stage.controller.end().await.success());
    let last = first.written().last().map(|written| written.sent).expect("it wrote");
    assert!(last <= led + AFTER_END, "it wrote {:?} after another led", last.duration_since(led));
    assert!(stage.controller.log().contains("leads by the lease"), "{}", stage.controller.log());

    // Its kubelet starts it again.
    stage.controller.restart();
    let before = first.written().len();
    let pair = Pair { stage, first, second, standby, ledger };
    pair.stage.until_outcome("v2", "Promoted").await;
    assert_eq!(pair.first.written().len(), before, "it waits while another leads");
    pair.promoted().await;
}
