//! Bounds for the difference of two means that hold at every moment, for many units.
//!
//! Asymptotic: not to be read with few units in either arm.

/// Units of each arm below which the bounds mean nothing.
const LEAST_UNITS: f64 = 100.0;

/// Half the width of the bounds around a mean of `units` with this standard deviation.
///
/// Means, section 7: asymptotic confidence sequence with a normal mixture (Waudby-Smith et al., conjugate mixture margin).
pub fn mean_half_width(units: f64, deviation: f64, tuning: f64, alpha: f64) -> f64 {
    let spread = units * tuning + 1.0;
    let inner = 2.0 * spread / (units * units * tuning) * libm::log(libm::sqrt(spread) / alpha);
    deviation * libm::sqrt(inner)
}

/// The tuning with which the bounds are narrowest at `planned_units`.
pub fn mean_tuning(planned_units: f64, alpha: f64) -> f64 {
    let twice = -2.0 * libm::log(alpha);
    (twice + libm::log(twice + 1.0)) / planned_units
}

/// Units of one arm: their number, mean and squared deviations from it (Welford).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    pub units: f64,
    pub mean: f64,
    squares: f64,
}

impl Moments {
    pub fn absorb(&mut self, value: f64) {
        self.units += 1.0;
        let before = value - self.mean;
        self.mean += before / self.units;
        self.squares += before * (value - self.mean);
    }

    fn variance(&self) -> f64 {
        self.squares / (self.units - 1.0)
    }
}

/// The canary's mean minus the control's, from and to; None with too few units in an arm.
pub fn mean_difference_bounds(canary: Moments, control: Moments, tuning: f64, alpha: f64) -> Option<(f64, f64)> {
    if canary.units < LEAST_UNITS || control.units < LEAST_UNITS {
        return None;
    }
    let all = canary.units + control.units;
    let variance = canary.variance() * all / canary.units + control.variance() * all / control.units;
    let width = mean_half_width(all, libm::sqrt(variance), tuning, alpha);
    let difference = canary.mean - control.mean;
    Some((difference - width, difference + width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_lie_around_the_difference_and_need_units() {
        let (mut canary, mut control) = (Moments::default(), Moments::default());
        let tuning = mean_tuning(20_000.0, 0.01);
        for unit in 0..10_000 {
            if unit == 99 {
                assert_eq!(mean_difference_bounds(canary, control, tuning, 0.01), None);
            }
            let noise = f64::from(unit % 11) - 5.0;
            canary.absorb(50.0 + noise);
            control.absorb(49.0 + noise);
        }
        let (lower, upper) = mean_difference_bounds(canary, control, tuning, 0.01).unwrap();
        assert!(lower > 0.7 && lower < 1.0 && upper > 1.0 && upper < 1.3, "{lower} {upper}");
    }

    #[test]
    fn the_tuned_bounds_are_the_narrowest() {
        let width = |factor: f64| mean_half_width(5_000.0, 1.0, factor * mean_tuning(5_000.0, 0.05), 0.05);
        assert!(width(1.0) < width(0.5) && width(1.0) < width(2.0));
    }
}
