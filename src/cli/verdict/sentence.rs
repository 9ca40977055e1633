//! The verdict in one sentence, with the numbers that it rests on.
//!
//! It does not decide what the verdict is.

use crate::{
    stats::{Counts, Grounds, Margin, PASS_REQUESTS, Replay, SUSPICION, Standing},
    view::counted,
};

/// The last line of the answer.
pub fn of(replay: &Replay, metric: Option<&str>) -> String {
    let standing = replay.standing();
    let metric = metric.map(|name| format!("metric {name}: ")).unwrap_or_default();
    let why = match (standing, replay.proof()) {
        (Standing::WorseThanControl, Some(proof)) => worse(replay, proof),
        (Standing::WorseThanControl | Standing::InsufficientEvidence, _) => insufficient(replay),
        (Standing::MetricsUnavailable, _) => {
            format!("the last {} have no complete one among them", counted(replay.idle().unsigned_abs(), "window"))
        }
        (Standing::Suspicious, _) => suspicious(replay),
        (Standing::NonInferior, _) => not_worse(replay),
    };
    let (canary, control) = replay.proof().map_or(replay.counts(), |proof| (proof.canary, proof.control));
    let at = replay.proof().map(|proof| format!(" at window {}", proof.window)).unwrap_or_default();
    let (state, reason) = (standing.state(), standing.reason());
    format!(
        "{metric}{state} ({reason}){at}: {why}; bad: {}, {}; {}\n",
        part("canary", canary),
        part("control", control),
        windows(replay)
    )
}

fn worse(replay: &Replay, proof: &Grounds) -> String {
    let (from, to) = proof.ratio;
    let times = match (from > 0.0, to.is_finite()) {
        (true, true) => format!(", {} to {} times it", digits(from), digits(to)),
        (true, false) => format!(", at least {} times it", digits(from)),
        (false, _) => String::new(),
    };
    format!(
        "evidence {} of {} = 1/(alpha w) that the canary's bad ratio is above {}; it is at least {} points above the \
         control's{times} ({} % sure)",
        evidence(proof.evidence),
        threshold(replay.fail().threshold()),
        limit(replay.terms().fail),
        points(proof.lower),
        sure(replay),
    )
}

fn not_worse(replay: &Replay) -> String {
    let upper = replay.upper();
    let bound = if upper < 0.0 {
        format!("at least {} points below", points(-upper))
    } else {
        format!("at most {} points above", points(upper))
    };
    format!(
        "evidence {} of {} = 1/beta that the canary's bad ratio is below {}; it is {bound} the control's ({} % sure)",
        evidence(replay.pass().evidence()),
        threshold(replay.pass().threshold()),
        limit(replay.terms().pass),
        sure(replay),
    )
}

fn suspicious(replay: &Replay) -> String {
    format!(
        "evidence {} that the canary's bad ratio is above {}, {} = 1/(alpha w) needed for a Fail; from {SUSPICION} on the \
         canary is held",
        evidence(replay.fail().evidence()),
        limit(replay.terms().fail),
        threshold(replay.fail().threshold()),
    )
}

fn insufficient(replay: &Replay) -> String {
    let requests = replay.counts().0.total;
    let few = if replay.pass().is_proven() && requests < PASS_REQUESTS as f64 {
        format!(", but {requests:.0} of {PASS_REQUESTS} requests of the canary")
    } else {
        String::new()
    };
    format!(
        "evidence for a Pass {} of {} = 1/beta{few}, for a Fail {} of {} = 1/(alpha w); the canary's bad ratio lies from {} \
         to {} points above the control's ({} % sure each)",
        evidence(replay.pass().evidence()),
        threshold(replay.pass().threshold()),
        evidence(replay.fail().evidence()),
        threshold(replay.fail().threshold()),
        points(replay.lower()),
        points(replay.upper()),
        sure(replay),
    )
}

/// "1.1 x the control's + 0.01 points".
fn limit(margin: Margin) -> String {
    format!("{} x the control's + {} points", margin.ratio, plain(margin.absolute * 100.0))
}

fn sure(replay: &Replay) -> String {
    plain((1.0 - replay.terms().alpha) * 100.0)
}

fn part(arm: &str, counts: Counts) -> String {
    format!("{:.0} of {:.0} of the {arm}", counts.bad, counts.total)
}

/// "10 windows used, 2 merged into them, 1 waiting, 3 left out (NotFinite 2, Gap 1)".
fn windows(replay: &Replay) -> String {
    let ledger = replay.ledger();
    let mut text = format!("{} used", counted(ledger.used, "window"));
    if ledger.merged > 0 {
        text += &format!(", {} more merged into them", ledger.merged);
    }
    if replay.waiting() > 0 {
        text += &format!(", {} waiting for the other arm", replay.waiting());
    }
    let dropped: u64 = ledger.dropped.values().sum();
    if dropped > 0 {
        let reasons: Vec<_> = ledger.dropped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        text += &format!(", {dropped} left out ({})", reasons.join(", "));
    }
    text
}

/// An e-value, rounded down: what is shown as reached is reached.
pub fn evidence(value: f64) -> String {
    let down = |scale: f64| (value * scale).floor() / scale;
    match value {
        value if value >= 1e6 => format!("{value:.1e}"),
        value if value >= 100.0 => format!("{:.0}", value.floor()),
        value if value >= 10.0 => format!("{:.1}", down(10.0)),
        value if value >= 0.01 => format!("{:.2}", down(100.0)),
        0.0 => "0".to_owned(),
        value => format!("{value:.0e}"),
    }
}

/// 1/level, rounded up.
fn threshold(value: f64) -> String {
    plain((value * 100.0 - 1e-6).ceil() / 100.0)
}

/// A difference of ratios in percentage points.
pub fn points(difference: f64) -> String {
    digits(difference * 100.0)
}

/// Three digits that count, without zeros behind them.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => plain((value * 10.0).round() / 10.0),
        size if size >= 1.0 => plain((value * 100.0).round() / 100.0),
        size if size >= 0.0001 => {
            let places = 2 - size.log10().floor() as i32;
            let scale = 10_f64.powi(places);
            plain((value * scale).round() / scale)
        }
        0.0 => "0".to_owned(),
        _ => format!("{value:.1e}"),
    }
}

/// As short as it can be, without the noise of binary fractions.
fn plain(value: f64) -> String {
    let text = format!("{value:.8}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_no_more_than_is_true() {
        for (value, text) in [
            (99.99, "99.9"),
            (876.93, "876"),
            (8_706_753.2, "8.7e6"),
            (0.896, "0.89"),
            (1e-9, "1e-9"),
            (0.0, "0"),
            (1e200, "1.0e200"),
        ] {
            assert_eq!(evidence(value), text);
        }
        for (value, text) in
            [(1.0, "100"), (-1.0, "-100"), (0.023_234_5, "2.32"), (0.000_012_345, "0.00123"), (0.0, "0")]
        {
            assert_eq!(points(value), text);
        }
        assert_eq!((threshold(1.0 / 0.01), threshold(1.0 / 0.003)), ("100".to_owned(), "333.34".to_owned()));
        assert_eq!(limit(Margin { ratio: 1.1, absolute: 0.0001 }), "1.1 x the control's + 0.01 points");
    }
}
