//! How long a run takes if nothing holds it.
//!
//! Only what is known before: pods that start and stop, a router's acceptance, gates, holds and pauses come on top.

use serde::Serialize;

use super::question::Question;
use crate::{
    api::{Percent, Span},
    engine::SETTLE_MILLIS,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lengths {
    /// Before the first weight: ready pods settle, and the named backend warms.
    pub before: Span,
    pub bakes: Span,
    pub soak: Span,
    /// After the soak: the Service flips, warms, gets its weight back, and everything of the run drains.
    pub after: Span,
    pub total: Span,
}

impl Lengths {
    pub fn of(question: &Question) -> Self {
        let Question { plan, is_routed, warm, drain, .. } = question;
        let bakes: u64 = plan.steps.iter().map(|step| step.bake.as_millis()).sum();
        let at_full = plan.steps.iter().filter(|step| step.weight == Percent::FULL);
        let at_full: u64 = at_full.map(|step| step.bake.as_millis()).sum();
        let (warm, drain, soak) = (warm.as_millis(), drain.as_millis(), plan.soak.as_millis());
        let (before, after) = if *is_routed {
            // The Service flips once it has had weight 0 for the drain time: since the step to 100.
            let until_flip = drain.saturating_sub(at_full + soak);
            let given_back = SETTLE_MILLIS + warm;
            let (dropped, deleted) = (drain, drain);
            (SETTLE_MILLIS + warm, until_flip + given_back + dropped + deleted)
        } else {
            (SETTLE_MILLIS, SETTLE_MILLIS + drain)
        };
        Self {
            before: Span::millis(before),
            bakes: Span::millis(bakes),
            soak: plan.soak,
            after: Span::millis(after),
            total: Span::millis(before + bakes + soak + after),
        }
    }

    /// What the run takes beside its bakes and its soak.
    pub fn constants(&self) -> Span {
        Span::millis(self.before.as_millis() + self.after.as_millis())
    }
}
