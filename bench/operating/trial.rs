//! Many runs of one cell, and what was seen in them. Which of it is good enough is said by the claim.

use rand::{SeedableRng, rngs::ChaCha8Rng};

use super::{
    judge::{Judge, Rule},
    traffic::{Run, Service, WINDOW_SECONDS, WINDOWS},
};

/// Runs of one cell.
pub struct Seen {
    pub runs: u64,
    /// Runs with the verdict within the hour.
    pub decided: u64,
    /// Seconds until half of all runs had it; None: fewer did.
    pub median_seconds: Option<f64>,
    /// Bad requests of the canary until the verdict or the end of the hour, on average.
    pub mean_bad: f64,
}

impl Seen {
    pub fn share(&self) -> f64 {
        self.decided as f64 / self.runs as f64
    }
}

/// Each run has a seed of its own, `first_seed` and the following: it can be looked at alone.
pub fn simulate(service: &Service, rule: Rule, first_seed: u64, runs: u64) -> Seen {
    let mut times = Vec::new();
    let mut bad = 0.0;
    for seed in first_seed..first_seed + runs {
        let (windows, bad_of_run) = run(service, rule, &mut ChaCha8Rng::seed_from_u64(seed));
        times.extend(windows.map(|windows| f64::from(windows) * WINDOW_SECONDS));
        bad += bad_of_run;
    }
    times.sort_by(f64::total_cmp);
    let decided = times.len() as u64;
    let median_seconds = times.get(runs.div_ceil(2).saturating_sub(1) as usize).copied();
    Seen { runs, decided, median_seconds, mean_bad: bad / runs as f64 }
}

/// The windows until the verdict, if it came, and the canary's bad requests until then.
fn run(service: &Service, rule: Rule, chance: &mut ChaCha8Rng) -> (Option<u32>, f64) {
    let run = Run::new(*service, chance);
    let mut judge = Judge::new(rule, service);
    let mut bad = 0.0;
    for index in 0..WINDOWS {
        let (canary, control) = run.window(index, chance);
        bad += canary.bad;
        if judge.absorb(canary, control) {
            return (Some(index + 1), bad);
        }
    }
    (None, bad)
}
