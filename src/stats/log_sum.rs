//! Sums of numbers that are known by their logarithms, and may be too large or too small for a float.
//!
//! Nothing statistical.

/// ln of a sum of exponentials, none of which is taken of a large number.
pub fn log_sum(parts: &[f64]) -> f64 {
    let most = parts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    most + libm::log(parts.iter().map(|part| libm::exp(part - most)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_nothing_is_nothing() {
        assert_eq!(log_sum(&[]), f64::NEG_INFINITY);
        assert_eq!(log_sum(&[1e6, f64::NEG_INFINITY]), 1e6);
    }
}
