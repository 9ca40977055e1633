//! When a read is tried again. Writes never are: the result of one that failed can be told by a new look only.
//!
//! A pass makes some twenty reads and takes all or nothing: where one read in seven fails, hardly one pass in twenty would
//! be whole without this.

use std::time::Duration;

/// Attempts of one read. More, and a server in trouble is asked the more the less it can answer.
const ATTEMPTS: u32 = 3;
/// Before the second attempt; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// What the API server says in `Retry-After` when it sheds load.
const PAUSE_WHEN_SHED: Duration = Duration::from_secs(1);

/// How long to wait after this many failed attempts; None: no further one. `code` is what the server said, None if it was
/// not heard.
pub fn pause(code: Option<u16>, failed: u32) -> Option<Duration> {
    if failed >= ATTEMPTS {
        return None;
    }
    match code {
        Some(429) => Some(PAUSE_WHEN_SHED),
        // A server that answers with anything else has understood the question: the same answer would come again.
        Some(code) if code < 500 => None,
        Some(_) | None => Some(FIRST_PAUSE * 2_u32.pow(failed.saturating_sub(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_is_tried_again_if_another_answer_may_come_and_a_bounded_number_of_times() {
        for (code, failed, milliseconds) in [
            (None, 1, Some(50)),
            (None, 2, Some(100)),
            (None, 3, None),
            (Some(500), 1, Some(50)),
            (Some(504), 2, Some(100)),
            (Some(504), 3, None),
            (Some(429), 1, Some(1000)),
            (Some(429), 3, None),
            (Some(403), 1, None),
            (Some(404), 1, None),
            (Some(410), 1, None),
        ] {
            assert_eq!(pause(code, failed), milliseconds.map(Duration::from_millis), "{code:?} {failed}");
        }
    }
}
