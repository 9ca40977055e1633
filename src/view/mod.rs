//! What people read: API objects become lines of text, for the CLI and for golden tests.
//!
//! No I/O and no clock: the objects and the time are given.

mod age;
mod conditions;
mod curve;
mod evidence;
mod history;
mod line;
mod next;
mod paragraph;
mod plan;
mod scene;
mod simulated;
mod steps;
mod table;
mod tree;

pub use age::counted;
pub use conditions::hints;
pub use history::history;
pub use line::{Line, Tone};
pub use plan::plan;
pub use scene::{Pods, Scene};
pub use simulated::{Happened, Simulated, Spent, Weight, Whose, simulated};
pub use table::{Columns, table};
pub use tree::tree;
