//! How slow and how faulty a simulated cluster is.

use super::{clock::Millis, leaders::Candidates, mishaps::Mishap};

/// A span that is drawn anew each time, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    pub least: Millis,
    pub most: Millis,
}

impl Delay {
    pub const fn of(least: Millis, most: Millis) -> Self {
        Self { least, most }
    }
}

/// Probabilities per request, of each kind of fault.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// 409: somebody has changed the object in between.
    pub conflict: f64,
    /// 429, 500, 503: nothing was done.
    pub refused: f64,
    /// 504 or a lost connection: it was done, and nobody heard of it.
    pub unheard: f64,
    /// A read that cannot be answered.
    pub unread: f64,
    /// The process is killed at a write: before it is sent, after it is stored, or after its answer.
    pub crash: f64,
    /// An event of a watch is lost.
    pub event_lost: f64,
    /// An event of a watch comes twice.
    pub event_twice: f64,
}

/// What a simulated cluster is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Habits {
    /// One way of a request to the API server.
    pub request: Delay,
    /// From a commit to a watcher's event.
    pub watch: Delay,
    /// From a commit to what the cluster's own controllers do about it.
    pub controllers: Delay,
    /// From a route's write to the Gateway's word on it.
    pub acceptance: Delay,
    /// From the Gateway's word to the data plane.
    pub data_plane: Delay,
    /// From an EndpointSlice to the data plane.
    pub endpoints: Delay,
    /// From a pod's deletion to its end.
    pub termination: Delay,
    /// A query of the metrics server.
    pub query: Delay,
    /// From a kill to the next start.
    pub restart: Delay,
    pub faults: Faults,
    /// A GitOps tool writes back what it owns this often; 0: never.
    pub gitops: Millis,
    pub candidates: Candidates,
    /// Something that goes wrong once, at its place.
    pub mishap: Option<Mishap>,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            request: Delay::of(1, 4),
            watch: Delay::of(5, 20),
            controllers: Delay::of(20, 80),
            acceptance: Delay::of(200, 600),
            data_plane: Delay::of(0, 300),
            endpoints: Delay::of(20, 300),
            termination: Delay::of(1_000, 5_000),
            query: Delay::of(2, 10),
            restart: Delay::of(1_000, 5_000),
            faults: Faults::default(),
            gitops: 0,
            candidates: Candidates::default(),
            mishap: None,
        }
    }
}
