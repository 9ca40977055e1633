//! A trial: somebody's own documents in a simulated cluster. The first version is adopted, a second one is released, and what
//! becomes of it is written down.
//!
//! What is tried and what goes wrong is given; nothing is judged here.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use super::{
    admission,
    clock::Millis,
    habits::Habits,
    people::Deed,
    simulation::Simulation,
    traffic::{Counted, Entry},
    workloads::Behaviour,
    world::World,
};
use crate::{
    api::{Percent, Reason, Rollout, RolloutRun, RolloutRunSpec, RolloutRunStatus, RunPhase},
    controller::{Kind, ROLLOUT, RUN},
    workload::object::{condition, text},
};

/// Time to adopt the first version.
const OPENING: Millis = 15 * 60_000;
/// From the end of a step's bake to a person's approval.
const APPROVAL: Millis = 60_000;
/// How long a run is watched in which nothing is left to come but a person.
const PATIENCE: Millis = 10 * 60_000;
/// How often a look is taken whether something is due.
const LOOK: Millis = 1_000;

/// When something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// This long after the release.
    After(Millis),
    /// This long after the step, counted from 0, has its weight.
    AtStep(u32, Millis),
}

/// What is tried.
#[derive(Clone, Debug)]
pub struct Trial {
    pub namespace: String,
    pub rollout: String,
    pub documents: Vec<(Kind, Value)>,
    pub entries: Vec<Entry>,
    pub seed: u64,
    /// Of all entries together.
    pub requests_per_second: f64,
    pub scrape_seconds: i64,
    /// Images of the two versions, and how they behave.
    pub stable: (String, Behaviour),
    pub canary: (String, Behaviour),
    pub deeds: Vec<(When, Deed)>,
    /// Somebody gives the approvals that gates ask for.
    pub approves: bool,
    /// After the release.
    pub limit: Millis,
}

/// What became of it. Times are counted from the release.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The plan that the run has frozen; None: no run began.
    pub plan: Option<RolloutRunSpec>,
    /// Each state of the run, oldest first.
    pub states: Vec<(Millis, RolloutRunStatus)>,
    /// Phases of the Rollout, each with its sentence.
    pub phases: Vec<(Millis, String, String)>,
    pub deeds: Vec<(Millis, Deed)>,
    pub lasted: Millis,
    /// The Rollout's phase and its sentence at the end.
    pub phase: String,
    pub message: String,
    /// Requests that pods have answered, by revision, those before the release too.
    pub answered: BTreeMap<String, Counted>,
    pub lost: u64,
    /// The Rollout and its run as they were left.
    pub left: Option<(Rollout, RolloutRun)>,
    /// Laws that the controller broke since the release; none is expected.
    pub offences: Vec<String>,
}

/// What is known while it goes on.
struct Watch<'t> {
    trial: &'t Trial,
    begun: Millis,
    seen: Option<Arc<Value>>,
    record: Record,
    /// Not planned yet: their step has not come.
    waiting: Vec<(When, Deed)>,
    /// Since when the run waits for a person.
    since: Option<Millis>,
    /// Approvals that are on their way: step and gate.
    asked: Vec<(u32, String)>,
}

impl Trial {
    /// Err: why the first version was not adopted.
    pub fn run(&self) -> Result<Record, String> {
        let mut simulation = self.open()?;
        let begun = simulation.clock.now() + LOOK;
        let lost_before = {
            let mut world = simulation.world.lock();
            let deploy = Deed::Deploy { rollout: self.rollout.clone(), image: self.canary.0.clone() };
            world.plan_deed(begun, deploy);
            world.traffic.lost_requests
        };
        let waiting = self.deeds.clone();
        let (seen, record) = (None, Record::default());
        let mut watch = Watch { trial: self, begun, seen, record, waiting, since: None, asked: Vec::new() };
        let mut now = begun;
        while now < begun + self.limit && !watch.is_over(&simulation.world.lock(), now) {
            watch.plan(&mut simulation.world.lock(), now);
            now += LOOK;
            simulation.run_until(now, |world| {
                watch.look(world);
                false
            });
        }
        let (world, mut record) = (simulation.world.lock(), watch.record);
        record.lasted = now - begun;
        record.phase = self.status(&world, "phase");
        record.message = self.status(&world, "message");
        record.answered.clone_from(&world.traffic.by_revision);
        record.lost = world.traffic.lost_requests - lost_before;
        record.left = self.left(&world, watch.seen.as_deref());
        let offences = world.oracle.offences.iter().filter(|found| found.at >= begun);
        record.offences = offences.map(|found| format!("{}: {}", found.law, found.message)).collect();
        Ok(record)
    }

    /// The cluster with the first version adopted, and customers coming.
    fn open(&self) -> Result<Simulation, String> {
        let mut simulation = Simulation::new(self.seed, Habits::default());
        {
            let mut world = simulation.world.lock();
            world.namespace.clone_from(&self.namespace);
            world.traffic.entries.clone_from(&self.entries);
            world.scrape_seconds = self.scrape_seconds;
            world.past_errors = self.stable.1.errors;
            for (image, behaviour) in [&self.stable, &self.canary] {
                world.pods.behaviours.insert(image.clone(), *behaviour);
            }
        }
        let documents = [admission::documents().as_slice(), self.documents.as_slice()].concat();
        simulation.furnish(&documents).map_err(|error| error.to_string())?;
        simulation.start_controller();
        let is_open = simulation.run_until(OPENING, |world| self.status(world, "phase") == "Healthy");
        let now = simulation.clock.now();
        simulation.world.lock().traffic.begin(now, self.requests_per_second);
        let message = self.status(&simulation.world.lock(), "message");
        if is_open { Ok(simulation) } else { Err(message) }
    }

