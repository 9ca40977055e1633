//! The queue of Rollouts to look at: each at most once, each at its time, never two passes over one Rollout at once.
//!
//! It holds no more than one entry per Rollout, so that a storm of events costs nothing but the first. It knows nothing
//! about what a pass does.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use super::{Key, Runtime};

/// Time after an event before the pass begins: a rollout of pods or a relist is then one pass and not fifty.
pub const DEBOUNCE: Duration = Duration::from_millis(50);

pub struct Queue {
    runtime: Arc<dyn Runtime>,
    schedule: Mutex<Schedule>,
    changed: Notify,
}

impl Queue {
    pub fn new(runtime: Arc<dyn Runtime>) -> Self {
        Self { runtime, schedule: Mutex::default(), changed: Notify::new() }
    }

    /// Looks at the Rollout after this time, or earlier if that was asked for before.
    pub fn add(&self, key: Key, after: Duration) {
        self.lock().add(key, self.runtime.elapsed() + after);
        self.changed.notify_waiters();
    }

    /// The next Rollout whose time has come; None when the queue is closed. The caller owes a `done`.
    pub async fn next(&self) -> Option<Key> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that a change between the look and the wait is not lost.
            changed.as_mut().enable();
            let now = self.runtime.elapsed();
            let next = self.lock().take(now);
            match next {
                Next::Now(key) => return Some(key),
                Next::Closed => return None,
                Next::At(at) => {
                    tokio::select! { () = changed => {}, () = self.runtime.sleep(at.saturating_sub(now)) => {} }
                }
                Next::Nothing => changed.await,
            }
        }
    }

    /// The pass over this Rollout is over.
    pub fn done(&self, key: &Key) {
        self.lock().running.remove(key);
        self.changed.notify_waiters();
    }

    /// Waits until no pass is under way.
    pub async fn drained(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.lock().running.is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// Hands out nothing more.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Schedule {
    due: BTreeSet<(Duration, Key)>,
    at: HashMap<Key, Duration>,
    running: HashSet<Key>,
    closed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Now(Key),
    At(Duration),
    Nothing,
    Closed,
}

impl Schedule {
    fn add(&mut self, key: Key, at: Duration) {
        if let Some(present) = self.at.get(&key).copied() {
            if present <= at {
                return;
            }
            self.due.remove(&(present, key.clone()));
        }
        self.at.insert(key.clone(), at);
        self.due.insert((at, key));
    }

    fn take(&mut self, now: Duration) -> Next {
        if self.closed {
            return Next::Closed;
        }
        let Some((at, key)) = self.due.iter().find(|(_, key)| !self.running.contains(key)).cloned() else {
            return Next::Nothing;
        };
        if at > now {
            return Next::At(at);
        }
        self.at.remove(&key);
        self.running.insert(key.clone());
        self.due.remove(&(at, key.clone()));
        Next::Now(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new("shop", name)
    }

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_earlier_of_two_wishes_counts() {
        let (mut schedule, begin) = (Schedule::default(), seconds(100));
        for after in [5, 1, 9] {
            schedule.add(key("a"), begin + seconds(after));
        }
        assert_eq!(schedule.take(begin), Next::At(begin + seconds(1)));
        assert_eq!(schedule.take(begin + seconds(1)), Next::Now(key("a")));
        assert_eq!(schedule.take(begin + seconds(60)), Next::Nothing);
    }

    #[test]
    fn a_rollout_is_never_looked_at_twice_at_once() {
        let (mut schedule, begin) = (Schedule::default(), seconds(100));
        schedule.add(key("a"), begin);
        assert_eq!(schedule.take(begin), Next::Now(key("a")));
        schedule.add(key("a"), begin);
        schedule.add(key("b"), begin + seconds(1));
        assert_eq!(schedule.take(begin + seconds(1)), Next::Now(key("b")));
        assert_eq!(schedule.take(begin + seconds(1)), Next::Nothing);
        schedule.running.remove(&key("a"));
        assert_eq!(schedule.take(begin + seconds(1)), Next::Now(key("a")));
    }

    #[test]
    fn a_closed_queue_hands_out_nothing() {
        let (mut schedule, begin) = (Schedule::default(), seconds(100));
        schedule.add(key("a"), begin);
        schedule.closed = true;
        assert_eq!(schedule.take(begin), Next::Closed);
    }
}
