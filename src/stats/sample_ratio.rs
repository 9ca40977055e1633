//! Evidence that the arms do not get the shares of traffic that they should.
//!
//! It reverts nothing: such a run can neither pass nor fail, because who answers whom is not what it seems.

use serde_json::Value;
use statrs::function::gamma::ln_gamma;

use super::{
    bits::{pack, unpack_array},
    fold::BrokenState,
};

/// Events that the prior is worth.
pub const SAMPLE_RATIO_PRIOR: f64 = 1000.0;
/// Relative tolerance for a proxy that chooses per request.
pub const BY_REQUEST: f64 = 0.02;
/// Relative tolerance for a share made of pods or of connections.
pub const BY_CONNECTION: f64 = 0.10;
/// Probability of a false alarm.
pub const SAMPLE_RATIO_ALPHA: f64 = 0.001;

/// ln of the e-value against "the arms' events are as `shares`" (of any sum), with two arms up to `tolerance` (of the first one's
/// part of all, absolute).
///
/// Sequential sample ratio, section 3: multinomial test with a Dirichlet prior around the shares (Lindon & Malek, arXiv
/// 2011.03567). With a tolerance the null is a range: division by the best of it keeps the evidence valid.
pub fn sample_ratio_log_evidence(counts: &[f64], shares: &[f64], prior: f64, tolerance: f64) -> f64 {
    let all: f64 = counts.iter().sum();
    let whole: f64 = shares.iter().sum();
    let certain = shares.iter().any(|share| *share <= 0.0 || *share >= whole);
    if all <= 0.0 || certain {
        return 0.0;
    }
    let first_share = shares[0] / whole;
    let mut evidence = ln_gamma(prior) - ln_gamma(prior + all);
    let first = match (shares, counts) {
        ([_, _], [count, _]) => {
            (count / all).clamp((first_share - tolerance).max(0.0), (first_share + tolerance).min(1.0))
        }
        _ => first_share,
    };
    for (index, (count, share)) in counts.iter().zip(shares).enumerate() {
        let null = match index {
            0 => first,
            1 if shares.len() == 2 => 1.0 - first,
            _ => share / whole,
        };
        let pseudo = prior * share / whole;
        evidence += ln_gamma(pseudo + count) - ln_gamma(pseudo);
        if *count > 0.0 {
            evidence -= count * libm::log(null);
        }
    }
    evidence
}

/// Both arms over a run: a stratum for each share, their evidence multiplied.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRatio {
    /// Relative.
    tolerance: f64,
    /// ln of the product over the strata that are over.
    closed: f64,
    /// The canary's share; 0 or 1 before the first stratum and where there is nothing to compare.
    share: f64,
    canary: f64,
    control: f64,
}

impl SampleRatio {
    pub fn new(tolerance: f64) -> Self {
        Self { tolerance, closed: 0.0, share: 0.0, canary: 0.0, control: 0.0 }
    }

    /// The weight has settled: from here on the canary's share should be `share`. The same share goes on.
    pub fn begin_stratum(&mut self, share: f64) {
        if share != self.share {
            self.closed += self.open();
            (self.share, self.canary, self.control) = (share, 0.0, 0.0);
        }
    }

    /// Take the totals of one window in: all events of each arm, good or bad.
    pub fn absorb(&mut self, canary: f64, control: f64) {
        self.canary += canary;
        self.control += control;
    }

    fn open(&self) -> f64 {
        let (counts, shares) = ([self.canary, self.control], [self.share, 1.0 - self.share]);
        sample_ratio_log_evidence(&counts, &shares, SAMPLE_RATIO_PRIOR, self.tolerance * self.share)
    }

    /// ln of the e-value, divided by `phi` (at least 1) for events that come in clusters of one arm.
    pub fn log_evidence(&self, phi: f64) -> f64 {
        (self.closed + self.open()) / phi.max(1.0)
    }

    /// Whether the shares are wrong, at `SAMPLE_RATIO_ALPHA`.
    pub fn is_mismatch(&self, phi: f64) -> bool {
        self.log_evidence(phi) >= -libm::log(SAMPLE_RATIO_ALPHA)
    }

    /// The canary's events and those of both, in the open stratum: what was seen in place of the share.
    pub fn seen(&self) -> (f64, f64) {
        (self.canary, self.canary + self.control)
    }

    pub fn state(&self) -> Value {
        pack(&[self.closed, self.share, self.canary, self.control])
    }

    /// Go on from a written state. On an error nothing has changed.
    pub fn restore(&mut self, state: &Value) -> Result<(), BrokenState> {
        [self.closed, self.share, self.canary, self.control] =
            unpack_array(state).ok_or(BrokenState("the sample ratio"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strata_multiply_and_survive_a_restart() {
        let mut ratio = SampleRatio::new(BY_REQUEST);
        ratio.absorb(10.0, 0.0);
        assert_eq!(ratio.log_evidence(1.0), 0.0, "no stratum has begun");
        let mut sum = 0.0;
        for (share, canary, control) in [(0.05, 70.0, 930.0), (0.25, 330.0, 670.0)] {
            ratio.begin_stratum(share);
            ratio.begin_stratum(share);
            for _ in 0..10 {
                ratio.absorb(canary, control);
            }
            let (counts, shares) = ([canary * 10.0, control * 10.0], [share, 1.0 - share]);
            sum += sample_ratio_log_evidence(&counts, &shares, SAMPLE_RATIO_PRIOR, BY_REQUEST * share);
            assert!((ratio.log_evidence(1.0) - sum).abs() < 1e-9);
        }
        assert!(ratio.is_mismatch(1.0) && !ratio.is_mismatch(30.0), "{sum}");
        let mut again = SampleRatio::new(BY_REQUEST);
        again.restore(&ratio.state()).unwrap();
        assert_eq!(again, ratio);
        assert_eq!(again.seen(), (3_300.0, 10_000.0));
    }

    #[test]
    fn shares_within_the_tolerance_are_none_of_its_business() {
        for (share, wrong) in [(0.05, 0.0505), (0.5, 0.49)] {
            let mut ratio = SampleRatio::new(BY_REQUEST);
            ratio.begin_stratum(share);
            for _ in 0..1_000 {
                ratio.absorb(wrong * 10_000.0, (1.0 - wrong) * 10_000.0);
            }
            assert!(ratio.log_evidence(1.0) < 0.0, "{share} {wrong}: {}", ratio.log_evidence(1.0));
        }
    }

    #[test]
    fn all_events_in_one_arm_are_a_mismatch_at_every_share() {
        for share in [0.01, 0.5, 0.99] {
            let mut ratio = SampleRatio::new(BY_CONNECTION);
            ratio.begin_stratum(share);
            ratio.absorb(0.0, 5_000.0);
            assert!(ratio.is_mismatch(1.0), "{share}");
        }
    }
}
