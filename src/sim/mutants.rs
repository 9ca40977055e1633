//! Seeded bugs: each known failure of this field that can apply here, as a small break of the controller, and where it is caught.
//!
//! The rows are those of the catalogue of known failures, by number. Compiled with the feature `mutants` only. Nothing here is
//! a test: it breaks, and `tests/mutants.rs` looks.

mod decisions;
mod line;
mod list;
mod rows;
mod situations;
mod worlds;

use std::cell::Cell;

pub use line::{Lapse, Line};
pub use list::all;
pub use rows::{LEFT_OUT, sources};
pub use situations::situations;

use crate::{
    controller::mutation::{self, Mutation},
    engine::{Decision, World},
};

/// One seeded bug.
#[derive(Clone, Copy)]
pub struct Mutant {
    /// Of the catalogue.
    pub row: usize,
    /// What was broken.
    pub what: &'static str,
    bug: Bug,
}

#[derive(Clone, Copy)]
enum Bug {
    /// A pass sees or decides wrongly.
    Pass(Mutation),
    /// What is read or written is wrong.
    Line(Lapse),
}

thread_local! {
    static LAPSE: Cell<Option<Lapse>> = const { Cell::new(None) };
}

/// Whether this bug is in place.
pub fn is_lapse(lapse: Lapse) -> bool {
    LAPSE.get() == Some(lapse)
}

impl Mutant {
    /// Nothing is broken, and what the laws withhold is noted all the same.
    pub const NONE: Self = Self { row: 0, what: "nothing", bug: Bug::Pass(Mutation::NONE) };

    const fn seeing(row: usize, what: &'static str, world: fn(&mut World)) -> Self {
        Self { row, what, bug: Bug::Pass(Mutation { world, ..Mutation::NONE }) }
    }

    const fn deciding(row: usize, what: &'static str, decision: fn(&World, &mut Decision)) -> Self {
        Self { row, what, bug: Bug::Pass(Mutation { decision, ..Mutation::NONE }) }
    }

    const fn both(row: usize, what: &'static str, world: fn(&mut World), decision: fn(&World, &mut Decision)) -> Self {
        Self { row, what, bug: Bug::Pass(Mutation { world, decision, ..Mutation::NONE }) }
    }

    const fn leading(row: usize, what: &'static str) -> Self {
        Self { row, what, bug: Bug::Pass(Mutation { outlives_lease: true, ..Mutation::NONE }) }
    }

    const fn writing(row: usize, what: &'static str, lapse: Lapse) -> Self {
        Self { row, what, bug: Bug::Line(lapse) }
    }

    /// Runs `work` with the bug in place. The second answer is the law that would have kept a pass from writing.
    pub fn during<R>(&self, work: impl FnOnce() -> R) -> (R, Option<&'static str>) {
        match self.bug {
            Bug::Pass(mutation) => mutation::set(Some(mutation)),
            Bug::Line(lapse) => {
                mutation::set(Some(Mutation::NONE));
                LAPSE.set(Some(lapse));
            }
        }
        let result = work();
        let withheld = mutation::withheld();
        mutation::set(None);
        LAPSE.set(None);
        (result, withheld)
    }
}
