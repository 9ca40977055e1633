//! A gauge of both arms over a run: blocks on a wall-clock grid, each compared once or left out for a reason.
//!
//! It is a sign for people: no verdict rests on it. It reads nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    bits::{pack, unpack_array},
    fold::BrokenState,
    gauge::GaugeTest,
};

/// The canary may be this much above the control, relatively, before anything speaks against it: it is younger.
pub const GAUGE_TOLERANCE: f64 = 0.1;
/// Length of a block in seconds: means of a minute are less like each other than samples are.
pub const GAUGE_BLOCK: i64 = 60;
/// Correlation of blocks with the one before from which on they are made twice as long.
const MOST_ALIKE: f64 = 0.6;
/// Blocks that follow each other which an estimate from before the run needs.
const ENOUGH_PAIRS: usize = 20;
/// The smallest standard deviation that is believed.
const LEAST_DEVIATION: f64 = 0.001;

/// What the differences between the arms are measured with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaugeTerms {
    /// Length of a block in seconds.
    pub block: i64,
    scale: f64,
    lag: f64,
}

impl GaugeTerms {
    /// With nothing from before the run: differences of a tenth are usual, and blocks are unlike each other.
    const USUAL: Self = Self { block: GAUGE_BLOCK, scale: 5.0, lag: 0.0 };

    /// From the control's blocks before the run, in order; None is one without a value.
    ///
    /// Gauges, section 1.4: the scale is 0.5 / the standard deviation of the differences before the rollout. There was one arm
    /// then. Its steps from block to block have the deviation that differences of two such arms have, and no drift in them.
    pub fn before(blocks: &[Option<f64>]) -> Self {
        let Some(single) = Steps::of(blocks) else { return Self::USUAL };
        let terms = |steps: Steps, block: i64| Self { block, scale: 0.5 / steps.deviation, lag: steps.lag };
        if single.lag <= MOST_ALIKE {
            return terms(single, GAUGE_BLOCK);
        }
        let both = |pair: &[Option<f64>]| Some((pair.first().copied()?? + pair.get(1).copied()??) / 2.0);
        let pairs: Vec<_> = blocks.chunks(2).map(both).collect();
        terms(Steps::of(&pairs).unwrap_or(single), 2 * GAUGE_BLOCK)
    }

    /// Blocks of a minute are too much like each other.
    pub fn is_overdispersed(&self) -> bool {
        self.block > GAUGE_BLOCK
    }
}

/// How the logarithm of a gauge goes from block to block.
#[derive(Clone, Copy, Debug)]
struct Steps {
    deviation: f64,
    lag: f64,
}

impl Steps {
    /// None: too few to tell.
    fn of(blocks: &[Option<f64>]) -> Option<Self> {
        let logs: Vec<_> = blocks.iter().map(|mean| mean.filter(|mean| *mean > 0.0).map(libm::log)).collect();
        let known: Vec<f64> = logs.iter().flatten().copied().collect();
        let middle = known.iter().sum::<f64>() / known.len() as f64;
        let pairs: Vec<(f64, f64)> = logs.windows(2).filter_map(|pair| Some((pair[0]?, pair[1]?))).collect();
        if pairs.len() < ENOUGH_PAIRS {
            return None;
        }
        let steps: f64 = pairs.iter().map(|(before, after)| (after - before) * (after - before)).sum();
        let together: f64 = pairs.iter().map(|(before, after)| (before - middle) * (after - middle)).sum();
        let alone: f64 = known.iter().map(|log| (log - middle) * (log - middle)).sum();
        let lag = if alone > 0.0 { (together / alone).clamp(0.0, 1.0) } else { 0.0 };
        Some(Self { deviation: libm::sqrt(steps / pairs.len() as f64).max(LEAST_DEVIATION), lag })
    }
}

/// Why a block was not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The weight had just changed.
    Settling,
    /// The pods had just started.
    Warmup,
    /// One arm had all the traffic.
    OneArm,
    /// The canary had no value at some moment of the block.
    CanaryAbsent,
    ControlAbsent,
    /// The query gave several values for an arm.
    SeveralValues,
    /// NaN or infinite.
    NotANumber,
    /// 0 or less, which has no ratio.
    NotPositive,
    /// The metrics server gave no answer while it was worth asking.
    Unavailable,
}

