//! Every sequential test of one counted metric, as one fold: is the canary worse than the margin, is it within it, how far
//! apart are the arms, does the canary break its objective, and did the arms get the requests that the weight says.
//!
//! It gathers evidence; which of it decides is the judge's to say.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    bits::{from_bits, to_bits},
    difference_bounds::DifferenceBounds,
    fold::{BrokenState, Fold},
    margin::MarginTest,
    mark::digest_of,
    overdispersion::FALLBACK_PHI,
    ratio_bounds::RatioBounds,
    recording::Recording,
    sample_ratio::{BY_REQUEST, SampleRatio},
    slo::{SLO_BURN, SloTest, slo_limit},
    terms::Terms,
    window::{Counts, Window},
};
use crate::api::Percent;

/// What one metric is tested for.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    pub terms: Terms,
    /// The metric's part of alpha, from 0 to 1.
    pub share: f64,
    /// On the error budget's metric: its objective, and the part of alpha that its test has.
    pub objective: Option<(Percent, f64)>,
    /// The canary's share of the requests that the metric counts; None: it does not count them.
    pub routed: Option<Percent>,
    /// Room for the windows that are kept for a replay, in bytes of a record.
    pub recorded_bytes: usize,
}

/// The evidence of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    trial: Trial,
    fail: MarginTest,
    pass: MarginTest,
    difference: DifferenceBounds,
    /// None: the record was begun by a version that bounded the ratio of the budget's metric only.
    ratio: Option<RatioBounds>,
    slo: Option<ArmsSlo>,
    shares: Option<SampleRatio>,
    /// How many bad requests come together; None until it is measured.
    phi: Option<f64>,
    /// A Fail stays one.
    failed: bool,
    recording: Recording,
}

#[derive(Clone, Debug, PartialEq)]
struct ArmsSlo {
    canary: SloTest,
    control: SloTest,
}

/// What the evidence amounts to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    pub fail: Proof,
    /// The Fail was proven, now or before.
    pub failed: bool,
    pub pass: Proof,
    pub apart: Apart,
    /// The canary's bad ratio as a multiple of stable's.
    pub ratio: Option<(f64, f64)>,
    /// Of the canary's objective, and whether stable breaks it too.
    pub slo: Option<(Proof, bool)>,
    /// The canary's requests and those of both arms, if they do not fit the share.
    pub mismatch: Option<(f64, f64)>,
    pub phi: f64,
    pub suspicion: f64,
    pub min_canary_requests: f64,
}

/// What is known of the distance between the arms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Apart {
    /// The canary's bad ratio above stable's: bounds at alpha on each side.
    Bounds { lower: f64, upper: f64 },
    /// Latency without a threshold: where the evidence is largest, and of how many boundaries. None: they are not chosen yet.
    Tails { boundary: Option<f64>, of: usize },
}

/// A replay's result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replayed {
    pub windows: usize,
    pub fail_evidence: f64,
    pub pass_evidence: f64,
    /// None: it is what stands in the record, bit by bit.
    pub difference: Option<Difference>,
}

/// Where two folds of the same windows part first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// "Fail" or "Pass".
    pub test: &'static str,
    /// Which of its alternatives, counted from 1; the one after the last is the prior that has not started.
    pub part: usize,
    pub recorded: f64,
    pub again: f64,
}

/// An e-value and what it has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proof {
    pub evidence: f64,
    pub threshold: f64,
}

impl Proof {
    pub fn holds(self) -> bool {
        self.evidence >= self.threshold
    }
}

impl Comparison {
    pub fn new(trial: Trial) -> Self {
        let (fail, pass) = tests(&trial);
        let terms = &trial.terms;
        let slo = trial.objective.and_then(|(objective, share)| {
            let limit = slo_limit(objective, SLO_BURN);
            let test = SloTest::new(limit, terms.alpha * share, terms.restarts());
            (limit < 1.0).then(|| ArmsSlo { canary: test.clone(), control: test })
        });
        Self {
            recording: Recording::new(fail.clone(), pass.clone(), trial.recorded_bytes),
            fail,
            pass,
            difference: DifferenceBounds::default(),
            ratio: Some(RatioBounds::default()),
            slo,
            shares: trial.routed.map(|_| SampleRatio::new(BY_REQUEST)),
            phi: None,
            failed: false,
            trial,
        }
    }

    /// Whether the overdispersion is still to be measured.
    pub fn needs_phi(&self) -> bool {
        self.phi.is_none()
    }

    pub fn learn_phi(&mut self, phi: f64) {
        self.phi = Some(phi.clamp(1.0, 30.0));
    }

    /// The recorded windows folded again: the tests of a Fail and of a Pass after them, where they differ from what stands here,
    /// and how many windows that were.
    pub fn replayed(&self) -> Replayed {
        let (fail, pass, windows) = self.recording.replay();
        Replayed {
            windows,
            fail_evidence: fail.evidence(),
            pass_evidence: pass.evidence(),
            difference: parted("Fail", &self.fail, &fail).or_else(|| parted("Pass", &self.pass, &pass)),
        }
    }

    /// Digests of the tests as they were before the first recorded window and after each, by how many windows were judged, which
    /// are `judged` by now.
    pub fn marks(&self, judged: u64) -> BTreeMap<u64, String> {
        let states = self.recording.states();
        let first = judged.saturating_add(1).saturating_sub(states.len() as u64);
        (first..).zip(states.iter().map(digest_of)).collect()
    }

