//! What a process without an election looks at, if a Lease is named to it: whether another process leads by it.
//!
//! It never writes the Lease, so it keeps nobody from leading: it gives way.

use std::sync::Arc;

use super::{Cluster, ClusterError, Election, LOOK_EVERY, Lost, Place, Runtime, election::Step, look};

pub struct Lookout {
    cluster: Arc<dyn Cluster>,
    place: Place,
    runtime: Arc<dyn Runtime>,
    /// A candidate that never stands: only what it sees of others counts.
    election: Election,
}

impl Lookout {
    /// `cluster` does not retry, and has the limit of [`super::LEASE_REQUEST_LIMIT`].
    pub fn new(cluster: Arc<dyn Cluster>, place: Place, runtime: Arc<dyn Runtime>) -> Self {
        Self { cluster, place, runtime, election: Election::default() }
    }

    /// Done once nobody leads: the Lease is not there, or is nobody's, or was seen unchanged for its whole duration. One that
    /// cannot be read may be somebody's.
    pub async fn until_free(&mut self) {
        let mut said = String::new();
        loop {
            let why = match self.leader().await {
                Ok(None) => return,
                Ok(Some(holder)) => format!("{holder} leads"),
                Err(error) => error.to_string(),
            };
            if said != why {
                tracing::warn!(lease = %self.place, why, "without an election this process works when nobody leads");
            }
            said = why;
            self.runtime.sleep(LOOK_EVERY).await;
        }
    }

    /// Done once another process leads.
    pub async fn until_taken(&mut self) -> Lost {
        loop {
            if let Ok(Some(holder)) = self.leader().await {
                return Lost::Led { place: self.place.clone(), holder };
            }
            self.runtime.sleep(LOOK_EVERY).await;
        }
    }

    async fn leader(&mut self) -> Result<Option<String>, ClusterError> {
        let found = look(&*self.cluster, &self.place).await?;
        let holder = found.as_ref().map(|(_, record)| record.holder.clone()).unwrap_or_default();
        match self.election.see(self.runtime.elapsed(), found, "") {
            Step::StandBy | Step::Lost { .. } => Ok(Some(holder)),
            Step::Create(_) | Step::Write { .. } => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Mutex, PoisonError},
        time::Duration,
    };

    use futures::future::BoxFuture;
    use serde_json::{Value, json};

    use super::*;
    use crate::controller::{LEASE, fake::Fake};

    /// Time goes by only in sleep, and at each second somebody may write the Lease.
    struct Script {
        cluster: Arc<Fake>,
        elapsed: Mutex<Duration>,
        lease: fn(u64) -> Option<Value>,
    }

    impl Script {
        fn begin(lease: fn(u64) -> Option<Value>) -> (Arc<Self>, Lookout) {
            let cluster = Arc::new(Fake::default());
            let script = Arc::new(Self { cluster: cluster.clone(), elapsed: Mutex::default(), lease });
            script.write(0);
            let place = Place { namespace: "tidegate-system".into(), name: "tidegate".into() };
            (script.clone(), Lookout::new(cluster, place, script))
        }

        fn write(&self, second: u64) {
            if let Some(spec) = (self.lease)(second) {
                let metadata = json!({"name": "tidegate", "namespace": "tidegate-system"});
                self.cluster.put(LEASE, json!({"metadata": metadata, "spec": spec}));
            }
        }
    }

    impl Runtime for Script {
        fn elapsed(&self) -> Duration {
            *self.elapsed.lock().unwrap_or_else(PoisonError::into_inner)
        }

        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }

        fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
            let mut elapsed = self.elapsed.lock().unwrap_or_else(PoisonError::into_inner);
            *elapsed += time;
            assert!(elapsed.as_secs() < 600, "it waits for ever");
            self.write(elapsed.as_secs());
            Box::pin(async {})
        }

        fn spawn(&self, _: BoxFuture<'static, ()>) {}
    }

    fn held(holder: &str, renewed: u64) -> Option<Value> {
        let renewed = format!("second {renewed}");
        Some(json!({
            "holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 3, "renewTime": renewed,
        }))
    }

    #[tokio::test]
    async fn a_process_without_an_election_begins_when_nobody_leads() {
        type Case = (&'static str, fn(u64) -> Option<Value>, u64);
        let cases: [Case; 4] = [
            ("there is no Lease", |_| None, 0),
            ("it was given back", |_| held("", 0), 0),
            ("its leader died", |second| held("pod-a", 0).filter(|_| second == 0), 15),
            (
                "its leader renews it for a minute, and gives it back",
                |second| match second {
                    0..60 => held("pod-a", second / 2),
                    _ => held("", 30),
                },
                60,
            ),
        ];
        for (case, lease, second) in cases {
            let (script, mut lookout) = Script::begin(lease);
            lookout.until_free().await;
            assert_eq!(script.elapsed().as_secs(), second, "{case}");
        }
    }

    #[tokio::test]
    async fn a_lease_that_cannot_be_read_may_be_somebodys() {
        let (script, mut lookout) = Script::begin(|_| None);
        let away = ClusterError::Unavailable { object: "Lease".into(), message: "no answer".into() };
        script.cluster.fail("get Lease", away, 20);
        lookout.until_free().await;
        assert_eq!(script.elapsed().as_secs(), 20);
    }

    #[tokio::test]
    async fn a_process_without_an_election_ends_a_second_after_another_leads() {
        let (script, mut lookout) = Script::begin(|second| match second {
            // Whoever led before died.
            0 => held("pod-a", 0),
            40.. => held("pod-b", second),
            _ => None,
        });
        lookout.until_free().await;
        let lost = lookout.until_taken().await;
        assert_eq!(script.elapsed().as_secs(), 40);
        assert!(lost.to_string().contains("pod-b leads by the lease tidegate-system/tidegate"), "{lost}");
        assert!(script.cluster.writes().is_empty());
    }
}
