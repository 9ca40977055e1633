//! Where a bound lies: the last value that the evidence rejects.
//!
//! It knows nothing of the evidence, only that it falls from `outer` to `inner`.

/// Halvings at most: from a range of 2 down to the last bits of a small bound.
const STEPS: u32 = 60;
/// Part of the bound that it may be off by, always outwards.
const PRECISION: f64 = 1e-9;

/// The bound between `outer`, which is rejected if anything is, and `inner`, which is not. Rounded outwards: never tighter than
/// the evidence; `outer` itself if nothing is rejected.
pub fn crossing(outer: f64, inner: f64, rejected: impl Fn(f64) -> bool) -> f64 {
    let (mut outer, mut inner) = (outer, inner);
    if !rejected(outer) {
        return outer;
    }
    for _ in 0..STEPS {
        let middle = 0.5 * (outer + inner);
        if rejected(middle) {
            outer = middle;
        } else {
            inner = middle;
        }
        if (outer - inner).abs() <= PRECISION * outer.abs() {
            break;
        }
    }
    outer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_never_tighter_than_the_evidence() {
        let lower = crossing(-1.0, 1.0, |value| value < 0.25);
        assert!(lower < 0.25 && lower > 0.25 - 1e-9);
        let upper = crossing(1.0, -1.0, |value| value > 0.25);
        assert!(upper > 0.25 && upper < 0.25 + 1e-9);
        assert_eq!(crossing(-1.0, 1.0, |_| false), -1.0);
    }
}
