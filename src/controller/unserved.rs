//! Optional kinds that the API server did not serve when it was last asked: a cluster without Istio is not asked for
//! DestinationRules by every pass.
//!
//! A kind that is installed later is seen after at most [`BELIEVED`]. It never speaks of kinds that Tidegate needs.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Kind;

/// How long an answer counts. Longer, and a policy of a kind that was just installed is overlooked by a run; shorter, and
/// every active run asks for nothing once a second.
const BELIEVED: Duration = Duration::from_secs(60);

/// At most one entry for each kind that is optional, and these are constants.
#[derive(Debug, Default)]
pub struct Unserved {
    since: Mutex<BTreeMap<Kind, Instant>>,
}

impl Unserved {
    /// The API server said so less than [`BELIEVED`] ago.
    pub fn knows(&self, kind: Kind, now: Instant) -> bool {
        self.lock().get(&kind).is_some_and(|since| now.saturating_duration_since(*since) < BELIEVED)
    }

    /// The API server says that it does not serve this kind.
    pub fn learn(&self, kind: Kind, now: Instant) {
        if kind.optional {
            self.lock().insert(kind, now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Kind, Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{BACKEND_TRAFFIC_POLICY, DESTINATION_RULE, SERVICE};

    #[test]
    fn an_answer_counts_for_a_minute_and_for_its_own_optional_kind() {
        let (unserved, begin) = (Unserved::default(), Instant::now());
        unserved.learn(DESTINATION_RULE, begin);
        unserved.learn(SERVICE, begin);
        for (kind, seconds, expected) in [
            (DESTINATION_RULE, 0, true),
            (DESTINATION_RULE, 59, true),
            (DESTINATION_RULE, 60, false),
            (BACKEND_TRAFFIC_POLICY, 0, false),
            (SERVICE, 0, false),
        ] {
            assert_eq!(unserved.knows(kind, begin + Duration::from_secs(seconds)), expected, "{} {seconds}", kind.kind);
        }
        unserved.learn(DESTINATION_RULE, begin + Duration::from_secs(60));
        assert!(unserved.knows(DESTINATION_RULE, begin + Duration::from_secs(61)));
    }
}
