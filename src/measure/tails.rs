//! A latency metric without a threshold: its windows with what was slower than each boundary, and the choice of the boundaries.
//!
//! The choice rests on stable alone and on what was before the windows that are judged, so it says nothing about them. All
//! boundaries of a window come from the same cells: a histogram with a broken bucket counts nothing in that scrape.

use super::{
    counting::judged,
    dispersion::{hour_before, overdispersion_at},
    histogram::{Histograms, NOTHING_SHARED, are_native, shared_bounds},
    order::{Arm, Order},
    provider::Provider,
    selectors::Selectors,
    series::{ArmSeries, Liveness, NewPods, reading},
};
use crate::stats::{
    Assembly, Boundary, Cells, FALLBACK_PHI, GRACE_WINDOWS, LatencyFold, Slower, Window, assemble, latency_boundaries,
    slots,
};

/// Requests of stable with fewer than which its tails count as unknown.
const ENOUGH_REQUESTS: f64 = 100.0;

/// What was read of both arms for some windows.
#[derive(Clone, Copy)]
pub(super) struct Read<'a> {
    pub canary: &'a ArmSeries,
    pub control: &'a ArmSeries,
    /// Of the canary and of the control.
    pub new_pods: [&'a NewPods; 2],
    pub cells: Cells,
}

impl Read<'_> {
    /// The windows, with the bad requests as they are told from the others.
    pub fn assembly(&self, order: &Order) -> Assembly {
        let Self { canary, control, new_pods, cells } = self;
        let live = Liveness::of([canary, control]);
        let of_canary = reading(canary, control, &live, new_pods[0]);
        let of_control = reading(control, canary, &live, new_pods[1]);
        assemble(&slots(&of_canary, &of_control, cells), cells.from, order.expected())
    }
}

/// The windows; the first time that the canary has requests in one that is judged, the boundaries too.
pub(super) async fn tails(
    order: &Order,
    selectors: &Selectors,
    fold: &mut LatencyFold,
    read: Read<'_>,
    provider: &dyn Provider,
) -> Result<Assembly, String> {
    let arms =
        Arms { canary: Histograms::of(&read.canary.total)?, control: Histograms::of(&read.control.total)?, read };
    let mut assembly = arms.assembly(order, f64::INFINITY);
    let timing = order.timing();
    let judged = judged(order, &timing);
    let has_requests = |window: &&Window| judged.verdict_on(window).is_none() && window.canary.total > 0.0;
    let mut since = i64::MIN;
    if fold.boundaries().is_empty()
        && let Some(first) = assembly.windows.iter().find(has_requests)
    {
        let back = GRACE_WINDOWS * timing.window;
        let choice = arms.choose(order, selectors, (first.start - back, first.start, first.end), provider).await?;
        fold.choose(&choice);
        // An evaluation that came sooner had no boundaries for the windows before.
        since = first.start;
    }
    are_native(&arms.canary, &arms.control)?;
    for boundary in fold.boundaries() {
        if !(arms.canary.has(*boundary) && arms.control.has(*boundary)) {
            return Err(format!("the boundary {boundary}, which is compared since the run's first windows, is gone"));
        }
    }
    let each: Vec<Assembly> = fold.boundaries().iter().map(|boundary| arms.assembly(order, *boundary)).collect();
    let slower = |(index, window): (usize, &Window)| {
        let bad =
            |window: &Window| Slower { canary: window.canary.clamped().bad, control: window.control.clamped().bad };
        let each = each.iter().filter_map(|assembly| assembly.windows.get(index));
        each.filter(|_| window.start >= since).map(bad).collect()
    };
    assembly.slower = assembly.windows.iter().enumerate().map(slower).collect();
    Ok(assembly)
}

struct Arms<'a> {
    read: Read<'a>,
    canary: Histograms,
    control: Histograms,
}

impl Arms<'_> {
    /// The windows, their bad requests being those slower than a bound.
    fn assembly(&self, order: &Order, bound: f64) -> Assembly {
        let Read { canary, control, new_pods, cells } = self.read;
        let (canary, control) = (self.canary.at(bound, canary), self.control.at(bound, control));
        Read { canary: &canary, control: &control, new_pods, cells }.assembly(order)
    }

    /// The boundaries for the run. `begin..start` is looked at for stable's tails if the hour before the run has too few of its
    /// requests, `start..end` is the first window that they are for.
    async fn choose(
        &self,
        order: &Order,
        selectors: &Selectors,
        (begin, start, end): (i64, i64, i64),
        provider: &dyn Provider,
    ) -> Result<Vec<Boundary>, String> {
        // Only what is there by the first window: what comes later must not change the choice of an evaluation that is late.
        let [canary, control] = [&self.canary, &self.control].map(|arm| arm.within(begin, end));
        let shared = shared_bounds(&canary, &control)?;
        if shared.is_empty() {
            return Err(NOTHING_SHARED.into());
        }
        let before = stable_before(order, selectors, provider).await;
        let of_hour = before.as_ref().and_then(|stable| shares(stable, &shared));
        let of_now = || shares(&self.control.within(begin, start), &shared);
        let unknown = || shared.iter().map(|bound| (*bound, 0.0)).collect();
        let chosen = latency_boundaries(&of_hour.or_else(of_now).unwrap_or_else(unknown));
        let phi = |at: f64| match (order.judging.overdispersion, &before) {
            (Some(given), _) => given.value(),
            (None, Some(stable)) => overdispersion_at(order, stable, at),
            (None, None) => FALLBACK_PHI,
        };
        Ok(chosen.into_iter().map(|at| Boundary { at, phi: phi(at) }).collect())
    }
}

/// Stable in the hour before the run. It is an estimate that is made of it: nothing waits for a server that cannot answer.
async fn stable_before(order: &Order, selectors: &Selectors, provider: &dyn Provider) -> Option<Histograms> {
    let (from, to) = hour_before(order);
    let stable = selectors.read(Arm::Stable, provider, from, to).await.ok()?;
    Histograms::of(&stable.total).ok().filter(|stable| !stable.is_empty())
}

/// Each bound with its part of slower requests; None: there are too few to tell.
fn shares(stable: &Histograms, bounds: &[f64]) -> Option<Vec<(f64, f64)>> {
    let all = stable.growth(f64::INFINITY);
    let share = |bound: &f64| stable.has(*bound).then(|| (*bound, 1.0 - stable.growth(*bound) / all));
    let found: Vec<_> = bounds.iter().filter_map(share).collect();
    (all >= ENOUGH_REQUESTS && !found.is_empty()).then_some(found)
}
