//! One metric judged over recorded windows, as a run would have judged it.
//!
//! It knows what one metric can tell: no budget, no other metric, no weight. It reads no files.

use std::collections::BTreeMap;

use super::{
    difference_bounds::DifferenceBounds,
    grid::Margin,
    margin::MarginTest,
    mixture::Restarts,
    ratio_bounds::RatioBounds,
    recorded::{Arms, Flaw},
    terms::{PASS_REQUESTS, SUSPICION},
    window::{Counts, GRACE_WINDOWS},
};
use crate::api::Reason;

/// Windows whose ratio is taken in at once.
const BATCH: usize = 64;

/// What the evidence is judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReplayTerms {
    /// Probability of a false Fail over the whole rollout.
    pub alpha: f64,
    /// The metric's part of it.
    pub share: f64,
    /// Probability of a false Pass.
    pub beta: f64,
    pub fail: Margin,
    pub pass: Margin,
    pub restarts: Restarts,
    pub phi: f64,
}

/// Where the evidence stands, in the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    WorseThanControl,
    MetricsUnavailable,
    Suspicious,
    NonInferior,
    InsufficientEvidence,
}

impl Standing {
    pub const fn state(self) -> &'static str {
        match self {
            Self::WorseThanControl => "Fail",
            Self::NonInferior => "Pass",
            Self::MetricsUnavailable | Self::Suspicious | Self::InsufficientEvidence => "Undecided",
        }
    }

    pub const fn reason(self) -> &'static str {
        match self {
            Self::WorseThanControl => Reason::WorseThanControl.word(),
            Self::MetricsUnavailable => Reason::MetricsUnavailable.word(),
            Self::Suspicious => Reason::Suspicious.word(),
            Self::NonInferior => Reason::NonInferior.word(),
            Self::InsufficientEvidence => Reason::InsufficientEvidence.word(),
        }
    }
}

/// Why a recorded window is no evidence of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unused {
    Flawed(Flaw),
    /// It waits for the other arm, and is merged into the first window that has both.
    CanaryMissing,
    ControlMissing,
    BothMissing,
    /// An arm was missing for too long: the windows that waited are dropped.
    Gap,
}

impl Unused {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Flawed(flaw) => flaw.word(),
            Self::CanaryMissing => "CanaryMissing",
            Self::ControlMissing => "ControlMissing",
            Self::BothMissing => "BothMissing",
            Self::Gap => "Gap",
        }
    }
}

/// What was known when a Fail was proven.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grounds {
    /// Number of the recorded window, from 1.
    pub window: u64,
    pub evidence: f64,
    pub lower: f64,
    pub ratio: (f64, f64),
    pub canary: Counts,
    pub control: Counts,
}

/// Windows whose other arm is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Pending {
    canary: Counts,
    control: Counts,
    /// With the flawed ones in between, which have no counts.
    windows: i64,
    waiting: u64,
}

/// What became of the recorded windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    pub recorded: u64,
    /// Complete windows, merged ones counted once.
    pub used: u64,
    /// Windows that waited and became part of a later one.
    pub merged: u64,
    /// Left out for good, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Debug)]
pub struct Replay {
    terms: ReplayTerms,
    fail: MarginTest,
    pass: MarginTest,
    difference: DifferenceBounds,
    ratio: RatioBounds,
    /// Windows that the ratio's bounds have not taken in yet: they are needed in a Fail's sentence only.
    batch: Vec<(Counts, Counts)>,
    canary: Counts,
    control: Counts,
    proof: Option<Grounds>,
    pending: Pending,
    /// Recorded windows since the last complete one.
    idle: i64,
    ledger: Ledger,
}

impl Replay {
    pub fn new(terms: ReplayTerms) -> Self {
        Self {
            fail: MarginTest::fail(terms.fail, terms.alpha * terms.share, terms.restarts),
            pass: MarginTest::pass(terms.pass, terms.beta),
            terms,
            difference: DifferenceBounds::default(),
            ratio: RatioBounds::default(),
            batch: Vec::with_capacity(BATCH),
            canary: Counts::default(),
            control: Counts::default(),
            proof: None,
            pending: Pending::default(),
            idle: 0,
            ledger: Ledger::default(),
        }
    }

