//! Seams at which a test breaks a pass on purpose: what it sees, and what it decides. Compiled with the feature `mutants` only.
//!
//! A mutation holds for the thread that set it: a simulated cluster lives on one.

use std::cell::{Cell, RefCell};

use crate::engine::{Broken, Decision, World};

/// A bug of a pass.
#[derive(Clone, Copy)]
pub struct Mutation {
    /// What is seen wrongly.
    pub world: fn(&mut World),
    /// What is decided wrongly.
    pub decision: fn(&World, &mut Decision),
    /// A process whose lease has run out writes on.
    pub outlives_lease: bool,
}

impl Mutation {
    /// Nothing is wrong.
    pub const NONE: Self = Self { world: |_| {}, decision: |_, _| {}, outlives_lease: false };
}

thread_local! {
    static ACTIVE: Cell<Option<Mutation>> = const { Cell::new(None) };
    static WITHHELD: RefCell<Option<&'static str>> = const { RefCell::new(None) };
}

/// Breaks the passes of this thread from now on; None: they are whole again.
pub fn set(mutation: Option<Mutation>) {
    ACTIVE.set(mutation);
    WITHHELD.take();
}

/// The first law for which this thread's passes would have withheld their writes since a mutation was set.
pub fn withheld() -> Option<&'static str> {
    WITHHELD.with_borrow(|law| *law)
}

pub(super) fn outlives_lease() -> bool {
    ACTIVE.get().is_some_and(|mutation| mutation.outlives_lease)
}

pub(super) fn of_world(world: &mut World) {
    if let Some(mutation) = ACTIVE.get() {
        (mutation.world)(world);
    }
}

pub(super) fn of_decision(world: &World, mut decision: Decision) -> Decision {
    if let Some(mutation) = ACTIVE.get() {
        (mutation.decision)(world, &mut decision);
    }
    decision
}

/// The laws of a broken pass are noted and not kept, so that others see what it does.
pub(super) fn noted(broken: Vec<Broken>) -> Vec<Broken> {
    if ACTIVE.get().is_none() {
        return broken;
    }
    if let Some(first) = broken.first() {
        WITHHELD.with_borrow_mut(|law| *law = law.or(Some(first.law)));
    }
    Vec::new()
}
