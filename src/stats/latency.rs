//! Latency without a threshold as one fold: evidence at every boundary that was chosen, and what was slower than each.
//!
//! Its record is bounded by leaving out what a single ratio has: no recorded windows (a replay re-reads the metrics server) and
//! no bounds of the difference, which would be one for each boundary. It chooses no boundaries.

use serde_json::{Value, json};

use super::{
    bits::{pack, unpack},
    comparison::{Apart, Compared, Proof, Trial},
    dominance::{DOMINANCE_MARGIN, DOMINANCE_PASS_ABSOLUTE, Dominance},
    fold::{BrokenState, Fold},
    grid::Margin,
    overdispersion::FALLBACK_PHI,
    sample_ratio::{BY_REQUEST, SampleRatio},
    window::{Counts, Window},
};
use crate::api::Percent;

/// Requests slower than one boundary, of both arms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slower {
    pub canary: f64,
    pub control: f64,
}

/// A boundary to test, and what evidence at it is divided by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Boundary {
    pub at: f64,
    pub phi: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LatencyFold {
    trial: Trial,
    fail: Dominance,
    pass: Dominance,
    /// By boundary, as the next.
    phis: Vec<f64>,
    slower: Vec<Slower>,
    /// All requests since the boundaries were chosen.
    requests: Slower,
    shares: Option<SampleRatio>,
    /// A Fail stays one.
    failed: bool,
}

impl LatencyFold {
    pub fn new(trial: Trial) -> Self {
        let (fail, pass) = tests(&trial, Vec::new());
        Self {
            fail,
            pass,
            phis: Vec::new(),
            slower: Vec::new(),
            requests: Slower::default(),
            shares: trial.routed.map(|_| SampleRatio::new(BY_REQUEST)),
            failed: false,
            trial,
        }
    }

    /// What is tested, ascending; empty until they are chosen.
    pub fn boundaries(&self) -> &[f64] {
        self.fail.boundaries()
    }

    /// Choose them, once for the run: a test that follows the data it judges would prove anything.
    pub fn choose(&mut self, boundaries: &[Boundary]) {
        if self.boundaries().is_empty() {
            let (fail, pass) = tests(&self.trial, boundaries.iter().map(|boundary| boundary.at).collect());
            (self.fail, self.pass) = (fail, pass);
            self.phis = boundaries.iter().map(|boundary| boundary.phi.clamp(1.0, 30.0)).collect();
            self.slower = vec![Slower::default(); boundaries.len()];
        }
    }

    /// Whether the same boundaries were chosen, with the same bursts.
    pub fn is_chosen_as(&self, other: &Self) -> bool {
        self.boundaries() == other.boundaries() && self.phis == other.phis
    }

    /// Take in what was slower than each boundary in one window. Nothing is known of a window without its boundaries.
    pub fn absorb_slower(&mut self, window: &Window, slower: &[Slower]) {
        if slower.len() != self.boundaries().len() || slower.is_empty() {
            return;
        }
        let counts = |bad: f64, total: f64| Counts { bad: bad.round(), total: total.round() };
        let (all_canary, all_control) = (window.canary.total, window.control.total);
        let canary: Vec<Counts> = slower.iter().map(|slower| counts(slower.canary, all_canary)).collect();
        let control: Vec<Counts> = slower.iter().map(|slower| counts(slower.control, all_control)).collect();
        self.fail.absorb(&canary, &control, &self.phis);
        self.pass.absorb(&canary, &control, &self.phis);
        for (sum, slower) in self.slower.iter_mut().zip(slower) {
            sum.canary += slower.canary;
            sum.control += slower.control;
        }
        self.requests.canary += all_canary;
        self.requests.control += all_control;
        self.failed |= self.fail.average() >= self.fail.threshold();
    }

    /// Both arms' requests, the bad ones being those above the boundary with the largest evidence.
    pub fn counts(&self) -> Option<(Counts, Counts)> {
        let (boundary, _) = self.fail.worst()?;
        let index = self.boundaries().iter().position(|own| *own == boundary)?;
        let slower = self.slower.get(index)?;
        let counts = |bad: f64, total: f64| Counts { bad, total };
        Some((counts(slower.canary, self.requests.canary), counts(slower.control, self.requests.control)))
    }

    pub fn compared(&self) -> Compared {
        let phi = self.phis.iter().copied().reduce(f64::max).unwrap_or(FALLBACK_PHI);
        let boundary = self.fail.worst().map(|(boundary, _)| boundary);
        Compared {
            fail: Proof { evidence: self.fail.average(), threshold: self.fail.threshold() },
            failed: self.failed,
            pass: Proof { evidence: self.pass.least(), threshold: self.pass.threshold() },
            apart: Apart::Tails { boundary, of: self.boundaries().len() },
            ratio: None,
            slo: None,
            mismatch: self.shares.as_ref().filter(|shares| shares.is_mismatch(phi)).map(SampleRatio::seen),
            phi,
            suspicion: self.trial.terms.suspicion,
            min_canary_requests: self.trial.terms.min_canary_requests as f64,
        }
    }
}

fn tests(trial: &Trial, boundaries: Vec<f64>) -> (Dominance, Dominance) {
    let terms = &trial.terms;
    // The absolute margins of the terms are parts of an objective for errors: of a tail they are the wrong size.
    let pass = Margin { ratio: terms.pass.ratio, absolute: DOMINANCE_PASS_ABSOLUTE };
    let fail = Dominance::fail(boundaries.clone(), DOMINANCE_MARGIN, terms.alpha * trial.share, terms.restarts());
    (fail, Dominance::pass(boundaries, pass, terms.beta))
}

impl Fold for LatencyFold {
    /// What needs no boundary: the arms' shares.
    fn absorb(&mut self, window: &Window) {
        if let (Some(shares), Some(weight)) = (&mut self.shares, self.trial.routed)
            && weight > Percent::ZERO
            && weight < Percent::FULL
        {
            shares.begin_stratum(weight.ratio());
            shares.absorb(window.canary.total.round(), window.control.total.round());
        }
    }

    fn state(&self) -> Value {
        let pairs = self.slower.iter().chain([&self.requests]);
        let sums: Vec<f64> = pairs.flat_map(|pair| [pair.canary, pair.control]).collect();
        json!({
            "fail": self.fail.state(),
            "pass": self.pass.state(),
            "phis": pack(&self.phis),
            "sums": pack(&sums),
            "shares": self.shares.as_ref().map(SampleRatio::state),
            "failed": self.failed,
        })
    }

    fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        let broken = BrokenState("the latency");
        let mut again = Self::new(self.trial.clone());
        again.fail.restore(&state["fail"])?;
        again.pass.restore(&state["pass"])?;
        again.phis = unpack(&state["phis"]).ok_or(broken.clone())?;
        let sums = unpack(&state["sums"]).ok_or(broken.clone())?;
        let pairs: Vec<Slower> =
            sums.chunks_exact(2).map(|pair| Slower { canary: pair[0], control: pair[1] }).collect();
        let (requests, slower) = pairs.split_last().ok_or(broken.clone())?;
        (again.requests, again.slower) = (*requests, slower.to_vec());
        if let Some(shares) = &mut again.shares {
            shares.restore(&state["shares"])?;
        }
        again.failed = state["failed"].as_bool().ok_or(broken.clone())?;
        let count = again.boundaries().len();
        if again.pass.boundaries() != again.fail.boundaries() || again.phis.len() != count || slower.len() != count {
            return Err(broken);
        }
        *self = again;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