    /// Take the next recorded window in; why it is no evidence of its own, if it is none.
    ///
    /// A flawed window counts as one in which nothing was measured: neither good nor bad.
    pub fn absorb(&mut self, window: Result<Arms, Flaw>) -> Option<Unused> {
        self.ledger.recorded += 1;
        self.idle += 1;
        self.pending.windows += 1;
        let unused = match window {
            Ok(Arms { canary, control }) => {
                self.pending.canary += canary.unwrap_or_default();
                self.pending.control += control.unwrap_or_default();
                self.pending.waiting += 1;
                missing(canary, control)
            }
            Err(flaw) => {
                *self.ledger.dropped.entry(flaw.word()).or_default() += 1;
                Some(Unused::Flawed(flaw))
            }
        };
        let too_long = self.pending.windows > GRACE_WINDOWS;
        if unused.is_some() && !too_long {
            return unused;
        }
        let Pending { canary, control, waiting, .. } = std::mem::take(&mut self.pending);
        if too_long {
            if waiting > 0 {
                *self.ledger.dropped.entry(Unused::Gap.word()).or_default() += waiting;
            }
            return Some(match unused {
                Some(Unused::Flawed(flaw)) => Unused::Flawed(flaw),
                _ => Unused::Gap,
            });
        }
        self.ledger.merged += waiting - 1;
        self.take(canary, control);
        None
    }

    /// A complete window.
    fn take(&mut self, canary: Counts, control: Counts) {
        let phi = self.terms.phi;
        self.ledger.used += 1;
        self.idle = 0;
        self.canary += canary;
        self.control += control;
        self.fail.absorb(canary, control, phi);
        self.pass.absorb(canary, control, phi);
        self.difference.absorb(canary, control, phi);
        if self.proof.is_some() {
            return;
        }
        self.batch.push((canary, control));
        let proven = self.fail.is_proven();
        if proven || self.batch.len() == BATCH {
            self.ratio.absorb_all(&self.batch, phi);
            self.batch.clear();
        }
        if proven {
            self.proof = Some(Grounds {
                window: self.ledger.recorded,
                evidence: self.fail.evidence(),
                lower: self.lower(),
                ratio: self.ratio.bounds(self.terms.alpha),
                canary: self.canary,
                control: self.control,
            });
        }
    }

    /// First match wins, and a Fail stays.
    pub fn standing(&self) -> Standing {
        if self.proof.is_some() {
            Standing::WorseThanControl
        } else if self.idle > GRACE_WINDOWS {
            Standing::MetricsUnavailable
        } else if self.fail.evidence() >= SUSPICION {
            Standing::Suspicious
        } else if self.pass.is_proven() && self.canary.total >= PASS_REQUESTS as f64 {
            Standing::NonInferior
        } else {
            Standing::InsufficientEvidence
        }
    }

    pub fn terms(&self) -> &ReplayTerms {
        &self.terms
    }

    pub fn fail(&self) -> &MarginTest {
        &self.fail
    }

    pub fn pass(&self) -> &MarginTest {
        &self.pass
    }

    /// The difference of the bad ratios is at least this, wrong with probability `alpha` at most.
    pub fn lower(&self) -> f64 {
        self.difference.lower(self.terms.alpha)
    }

    /// And at most this.
    pub fn upper(&self) -> f64 {
        self.difference.upper(self.terms.alpha)
    }

    /// All events of the windows used, canary and control.
    pub fn counts(&self) -> (Counts, Counts) {
        (self.canary, self.control)
    }

    pub fn proof(&self) -> Option<&Grounds> {
        self.proof.as_ref()
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Windows that still wait for the other arm.
    pub fn waiting(&self) -> u64 {
        self.pending.waiting
    }

    /// Recorded windows since the last complete one.
    pub fn idle(&self) -> i64 {
        self.idle
    }
}

fn missing(canary: Option<Counts>, control: Option<Counts>) -> Option<Unused> {
    match (canary, control) {
        (Some(_), Some(_)) => None,
        (None, Some(_)) => Some(Unused::CanaryMissing),
        (Some(_), None) => Some(Unused::ControlMissing),
        (None, None) => Some(Unused::BothMissing),
    }
}

#[cfg(test)]
mod tests;
