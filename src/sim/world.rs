//! The simulated cluster: one API server, what runs around it, and the order in which things happen.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    agenda::{Agenda, Event},
    autoscaler::Autoscaling,
    chance::Chance,
    clock::{Clock, Millis, Process},
    fleet::Ears,
    gateway::Gateway,
    habits::{Delay, Habits},
    leaders::{LeaderDeed, Leaders},
    link::Crash,
    mishaps::Places,
    oracle::{Change, Oracle},
    people::Deed,
    prometheus::Meanings,
    server::{ApiServer, Commit},
    tidings::Tidings,
    timeline::Timeline,
    traffic::Traffic,
    workloads::{Behaviour, Pods},
};
use crate::{
    api::{ActionType, FIELD_MANAGER},
    controller::{DEPLOYMENT, GRPC_ROUTE, HTTP_ROUTE, POD, ROLLOUT, SERVICE, WriteSite},
    workload::object::{self, number},
};

/// Commits that are kept for watchers that have not heard of them yet. Watches are seconds behind at most, in which far fewer are
/// made; and a day of a simulation makes millions.
const COMMITS_KEPT: usize = 10_000;

/// The world, as its parts on one thread share it.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything but the controller itself.
pub struct World {
    pub clock: Clock,
    pub server: ApiServer,
    pub habits: Habits,
    pub pods: Pods,
    pub gateway: Gateway,
    pub traffic: Traffic,
    pub(super) autoscaling: Autoscaling,
    pub scrape_seconds: i64,
    pub prometheus_away: bool,
    pub prometheus_partial: bool,
    /// Stable's bad ratio before the simulation began.
    pub past_errors: f64,
    pub oracle: Oracle,
    pub tidings: Tidings,
    /// Kept if somebody wants to read it.
    pub timeline: Option<Timeline>,
    /// What happened in which situation, and how often.
    pub situations: BTreeMap<String, u64>,
    /// Where a mishap could happen.
    pub places: Places,
    /// Writes of the controller so far, and at which sites.
    pub writes: u64,
    /// The site of each write.
    pub writes_at: Vec<WriteSite>,
    pub sites: BTreeMap<WriteSite, u64>,
    /// Kills that are planned and have not come yet.
    pub crashes: VecDeque<Crash>,
    pub leaders: Leaders,
    /// Processes that were killed and are not buried yet.
    pub killed: Vec<Process>,
    pub(super) chance: Chance,
    pub(super) processes: Vec<Option<Ears>>,
    pub(super) meanings: Meanings,
    pub(super) agenda: Agenda,
    seen: usize,
    /// Where everything is.
    pub namespace: String,
    pub owned: super::people::Owned,
    pub(super) actions_asked: usize,
    /// Deeds that wait for a phase.
    pub awaited: usize,
}

impl World {
    pub fn new(clock: Clock, seed: u64, habits: Habits) -> Self {
        Self {
            clock,
            server: ApiServer::default(),
            habits,
            pods: Pods::default(),
            gateway: Gateway::default(),
            traffic: Traffic::default(),
            autoscaling: Autoscaling::default(),
            scrape_seconds: 5,
            prometheus_away: false,
            prometheus_partial: false,
            past_errors: 0.001,
            oracle: Oracle::default(),
            tidings: Tidings::default(),
            timeline: None,
            situations: BTreeMap::new(),
            places: Places::default(),
            writes: 0,
            writes_at: Vec::new(),
            sites: BTreeMap::new(),
            crashes: VecDeque::new(),
            leaders: Leaders::default(),
            killed: Vec::new(),
            chance: Chance::new(seed),
            processes: Vec::new(),
            meanings: Meanings::new(),
            agenda: Agenda::default(),
            seen: 0,
            namespace: "shop".to_owned(),
            owned: Vec::new(),
            actions_asked: 0,
            awaited: 0,
        }
    }

    pub(super) fn draw(&mut self, delay: Delay) -> Millis {
        self.chance.between(delay.least, delay.most)
    }

    /// Plans something for later.
    pub fn plan(&mut self, delay: Millis, event: Event) {
        let at = self.clock.now() + delay;
        self.agenda.plan(at, event);
    }

    pub(super) fn plan_once(&mut self, delay: Millis, event: Event) {
        let at = self.clock.now() + delay;
        self.agenda.plan_once(at, event);
    }

    /// A commit, counted from 0; None: it was not made yet, or is long past.
    pub(super) fn commit(&self, number: usize) -> Option<Commit> {
        self.server.commits().get(number.checked_sub(self.server.forgotten())?).cloned()
    }

    /// Looks at what was committed since the last time: watchers hear of it, the cluster's controllers follow.
    pub(super) fn after_commits(&mut self) {
        while let Some(commit) = self.commit(self.seen) {
            let number = self.seen;
            self.seen += 1;
            let (before, after) = (commit.before.as_deref(), commit.after.as_deref());
            let ours = &*commit.writer.manager == FIELD_MANAGER;
            let change = Change { at: self.clock.now(), ours, kind: commit.kind, before, after };
            self.oracle.see(&change);
            self.tidings.see(&change);
            if let Some(timeline) = &mut self.timeline {
                timeline.see(&change);
            }
            self.note_commit(&commit);
            self.outdate_reads(&commit);
            self.announce(number);
            self.follow(&commit);
        }
        self.server.forget_all_but(COMMITS_KEPT);
    }

