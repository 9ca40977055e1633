//! Decisions told to receivers outside the cluster, over HTTP.
//!
//! # Flow
//! Each pass offers what the records, as the API server holds them, say above what was offered before. Each receiver has a
//! bounded queue and a task that sends, tries again a few times, and goes on. How far all of them are stands in the record,
//! as `notifiedSeq`, with the next write that there is a reason for.
//!
//! # Guarantees
//! Nothing is told before its record is committed. What a process has not finished before it ended, the next one sends
//! again, with the same id. No receiver delays a Rollout or another receiver.
//!
//! # Caveats
//! A receiver that is away for longer than the tries last misses decisions; a metric counts them, and the records have them.
//! A run that had ended some minutes before the controller started is not told again.

mod config;
mod delivery;
mod letter;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;

pub use config::{Address, Format, NotificationsError, Receiver, read as read_receivers};
#[cfg(test)]
pub use delivery::Letter;
pub use delivery::{Courier, Post};
pub use letter::Decided;

use super::{Documents, Key, Metrics, Moment, RUN, Runtime, seconds};
use crate::{
    api::{RolloutRunStatus, RunPhase},
    engine::{RunView, World},
    workload::object::text,
};
use delivery::{Parcel, deliver};

/// Decisions that wait for one receiver; what is above is offered again by a later pass.
const WAITING_LIMIT: usize = 256;
/// A run that ended this long ago was told by the process before: a restart must not tell every record anew.
const RECENT_SECONDS: i64 = 600;

/// How far each receiver is with one run: the last `seq` that was put into its queue, and the last that it is done with.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    offered: Vec<i64>,
    done: Vec<i64>,
}

type Progress = Arc<Mutex<HashMap<Key, BTreeMap<String, Sent>>>>;

/// All receivers; none is a possible number.
pub struct Notifications {
    queues: Vec<(Receiver, mpsc::Sender<Parcel>)>,
    progress: Progress,
    metrics: Arc<Metrics>,
}

impl Notifications {
    /// Those of the administrator's file, sent over HTTP.
    pub fn read(path: &Path, runtime: &Arc<dyn Runtime>, metrics: &Arc<Metrics>) -> Result<Self, NotificationsError> {
        let receivers = config::read(path)?;
        Ok(Self::start(receivers, &(Arc::new(Courier::new()?) as Arc<dyn Post>), runtime, metrics))
    }

    /// Begins a task for each receiver.
    pub fn start(
        receivers: Vec<Receiver>,
        post: &Arc<dyn Post>,
        runtime: &Arc<dyn Runtime>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let progress = Progress::default();
        let mut queues = Vec::new();
        for (place, receiver) in receivers.into_iter().enumerate() {
            metrics.receiver(&receiver.name);
            let (sender, waiting) = mpsc::channel(WAITING_LIMIT);
            let known = progress.clone();
            let done = move |parcel: &Parcel| finished(&known, place, parcel);
            let (to, post, clock) = (receiver.clone(), post.clone(), runtime.clone());
            runtime.spawn(Box::pin(deliver(to, waiting, post, clock, metrics.clone(), done)));
            queues.push((receiver, sender));
        }
        Self { queues, progress, metrics: metrics.clone() }
    }

    /// Offers what is new in the records of one look, and puts into them how far all receivers are.
    pub fn follow(&self, key: &Key, world: &mut World, documents: &Documents, now: &Moment) {
        if self.queues.is_empty() {
            return;
        }
        let mut progress = self.lock();
        let of_rollout = progress.entry(key.clone()).or_default();
        let mut seen = Vec::new();
        for run in &mut world.runs {
            let Some(uid) = documents.get(RUN, &run.name).and_then(|run| text(run, "/metadata/uid")) else { continue };
            let Some(status) = &run.status else { continue };
            let first = if ended_long_ago(status, now) { status.seq } else { status.notified_seq };
            let fresh = || Sent { offered: vec![first; self.queues.len()], done: vec![first; self.queues.len()] };
            let sent = of_rollout.entry(uid.to_owned()).or_insert_with(fresh);
            self.offer(key, uid, run, sent);
            let done = sent.done.iter().copied().min().unwrap_or(0);
            if let Some(status) = &mut run.status {
                status.notified_seq = status.notified_seq.max(done);
            }
            seen.push(uid.to_owned());
        }
        of_rollout.retain(|uid, _| seen.contains(uid));
    }

    fn offer(&self, key: &Key, uid: &str, run: &RunView, sent: &mut Sent) {
        let Some(status) = &run.status else { return };
        for ((receiver, queue), offered) in self.queues.iter().zip(&mut sent.offered) {
            let before = *offered;
            for entry in status.decisions.entries.iter().filter(|entry| entry.seq > before) {
                let decided = Decided::new(&key.namespace, uid, run, entry);
                if queue.try_send(Parcel { key: key.clone(), decided }).is_err() {
                    break;
                }
                // The record gave way to newer ones while the queue was full.
                for _ in *offered + 1..entry.seq {
                    self.metrics.notification(&receiver.name, "lost");
                }
                *offered = entry.seq;
            }
        }
    }

    /// The Rollout is gone.
    pub fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, BTreeMap<String, Sent>>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended_long_ago(status: &RolloutRunStatus, now: &Moment) -> bool {
    let ended = status.since.as_deref().filter(|_| status.phase == RunPhase::Ended).and_then(seconds);
    ended.zip(seconds(&now.text)).is_some_and(|(ended, now)| now - ended > RECENT_SECONDS)
}

/// A receiver has the decision, or has missed it for good.
fn finished(progress: &Progress, place: usize, parcel: &Parcel) {
    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
    let run = progress.get_mut(&parcel.key).and_then(|runs| runs.get_mut(&parcel.decided.run_uid));
    if let Some(done) = run.and_then(|sent| sent.done.get_mut(place)) {
        *done = parcel.decided.entry.seq.max(*done);
    }
}
