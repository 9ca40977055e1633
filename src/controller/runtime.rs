//! Time and tasks as the shell knows them: the machine's in the controller, one clock and one seed in the simulator.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use jiff::Timestamp;

/// What a process has of time and of tasks. Everything that is compared uses `elapsed`; records use `now`.
pub trait Runtime: Send + Sync {
    /// Monotonic time since the process began.
    fn elapsed(&self) -> Duration;
    /// The wall clock.
    fn now(&self) -> Timestamp;
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;
    /// Runs beside everything else until it ends, or until the process does.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// `elapsed` in whole milliseconds.
    fn millis(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The machine's clocks, and tasks of tokio's.
#[derive(Clone, Debug)]
pub struct Machine {
    start: Instant,
}

impl Default for Machine {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Runtime for Machine {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}
