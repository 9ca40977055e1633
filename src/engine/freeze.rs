//! Freeze windows: whether one is open at a given time, until when, and when it opens next.
//!
//! The time is given. Time zones come from the data that the binary carries, so that every machine gives the same answer.

use std::sync::LazyLock;

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    SignedDuration, Timestamp, Zoned,
    tz::{TimeZone, TimeZoneDatabase},
};

use crate::api::FreezeWindow;

/// Windows that follow each other without a gap are one; beyond this many no end is looked for. More, and a schedule of every
/// minute costs each pass milliseconds; fewer, and the end of a daily window that lasts a day for a season is not found.
const MOST_REPEATS: usize = 200;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// How a window stands at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// None: it opens again before it ends, without an end in sight.
    Open {
        ends: Option<Timestamp>,
    },
    Closed {
        opens: Timestamp,
    },
}

/// How the window stands at this time, or what is wrong with it: the field, and what to write.
pub fn standing(window: &FreezeWindow, now: Timestamp) -> Result<Standing, String> {
    let (schedule, zone) = (schedule(window)?, zone(window)?);
    let millis = i64::try_from(window.duration.as_millis()).unwrap_or(i64::MAX);
    let duration = SignedDuration::from_millis(millis);
    let now = now.to_zoned(zone);
    let never = |_| format!("schedule {:?} never comes: correct the day or the month", window.schedule);
    let next = schedule.find_next_occurrence(&now, false).map_err(never)?;
    // A schedule that comes only in the future has not come yet.
    let Ok(opened) = schedule.find_previous_occurrence(&now, true) else {
        return Ok(Standing::Closed { opens: next.timestamp() });
    };
    let too_late = |error: jiff::Error| format!("duration cannot be added to the schedule: {error}");
    let ends = opened.timestamp().checked_add(duration).map_err(too_late)?;
    if ends <= now.timestamp() {
        return Ok(Standing::Closed { opens: next.timestamp() });
    }
    last_end(&schedule, next, ends, duration).map_err(too_late)
}

/// The end of a window that is open, when it may open again before it ends.
fn last_end(
    schedule: &Cron,
    mut next: Zoned,
    mut ends: Timestamp,
    duration: SignedDuration,
) -> Result<Standing, jiff::Error> {
    for _ in 0..MOST_REPEATS {
        if next.timestamp() > ends {
            return Ok(Standing::Open { ends: Some(ends) });
        }
        ends = next.timestamp().checked_add(duration)?;
        match schedule.find_next_occurrence(&next, false) {
            Ok(after) => next = after,
            Err(_) => return Ok(Standing::Open { ends: Some(ends) }),
        }
    }
    Ok(Standing::Open { ends: None })
}

fn schedule(window: &FreezeWindow) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(&window.schedule).map_err(|error| {
        format!(
            "schedule {:?} is not five fields of cron (minute, hour, day of month, month, day of week): {}",
            window.schedule,
            error.to_string().trim_end_matches('.')
        )
    })
}

fn zone(window: &FreezeWindow) -> Result<TimeZone, String> {
    let Some(name) = &window.time_zone else { return Ok(TimeZone::UTC) };
    ZONES.get(name).map_err(|_| {
        format!("timeZone {name:?} is not in the IANA time zone database: write a name such as Europe/Berlin or UTC")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(schedule: &str, zone: Option<&str>, duration: &str) -> FreezeWindow {
        FreezeWindow {
            name: "w".into(),
            schedule: schedule.into(),
            time_zone: zone.map(str::to_owned),
            duration: duration.parse().unwrap(),
        }
    }

    #[test]
    fn a_window_is_open_from_its_schedule_for_its_duration_in_its_own_time_zone() {
        let berlin = Some("Europe/Berlin");
        for (schedule, zone, duration, now, expected) in [
            ("0 18 * * FRI", None, "62h", "2026-01-02T17:59:59Z", "opens 2026-01-02T18:00:00Z"),
            ("0 18 * * FRI", None, "62h", "2026-01-02T18:00:00Z", "ends 2026-01-05T08:00:00Z"),
            ("0 18 * * FRI", None, "62h", "2026-01-05T07:59:59Z", "ends 2026-01-05T08:00:00Z"),
            ("0 18 * * FRI", None, "62h", "2026-01-05T08:00:00Z", "opens 2026-01-09T18:00:00Z"),
            ("0 18 * * 5", berlin, "1h", "2026-01-02T17:00:00Z", "ends 2026-01-02T18:00:00Z"),
            // Summer time: the same wall clock is an hour earlier in UTC.
            ("0 18 * * 5", berlin, "1h", "2026-07-03T16:00:00Z", "ends 2026-07-03T17:00:00Z"),
            // The clock goes forward at 02:00 on this day; the duration is real time.
            ("0 1 29 3 *", berlin, "2h", "2026-03-29T00:30:00Z", "ends 2026-03-29T02:00:00Z"),
            // The hour that the schedule names does not exist on this day.
            ("30 2 29 3 *", berlin, "1h", "2026-03-29T01:30:00Z", "ends 2026-03-29T02:00:00Z"),
            // Night after night, and every day for a day.
            ("0 22 * * *", None, "8h", "2026-01-02T23:00:00Z", "ends 2026-01-03T06:00:00Z"),
            ("0 0 20-31 12 *", None, "24h", "2026-12-24T12:00:00Z", "ends 2027-01-01T00:00:00Z"),
            ("* * * * *", None, "2m", "2026-01-02T12:00:30Z", "no end"),
            ("* * * * *", None, "20s", "2026-01-02T12:00:19Z", "ends 2026-01-02T12:00:20Z"),
            ("* * * * *", None, "20s", "2026-01-02T12:00:20Z", "opens 2026-01-02T12:01:00Z"),
            ("0 0 29 2 *", None, "24h", "2026-01-02T12:00:00Z", "opens 2028-02-29T00:00:00Z"),
        ] {
            let found = match standing(&window(schedule, zone, duration), now.parse().unwrap()) {
                Ok(Standing::Open { ends: Some(ends) }) => format!("ends {ends}"),
                Ok(Standing::Open { ends: None }) => "no end".into(),
                Ok(Standing::Closed { opens }) => format!("opens {opens}"),
                Err(problem) => problem,
            };
            assert_eq!(found, expected, "{schedule} {zone:?} {duration} at {now}");
        }
    }

    #[test]
    fn what_the_schema_lets_through_is_said_with_the_field_and_the_fix() {
        for (schedule, zone, expected) in [
            ("0 25 * * *", None, "schedule \"0 25 * * *\" is not five fields of cron"),
            ("0 18 * * FRU", None, "is not five fields of cron"),
            ("0 0 * 0 0 * *", None, "is not five fields of cron"),
            ("0 0 30 2 *", None, "schedule \"0 0 30 2 *\" never comes: correct the day or the month"),
            ("0 0 * * *", Some("Europe/Bärlin"), "timeZone \"Europe/Bärlin\" is not in the IANA time zone database"),
        ] {
            let problem = standing(&window(schedule, zone, "1h"), "2026-01-02T12:00:00Z".parse().unwrap()).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
