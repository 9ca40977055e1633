//! Leader election by a Lease: one process writes, others stand by with warm watches.
//!
//! # Flow
//! A candidate looks at the Lease every second. It takes one that is nobody's, or that it has seen unchanged for the whole
//! duration, by a write on the version that it read. The leader renews every two seconds; at the renew deadline it stops
//! writing and its process ends. On a shutdown the lease is given back after the last write, and the next candidate has it
//! a second later.
//!
//! # Guarantees
//! Of candidates that write on one version one succeeds, the others get a 409. Wall clocks are never compared. Each term has
//! a higher epoch than all before it, also after the Lease was deleted: an epoch that is met in a record and is not lower than
//! one's own is passed by the next renewal, or, if the Lease is another's, ends this process.
//!
//! # Caveats
//! An election alone does not keep two processes from writing at once: a process may be stopped between its last look at the
//! clock and its write. What it wrote then fails, because the next leader has raised the epoch in the run's record and in the
//! marks on routes and Services before it acted (engine/seal.rs). The clock of a suspended machine stands still.

mod election;
mod fence;
mod leadership;
mod lookout;
mod place;
mod record;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::{Either, select};
use serde_json::{Value, json};

pub use fence::Fenced;
pub use leadership::Leadership;
pub use lookout::Lookout;
pub use place::{Place, identity};

use super::{Cluster, ClusterError, LEASE, Metrics, Patch, Runtime, WriteSite};
use crate::workload::{
    object::text,
    patch::{add, versioned},
};
use election::{Election, RENEW_DEADLINE, Step};
use record::Record;

/// Limit for one request about the Lease: three fit between a renewal and the deadline.
pub const LEASE_REQUEST_LIMIT: Duration = Duration::from_secs(3);
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// How often a candidate looks, and a leader tries again: a lease that was given back is seen at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a process works no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    #[error("failed to renew the lease {place} for {} s: another process may lead now", RENEW_DEADLINE.as_secs())]
    Deadline { place: Place },
    #[error("failed to keep the lease {place}: {holder} has it")]
    Taken { place: Place, holder: String },
    #[error("failed to work without an election: {holder} leads by the lease {place}")]
    Led { place: Place, holder: String },
}

/// Campaigns for one process.
pub struct Elector {
    cluster: Arc<dyn Cluster>,
    place: Place,
    runtime: Arc<dyn Runtime>,
    leadership: Arc<Leadership>,
    metrics: Arc<Metrics>,
    election: Mutex<Election>,
}

/// Why one round did not end well.
enum Trouble {
    Request(ClusterError),
    Taken(String),
}

impl Elector {
    /// `cluster` does not retry, and has the limit of [`LEASE_REQUEST_LIMIT`].
    pub fn new(
        cluster: Arc<dyn Cluster>,
        place: Place,
        identity: String,
        runtime: Arc<dyn Runtime>,
        leadership: Arc<Leadership>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let election = Mutex::new(Election::new(identity));
        Self { cluster, place, runtime, leadership, metrics, election }
    }

    /// Campaigns, then renews. Ends when this process led and does not any more.
    pub async fn run(&self) -> Lost {
        let mut said = String::new();
        loop {
            if let Some(epoch) = self.leadership.contested() {
                self.election().knows(epoch);
            }
            let pause = match self.before_deadline(self.round()).await {
                None => return self.lost(Lost::Deadline { place: self.place.clone() }),
                Some(Err(Trouble::Taken(holder))) => {
                    return self.lost(Lost::Taken { place: self.place.clone(), holder });
                }
                Some(Err(Trouble::Request(error))) => {
                    self.say(&mut said, &error);
                    LOOK_EVERY
                }
                Some(Ok(())) => {
                    said.clear();
                    if self.election().term().is_some() { RENEW_EVERY } else { LOOK_EVERY }
                }
            };
            let contested = self.leadership.is_contested();
            tokio::pin!(contested);
            if self.before_deadline(select(contested, self.runtime.sleep(pause))).await.is_none() {
                return self.lost(Lost::Deadline { place: self.place.clone() });
            }
        }
    }

