//! The verdict: Pass, Fail or Undecided, each with a reason. No Fail is never read as Pass; no data is Undecided.

use crate::api::Reason;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    Pass,
    Fail,
    /// `hold` keeps the rollout from advancing: the evidence is missing or suspicious, not merely small.
    Undecided {
        hold: bool,
    },
}

/// A judgement with the sentence that states the numbers it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub judgement: Judgement,
    pub reason: Reason,
    pub message: String,
}

impl Verdict {
    pub fn pass(reason: Reason, message: impl Into<String>) -> Self {
        Self { judgement: Judgement::Pass, reason, message: message.into() }
    }

    pub fn fail(reason: Reason, message: impl Into<String>) -> Self {
        Self { judgement: Judgement::Fail, reason, message: message.into() }
    }

    pub fn hold(reason: Reason, message: impl Into<String>) -> Self {
        Self { judgement: Judgement::Undecided { hold: true }, reason, message: message.into() }
    }

    pub fn undecided(reason: Reason, message: impl Into<String>) -> Self {
        Self { judgement: Judgement::Undecided { hold: false }, reason, message: message.into() }
    }

    /// The word for records: "Pass", "Fail" or "Undecided".
    pub fn word(&self) -> &'static str {
        match self.judgement {
            Judgement::Pass => "Pass",
            Judgement::Fail => "Fail",
            Judgement::Undecided { .. } => "Undecided",
        }
    }
}
