//! A random schedule: people, tools, pods, the network and crashes do what they like for a while; then everything heals, and the
//! Rollout has to come to rest with everything given back.
//!
//! A schedule is plain data, drawn from a seed, so that one that fails can be made smaller.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    aimed,
    chance::Chance,
    clock::Millis,
    demand, draw,
    habits::{Faults, Habits},
    link::Crash,
    mishaps::Places,
    oracle::Offence,
    people::Deed,
    scenario::{NAMESPACE, ROLLOUT_NAME, ROUTE_NAME, Shop, phase},
    server::journal::Asked,
    simulation::Simulation,
    succession,
    tidings::Tidings,
    timeline::Timeline,
    world::World,
};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL, RUN_ANNOTATION},
    controller::{DEPLOYMENT, HTTP_ROUTE, ROLLOUT, RUN, SERVICE, WriteSite},
    workload::object::{annotation, items, label, number, text},
};

/// Time that a schedule's deeds are spread over.
const TROUBLE: Millis = 70_000;
/// From the last deed to the end of trouble.
const AFTERMATH: Millis = 10_000;
/// A run that others have reset twice is tried again after this.
const CONTENDED: Millis = 31 * 60_000;
const CONTENTIONS: [&str; 2] = ["the status says RouteContended", "the status says ServiceContended"];
/// From rest to when everything has settled: the last status is written, garbage collected.
const REST: Millis = 30_000;
/// How long nothing may be written once all is at rest; and how much may.
const QUIET: Millis = 300_000;
const QUIET_WRITES: u64 = 1;

/// A controller that has written more often than this writes on and on: schedules that end need a tenth of it.
const MOST_WRITES: u64 = 3_000;

/// What happens, and in what kind of cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub seed: u64,
    pub shop: Shop,
    pub habits: Habits,
    /// In order of time; counted from the moment at which the first version serves.
    pub deeds: Vec<(Millis, Deed)>,
    pub crashes: Vec<Crash>,
    /// Whether trouble ends a while after the last deed, and nothing may be written then at rest.
    pub heals: bool,
}

/// What became of a schedule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub offences: Vec<Offence>,
    /// Situations that came up, and how often.
    pub situations: BTreeMap<String, u64>,
    pub sites: BTreeMap<WriteSite, u64>,
    /// Writes until rest, and the site of each.
    pub writes: u64,
    pub writes_at: Vec<WriteSite>,
    /// Planned crashes that did not come, because no such write did.
    pub crashes_left: usize,
    /// Requests that nobody answered.
    pub lost: u64,
    /// How everything stands at rest.
    pub end: String,
    /// Where a mishap could have happened.
    pub places: Places,
    /// What was decided, and what was told of it.
    pub tidings: Tidings,
}

impl Schedule {
    /// The schedule of a seed.
    pub fn drawn(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let (shop, mut habits) = (draw::shop(&mut chance, seed), draw::habits(&mut chance));
        let mut deeds = draw::deeds(&mut chance, TROUBLE);
        deeds.extend(aimed::deed(seed));
        succession::draw(seed, &mut habits, &mut deeds);
        demand::draw(seed, &mut deeds);
        deeds.extend(draw::lifts(seed, &shop, TROUBLE));
        deeds.sort_by_key(|(at, _)| *at);
        Self { seed, shop, habits, deeds, crashes: Vec::new(), heals: true }
    }

    /// Runs it to its end.
    pub fn run(&self) -> Outcome {
        self.told(false).0
    }

    /// Runs it to its end, and keeps what happened.
    pub fn told(&self, tell: bool) -> (Outcome, Timeline) {
        let calm = Habits { faults: Faults::default(), gitops: 0, ..self.habits };
        let mut simulation = match self.shop.open(self.seed, calm, &self.crashes) {
            Ok(simulation) => simulation,
            Err(status) => {
                let outcome = failed("L1", 0, format!("the first version was not adopted: {status}"));
                return (outcome, Timeline::default());
            }
        };
        simulation.world.lock().timeline = tell.then(Timeline::default);
        let outcome = self.go_through(&mut simulation, calm);
        let timeline = simulation.world.lock().timeline.take().unwrap_or_default();
        (outcome, timeline)
    }

