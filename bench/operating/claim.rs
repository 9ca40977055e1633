//! A claim about one cell, and whether what was seen bears it out.

use std::{fmt, ops::RangeInclusive};

use super::{
    judge::Rule,
    traffic::{Event, Service, Weight},
    trial::{Seen, simulate},
};

pub struct Claim {
    pub service: Service,
    pub rule: Rule,
    pub wanted: Wanted,
}

pub enum Wanted {
    /// The verdict comes in at most this part of the runs.
    AtMost(f64),
    /// It comes in at least this part.
    AtLeast(f64),
    /// It comes in all runs: in the median after so many seconds, and on average after so many bad requests of the canary.
    All { median: RangeInclusive<f64>, mean_bad: f64 },
}

/// How strictly a part of the runs is read: so many standard errors of a binomial count may come on top.
#[derive(Clone, Copy)]
pub struct Slack(pub f64);

impl Claim {
    pub fn new(service: Service, rule: Rule, wanted: Wanted) -> Self {
        Self { service, rule, wanted }
    }

    pub fn simulate(&self, first_seed: u64, runs: u64) -> Seen {
        simulate(&self.service, self.rule, first_seed, runs)
    }

    pub fn holds(&self, seen: &Seen, slack: Slack) -> bool {
        match &self.wanted {
            Wanted::AtMost(part) => seen.decided <= slack.most(*part, seen.runs),
            Wanted::AtLeast(part) => seen.share() >= *part,
            Wanted::All { median, mean_bad } => {
                let in_time = seen.median_seconds.is_some_and(|seconds| median.contains(&seconds));
                seen.decided == seen.runs && in_time && seen.mean_bad <= *mean_bad
            }
        }
    }
}

impl Slack {
    /// The most runs out of `runs` that bear out "at most this part".
    pub fn most(self, part: f64, runs: u64) -> u64 {
        let expected = part * runs as f64;
        (expected + self.0 * (expected * (1.0 - part)).sqrt() + 1e-9) as u64
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Service { rps, weight, stable, canary, event } = self.service;
        let share = match weight {
            Weight::Fixed(share) => format!("{} %", percent(share)),
            Weight::Ramp => "1-5-25-50 %".to_owned(),
        };
        write!(out, "{share} of {rps} req/s, base {} %", percent(stable))?;
        if canary != stable {
            write!(out, ", canary {} %", percent(canary))?;
        }
        match event {
            Event::Nothing => {}
            Event::Rise { factor } => write!(out, " to {} %", percent(stable * factor))?,
            Event::Outage { ratio, .. } => write!(out, ", {} % in the outage", percent(ratio))?,
        }
        match self.rule {
            Rule::Fail | Rule::Pass => Ok(()),
            Rule::Uncapped => write!(out, "; one window may decide"),
            Rule::Overlapping => write!(out, "; increase[60s] every 10 s"),
            Rule::Pooled => write!(out, "; sums since the start"),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(part) => write!(out, "at most {} %", percent(*part)),
            Self::AtLeast(part) => write!(out, "at least {} %", percent(*part)),
            Self::All { median, mean_bad } => {
                let (first, last) = (median.start(), median.end());
                match first == last {
                    true => write!(out, "all, median {last} s")?,
                    false => write!(out, "all, median up to {last} s")?,
                }
                if mean_bad.is_finite() { write!(out, ", {mean_bad} bad") } else { Ok(()) }
            }
        }
    }
}

/// A part as a percentage, without digits that say nothing.
pub fn percent(part: f64) -> String {
    let text = format!("{:.3}", part * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
