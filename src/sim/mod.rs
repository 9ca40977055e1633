//! The other side of the cluster seam: a deterministic cluster in memory, in which the real controller runs.
//!
//! One seed, one clock, one thread. Nothing here waits for real time or asks the outside.

mod admission;
mod agenda;
mod aimed;
mod autoscaler;
pub mod chance;
mod clock;
mod demand;
mod draw;
mod fleet;
mod gateway;
mod habits;
mod leaders;
mod link;
mod mishaps;
#[cfg(feature = "mutants")]
pub mod mutants;
mod oracle;
mod people;
mod prometheus;
pub mod scenario;
pub mod schedule;
pub mod server;
mod simulation;
mod situations;
pub mod story;
mod succession;
mod tidings;
mod timeline;
mod traffic;
pub mod trial;
mod workloads;
mod world;

pub use clock::{EPOCH_SECONDS, Millis, Process};
pub use habits::{Delay, Faults, Habits};
pub use leaders::{Candidates, LeaderDeed};
pub use link::{Crash, Moment};
pub use mishaps::{EventFate, Mishap};
pub use oracle::{Change, Offence, Oracle};
pub use people::Deed;
pub use simulation::Simulation;
pub use tidings::{Decided, Recorded, Telling, Tidings};
pub use timeline::{Line, Timeline};
pub use traffic::Entry;
pub use workloads::Behaviour;
pub use world::World;
