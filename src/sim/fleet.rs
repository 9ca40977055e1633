//! The controller's processes: the real queue, passes and evidence workers, on a simulated line.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;
use tokio::sync::Notify;

use super::{
    agenda::Event,
    clock::{Clock, Process, ProcessRuntime},
    leaders::identity,
    link::Link,
    mishaps::EventFate,
    prometheus::Servers,
    server::Commit,
    world::{Shared, World},
};
use crate::{
    api::ROLLOUT_LABEL,
    controller::{
        ACTION, DEBOUNCE, EVENT, Elector, Evaluators, Events, Index, Key, Kind, LEASE, Leadership, Lost, Metrics,
        Queue, ROLLOUT, RUN, Runtime, SERVICE_NAME_LABEL, Shell, on_duty, work,
    },
    workload::object::{self, text},
};

/// Passes at once in one simulated process.
const WORKERS: usize = 2;

/// What a process that is up hears from outside.
#[derive(Clone)]
pub struct Ears {
    index: Arc<Index>,
    queue: Arc<Queue>,
    /// SIGTERM.
    stop: Arc<Notify>,
}

/// Starts a process, as after a restart: it lists everything first.
pub fn start(world: &Shared, clock: &Clock) -> Process {
    let (process, elects, offset, rate) = {
        let mut world = world.lock();
        world.processes.push(None);
        let (offset, rate) = world.skew();
        (world.processes.len() - 1, world.habits.candidates.count > 0, offset, rate)
    };
    let begun = clock.now();
    let runtime: Arc<dyn Runtime> = Arc::new(ProcessRuntime { clock: clock.clone(), process, begun, offset, rate });
    let link = Arc::new(Link { world: world.clone(), clock: clock.clone(), process });
    let queue = Arc::new(Queue::new(runtime.clone()));
    let metrics = Arc::new(Metrics::default());
    let (events, outbox) = Events::new(metrics.clone());
    let providers = Arc::new(Servers { world: world.clone(), clock: clock.clone() });
    let evaluators = Evaluators::new(queue.clone(), runtime.clone(), providers);
    #[cfg(feature = "mutants")]
    let link = Arc::new(super::mutants::Line::new(link));
    let stands: fn(Arc<dyn Runtime>) -> Leadership = if elects { Leadership::candidate } else { Leadership::alone };
    let leadership = Arc::new(stands(runtime.clone()));
    let shell = Shell::new(link.clone(), metrics.clone(), events, evaluators, runtime.clone(), leadership.clone());
    let shell = Arc::new(shell);
    let stop = Arc::new(Notify::new());
    if elects {
        world.lock().leaders.started(process, rate);
        let place = world.lock().lease();
        let elector = Elector::new(link, place, identity(process), runtime.clone(), leadership, metrics);
        runtime.spawn(Box::pin(in_turn(world.clone(), process, elector, shell.clone(), queue.clone(), stop.clone())));
    } else {
        for _ in 0..WORKERS {
            runtime.spawn(Box::pin(work(shell.clone(), queue.clone())));
        }
    }
    runtime.spawn(Box::pin(outbox.send(shell.cluster.clone())));
    let ears = Ears { index: Arc::new(Index::default()), queue, stop };
    let mut world = world.lock();
    for rollout in world.server.list(ROLLOUT, "", "") {
        ears.hear(ROLLOUT, &rollout, Some(&rollout));
    }
    world.processes[process] = Some(ears);
    process
}

/// A candidate's life. Its end is the process's, and another is started in its place.
async fn in_turn(
    world: Shared,
    process: Process,
    elector: Elector,
    shell: Arc<Shell>,
    queue: Arc<Queue>,
    stop: Arc<Notify>,
) {
    let ending = on_duty(Some(elector), shell, queue, WORKERS, stop.notified()).await;
    let mut world = world.lock();
    world.note(match ending {
        Ok(()) => "a process ends in order".to_owned(),
        Err(Lost::Deadline { .. }) => "a leader ends at its renew deadline".to_owned(),
        Err(Lost::Taken { .. } | Lost::Led { .. }) => "a leader ends because another leads".to_owned(),
    });
    world.killed.push(process);
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
            (EVENT | LEASE, _) | (RUN, Some(_)) => BTreeSet::new(),
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
    pub(super) fn terminate_process(&self, process: Process) {
        if let Some(ears) = &self.processes[process] {
            ears.stop.notify_one();
        }
    }

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
