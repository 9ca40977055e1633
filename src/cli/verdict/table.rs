//! The table of `tidegate verdict`: windows 1, 2, 5, 10, 20, 50 and so on, and every change of the verdict.
//!
//! A table of all windows is what `-o json` is for.

use super::sentence::{evidence, points};
use crate::stats::{Replay, Standing};

#[derive(Default)]
pub struct Table {
    last: Option<Standing>,
}

impl Table {
    /// The line after this window, with a header before the first; empty for most.
    pub fn after(&mut self, replay: &Replay) -> String {
        let (number, standing) = (replay.ledger().recorded, replay.standing());
        let changed = self.last.is_some_and(|last| last != standing);
        let first = self.last.replace(standing).is_none();
        if !first && !changed && !is_round(number) {
            return String::new();
        }
        let header = if first {
            line(["WINDOW", "CANARY BAD", "CONTROL BAD", "E FAIL", "E PASS", "DIFFERENCE, POINTS", "VERDICT"])
        } else {
            String::new()
        };
        let (canary, control) = replay.counts();
        header
            + &line([
                &number.to_string(),
                &format!("{:.0}/{:.0}", canary.bad, canary.total),
                &format!("{:.0}/{:.0}", control.bad, control.total),
                &evidence(replay.fail().evidence()),
                &evidence(replay.pass().evidence()),
                &format!("{} to {}", points(replay.lower()), points(replay.upper())),
                &format!("{} ({})", standing.state(), standing.reason()),
            ])
    }
}

/// Lines are written as they come, so that the widths are fixed.
fn line([window, canary, control, fail, pass, difference, verdict]: [&str; 7]) -> String {
    format!("{window:>9}  {canary:>15}  {control:>15}  {fail:>9}  {pass:>9}  {difference:>20}  {verdict}\n")
}

/// 1, 2 or 5 times a power of ten.
fn is_round(number: u64) -> bool {
    let digits = number.to_string();
    let (first, rest) = digits.split_at(1);
    matches!(first, "1" | "2" | "5") && rest.bytes().all(|digit| digit == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_numbers_are_1_2_5_10() {
        let round: Vec<u64> = (1..=1_000).filter(|number| is_round(*number)).collect();
        assert_eq!(round, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]);
    }
}
