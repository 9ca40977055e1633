//! The controller's processes: the real queue, passes and evidence workers, on a simulated line.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    agenda::Event,
    clock::{Clock, Process, ProcessRuntime},
    link::Link,
    mishaps::EventFate,
    prometheus::Servers,
    server::Commit,
    world::{Shared, World},
};
use crate::{
    api::ROLLOUT_LABEL,
    controller::{
        ACTION, DEBOUNCE, EVENT, Evaluators, Events, Index, Key, Kind, Metrics, Queue, ROLLOUT, RUN, Runtime,
        SERVICE_NAME_LABEL, Shell, work,
    },
    workload::object::{self, text},
};

/// Passes at once in one simulated process.
const WORKERS: usize = 2;

/// What a watch tells a process that is up.
#[derive(Clone)]
pub struct Ears {
    index: Arc<Index>,
    queue: Arc<Queue>,
}

/// Starts a process, as after a restart: it lists everything first.
pub fn start(world: &Shared, clock: &Clock) -> Process {
    let process = {
        let mut world = world.lock();
        world.processes.push(None);
        world.processes.len() - 1
    };
    let runtime: Arc<dyn Runtime> = Arc::new(ProcessRuntime { clock: clock.clone(), process, begun: clock.now() });
    let link = Arc::new(Link { world: world.clone(), clock: clock.clone(), process });
    let queue = Arc::new(Queue::new(runtime.clone()));
    let metrics = Arc::new(Metrics::default());
    let (events, outbox) = Events::new(metrics.clone());
    let providers = Arc::new(Servers { world: world.clone(), clock: clock.clone() });
    let evaluators = Evaluators::new(queue.clone(), runtime.clone(), providers);
    #[cfg(feature = "mutants")]
    let link = Arc::new(super::mutants::Line::new(link));
    let shell = Arc::new(Shell::new(link.clone(), metrics, events, evaluators, runtime.clone()));
    for _ in 0..WORKERS {
        runtime.spawn(Box::pin(work(shell.clone(), queue.clone())));
    }
    runtime.spawn(Box::pin(outbox.send(link)));
    let ears = Ears { index: Arc::new(Index::default()), queue };
    let mut world = world.lock();
    for rollout in world.server.list(ROLLOUT, "", "") {
        ears.hear(ROLLOUT, &rollout, Some(&rollout));
    }
    world.processes[process] = Some(ears);
    process
}

impl Ears {
    /// One event of a watch, as the controller's triggers take it.
    fn hear(&self, kind: Kind, document: &Value, after: Option<&Value>) {
        let key = Key::new(object::namespace(document), object::name(document));
        let affected = match (kind, after) {
            (ROLLOUT, Some(after)) => self.index.update(&key, after),
            (ROLLOUT, None) => self.index.remove(&key),
            (kind, _) => self.affected(kind, document, after),
        };
        for key in affected {
            self.queue.add(key, DEBOUNCE);
        }
    }

    /// The Rollouts that an event of another kind wakes.
    fn affected(&self, kind: Kind, document: &Value, after: Option<&Value>) -> BTreeSet<Key> {
        let (namespace, name) = (object::namespace(document), object::name(document));
        match (kind, after) {
            (EVENT, _) | (RUN, Some(_)) => BTreeSet::new(),
            (ACTION, Some(after)) if text(after, "/status/outcome").is_none() => {
                text(after, "/spec/rollout").map(|rollout| Key::new(namespace, rollout)).into_iter().collect()
            }
            (ACTION, _) => BTreeSet::new(),
            (kind, _) => self.index.affected(kind, namespace, name, &labels(document)),
        }
    }

    /// A commit is news to the process. Of a Rollout its own status is not.
    fn is_woken_by(&self, commit: &Commit) -> bool {
        let (before, after) = (commit.before.as_deref(), commit.after.as_deref());
        let Some(document) = after.or(before) else { return false };
        if commit.kind == ROLLOUT {
            return commit.subresource != "status" || after.is_none();
        }
        !self.affected(commit.kind, document, after).is_empty()
    }
}

fn labels(document: &Value) -> BTreeMap<String, String> {
    let keys = [ROLLOUT_LABEL, SERVICE_NAME_LABEL];
    let pairs = keys.into_iter().filter_map(|key| Some((key.to_owned(), object::label(document, key)?.to_owned())));
    pairs.collect()
}

impl World {
    /// Plans who hears of a commit, and when.
    pub(super) fn announce(&mut self, commit: usize) {
        let faults = self.habits.faults;
        for process in 0..self.processes.len() {
            if self.processes[process].is_none() || self.chance.happens(faults.event_lost) {
                continue;
            }
            let mut times = if self.chance.happens(faults.event_twice) { 2 } else { 1 };
            let mut late = 0;
            match self.fate_of(process, commit) {
                Some(EventFate::Hidden) => continue,
                Some(EventFate::Twice) => times = 2,
                Some(EventFate::Late(millis)) => late = millis,
                None => {}
            }
            for _ in 0..times {
                let delay = self.draw(self.habits.watch) + late;
                self.plan(delay, Event::Heard { process, commit });
            }
        }
    }

    /// What becomes of an event that wakes a process; None: what becomes of others.
    fn fate_of(&mut self, process: Process, commit: usize) -> Option<EventFate> {
        let (ears, commit) = (self.processes[process].as_ref()?, self.commit(commit)?);
        if ears.is_woken_by(&commit) { self.fate_of_event() } else { None }
    }

    pub(super) fn heard(&mut self, process: Process, commit: usize) {
        let Some(ears) = self.processes[process].clone() else { return };
        let Some(commit) = self.commit(commit) else { return };
        let after = commit.after.as_deref();
        if let Some(document) = after.or(commit.before.as_deref()) {
            ears.hear(commit.kind, document, after);
        }
    }
}
