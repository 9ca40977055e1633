//! Bounds for a quantile from the counts of a histogram, without interpolation.
//!
//! For display: no verdict rests on a quantile.

use super::{rate_bounds::rate_log_evidence, window::Counts};

/// The edges between which the quantile lies, `(from, to]`; wrong with probability `alpha` at most over all looks.
///
/// `cumulative` are the counts up to each of `edges`, which ascend; the last one is infinite and counts all.
///
/// Quantile bounds, section 1.3: at each edge the Beta(1/2, 1/2) mixture tests whether the part of requests up to it is the
/// quantile's. Only the test at the true quantile's edge can err, so that nothing is corrected for the number of edges.
pub fn quantile_bounds(edges: &[f64], cumulative: &[f64], quantile: f64, alpha: f64) -> (f64, f64) {
    let (mut lower, mut upper) = (0.0, f64::INFINITY);
    let Some(total) = cumulative.last().copied().filter(|total| *total > 0.0) else { return (lower, upper) };
    for (edge, count) in edges.iter().zip(cumulative).filter(|(edge, _)| edge.is_finite()) {
        let rejected = rate_log_evidence(Counts { bad: *count, total }, quantile) >= -libm::log(alpha);
        if rejected && count / total < quantile {
            lower = *edge;
        } else if rejected {
            upper = upper.min(*edge);
        }
    }
    (lower, upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_requests_bound_nothing() {
        let edges = [0.1, 1.0, f64::INFINITY];
        for cumulative in [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]] {
            assert_eq!(quantile_bounds(&edges, &cumulative, 0.5, 0.05), (0.0, f64::INFINITY));
        }
        assert_eq!(quantile_bounds(&[], &[], 0.5, 0.05), (0.0, f64::INFINITY));
    }
}
