//! The pace of writes that are for readers only: evidence and credits between two transitions.
//!
//! It never holds up a transition.

use std::sync::atomic::{AtomicU64, Ordering};

/// Two a second for all runs together: more would be the API server's load, and nobody reads faster.
const SPACING_MILLIS: u64 = 500;

/// Room for the next write, in monotonic milliseconds.
#[derive(Debug, Default)]
pub struct Pace {
    next_millis: AtomicU64,
}

impl Pace {
    /// Takes a place if there is one now.
    pub fn has_room(&self, now: u64) -> bool {
        let take = |next: u64| (next <= now).then_some(now + SPACING_MILLIS);
        self.next_millis.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_two_a_second() {
        let pace = Pace::default();
        let taken = [0, 100, 499, 500, 900, 1_000, 1_001].map(|now| pace.has_room(now));
        assert_eq!(taken, [true, false, false, true, false, true, false]);
    }
}
