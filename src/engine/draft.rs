//! A decision while it is made: actions, facts and notes are collected, a situation is named at the end.
//!
//! It judges nothing.

use std::{collections::BTreeSet, time::Duration};

use super::{Action, Decision, Fact, Note, RunWrite, World, project::Situation};
use crate::api::Reason;

/// The longest wait of an active run: a silently dead watch is made good for by looking.
pub(super) const ACTIVE_POLL_MILLIS: u64 = 5_000;
/// The longest wait at rest.
pub(super) const REST_POLL_MILLIS: u64 = 300_000;
/// How often a wait for something short is looked at.
pub(super) const SHORT_POLL_MILLIS: u64 = 1_000;

pub(super) struct Draft<'w> {
    pub world: &'w World,
    pub actions: Vec<Action>,
    pub notes: Vec<Note>,
    pub run: Option<RunWrite>,
    /// The service's error budget is to be measured.
    pub wants_burn: bool,
    facts: BTreeSet<Fact>,
    wake_millis: u64,
}

impl<'w> Draft<'w> {
    pub fn new(world: &'w World) -> Self {
        Self {
            world,
            actions: Vec::new(),
            notes: Vec::new(),
            run: None,
            wants_burn: false,
            facts: BTreeSet::new(),
            wake_millis: REST_POLL_MILLIS,
        }
    }

    pub fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Look again after this time at the latest.
    pub fn wake(&mut self, millis: u64) {
        self.wake_millis = self.wake_millis.min(millis.max(50));
    }

    pub fn note(&mut self, reason: Reason, message: impl Into<String>, warning: bool) {
        self.notes.push(Note { reason, message: message.into(), warning });
    }

    /// Whether `fact` has held for `millis` without a break. While it holds but not long enough, the next look is when it will.
    pub fn has_held(&mut self, fact: Fact, holds: bool, millis: u64) -> bool {
        if !holds {
            return false;
        }
        let held = self.world.held.get(&fact).copied().unwrap_or(0);
        let first = !self.world.held.contains_key(&fact);
        self.facts.insert(fact);
        if held >= millis && !(first && millis > 0) {
            return true;
        }
        self.wake(millis.saturating_sub(held));
        false
    }

    pub fn finish(self, situation: &Situation) -> Decision {
        Decision {
            status: situation.project(self.world),
            run: self.run,
            actions: self.actions,
            notes: self.notes,
            facts: self.facts,
            wants_burn: self.wants_burn,
            wake: Duration::from_millis(self.wake_millis),
        }
    }
}