    /// Everything that is asked of the API server, from the empty cluster on.
    pub fn asked(&self) -> Vec<Asked> {
        let calm = Habits { faults: Faults::default(), gitops: 0, ..self.habits };
        let mut simulation = Simulation::new(self.seed, calm);
        simulation.world.lock().server.keep_journal();
        self.shop.furnish(&mut simulation);
        if self.shop.adopt(&mut simulation, &self.crashes).is_ok() {
            self.go_through(&mut simulation, calm);
        }
        simulation.world.lock().server.take_journal()
    }

    fn go_through(&self, simulation: &mut Simulation, calm: Habits) -> Outcome {
        let begun = simulation.clock.now();
        {
            let mut world = simulation.world.lock();
            world.set_habits(self.habits);
            for (at, deed) in &self.deeds {
                world.plan_deed(begun + at, deed.clone());
            }
        }
        let last = self.deeds.last().map_or(0, |(at, _)| *at);
        simulation.run_until(begun + last, is_lost);
        simulation.run_until(begun + last + TROUBLE, |world| world.awaited == 0 || is_lost(world));
        let over = simulation.clock.now() + AFTERMATH;
        simulation.run_until(over, is_lost);
        if self.heals {
            simulation.world.lock().heal(calm);
        }
        let is_contended = |world: &World| world.situations.keys().any(|said| CONTENTIONS.contains(&said.as_str()));
        let contended = if is_contended(&simulation.world.lock()) { CONTENDED } else { 0 };
        let limit = simulation.clock.now() + 2 * self.shop.longest() + contended;
        let (mut seen, mut rests) = (None, false);
        let rest = |world: &World| {
            // What is at rest is read from documents only.
            if seen.replace(world.server.version()) != Some(world.server.version()) {
                rests = at_rest(world);
            }
            rests || is_lost(world)
        };
        let in_time = simulation.run_until(limit, rest);
        {
            let world = simulation.world.lock();
            if !world.oracle.offences.is_empty() {
                return finish(&world, Outcome::default());
            }
            if !in_time || is_lost(&world) {
                let said = format!("no rest after {} writes: {}", world.writes, why(&world));
                return finish(&world, failed("L1", simulation.clock.now(), said));
            }
        }
        // What is collected as garbage takes a moment.
        let rest = simulation.clock.now();
        simulation.run_until(rest + REST, |_| false);
        if self.heals { quiet(simulation) } else { finish(&simulation.world.lock(), Outcome::default()) }
    }
}

/// A law is broken, or rest is not to be expected: nothing more is to be learnt.
fn is_lost(world: &World) -> bool {
    !world.oracle.offences.is_empty() || world.writes > MOST_WRITES
}

fn failed(law: &'static str, at: Millis, message: String) -> Outcome {
    Outcome { offences: vec![Offence { at, law, message }], ..Outcome::default() }
}

/// S12: at rest nothing is written.
fn quiet(simulation: &mut Simulation) -> Outcome {
    let now = simulation.clock.now();
    let before = simulation.world.lock().sites.clone();
    simulation.run_until(now + QUIET, |_| false);
    let world = simulation.world.lock();
    let since = |(site, count): (&WriteSite, &u64)| (*site, count - before.get(site).copied().unwrap_or(0));
    let of_lease = |site: &WriteSite| matches!(site, WriteSite::LeaseCreate | WriteSite::LeaseWrite);
    let of_rollouts = world.sites.iter().filter(|(site, _)| !of_lease(site));
    let written: Vec<(WriteSite, u64)> = of_rollouts.map(since).filter(|(_, count)| *count > 0).collect();
    let outcome = if written.iter().map(|(_, count)| count).sum::<u64>() > QUIET_WRITES {
        failed("S12", simulation.clock.now(), format!("writes at rest: {written:?}"))
    } else {
        Outcome::default()
    };
    finish(&world, outcome)
}

fn finish(world: &World, mut outcome: Outcome) -> Outcome {
    let mut offences = world.oracle.offences.clone();
    offences.append(&mut outcome.offences);
    let mut situations = world.situations.clone();
    for run in world.server.list(RUN, NAMESPACE, "") {
        let how = text(&run, "/status/outcome").unwrap_or("open");
        *situations.entry(format!("a run is {how}")).or_default() += 1;
    }
    Outcome {
        offences,
        situations,
        sites: world.sites.clone(),
        writes: world.writes,
        writes_at: world.writes_at.clone(),
        crashes_left: world.crashes.len(),
        lost: world.traffic.lost_requests,
        end: end(world),
        places: world.places.clone(),
        tidings: world.tidings.clone(),
    }
}

