//! One simulation: a cluster, the controllers in it, and time.

use serde_json::Value;

use super::{
    agenda::Event,
    clock::{Clock, Executor, Millis, Process},
    fleet,
    habits::Habits,
    server::Writer,
    world::{Shared, World},
};
use crate::{
    controller::{ClusterError, Kind},
    workload::object,
};

/// Steps without time passing after which something is going round in circles.
const MOST_STEPS_AT_ONCE: u64 = 2_000_000;

/// A running simulation.
pub struct Simulation {
    pub clock: Clock,
    pub world: Shared,
    executor: Executor,
}

impl Simulation {
    /// An empty cluster without a controller.
    pub fn new(seed: u64, habits: Habits) -> Self {
        let clock = Clock::default();
        let world = Shared::new(World::new(clock.clone(), seed, habits));
        Self { executor: Executor::new(clock.clone()), clock, world }
    }

    /// Puts documents in as their owner's tool does, and traffic begins. Err: the API server's word on the first that it refuses.
    pub fn furnish(&mut self, documents: &[(Kind, Value)]) -> Result<(), ClusterError> {
        let mut world = self.world.lock();
        let writer = Writer::new("argocd-controller", &self.clock.text());
        for (kind, document) in documents {
            let patch = crate::controller::Patch::Apply { document: document.clone(), force: false };
            let (namespace, name) = (object::namespace(document).to_owned(), object::name(document).to_owned());
            world.server.patch(&writer, *kind, &namespace, &name, "", &patch)?;
            world.after_commits();
        }
        world.owned = documents.to_vec();
        world.plan(1_000, Event::Second);
        if world.habits.gitops > 0 {
            let delay = world.habits.gitops;
            world.plan(delay, Event::Sync);
        }
        Ok(())
    }

    pub fn start_controller(&mut self) -> Process {
        fleet::start(&self.world, &self.clock)
    }

    /// All that there are to be.
    pub fn start_controllers(&mut self) {
        let count = self.world.lock().habits.candidates.count;
        for _ in 0..count.max(1) {
            self.start_controller();
        }
    }

    /// Lets time pass until then, or until `done`.
    pub fn run_until(&mut self, end: Millis, mut done: impl FnMut(&World) -> bool) -> bool {
        loop {
            self.settle();
            if done(&self.world.lock()) {
                return true;
            }
            let (event, timer) = (self.world.lock().next_event(), self.executor.next_timer());
            let next = event.into_iter().chain(timer).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.executor.advance(end);
                return false;
            };
            self.executor.advance(next);
            while let Some(event) = self.happen() {
                match event {
                    Event::Start => drop(self.start_controller()),
                    Event::Pause { process } => self.executor.pause(process),
                    Event::Resume { process } => self.executor.resume(process),
                    _ => {}
                }
                self.bury();
            }
        }
    }

    fn happen(&self) -> Option<Event> {
        self.world.lock().happen()
    }

    /// Runs every task that can run now.
    fn settle(&mut self) {
        let mut steps = 0;
        while self.executor.step() {
            self.bury();
            steps += 1;
            assert!(steps < MOST_STEPS_AT_ONCE, "tasks go round in circles at {} ms", self.clock.now());
        }
    }

    /// Drops what a killed process was doing, and plans its next start.
    fn bury(&mut self) {
        let killed = std::mem::take(&mut self.world.lock().killed);
        for process in killed {
            self.executor.kill(process);
            let mut world = self.world.lock();
            if world.processes[process].take().is_some() {
                let delay = world.habits.restart;
                let delay = world.draw(delay);
                world.plan(delay, Event::Start);
            }
        }
    }
}