    fn follow(&mut self, commit: &Commit) {
        let Some(document) = commit.after.as_ref().or(commit.before.as_ref()) else { return };
        if commit.after.is_none() || is_newly_terminating(commit) {
            let delay = self.draw(self.habits.controllers);
            self.plan_once(delay, Event::Garbage);
        }
        let (namespace, name) = (object::namespace(document).to_owned(), object::name(document).to_owned());
        let delay = self.draw(self.habits.controllers);
        self.traffic.is_closed |= commit.kind == ROLLOUT && commit.after.is_none();
        match commit.kind {
            DEPLOYMENT if commit.subresource != "status" => {
                self.plan_once(delay, Event::Deployment { namespace, name });
            }
            POD => {
                if is_newly_terminating(commit) {
                    self.pod_ends(&namespace, &name);
                }
                self.plan_once(delay, Event::Endpoints { namespace });
            }
            SERVICE => self.plan_once(delay, Event::Endpoints { namespace }),
            HTTP_ROUTE | GRPC_ROUTE if has_new_spec(commit) => {
                let delay = self.draw(self.habits.acceptance);
                self.plan(delay, Event::RouteSeen { kind: commit.kind, namespace, name });
            }
            _ => {}
        }
    }

    /// Lets the next event happen that is due; None: none is. What concerns processes is left to the caller.
    pub fn happen(&mut self) -> Option<Event> {
        let event = self.agenda.take(self.clock.now())?;
        match &event {
            Event::Deployment { namespace, name } => self.sync_deployment(namespace, name),
            Event::PodReady { namespace, pod } => self.pod_ready(namespace, pod),
            Event::PodGone { namespace, pod } => self.pod_gone(namespace, pod),
            Event::Endpoints { namespace } => self.sync_endpoints(namespace),
            Event::EndpointsApplied { namespace } => self.apply_endpoints(namespace),
            Event::RouteSeen { kind, namespace, name } => self.see_route(*kind, namespace, name),
            Event::RouteApplied { kind, namespace, name } => self.apply_route(*kind, namespace, name),
            Event::Heard { process, commit } => self.heard(*process, *commit),
            Event::Garbage => {
                if self.server.collect_garbage(&self.clock.text()) {
                    let delay = self.draw(self.habits.controllers);
                    self.plan_once(delay, Event::Garbage);
                }
            }
            Event::Second => {
                self.second_of_traffic();
                self.plan(1_000, Event::Second);
            }
            Event::Sync if self.habits.gitops > 0 => {
                self.gitops_sync();
                self.plan(self.habits.gitops, Event::Sync);
            }
            Event::Autoscale => self.autoscalers_look(),
            Event::Person { deed } => {
                if !matches!(deed, Deed::When { .. }) {
                    self.note_deed(deed);
                }
                self.act(deed.clone());
            }
            Event::Sync | Event::Start | Event::Pause { .. } | Event::Resume { .. } => {}
        }
        self.after_commits();
        Some(event)
    }

    pub fn next_event(&self) -> Option<Millis> {
        self.agenda.next()
    }

    /// Plans what a person does.
    pub fn plan_deed(&mut self, at: Millis, deed: Deed) {
        self.awaited += usize::from(matches!(deed, Deed::When { .. }));
        self.agenda.plan(at, Event::Person { deed });
    }
}

/// Somebody has deleted it, and it is still there.
fn is_newly_terminating(commit: &Commit) -> bool {
    let terminating =
        |document: &Option<Arc<serde_json::Value>>| document.as_ref().is_some_and(|it| object::is_terminating(it));
    !terminating(&commit.before) && terminating(&commit.after)
}

/// The Gateway looks at specs only: its own status is no news to it.
fn has_new_spec(commit: &Commit) -> bool {
    let generation = |document: &Option<Arc<serde_json::Value>>| {
        document.as_ref().and_then(|document| number(document, "/metadata/generation"))
    };
    generation(&commit.before) != generation(&commit.after)
}

impl World {
    pub fn set_habits(&mut self, habits: Habits) {
        let synced = self.habits.gitops > 0;
        self.habits = habits;
        if !synced && habits.gitops > 0 {
            self.plan(habits.gitops, Event::Sync);
        }
    }

    /// Trouble is over: no more faults, every version is sound, and whoever waits or was asked to is let go.
    pub fn heal(&mut self, habits: Habits) {
        self.set_habits(habits);
        let images: Vec<String> = self.pods.behaviours.keys().cloned().collect();
        for image in images {
            self.pods.behaviours.insert(image.clone(), Behaviour::default());
            self.wake_pods(&image);
        }
        let rollout = super::scenario::ROLLOUT_NAME.to_owned();
        self.lead(&LeaderDeed::Reconnect);
        self.act(Deed::Prometheus { away: false });
        self.act(Deed::Partial { now: false });
        self.act(Deed::Gateway { silent: false });
        self.autoscaling.is_over = true;
        self.act(Deed::Pause { rollout: rollout.clone(), paused: false });
        self.act(Deed::Ask { rollout, kind: ActionType::Resume });
        self.after_commits();
    }
}
