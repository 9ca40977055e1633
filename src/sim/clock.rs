//! One clock and all tasks of a simulation, on one thread: nothing in it waits for real time, and the same tasks run in the same
//! order each time.
//!
//! # Flow
//! Tasks that are ready run until none is; then the clock is set to the next timer, or to the next event of the world if that is
//! earlier. A task belongs to a process, and goes with it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::controller::Runtime;

/// Milliseconds since the simulation began.
pub type Millis = u64;
/// Which controller process; each start is another one.
pub type Process = usize;

/// When a simulation begins, in seconds since the epoch: a fixed date, 2026-01-01T00:00:00Z.
pub const EPOCH_SECONDS: i64 = 1_767_225_600;

#[derive(Default)]
struct State {
    now: Millis,
    timers: BinaryHeap<Reverse<Timer>>,
    timers_set: u64,
    /// Spawned and not yet taken over by the executor.
    spawned: Vec<(Process, BoxFuture<'static, ()>)>,
}

/// Ordered by time, then by when it was set.
struct Timer {
    at: Millis,
    number: u64,
    waker: Waker,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// The simulated time.
#[derive(Clone, Default)]
pub struct Clock {
    state: Arc<Mutex<State>>,
}

impl Clock {
    pub fn now(&self) -> Millis {
        self.lock().now
    }

    /// The simulated wall clock, in seconds since the epoch.
    pub fn seconds(&self) -> i64 {
        EPOCH_SECONDS + i64::try_from(self.now() / 1_000).unwrap_or(0)
    }

    /// RFC 3339, whole seconds.
    pub fn text(&self) -> String {
        Timestamp::from_second(self.seconds()).unwrap_or_default().to_string()
    }

    pub fn sleep(&self, millis: Millis) -> Sleep {
        Sleep { clock: self.clone(), at: self.now().saturating_add(millis), waker: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ready when the clock has reached its time.
pub struct Sleep {
    clock: Clock,
    at: Millis,
    waker: Option<Waker>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut state = clock.lock();
        if state.now >= self.at {
            return Poll::Ready(());
        }
        if self.waker.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
            self.waker = Some(context.waker().clone());
            state.timers_set += 1;
            let timer = Timer { at: self.at, number: state.timers_set, waker: context.waker().clone() };
            state.timers.push(Reverse(timer));
        }
        Poll::Pending
    }
}

/// The time and the tasks of one process. Its own monotonic time begins with it.
pub struct ProcessRuntime {
    pub clock: Clock,
    pub process: Process,
    pub begun: Millis,
    /// Milliseconds that its wall clock is ahead.
    pub offset: i64,
    /// Speed of its monotonic clock, per mille of true time.
    pub rate: u64,
}

impl Runtime for ProcessRuntime {
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.clock.now().saturating_sub(self.begun) * self.rate / 1_000)
    }

    fn now(&self) -> Timestamp {
        let millis = EPOCH_SECONDS * 1_000 + i64::try_from(self.clock.now()).unwrap_or(0) + self.offset;
        Timestamp::from_millisecond(millis).unwrap_or_default()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let millis = u64::try_from(time.as_millis()).unwrap_or(Millis::MAX);
        Box::pin(self.clock.sleep(millis.saturating_mul(1_000).div_ceil(self.rate)))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.clock.lock().spawned.push((self.process, task));
    }
}

type Ready = Arc<Mutex<VecDeque<usize>>>;

struct TaskWaker {
    id: usize,
    ready: Ready,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if !ready.contains(&self.id) {
            ready.push_back(self.id);
        }
    }
}

struct Task {
    process: Process,
    future: BoxFuture<'static, ()>,
    waker: Waker,
}

/// Runs the tasks.
pub struct Executor {
    clock: Clock,
    tasks: Vec<Option<Task>>,
    ready: Ready,
    /// Processes that are stopped, and their tasks that would run.
    paused: BTreeMap<Process, Vec<usize>>,
}

impl Executor {
    pub fn new(clock: Clock) -> Self {
        Self { clock, tasks: Vec::new(), ready: Ready::default(), paused: BTreeMap::new() }
    }

    /// Nothing of the process runs until it is resumed.
    pub fn pause(&mut self, process: Process) {
        self.paused.entry(process).or_default();
    }