    /// Where the tests of another fold of the same windows differ from these.
    pub fn parts_from(&self, again: &Self) -> Option<Difference> {
        parted("Fail", &self.fail, &again.fail).or_else(|| parted("Pass", &self.pass, &again.pass))
    }

    pub fn terms(&self) -> &Terms {
        &self.trial.terms
    }

    /// Length of the windows in seconds that a written state was made with; it is no part of a run's plan.
    pub fn window_seconds(state: &Value) -> Option<f64> {
        from_bits(&state["window"])
    }

    pub fn compared(&self) -> Compared {
        let Terms { alpha, suspicion, min_canary_requests, .. } = self.trial.terms;
        let phi = self.phi.unwrap_or(FALLBACK_PHI);
        let proof = |test: &MarginTest| Proof { evidence: test.evidence(), threshold: test.threshold() };
        let of_slo = |test: &SloTest| Proof { evidence: test.evidence(), threshold: test.threshold() };
        Compared {
            fail: proof(&self.fail),
            failed: self.failed,
            pass: proof(&self.pass),
            apart: Apart::Bounds { lower: self.difference.lower(alpha), upper: self.difference.upper(alpha) },
            ratio: self.ratio.as_ref().map(|ratio| ratio.bounds(alpha)),
            slo: self.slo.as_ref().map(|slo| (of_slo(&slo.canary), slo.control.is_proven())),
            mismatch: self.shares.as_ref().filter(|shares| shares.is_mismatch(phi)).map(SampleRatio::seen),
            phi,
            suspicion,
            min_canary_requests: min_canary_requests as f64,
        }
    }
}

fn parted(test: &'static str, recorded: &MarginTest, again: &MarginTest) -> Option<Difference> {
    let all = |test: &MarginTest| {
        let (masses, reserve) = test.parts();
        masses.into_iter().chain([reserve])
    };
    let pairs = (1..).zip(all(recorded).zip(all(again)));
    let mut parted = pairs.filter(|(_, (recorded, again))| recorded.to_bits() != again.to_bits());
    parted.next().map(|(part, (recorded, again))| Difference { test, part, recorded, again })
}

/// The tests of a Fail and of a Pass before the first window.
pub fn tests(trial: &Trial) -> (MarginTest, MarginTest) {
    let Terms { alpha, beta, fail, pass, .. } = trial.terms;
    let fail = MarginTest::fail(fail, alpha * trial.share, trial.terms.restarts());
    (fail, MarginTest::pass(pass, beta))
}

impl Fold for Comparison {
    fn absorb(&mut self, window: &Window) {
        let phi = self.phi.unwrap_or(FALLBACK_PHI);
        // Requests are whole; a record of whole numbers replays to the same bits.
        let whole = |counts: Counts| Counts { bad: counts.bad.round(), total: counts.total.round() };
        let (canary, control) = (whole(window.canary), whole(window.control));
        self.fail.absorb(canary, control, phi);
        self.pass.absorb(canary, control, phi);
        self.recording.absorb(canary, control, phi);
        self.difference.absorb(canary, control, phi);
        if let Some(ratio) = &mut self.ratio {
            ratio.absorb(canary, control, phi);
        }
        if let Some(slo) = &mut self.slo {
            slo.canary.absorb(canary, phi);
            slo.control.absorb(control, phi);
        }
        if let (Some(shares), Some(weight)) = (&mut self.shares, self.trial.routed)
            && weight > Percent::ZERO
            && weight < Percent::FULL
        {
            shares.begin_stratum(weight.ratio());
            shares.absorb(canary.total, control.total);
        }
        self.failed |= self.fail.is_proven();
    }

    fn state(&self) -> Value {
        json!({
            "fail": self.fail.state(),
            "pass": self.pass.state(),
            "difference": self.difference.state(),
            "ratio": self.ratio.as_ref().map(RatioBounds::state),
            "slo": self.slo.as_ref().map(|slo| [slo.canary.state(), slo.control.state()]),
            "shares": self.shares.as_ref().map(SampleRatio::state),
            "phi": self.phi.map(to_bits),
            "failed": self.failed,
            "window": to_bits(self.trial.terms.window_seconds),
            "recording": self.recording.state(),
        })
    }

    fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        let mut again = Self::new(self.trial.clone());
        again.fail.restore(&state["fail"])?;
        again.pass.restore(&state["pass"])?;
        again.difference.restore(&state["difference"])?;
        if state["ratio"].is_null() && again.trial.objective.is_none() {
            // Bounds that begin in the middle of a run would speak of other requests than its counts.
            again.ratio = None;
        } else if let Some(ratio) = &mut again.ratio {
            ratio.restore(&state["ratio"])?;
        }
        if let Some(slo) = &mut again.slo {
            slo.canary.restore(&state["slo"][0])?;
            slo.control.restore(&state["slo"][1])?;
        }
        if let Some(shares) = &mut again.shares {
            shares.restore(&state["shares"])?;
        }
        again.phi = match &state["phi"] {
            Value::Null => None,
            phi => Some(from_bits(phi).ok_or(BrokenState("the overdispersion"))?),
        };
        again.failed = state["failed"].as_bool().ok_or(BrokenState("the comparison"))?;
        again.recording.restore(&state["recording"])?;
        // Windows of another length earn another part of the reserve: what was recorded would not replay.
        if Self::window_seconds(state) != Some(again.trial.terms.window_seconds) {
            again.recording = Recording::new(again.fail.clone(), again.pass.clone(), again.trial.recorded_bytes);
        }
        *self = again;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
