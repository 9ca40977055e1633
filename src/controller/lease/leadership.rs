//! Whether this process may write, and in which epoch: asked before every write.
//!
//! It is told by the elector and never looks at the Lease itself.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, watch};

use crate::controller::Runtime;

/// The epoch of a process without an election.
const ONLY_EPOCH: i64 = 1;

pub struct Leadership {
    runtime: Arc<dyn Runtime>,
    state: Mutex<State>,
    leads: watch::Sender<bool>,
    contest: Notify,
}

struct State {
    standing: Standing,
    /// The epoch of a record that is newer than this leader: until its lease is confirmed in a newer one, it writes nothing.
    contested: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
enum Standing {
    /// There is no election: nobody else writes.
    Alone,
    StandBy,
    Leader {
        epoch: i64,
        until: Duration,
    },
    Over,
}

impl Leadership {
    /// Of the only process that there is.
    pub fn alone(runtime: Arc<dyn Runtime>) -> Self {
        Self::new(runtime, Standing::Alone)
    }

    /// Of a candidate.
    pub fn candidate(runtime: Arc<dyn Runtime>) -> Self {
        Self::new(runtime, Standing::StandBy)
    }

    fn new(runtime: Arc<dyn Runtime>, standing: Standing) -> Self {
        let leads = watch::Sender::new(matches!(standing, Standing::Alone));
        Self { runtime, state: Mutex::new(State { standing, contested: None }), leads, contest: Notify::new() }
    }

    /// Whether a write may be sent now.
    pub fn may_write(&self) -> bool {
        let state = self.lock();
        #[cfg(feature = "mutants")]
        if crate::controller::mutation::outlives_lease() {
            return !matches!(state.standing, Standing::StandBy);
        }
        match state.standing {
            Standing::Alone => true,
            Standing::Leader { until, .. } => state.contested.is_none() && self.runtime.elapsed() < until,
            Standing::StandBy | Standing::Over => false,
        }
    }

    pub fn is_alone(&self) -> bool {
        matches!(self.lock().standing, Standing::Alone)
    }

    /// The epoch that this process writes in; 0: in none.
    pub fn epoch(&self) -> i64 {
        match self.lock().standing {
            Standing::Alone => ONLY_EPOCH,
            Standing::Leader { epoch, .. } => epoch,
            Standing::StandBy | Standing::Over => 0,
        }
    }

    /// A record of a newer epoch was read: nothing is written until the elector has asked the Lease.
    pub fn contest(&self, epoch: i64) {
        let mut state = self.lock();
        state.contested = state.contested.max(Some(epoch));
        drop(state);
        self.contest.notify_one();
    }

    /// Done once this process leads.
    pub async fn begun(&self) {
        // The sender lives as long as self.
        let _ = self.leads.subscribe().wait_for(|leads| *leads).await;
    }

    /// No more writes.
    pub fn end(&self) {
        self.lock().standing = Standing::Over;
        self.leads.send_replace(false);
    }

    /// The lease is this process's until then.
    pub(in crate::controller) fn lead(&self, epoch: i64, until: Duration) {
        let mut state = self.lock();
        state.standing = Standing::Leader { epoch, until };
        state.contested = state.contested.filter(|contested| *contested > epoch);
        drop(state);
        self.leads.send_if_modified(|leads| !std::mem::replace(leads, true));
    }

    /// The epoch that somebody has met and this leader has not passed yet.
    pub(in crate::controller) fn contested(&self) -> Option<i64> {
        self.lock().contested
    }

    /// Done when an epoch is contested.
    pub(super) async fn is_contested(&self) {
        self.contest.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
