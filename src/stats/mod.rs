//! Evidence as a pure fold over windows, and what it amounts to.
//!
//! No I/O, and no decision about steps.

mod verdict;

pub use verdict::{Judgement, Verdict};