    fn left(&self, world: &World, run: Option<&Value>) -> Option<(Rollout, RolloutRun)> {
        let rollout = world.server.get(ROLLOUT, &self.namespace, &self.rollout)?;
        let read = serde_json::from_value(Value::clone(&rollout)).ok()?;
        Some((read, serde_json::from_value(run?.clone()).ok()?))
    }

    fn is_frozen(&self, world: &World) -> bool {
        let rollout = world.server.get(ROLLOUT, &self.namespace, &self.rollout);
        let ready = rollout.as_ref().and_then(|rollout| condition(rollout, "Ready"));
        ready.is_some_and(|ready| text(ready, "/reason") == Some(Reason::Frozen.word()))
    }

    fn status(&self, world: &World, field: &str) -> String {
        let rollout = world.server.get(ROLLOUT, &self.namespace, &self.rollout);
        let found = rollout.as_ref().and_then(|rollout| text(rollout, &format!("/status/{field}")));
        found.unwrap_or_default().to_owned()
    }
}

impl Watch<'_> {
    /// Takes in what is new of the run.
    fn look(&mut self, world: &World) {
        let phase = self.trial.status(world, "phase");
        if self.record.phases.last().is_none_or(|(_, last, _)| *last != phase) {
            let at = world.clock.now().saturating_sub(self.begun);
            self.record.phases.push((at, phase, self.trial.status(world, "message")));
        }
        let Some(name) = self.name(world) else { return };
        let Some(found) = world.server.get(RUN, &self.trial.namespace, &name) else { return };
        if self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &found)) {
            return;
        }
        let Ok(run) = serde_json::from_value::<RolloutRun>(Value::clone(&found)) else { return };
        let at = world.clock.now().saturating_sub(self.begun);
        self.record.states.push((at, run.status.unwrap_or_default()));
        self.record.plan = Some(run.spec);
        self.seen = Some(found);
    }

    /// The run that the release has begun.
    fn name(&self, world: &World) -> Option<String> {
        let runs = world.server.list(RUN, &self.trial.namespace, "");
        let adopted = |run: &&Arc<Value>| text(run, "/status/outcome") == Some("Adopted");
        let ours = |run: &&Arc<Value>| text(run, "/spec/rollout") == Some(&self.trial.rollout) && !adopted(run);
        runs.iter().find(ours).and_then(|run| text(run, "/metadata/name")).map(str::to_owned)
    }

    fn status(&self) -> Option<&RolloutRunStatus> {
        self.record.states.last().map(|(_, status)| status)
    }

    /// The run has ended and the Rollout says so; or it waits for somebody who does not come.
    fn is_over(&self, world: &World, now: Millis) -> bool {
        if self.since.is_some_and(|since| now >= since + PATIENCE) {
            return true;
        }
        let ended = self.status().is_some_and(|status| status.phase == RunPhase::Ended);
        ended && ["Healthy", "Degraded"].contains(&self.trial.status(world, "phase").as_str())
    }

    /// Plans what has come due.
    fn plan(&mut self, world: &mut World, now: Millis) {
        let (due, waiting): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(when, _)| self.has_come(*when));
        self.waiting = waiting;
        for (when, deed) in due {
            let at = match when {
                When::After(delay) => self.begun + delay,
                When::AtStep(_, delay) => now + delay,
            };
            self.will(world, at, deed);
        }
        // A freeze ends by itself.
        let waits = self.trial.status(world, "phase") == "Paused" && !self.trial.is_frozen(world);
        self.since = waits.then(|| self.since.unwrap_or(now));
        if waits && self.trial.approves {
            self.approve(world, now);
        }
    }

    fn will(&mut self, world: &mut World, at: Millis, deed: Deed) {
        self.record.deeds.push((at - self.begun, deed.clone()));
        world.plan_deed(at, deed);
    }

    fn has_come(&self, when: When) -> bool {
        let (When::AtStep(step, _), Some(status)) = (when, self.status()) else {
            return matches!(when, When::After(_));
        };
        let weight = status.weight > Percent::ZERO && status.settled_at.is_some();
        status.phase != RunPhase::Stepping || status.step > step || (status.step == step && weight)
    }

    /// As many people as the step's gates ask for give their approval.
    fn approve(&mut self, world: &mut World, now: Millis) {
        let Some(status) = self.status() else { return };
        let step = status.step;
        let gates =
            self.record.plan.iter().filter_map(|spec| spec.plan.steps.get(step as usize)).flat_map(|it| &it.gates);
        let mut missing: Vec<_> = gates.map(|gate| (gate.name.clone(), gate.approvals)).collect();
        missing.retain(|(gate, _)| !self.asked.contains(&(step, gate.clone())));
        for (gate, approvals) in missing {
            self.since = None;
            self.asked.push((step, gate.clone()));
            for person in 1..=approvals {
                let (rollout, gate) = (self.trial.rollout.clone(), gate.clone());
                let deed = Deed::Approve { rollout, gate, person: format!("person-{person}") };
                self.will(world, now + APPROVAL, deed);
            }
        }
    }
}
