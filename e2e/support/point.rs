//! Where a controller is killed: at a write, and on which side of it.

use std::{collections::BTreeMap, fmt};

use super::request::Write;

/// The n-th write of this kind, the first is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    pub write: Write,
    pub nth: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It is not sent.
    Before,
    /// It is committed, and its answer is lost.
    Committed,
    /// Its answer is the last thing that the controller gets.
    Answered,
}

impl Side {
    pub const ALL: [Self; 3] = [Self::Before, Self::Committed, Self::Answered];
}

impl Point {
    /// A point for each of these writes. They are counted by what they do: two writes that go on at the same time may
    /// change places from one run to the next.
    pub fn each(writes: &[Write]) -> Vec<Self> {
        let mut seen: BTreeMap<&Write, u64> = BTreeMap::new();
        let point = |write| {
            let nth = seen.entry(write).or_default();
            *nth += 1;
            Self { write: Write::clone(write), nth: *nth }
        };
        writes.iter().map(point).collect()
    }
}

impl fmt::Display for Point {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} #{}", self.write.verb, self.write.resource, self.nth)
    }
}
