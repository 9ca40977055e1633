//! What is going to happen in the simulated cluster, and when.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    clock::{Millis, Process},
    people::Deed,
};
use crate::controller::Kind;

/// One thing that happens at its time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// The Deployment controller looks at a Deployment.
    Deployment {
        namespace: String,
        name: String,
    },
    /// A pod gets ready.
    PodReady {
        namespace: String,
        pod: String,
    },
    /// A deleted pod is gone.
    PodGone {
        namespace: String,
        pod: String,
    },
    /// The EndpointSlices of a namespace are made anew.
    Endpoints {
        namespace: String,
    },
    /// The data plane learns of a namespace's endpoints.
    EndpointsApplied {
        namespace: String,
    },
    /// The Gateway looks at a route.
    RouteSeen {
        kind: Kind,
        namespace: String,
        name: String,
    },
    /// The data plane works by the route as the Gateway has seen it last.
    RouteApplied {
        kind: Kind,
        namespace: String,
        name: String,
    },
    /// A watcher hears of a commit.
    Heard {
        process: Process,
        commit: usize,
    },
    /// A second of traffic, and the scrapes that fall into it.
    Second,
    /// The garbage collector sweeps.
    Garbage,
    /// A GitOps tool writes back what it owns.
    Sync,
    /// Autoscalers look.
    Autoscale,
    /// A controller process starts.
    Start,
    /// A controller process is stopped, and goes on.
    Pause {
        process: Process,
    },
    Resume {
        process: Process,
    },
    Person {
        deed: Deed,
    },
}

/// Events by time; those of one moment in the order in which they were planned.
#[derive(Debug, Default)]
pub struct Agenda {
    events: BTreeMap<(Millis, u64), Event>,
    /// Events that are planned once however often they are asked for.
    waiting: BTreeSet<Event>,
    planned: u64,
}

impl Agenda {
    pub fn plan(&mut self, at: Millis, event: Event) {
        self.planned += 1;
        self.events.insert((at, self.planned), event);
    }

    /// Plans it, unless it is planned already.
    pub fn plan_once(&mut self, at: Millis, event: Event) {
        if self.waiting.insert(event.clone()) {
            self.plan(at, event);
        }
    }

    pub fn next(&self) -> Option<Millis> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    /// The next event that is due.
    pub fn take(&mut self, now: Millis) -> Option<Event> {
        if self.next()? > now {
            return None;
        }
        let (_, event) = self.events.pop_first()?;
        self.waiting.remove(&event);
        Some(event)
    }
}
