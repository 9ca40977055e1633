//! What a Rollout's status says anew without a decision of a run: that it waits or stands still, and that it goes on.
//!
//! Pure. What a run has decided in the same pass is told already, and what comes back within minutes is not told again.

use std::collections::BTreeMap;

use crate::{
    api::{Phase, Reason, RolloutStatus},
    engine::Note,
};

/// What was told is not told again for this long: what flaps, such as a budget that burns at its limit, fills no list of Events.
const QUIET_MILLIS: u64 = 600_000;

/// What was told, and when: that it stands still in a phase, or (None) goes on. At most four entries for each reason.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told(BTreeMap<(Option<Phase>, Reason), u64>);

impl Told {
    /// The news of one pass that are worth an Event.
    pub fn news(&mut self, before: &RolloutStatus, after: &RolloutStatus, notes: &[Note], now: u64) -> Option<Note> {
        let (stood, stands) = (standstill(before), standstill(after));
        let (phase, reason, note) = match (stood, stands) {
            (_, Some((phase, reason))) if stood != stands => (Some(phase), reason, begin(phase, reason, after)),
            (Some((_, reason)), None) if after.phase != Some(Phase::Terminating) => (None, reason, end(reason, after)?),
            (_, Some(_)) | (Some(_) | None, None) => return None,
        };
        let waits = matches!(phase, Some(Phase::Paused | Phase::Pending));
        // The end of a run says itself why the Rollout is Degraded, and a step that it goes on.
        let said = if waits { notes.iter().any(|it| it.reason == reason) } else { !notes.is_empty() };
        let told = self.0.get(&(phase, reason));
        let is_news = !said && told.is_none_or(|told| now.saturating_sub(*told) >= QUIET_MILLIS);
        is_news.then(|| {
            self.0.insert((phase, reason), now);
            note
        })
    }
}

/// The phase in which nothing goes on, and why.
fn standstill(status: &RolloutStatus) -> Option<(Phase, Reason)> {
    let phase = status.phase.filter(|phase| matches!(phase, Phase::Paused | Phase::Pending | Phase::Degraded))?;
    Some((phase, status.reason()?))
}

fn begin(phase: Phase, reason: Reason, status: &RolloutStatus) -> Note {
    let message = format!("{phase:?}: {}", status.message.as_deref().unwrap_or_default());
    Note { reason, message, warning: phase == Phase::Degraded }
}

fn end(after: Reason, status: &RolloutStatus) -> Option<Note> {
    let message = format!("Goes on after {}: {}", after.word(), status.message.as_deref().unwrap_or_default());
    Some(Note { reason: status.reason()?, message, warning: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Condition;

    fn status(phase: Phase, reason: Reason) -> RolloutStatus {
        let ready = Condition {
            kind: "Ready".into(),
            status: "Unknown".into(),
            reason: reason.word().into(),
            message: String::new(),
            last_transition_time: String::new(),
            observed_generation: 1,
        };
        RolloutStatus { phase: Some(phase), message: Some("why".into()), conditions: vec![ready], ..Default::default() }
    }

    fn note(reason: Reason) -> Note {
        Note { reason, message: "RolloutRun checkout-1: why".into(), warning: false }
    }

    #[test]
    fn each_standstill_and_its_end_is_told_unless_a_decision_has_said_it() {
        use Phase::{Degraded, Healthy, Paused, Pending, Progressing, Terminating};
        use Reason::*;
        type Case<'c> = ((Phase, Reason), (Phase, Reason), &'c [Reason], Option<(&'c str, Reason, bool)>);
        let cases: &[Case] = &[
            ((Progressing, Baking), (Paused, AwaitingApproval), &[], Some(("Paused: why", AwaitingApproval, false))),
            (
                (Progressing, Baking),
                (Paused, AwaitingApproval),
                &[Baking],
                Some(("Paused: why", AwaitingApproval, false)),
            ),
            ((Progressing, Baking), (Paused, PausedAtStep), &[PausedAtStep], None),
            ((Paused, AwaitingApproval), (Paused, AwaitingApproval), &[], None),
            ((Paused, AwaitingApproval), (Paused, Frozen), &[], Some(("Paused: why", Frozen, false))),
            ((Paused, Frozen), (Progressing, Baking), &[], Some(("Goes on after Frozen: why", Baking, false))),
            ((Paused, AwaitingApproval), (Progressing, Preparing), &[Preparing], None),
            ((Healthy, Stable), (Pending, BudgetBurning), &[], Some(("Pending: why", BudgetBurning, false))),
            ((Healthy, Stable), (Degraded, InvalidSpec), &[], Some(("Degraded: why", InvalidSpec, true))),
            ((Degraded, InvalidSpec), (Healthy, Stable), &[], Some(("Goes on after InvalidSpec: why", Stable, false))),
            ((Progressing, Aborting), (Degraded, BudgetSpent), &[Reverted], None),
            ((Degraded, BudgetSpent), (Terminating, Deleted), &[], None),
            ((Progressing, Preparing), (Progressing, Baking), &[], None),
        ];
        for (before, after, notes, expected) in cases {
            let notes: Vec<Note> = notes.iter().map(|reason| note(*reason)).collect();
            let told = Told::default().news(&status(before.0, before.1), &status(after.0, after.1), &notes, 0);
            let told = told.as_ref().map(|note| (note.message.as_str(), note.reason, note.warning));
            assert_eq!(told, *expected, "{before:?} {after:?}");
        }
        assert!(Told::default().news(&RolloutStatus::default(), &status(Pending, Frozen), &[], 0).is_some());
    }

    #[test]
    fn what_flaps_is_told_once_in_ten_minutes() {
        let (well, burning) = (status(Phase::Healthy, Reason::Stable), status(Phase::Pending, Reason::BudgetBurning));
        let mut told = Told::default();
        let mut count = 0;
        for minute in 0..60 {
            let (before, after) = if minute % 2 == 0 { (&well, &burning) } else { (&burning, &well) };
            count += usize::from(told.news(before, after, &[], minute * 60_000).is_some());
        }
        assert_eq!(count, 12, "six times each");
    }
}
