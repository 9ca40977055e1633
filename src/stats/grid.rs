//! The alternatives that evidence is gathered for, and the margins that it is gathered against (verdicts 1.1).
//!
//! Finite grids instead of an integral: the mixture is valid for every sequence of allocations, and costs at most
//! ln(1/prior) against knowing the effect. No evidence is gathered here.

/// Alternatives in a grid.
pub const ALTERNATIVES: usize = 8;

/// Ratios of the canary's bad ratio to the margin's, each with its share of the prior.
#[derive(Debug, PartialEq)]
pub struct Grid {
    pub ratios: [f64; ALTERNATIVES],
    pub prior: [f64; ALTERNATIVES],
}

/// The canary is worse than the margin.
pub const FAIL: Grid = Grid {
    ratios: [1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 25.0, 100.0],
    prior: [0.05, 0.10, 0.20, 0.20, 0.20, 0.10, 0.10, 0.05],
};

/// The canary is better than the margin.
pub const PASS: Grid = Grid {
    ratios: [0.90, 0.80, 0.65, 0.50, 0.35, 0.20, 0.10, 0.01],
    prior: [0.05, 0.10, 0.20, 0.25, 0.15, 0.10, 0.10, 0.05],
};

/// What is tolerated: a bad ratio of the canary up to `ratio` times stable's, plus `absolute`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    pub ratio: f64,
    pub absolute: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prior_is_a_whole() {
        for grid in [FAIL, PASS] {
            assert!((grid.prior.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
}
