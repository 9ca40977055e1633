//! Who judges the windows: the tests of `stats` at their defaults, and readings of the same counters that are known to be wrong.
//!
//! It draws nothing and counts no runs.

use tidegate::stats::{Counts, Margin, MarginTest, Restarts};

use super::traffic::Service;

const ALPHA: f64 = 0.01;
const BETA: f64 = 0.05;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Proven worse than the fail margin.
    Fail,
    /// Proven better than the pass margin.
    Pass,
    /// A Fail without the rule of three windows.
    Uncapped,
    /// A Fail on the increase of the last minute, read every 10 s: each request counts six times.
    Overlapping,
    /// A Fail on the sums since the start, as if the weight and the base had never changed.
    Pooled,
}

pub struct Judge {
    rule: Rule,
    margin: Margin,
    test: MarginTest,
    seen: Vec<(Counts, Counts)>,
}

/// The largest bad ratio of the canary that this margin tolerates.
pub fn tolerated(margin: Margin, stable: f64) -> f64 {
    margin.ratio * stable + margin.absolute
}

/// The default margins for a service whose objective allows exactly what stable does.
pub fn fail_margin(service: &Service) -> Margin {
    Margin { ratio: 1.1, absolute: 0.1 * service.stable }
}

pub fn pass_margin(service: &Service) -> Margin {
    Margin { ratio: 1.5, absolute: 0.5 * service.stable }
}

impl Judge {
    pub fn new(rule: Rule, service: &Service) -> Self {
        let margin = fail_margin(service);
        let uncapped = Restarts { confirm_windows: 1, ..Restarts::default() };
        let test = match rule {
            Rule::Fail | Rule::Overlapping | Rule::Pooled => MarginTest::fail(margin, ALPHA, Restarts::default()),
            Rule::Uncapped => MarginTest::fail(margin, ALPHA, uncapped),
            Rule::Pass => MarginTest::pass(pass_margin(service), BETA),
        };
        Self { rule, margin, test, seen: Vec::new() }
    }

    /// Whether the verdict is there after this window.
    pub fn absorb(&mut self, canary: Counts, control: Counts) -> bool {
        match self.rule {
            Rule::Fail | Rule::Pass | Rule::Uncapped => _ = self.test.absorb(canary, control, 1.0),
            Rule::Overlapping => {
                self.seen.push((canary, control));
                if self.seen.len().is_multiple_of(2) {
                    let (canary, control) = sum(&self.seen[self.seen.len().saturating_sub(12)..]);
                    self.test.absorb(canary, control, 1.0);
                }
            }
            Rule::Pooled => {
                self.seen.push((canary, control));
                self.seen = vec![sum(&self.seen)];
                let once = Restarts { confirm_windows: 1, reserve: 0.0, ..Restarts::default() };
                self.test = MarginTest::fail(self.margin, ALPHA, once);
                self.test.absorb(self.seen[0].0, self.seen[0].1, 1.0);
            }
        }
        self.test.is_proven()
    }
}

fn sum(windows: &[(Counts, Counts)]) -> (Counts, Counts) {
    windows.iter().fold(Default::default(), |mut all: (Counts, Counts), (canary, control)| {
        all.0 += *canary;
        all.1 += *control;
        all
    })
}