/// The phase, the images that serve, and what became of each run.
fn end(world: &World) -> String {
    let images: BTreeSet<&str> =
        world.pods.by_name.values().filter(|pod| pod.ready).map(|pod| pod.image.as_str()).collect();
    let runs = world.server.list(RUN, NAMESPACE, "");
    let outcomes: Vec<&str> = runs.iter().map(|run| text(run, "/status/outcome").unwrap_or("open")).collect();
    format!("{} {images:?} {outcomes:?}", phase(world))
}

/// Nothing of a run is left: route and Service are as their owners wrote them, and one revision has pods.
pub fn at_rest(world: &World) -> bool {
    why(world).is_empty()
}

/// What is not at rest, in words; empty: nothing.
fn why(world: &World) -> String {
    let mut open = BTreeSet::new();
    if let Some(rollout) = world.server.get(ROLLOUT, NAMESPACE, ROLLOUT_NAME) {
        if !["Healthy", "Degraded"].contains(&phase(world).as_str()) {
            let message = text(&rollout, "/status/message").unwrap_or_default();
            open.insert(format!("the Rollout is {}: {message}", phase(world)));
        }
        if number(&rollout, "/status/observedGeneration") != number(&rollout, "/metadata/generation") {
            open.insert("the Rollout was not looked at".into());
        }
        let ours = |document: &Value| {
            label(document, ROLLOUT_LABEL) == Some(ROLLOUT_NAME) && label(document, REVISION_LABEL).is_some()
        };
        let deployments = world.server.list(DEPLOYMENT, NAMESPACE, "").iter().filter(|found| ours(found)).count();
        if deployments != 1 {
            open.insert(format!("{deployments} revisions have Deployments"));
        }
        for run in world.server.list(RUN, NAMESPACE, "") {
            if text(&run, "/status/phase") != Some("Ended") {
                open.insert("a run is open".into());
            }
        }
    }
    open.extend(world.scaling_ahead());
    if let Some(service) = world.server.get(SERVICE, NAMESPACE, ROLLOUT_NAME) {
        let pin = service.pointer("/spec/selector").and_then(|selector| selector.get(REVISION_LABEL));
        if pin.is_some() || annotation(&service, RUN_ANNOTATION).is_some() {
            open.insert("the Service is pinned".into());
        }
    }
    if let Some(route) = world.server.get(HTTP_ROUTE, NAMESPACE, ROUTE_NAME)
        && (annotation(&route, RUN_ANNOTATION).is_some() || items(&route, "/spec/rules/0/backendRefs").len() != 1)
    {
        open.insert("the route holds a run's backends".into());
    }
    open.into_iter().collect::<Vec<_>>().join("; ")
}

impl Schedule {
    /// A smaller schedule that breaks the same law: without deeds, faults and delays that it does not need.
    pub fn shrunk(&self) -> Self {
        let Some(law) = self.run().offences.first().map(|offence| offence.law) else { return self.clone() };
        let still_fails = |smaller: &Self| smaller.run().offences.first().is_some_and(|offence| offence.law == law);
        let mut smallest = self.clone();
        loop {
            let Some(smaller) = smallest.smaller().into_iter().find(still_fails) else { return smallest };
            smallest = smaller;
        }
    }

    /// Schedules that lack one thing each.
    fn smaller(&self) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for left_out in 0..self.deeds.len() {
            let mut deeds = self.deeds.clone();
            deeds.remove(left_out);
            all.push(Self { deeds, ..self.clone() });
        }
        let habits = self.habits;
        let without: [fn(&mut Faults); 7] = [
            |faults| faults.conflict = 0.0,
            |faults| faults.refused = 0.0,
            |faults| faults.unheard = 0.0,
            |faults| faults.unread = 0.0,
            |faults| faults.crash = 0.0,
            |faults| faults.event_lost = 0.0,
            |faults| faults.event_twice = 0.0,
        ];
        let calmer = without.map(|change| {
            let mut faults = habits.faults;
            change(&mut faults);
            Habits { faults, ..habits }
        });
        let plain = Habits { faults: habits.faults, gitops: habits.gitops, ..Habits::default() };
        let habits_tried = calmer.into_iter().chain([Habits { gitops: 0, ..habits }, plain]);
        all.extend(habits_tried.filter(|tried| *tried != habits).map(|habits| Self { habits, ..self.clone() }));
        all
    }
}
