//! Chance from one seed: the same seed gives the same schedule on every machine.

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators").
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A stream of its own, which other draws do not shift.
    pub const fn split(&mut self) -> Self {
        Self(self.next())
    }

    /// In `[0, bound)`; 0 for 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// In `[low, high]`.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// In `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of `from`, which is not empty.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap_or(0)]
    }

    /// Successes of `trials` with `probability` each: exact for few, by the normal distribution for many.
    pub fn binomial(&mut self, trials: u64, probability: f64) -> u64 {
        const FEW: u64 = 40;
        if probability <= 0.0 || trials == 0 {
            return 0;
        }
        if trials <= FEW {
            return (0..trials).filter(|_| self.happens(probability)).count() as u64;
        }
        let mean = trials as f64 * probability;
        if mean < 20.0 {
            return self.poisson(mean).min(trials);
        }
        let deviation = libm::sqrt(mean * (1.0 - probability).max(0.0));
        let drawn = (mean + deviation * self.normal()).round();
        (drawn.max(0.0) as u64).min(trials)
    }

    /// Events of a rate. Knuth's product for small means; the normal distribution from 30 on.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean >= 30.0 {
            return (mean + libm::sqrt(mean) * self.normal()).round().max(0.0) as u64;
        }
        let (floor, mut product, mut count) = (libm::exp(-mean), self.unit(), 0);
        while product > floor {
            product *= self.unit();
            count += 1;
        }
        count
    }

    /// Box and Muller's.
    fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(2.0 * std::f64::consts::PI * self.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_means_that_they_are_asked_for() {
        let mut chance = Chance::new(7);
        let mut mean = |draw: &mut dyn FnMut(&mut Chance) -> u64| {
            let sum: u64 = (0..20_000).map(|_| draw(&mut chance)).sum();
            sum as f64 / 20_000.0
        };
        for (found, wanted) in [
            (mean(&mut |chance| chance.poisson(2.5)), 2.5),
            (mean(&mut |chance| chance.poisson(80.0)), 80.0),
            (mean(&mut |chance| chance.binomial(30, 0.1)), 3.0),
            (mean(&mut |chance| chance.binomial(4_000, 0.001)), 4.0),
            (mean(&mut |chance| chance.binomial(1_000, 0.4)), 400.0),
            (mean(&mut |chance| chance.between(3, 5)), 4.0),
        ] {
            assert!((found / wanted - 1.0).abs() < 0.02, "{found} for {wanted}");
        }
    }
}