    pub fn resume(&mut self, process: Process) {
        let waiting = self.paused.remove(&process).unwrap_or_default();
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).extend(waiting);
    }

    /// Runs one task that is ready; false: none is.
    pub fn step(&mut self) -> bool {
        self.adopt();
        let next = self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(id) = next else { return false };
        if let Some(task) = &mut self.tasks[id] {
            if let Some(waiting) = self.paused.get_mut(&task.process) {
                waiting.push(id);
                return true;
            }
            let waker = task.waker.clone();
            if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                self.tasks[id] = None;
            }
        }
        true
    }

    /// When the next timer goes off.
    pub fn next_timer(&self) -> Option<Millis> {
        self.clock.lock().timers.peek().map(|Reverse(timer)| timer.at)
    }

    /// Sets the clock, and wakes whoever waited for this.
    pub fn advance(&self, to: Millis) {
        let mut due = Vec::new();
        let mut state = self.clock.lock();
        state.now = state.now.max(to);
        while state.timers.peek().is_some_and(|Reverse(timer)| timer.at <= state.now) {
            due.extend(state.timers.pop());
        }
        drop(state);
        for Reverse(timer) in due {
            timer.waker.wake();
        }
    }

    /// The process is killed: its tasks are dropped where they stand.
    pub fn kill(&mut self, process: Process) {
        self.adopt();
        self.paused.remove(&process);
        for slot in &mut self.tasks {
            if slot.as_ref().is_some_and(|task| task.process == process) {
                *slot = None;
            }
        }
    }

    fn adopt(&mut self) {
        let spawned = std::mem::take(&mut self.clock.lock().spawned);
        for (process, future) in spawned {
            let id = self.tasks.iter().position(Option::is_none).unwrap_or(self.tasks.len());
            let waker = Waker::from(Arc::new(TaskWaker { id, ready: self.ready.clone() }));
            waker.wake_by_ref();
            let task = Some(Task { process, future, waker });
            if id == self.tasks.len() {
                self.tasks.push(task);
            } else {
                self.tasks[id] = task;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime(clock: &Clock, process: Process) -> ProcessRuntime {
        ProcessRuntime { clock: clock.clone(), process, begun: 0, offset: 0, rate: 1_000 }
    }

    /// Runs until nothing is left to wait for.
    fn run(executor: &mut Executor) {
        loop {
            while executor.step() {}
            let Some(at) = executor.next_timer() else { return };
            executor.advance(at);
        }
    }

    #[test]
    fn tasks_run_in_the_order_of_their_timers_and_no_time_passes_for_them() {
        let (clock, said) = (Clock::default(), Arc::new(Mutex::new(Vec::new())));
        let mut executor = Executor::new(clock.clone());
        for (name, millis) in [("late", 3_600_000), ("early", 5), ("same", 5)] {
            let (clock, said) = (clock.clone(), said.clone());
            let runtime = runtime(&clock, 0);
            let task = async move {
                clock.sleep(millis).await;
                said.lock().unwrap().push((name, clock.now()));
            };
            runtime.spawn(Box::pin(task));
        }
        run(&mut executor);
        assert_eq!(*said.lock().unwrap(), [("early", 5), ("same", 5), ("late", 3_600_000)]);
        assert_eq!(clock.text(), "2026-01-01T01:00:00Z");
    }

    #[test]
    fn a_killed_process_takes_its_tasks_along() {
        let (clock, said) = (Clock::default(), Arc::new(Mutex::new(Vec::new())));
        let mut executor = Executor::new(clock.clone());
        for process in [0, 1] {
            let (clock, said) = (clock.clone(), said.clone());
            let runtime = runtime(&clock, process);
            let task = async move {
                clock.sleep(10).await;
                said.lock().unwrap().push(process);
            };
            runtime.spawn(Box::pin(task));
        }
        assert!(executor.step());
        executor.kill(0);
        run(&mut executor);
        assert_eq!(*said.lock().unwrap(), [1]);
    }
    #[test]
    fn a_paused_process_goes_on_where_it_stood_and_a_skewed_clock_goes_at_its_own_speed() {
        let (clock, said) = (Clock::default(), Arc::new(Mutex::new(Vec::new())));
        let mut executor = Executor::new(clock.clone());
        for (process, rate) in [(0, 1_000), (1, 2_000)] {
            let runtime = ProcessRuntime { clock: clock.clone(), process, begun: 0, offset: 3_600_000, rate };
            let (sleep, said, clock) = (runtime.sleep(Duration::from_secs(10)), said.clone(), clock.clone());
            assert_eq!(runtime.now().to_string(), "2026-01-01T01:00:00Z");
            runtime.spawn(Box::pin(async move {
                sleep.await;
                said.lock().unwrap().push((process, clock.now()));
            }));
        }
        assert!(executor.step());
        executor.pause(0);
        run(&mut executor);
        executor.advance(60_000);
        executor.resume(0);
        run(&mut executor);
        assert_eq!(*said.lock().unwrap(), [(1, 5_000), (0, 60_000)]);
    }
}