impl Missed {
    const ALL: [Self; 9] = [
        Self::Settling,
        Self::Warmup,
        Self::OneArm,
        Self::CanaryAbsent,
        Self::ControlAbsent,
        Self::SeveralValues,
        Self::NotANumber,
        Self::NotPositive,
        Self::Unavailable,
    ];

    /// The word for records.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Settling => "settling",
            Self::Warmup => "warmup",
            Self::OneArm => "oneArm",
            Self::CanaryAbsent => "canaryAbsent",
            Self::ControlAbsent => "controlAbsent",
            Self::SeveralValues => "severalValues",
            Self::NotANumber => "notANumber",
            Self::NotPositive => "notPositive",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What a gauge amounts to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gauged {
    /// Both arms' means of the last block that was compared.
    pub canary: f64,
    pub control: f64,
    /// The canary's as a multiple of the control's, the geometric mean of all blocks.
    pub ratio: f64,
    /// Evidence that it is more than 1 + `GAUGE_TOLERANCE`.
    pub evidence: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GaugeFold {
    /// End of the last block that was dealt with, in seconds since the epoch.
    pub watermark: i64,
    /// When the metrics server was asked last without an answer; 0: it has answered.
    pub failed_at: i64,
    terms: Option<GaugeTerms>,
    test: GaugeTest,
    log_ratios: f64,
    canary: f64,
    control: f64,
    pub blocks: u64,
    missed: BTreeMap<&'static str, u64>,
}

impl GaugeFold {
    pub fn new(watermark: i64) -> Self {
        let GaugeTerms { scale, lag, .. } = GaugeTerms::USUAL;
        Self {
            watermark,
            failed_at: 0,
            terms: None,
            test: GaugeTest::new(scale, lag),
            log_ratios: 0.0,
            canary: 0.0,
            control: 0.0,
            blocks: 0,
            missed: BTreeMap::new(),
        }
    }

    pub fn terms(&self) -> Option<GaugeTerms> {
        self.terms
    }

    /// Once for the run, before its first block.
    pub fn learn(&mut self, terms: GaugeTerms) {
        self.terms = Some(terms);
        self.test = GaugeTest::new(terms.scale, terms.lag);
    }

    /// Take the next block in: both arms' means, which are positive, or why they are not compared.
    pub fn absorb(&mut self, end: i64, means: Result<(f64, f64), Missed>) {
        self.watermark = end;
        match means {
            Ok((canary, control)) => {
                self.test.absorb(canary, control, GAUGE_TOLERANCE);
                self.log_ratios += libm::log(canary / control);
                (self.canary, self.control) = (canary, control);
                self.blocks += 1;
            }
            Err(why) => {
                self.test.interrupt();
                *self.missed.entry(why.word()).or_default() += 1;
            }
        }
    }

    /// Blocks that were not compared, by reason.
    pub fn missed(&self) -> BTreeMap<String, u64> {
        self.missed.iter().map(|(word, blocks)| ((*word).to_owned(), *blocks)).collect()
    }

    /// None: nothing has been compared.
    pub fn gauged(&self) -> Option<Gauged> {
        (self.blocks > 0).then(|| Gauged {
            canary: self.canary,
            control: self.control,
            ratio: libm::exp(self.log_ratios / self.blocks as f64),
            evidence: libm::exp(self.test.log_evidence()).min(f64::MAX),
        })
    }

    pub fn state(&self) -> Value {
        let terms = self.terms.map(|terms| json!({ "block": terms.block, "floats": pack(&[terms.scale, terms.lag]) }));
        json!({
            "watermark": self.watermark,
            "failedAt": self.failed_at,
            "terms": terms,
            "test": self.test.state(),
            "floats": pack(&[self.log_ratios, self.canary, self.control]),
            "blocks": self.blocks,
            "missed": self.missed,
        })
    }

    /// As it was written; None: it is no state of a gauge.
    fn read(state: &Value) -> Option<Self> {
        let mut fold = Self::new(state["watermark"].as_i64()?);
        if !state["terms"].is_null() {
            let [scale, lag] = unpack_array(&state["terms"]["floats"])?;
            fold.learn(GaugeTerms { block: state["terms"]["block"].as_i64().filter(|block| *block > 0)?, scale, lag });
        }
        fold.test.restore(&state["test"]).ok()?;
        [fold.log_ratios, fold.canary, fold.control] = unpack_array(&state["floats"])?;
        (fold.failed_at, fold.blocks) = (state["failedAt"].as_i64()?, state["blocks"].as_u64()?);
        let known = Missed::ALL.map(Missed::word).into_iter();
        fold.missed = known.filter_map(|word| Some((word, state["missed"][word].as_u64()?))).collect();
        Some(fold)
    }

    /// Go on from a written state; None starts anew. On an error nothing has changed.
    pub fn restore(&mut self, state: Option<&Value>) -> Result<(), BrokenState> {
        if let Some(state) = state {
            *self = Self::read(state).ok_or(BrokenState("the gauge's blocks"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An hour of blocks: some noise that is the same in every run, and what each keeps of the one before.
    fn hour(kept: f64) -> Vec<Option<f64>> {
        let (mut seed, mut log) = (7_u64, 0.0);
        let next = |_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            log = kept * log + ((seed >> 40) as f64 / f64::from(1 << 24) - 0.5) * 0.2;
            Some(1e9 * libm::exp(log))
        };
        (0..60).map(next).collect()
    }

    #[test]
    fn the_scale_comes_from_stables_own_steps_before_the_run() {
        let terms = GaugeTerms::before(&hour(0.0));
        // Uniform over 0.2: the difference of two has a standard deviation of 0.2 / sqrt(6) = 0.0816.
        assert!((5.0..7.5).contains(&terms.scale) && terms.lag < 0.3 && !terms.is_overdispersed(), "{terms:?}");
        let alike = GaugeTerms::before(&hour(0.97));
        assert!(alike.is_overdispersed() && alike.block == 120 && alike.lag > 0.3, "{alike:?}");
        assert_eq!(GaugeTerms::before(&[Some(1.0); 60]), GaugeTerms { block: 60, scale: 500.0, lag: 0.0 });
        for few in [vec![], vec![Some(1.0); 20], vec![None; 60], vec![Some(0.0); 60]] {
            assert_eq!(GaugeTerms::before(&few), GaugeTerms::USUAL, "{few:?}");
        }
    }

    #[test]
    fn twice_as_much_is_a_sign_and_a_drift_of_both_arms_is_none() {
        let gauged = |ratio: f64| {
            let mut fold = GaugeFold::new(0);
            fold.learn(GaugeTerms::before(&hour(0.3)));
            for (number, mean) in (1..).zip(hour(0.3).into_iter().flatten()) {
                let drift = 1.0 + number as f64 / 10.0;
                fold.absorb(number * GAUGE_BLOCK, Ok((mean * drift * ratio, 1e9 * drift)));
            }
            fold.gauged().unwrap()
        };
        let (twice, same) = (gauged(2.0), gauged(1.0));
        assert!(twice.evidence > 1_000.0 && (1.8..2.2).contains(&twice.ratio), "{twice:?}");
        assert!(same.evidence < 1.0 && (0.9..1.1).contains(&same.ratio), "{same:?}");
    }

    #[test]
    fn written_and_restored_it_goes_on_bit_by_bit_with_every_reason() {
        let mut fold = GaugeFold::new(0);
        let mut again = GaugeFold::new(0);
        for (number, why) in (1..).zip(Missed::ALL) {
            if number == 3 {
                fold.learn(GaugeTerms::before(&hour(0.5)));
            }
            fold.absorb(number * 60, Err(why));
            fold.absorb(number * 60 + 30, Ok((0.1 * number as f64, 0.3)));
            let text = fold.state().to_string();
            again.restore(Some(&serde_json::from_str(&text).unwrap())).unwrap();
            assert_eq!(again, fold);
        }
        assert_eq!((fold.missed().len(), fold.blocks), (9, 9));
        assert_eq!(again.restore(Some(&json!({ "watermark": 5 }))), Err(BrokenState("the gauge's blocks")));
        assert_eq!(again, fold);
        assert_eq!(GaugeFold::new(5).gauged(), None);
    }
}
