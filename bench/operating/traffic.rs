//! The traffic of a simulated rollout: requests as they come, bad ones by chance, counted by scrapes that are out of step.
//!
//! Requests are a Poisson process and are bad independently of each other, so the bad ones of a window are Poisson too, and
//! independent of the good ones: two draws for each arm and window, whatever the rate. Nothing is judged here.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Poisson};
use tidegate::stats::Counts;

pub const WINDOW_SECONDS: f64 = 5.0;
/// One hour.
pub const WINDOWS: u32 = 720;
const STABLE_PODS: usize = 20;

#[derive(Clone, Copy)]
pub struct Service {
    pub rps: f64,
    pub weight: Weight,
    /// Bad ratio of each version.
    pub stable: f64,
    pub canary: f64,
    /// What happens to both.
    pub event: Event,
}

#[derive(Clone, Copy)]
pub enum Weight {
    Fixed(f64),
    /// 1, 5, 25 and 50 %, a quarter of the hour each.
    Ramp,
}

#[derive(Clone, Copy)]
pub enum Event {
    Nothing,
    /// The bad ratio of both versions grows evenly up to so many times itself at the end of the hour.
    Rise {
        factor: f64,
    },
    /// Both versions have this bad ratio for a while, some time in the hour. The pods (one of the canary, 20 of stable) are
    /// scraped at different moments, so the first and the last window show it in some of them only.
    Outage {
        ratio: f64,
        seconds: f64,
    },
}

/// The chances of one run, drawn at its start.
pub struct Run {
    service: Service,
    outage_start: f64,
    /// How long before the end of a window each pod is scraped, in seconds.
    canary_lags: Vec<f64>,
    stable_lags: Vec<f64>,
}

impl Weight {
    pub fn at(self, seconds: f64) -> f64 {
        match self {
            Self::Fixed(share) => share,
            Self::Ramp => [0.01, 0.05, 0.25, 0.5][(seconds / 900.0).clamp(0.0, 3.0) as usize],
        }
    }
}

impl Run {
    pub fn new(service: Service, chance: &mut impl Rng) -> Self {
        let hour = f64::from(WINDOWS) * WINDOW_SECONDS;
        let (outage_start, pods) = match service.event {
            Event::Outage { seconds, .. } => (chance.random_range(0.0..hour - seconds), STABLE_PODS),
            Event::Nothing | Event::Rise { .. } => (0.0, 0),
        };
        let mut lags = |pods: usize| match pods {
            0 => vec![0.0],
            _ => (0..pods).map(|_| chance.random_range(0.0..WINDOW_SECONDS)).collect(),
        };
        Self { service, outage_start, canary_lags: lags(pods.min(1)), stable_lags: lags(pods) }
    }

    /// The increments of the canary and of stable in a window, counted from 0.
    pub fn window(&self, index: u32, chance: &mut impl Rng) -> (Counts, Counts) {
        let start = f64::from(index) * WINDOW_SECONDS;
        let share = self.service.weight.at(start);
        let mut arm = |share: f64, usual: f64, lags: &[f64]| {
            let ratio = lags.iter().map(|lag| self.ratio(usual, start - lag)).sum::<f64>() / lags.len() as f64;
            let requests = self.service.rps * WINDOW_SECONDS * share;
            let bad = draw(requests * ratio, chance);
            Counts { bad, total: bad + draw(requests * (1.0 - ratio), chance) }
        };
        let canary = arm(share, self.service.canary, &self.canary_lags);
        (canary, arm(1.0 - share, self.service.stable, &self.stable_lags))
    }

    /// The bad ratio over the window from `start` on of a version that usually has this one.
    fn ratio(&self, usual: f64, start: f64) -> f64 {
        match self.service.event {
            Event::Nothing => usual,
            Event::Rise { factor } => {
                let passed = start / (f64::from(WINDOWS) * WINDOW_SECONDS);
                usual * factor.powf(passed)
            }
            Event::Outage { ratio, seconds } => {
                let first = start.max(self.outage_start);
                let last = (start + WINDOW_SECONDS).min(self.outage_start + seconds);
                usual + (ratio - usual) * (last - first).max(0.0) / WINDOW_SECONDS
            }
        }
    }
}

fn draw(mean: f64, chance: &mut impl Rng) -> f64 {
    // A mean of 0 is no Poisson distribution.
    Poisson::new(mean).map_or(0.0, |poisson| poisson.sample(chance))
}