    /// Gives the lease back, if it is this process's. Nothing that it has sent may be under way any more.
    pub async fn release(&self) {
        self.leadership.end();
        self.metrics.leads(false);
        let released = async {
            let Some(found) = self.look().await? else { return Ok(()) };
            let step = self.election().release(found, &self.wall());
            match step {
                Some(step) => self.write(&step).await.map(drop),
                None => Ok(()),
            }
        };
        match released.await {
            Ok(()) => tracing::info!(lease = %self.place, "the lease is given back"),
            Err(error) => tracing::warn!(lease = %self.place, %error, "the lease was not given back; it expires"),
        }
    }

    /// The work, unless the renew deadline passes before it is done.
    async fn before_deadline<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let deadline = self.election().term().map(election::Term::deadline);
        let Some(deadline) = deadline else { return Some(work.await) };
        let left = deadline.checked_sub(self.runtime.elapsed())?;
        tokio::pin!(work);
        match select(work, self.runtime.sleep(left)).await {
            Either::Left((done, _)) => Some(done),
            Either::Right(_) => None,
        }
    }

    /// One renewal, or one look at the Lease and what follows from it.
    async fn round(&self) -> Result<(), Trouble> {
        let renewal = self.election().renewal(&self.wall());
        if let Some(step) = renewal
            && self.carry_out(&step).await.is_ok()
        {
            return Ok(());
        }
        let found = self.look().await.map_err(Trouble::Request)?;
        let step = self.election().see(self.runtime.elapsed(), found, &self.wall());
        match step {
            Step::StandBy => Ok(()),
            Step::Lost { holder } => Err(Trouble::Taken(holder)),
            Step::Create(_) | Step::Write { .. } => self.carry_out(&step).await.map_err(Trouble::Request),
        }
    }

    async fn look(&self) -> Result<Option<(String, Record)>, ClusterError> {
        look(&*self.cluster, &self.place).await
    }

    /// Writes the Lease as its leader.
    async fn carry_out(&self, step: &Step) -> Result<(), ClusterError> {
        let sent = self.runtime.elapsed();
        let Some(lease) = self.write(step).await? else { return Ok(()) };
        let (epoch, deadline) = {
            let mut election = self.election();
            let term = election.wrote(sent, version(&lease), Record::of(&lease));
            (term.epoch, term.deadline())
        };
        if self.leadership.epoch() != epoch {
            tracing::info!(lease = %self.place, epoch, "this process leads");
            self.metrics.leads(true);
        }
        self.leadership.lead(epoch, deadline);
        Ok(())
    }

    async fn write(&self, step: &Step) -> Result<Option<Value>, ClusterError> {
        let Place { namespace, name } = &self.place;
        match step {
            Step::StandBy | Step::Lost { .. } => Ok(None),
            Step::Create(record) => {
                let metadata = json!({"name": name, "namespace": namespace});
                let lease = json!({
                    "apiVersion": LEASE.api_version(), "kind": LEASE.kind, "metadata": metadata, "spec": record.spec(),
                });
                self.cluster.create(WriteSite::LeaseCreate, LEASE, namespace, &lease, false).await.map(Some)
            }
            Step::Write { version, record } => {
                let read = json!({"metadata": {"resourceVersion": version}});
                let patch = Patch::Json(versioned(&read, vec![add("/spec", record.spec())]));
                self.cluster.patch(WriteSite::LeaseWrite, LEASE, namespace, name, "", &patch).await.map(Some)
            }
        }
    }

    fn lost(&self, lost: Lost) -> Lost {
        self.leadership.end();
        self.metrics.leads(false);
        lost
    }

    /// Once for each kind of trouble: a lease that cannot be reached for a minute is one line.
    fn say(&self, said: &mut String, error: &ClusterError) {
        let text = error.to_string();
        // Another was faster, which is what a lease is for.
        if *said != text && !matches!(error, ClusterError::Conflict { .. } | ClusterError::Exists { .. }) {
            tracing::warn!(lease = %self.place, %error, "the lease cannot be had; without it nothing is written");
        }
        *said = text;
    }

    /// RFC 3339 with microseconds, as a Lease has it.
    fn wall(&self) -> String {
        format!("{:.6}", self.runtime.now())
    }

    fn election(&self) -> MutexGuard<'_, Election> {
        self.election.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look(cluster: &dyn Cluster, place: &Place) -> Result<Option<(String, Record)>, ClusterError> {
    let found = cluster.get(LEASE, &place.namespace, &place.name).await?;
    Ok(found.map(|lease| (version(&lease), Record::of(&lease))))
}

fn version(lease: &Value) -> String {
    text(lease, "/metadata/resourceVersion").unwrap_or_default().to_owned()
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}
