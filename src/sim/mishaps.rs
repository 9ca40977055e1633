//! One mishap of a watch or of a read, at a place that is counted, so that every place of a story can be gone through.
//!
//! A read is answered from the newest version. What it says can be old only once it arrives: others have written on its way.

use std::collections::{BTreeMap, VecDeque};

use super::{clock::Millis, server::Commit, world::World};
use crate::{api::FIELD_MANAGER, controller::Kind};

/// What goes wrong, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// An event that wakes the controller, counted from 1.
    Event(u64, EventFate),
    /// The answer to a read, counted from 1, comes this much later.
    Read(u64, Millis),
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFate {
    /// Nobody hears of it.
    Hidden,
    Twice,
    /// After this time.
    Late(Millis),
}

impl EventFate {
    /// Late means: after the next looks, and while something else is under way.
    pub const ALL: [Self; 3] = [Self::Hidden, Self::Twice, Self::Late(10_000)];
}

/// An answer that takes longer than this is not waited for.
const OLDEST: Millis = 4_000;

/// The places at which something can go wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    /// Events that woke the controller.
    pub events: u64,
    reads: u64,
    recent: VecDeque<Read>,
    /// Reads of what others changed soon after, and how long after the answer each change came.
    pub outdated: BTreeMap<u64, Vec<Millis>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Read {
    number: u64,
    at: Millis,
    kind: Kind,
    /// Empty: all of them.
    name: String,
}

impl Places {
    fn read(&mut self, at: Millis, kind: Kind, name: &str) -> u64 {
        self.reads += 1;
        self.recent.push_back(Read { number: self.reads, at, kind, name: name.to_owned() });
        while self.recent.front().is_some_and(|first| first.at + OLDEST < at) {
            self.recent.pop_front();
        }
        self.reads
    }

    fn changed(&mut self, at: Millis, kind: Kind, name: &str) {
        let is_of =
            |read: &&Read| read.kind == kind && (read.name.is_empty() || read.name == name) && at <= read.at + OLDEST;
        for read in self.recent.iter().filter(is_of) {
            self.outdated.entry(read.number).or_default().push(at - read.at);
        }
    }
}

impl World {
    /// What becomes of the next event that wakes the controller; None: what becomes of others.
    pub(super) fn fate_of_event(&mut self) -> Option<EventFate> {
        self.places.events += 1;
        match self.habits.mishap {
            Some(Mishap::Event(number, fate)) if number == self.places.events => Some(fate),
            Some(_) | None => None,
        }
    }

    /// A read was answered: how much longer the answer takes than others.
    pub(super) fn delay_of_answer(&mut self, kind: Kind, name: &str) -> Millis {
        let number = self.places.read(self.clock.now(), kind, name);
        match self.habits.mishap {
            Some(Mishap::Read(read, delay)) if read == number => delay,
            Some(_) | None => 0,
        }
    }

    /// Somebody else's change makes answers old that are on their way.
    pub(super) fn outdate_reads(&mut self, commit: &Commit) {
        if &*commit.writer.manager != FIELD_MANAGER {
            self.places.changed(self.clock.now(), commit.kind, &commit.name);
        }
    }
}
