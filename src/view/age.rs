//! Times and numbers as people read them: `3m12s`, `2h5m`, `10:04:12`, `12,481`.
//!
//! Nothing here reads a clock.

use jiff::Timestamp;

/// A length of time with its two largest units.
pub fn length(millis: u64) -> String {
    let seconds = millis.div_ceil(1_000);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large}{large_unit}"),
        small => format!("{large}{large_unit}{small}{small_unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => two(minutes, "m", seconds % 60, "s"),
        (0, hours, minutes) => two(hours, "h", minutes, "m"),
        (days, hours, _) => two(days, "d", hours, "h"),
    }
}

/// Milliseconds from `earlier` to `later`; 0 if it is the other way round.
pub fn between(earlier: Timestamp, later: Timestamp) -> u64 {
    u64::try_from(later.as_millisecond() - earlier.as_millisecond()).unwrap_or(0)
}

/// An RFC 3339 time; None if it is none.
pub fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// The time of day in UTC, with the date if it is another day than `now`. Text that is no time is shown as it is.
pub fn clock(text: &str, now: Option<Timestamp>) -> String {
    let Some(time) = moment(text) else { return text.to_owned() };
    let same_day = now.is_none_or(|now| now.strftime("%F").to_string() == time.strftime("%F").to_string());
    time.strftime(if same_day { "%T" } else { "%F %T" }).to_string()
}

/// A number with a comma between thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 pod", "2 pods".
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_two_units_and_are_rounded_up_to_a_second() {
        for (millis, text) in [
            (0, "0s"),
            (1, "1s"),
            (42_000, "42s"),
            (60_000, "1m"),
            (192_000, "3m12s"),
            (7_500_000, "2h5m"),
            (90_000_000, "1d1h"),
        ] {
            assert_eq!(length(millis), text);
        }
    }

    #[test]
    fn times_of_another_day_carry_the_date() {
        let now = moment("2026-11-22T10:00:00Z");
        assert_eq!(clock("2026-11-22T09:58:01Z", now), "09:58:01");
        assert_eq!(clock("2026-11-21T23:59:59Z", now), "2026-11-21 23:59:59");
        assert_eq!(clock("soon", now), "soon");
    }

    #[test]
    fn thousands_are_parted() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_481_000, "12,481,000")] {
            assert_eq!(thousands(number), text);
        }
    }
}
