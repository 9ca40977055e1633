//! The laws of reliability as an oracle: it sees every committed change of a cluster and says which law it breaks.
//!
//! It is written against documents alone and shares no code with the engine or the adapters, so that one mistake is not made
//! twice. The same code reads the simulator's commits and what was recorded at a real API server.

mod accepted;
mod blind;
mod freezes;
mod held;
mod marks;
mod mirror;
mod objects;
mod pods;
mod records;
mod routes;
mod targets;

use serde_json::Value;

use super::clock::Millis;
use crate::{
    controller::{ACTION, DEPLOYMENT, GRPC_ROUTE, HTTP_ROUTE, Kind, Patch, ROLLOUT, RUN, SERVICE},
    engine::Broken,
};
use held::Held;
use mirror::Mirror;

/// Broken laws that are kept; the first says most.
const KEPT: usize = 16;

/// One committed change.
#[derive(Clone, Copy, Debug)]
pub struct Change<'c> {
    pub at: Millis,
    /// The controller made it.
    pub ours: bool,
    pub kind: Kind,
    /// None: it was created.
    pub before: Option<&'c Value>,
    /// None: it is gone.
    pub after: Option<&'c Value>,
}

impl<'c> Change<'c> {
    /// The newest document of the object.
    pub fn document(&self) -> Option<&'c Value> {
        self.after.or(self.before)
    }
}

/// A broken law, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offence {
    pub at: Millis,
    pub law: &'static str,
    pub message: String,
}

/// Sees everything, forgets what is long past.
#[derive(Debug, Default)]
pub struct Oracle {
    mirror: Mirror,
    held: Held,
    pub offences: Vec<Offence>,
}

type Verdicts = Vec<Option<Broken>>;

impl Oracle {
    /// Judges a change by what was so before it, then takes it in.
    pub fn see(&mut self, change: &Change) {
        if change.ours {
            let mut verdicts = self.judge(change);
            verdicts.push(self.held.see(&self.mirror, change));
            self.keep(change.at, verdicts);
        }
        self.mirror.take(change);
    }

    /// Judges a patch of the controller's as it is sent.
    pub fn see_patch(&mut self, at: Millis, kind: Kind, name: &str, patch: &Patch) {
        self.keep(at, vec![blind::patch(kind, name, patch)]);
    }

    /// Takes in a law that was seen to be broken elsewhere than in a document.
    pub fn accuse(&mut self, at: Millis, found: Broken) {
        self.keep(at, vec![Some(found)]);
    }

    fn keep(&mut self, at: Millis, verdicts: Verdicts) {
        for found in verdicts.into_iter().flatten() {
            if self.offences.len() < KEPT {
                self.offences.push(Offence { at, law: found.law, message: found.message });
            }
        }
    }

    fn judge(&self, change: &Change) -> Verdicts {
        let mirror = &self.mirror;
        match change.kind {
            HTTP_ROUTE | GRPC_ROUTE => [routes::judge(mirror, change), marks::judge(change)].concat(),
            SERVICE => {
                [objects::service(mirror, change), targets::service(mirror, change), marks::judge(change)].concat()
            }
            DEPLOYMENT => [objects::deployment(mirror, change), pods::deployment(mirror, change)].concat(),
            ROLLOUT => objects::rollout(mirror, change),
            RUN => records::run(mirror, change),
            ACTION => records::action(change),
            _ => Verdicts::new(),
        }
    }
}

fn broken(law: &'static str, message: String) -> Option<Broken> {
    Some(Broken { law, message })
}
