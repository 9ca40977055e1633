//! Several controller processes and the Lease between them: clocks that go wrong, lines to the Lease that are cut, processes
//! that are stopped and go on.
//!
//! The election itself is the controller's own; here is what happens to it, and S9 as far as it is about processes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::json;

use super::{
    agenda::Event,
    clock::{Millis, Process},
    server::Writer,
    world::World,
};
use crate::{
    controller::{ClusterError, Kind, LEASE, Place},
    engine::Broken,
    workload::object::{number, text},
};

/// A process that has not renewed for this long, by its own clock, sends nothing: the renew deadline of client-go.
const RENEW_DEADLINE: Millis = 10_000;
const IDENTITY: &str = "controller-";

/// How many controllers there are, and how well their clocks go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Processes that stand for election; 0: one that needs none.
    pub count: usize,
    /// Wall clocks differ by up to an hour, and monotonic ones go at up to twice the speed, or half of it.
    pub skewed: bool,
}

/// What happens to a leader, or to the Lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeaderDeed {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Terminate,
    /// Its requests about the Lease are lost, and no others.
    CutOff,
    /// Everybody reaches the Lease again.
    Reconnect,
    /// SIGSTOP, and SIGCONT after this long.
    Pause {
        millis: Millis,
    },
    DeleteLease,
    /// Somebody writes this holder and this epoch into the Lease.
    EditLease {
        holder: &'static str,
        epoch: i64,
    },
}

impl LeaderDeed {
    /// The deed without its details.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Kill => "KillLeader",
            Self::Terminate => "TerminateLeader",
            Self::CutOff => "CutOffLeader",
            Self::Reconnect => "Reconnect",
            Self::Pause { .. } => "PauseLeader",
            Self::DeleteLease => "DeleteLease",
            Self::EditLease { .. } => "EditLease",
        }
    }
}

/// What is known of the processes from outside.
#[derive(Debug, Default)]
pub struct Leaders {
    /// Those that cannot reach the Lease.
    cut_off: BTreeSet<Process>,
    /// When the last renewal of each was sent that it knows to have succeeded.
    renewed: BTreeMap<Process, Millis>,
    /// Per mille of true time at which a process's clock goes.
    rates: BTreeMap<Process, u64>,
    /// When a process first wrote to anything but the Lease, and in which order they did.
    pub first_writes: Vec<(Process, Millis)>,
}

impl Leaders {
    pub(super) fn started(&mut self, process: Process, rate: u64) {
        self.rates.insert(process, rate);
    }

    /// A process that has its own line to the Lease does not get through.
    pub(super) fn is_cut_off(&self, process: Process, kind: Kind) -> bool {
        kind == LEASE && self.cut_off.contains(&process)
    }

    /// The process hears that its write of the Lease, sent then, has succeeded.
    pub(super) fn renewed(&mut self, process: Process, sent: Millis, holder: Option<&str>) {
        if holder == Some(&identity(process)) {
            self.renewed.insert(process, sent);
        } else {
            self.renewed.remove(&process);
        }
    }

    /// S9: a process that stands for election writes only while it has renewed in time, by its own clock.
    pub(super) fn sends(&mut self, process: Process, kind: Kind, now: Millis) -> Option<Broken> {
        if kind == LEASE || !self.rates.contains_key(&process) {
            return None;
        }
        if self.first_writes.iter().all(|(known, _)| *known != process) {
            self.first_writes.push((process, now));
        }
        let message = || format!("process {process} writes to a {} and has not renewed its lease in time", kind.kind);
        self.is_late(process, now).then(|| Broken { law: "S9", message: message() })
    }

    /// Its own clock says that its lease was not renewed in time.
    fn is_late(&self, process: Process, now: Millis) -> bool {
        let Some(rate) = self.rates.get(&process) else { return false };
        let since = self.renewed.get(&process).map(|renewed| now.saturating_sub(*renewed) * rate / 1_000);
        since.is_none_or(|since| since >= RENEW_DEADLINE)
    }
}

pub(super) fn identity(process: Process) -> String {
    format!("{IDENTITY}{process}")
}

impl World {
    pub(super) fn lease(&self) -> Place {
        Place { namespace: self.namespace.clone(), name: "tidegate".to_owned() }
    }

    /// The process that the Lease names, if it is up.
    pub fn leader(&self) -> Option<Process> {
        let Place { namespace, name } = self.lease();
        let lease = self.server.get(LEASE, &namespace, &name)?;
        let process: Process = text(&lease, "/spec/holderIdentity")?.strip_prefix(IDENTITY)?.parse().ok()?;
        self.processes.get(process)?.as_ref().map(|_| process)
    }

    /// Whether a process holds the Lease that runs and reaches it.
    pub fn is_led(&self) -> bool {
        self.leader().is_some_and(|leader| !self.leaders.cut_off.contains(&leader))
    }

    /// The epoch in the Lease.
    pub fn lease_epoch(&self) -> Option<i64> {
        let Place { namespace, name } = self.lease();
        number(&*self.server.get(LEASE, &namespace, &name)?, "/spec/leaseTransitions")
    }

    /// How a new process's clocks go: milliseconds that the wall clock is ahead, and per mille of true time.
    pub(super) fn skew(&mut self) -> (i64, u64) {
        if !self.habits.candidates.skewed {
            return (0, 1_000);
        }
        let offset = self.chance.pick(&[-3_600_000, -1_000, 0, 1_000, 3_600_000]);
        (offset, self.chance.pick(&[500, 990, 1_000, 1_000, 1_010, 2_000]))
    }

    pub(super) fn lead(&mut self, deed: &LeaderDeed) {
        match (deed, self.leader()) {
            (LeaderDeed::Reconnect, _) => self.leaders.cut_off.clear(),
            (LeaderDeed::DeleteLease, _) => {
                let (writer, Place { namespace, name }) = (self.hand(), self.lease());
                // Gone already is gone.
                let _ = self.server.delete(&writer, LEASE, &namespace, &name, None);
            }
            (LeaderDeed::EditLease { holder, epoch }, _) => self.edit_lease(holder, *epoch),
            (LeaderDeed::Kill, Some(leader)) => self.killed.push(leader),
            (LeaderDeed::Terminate, Some(leader)) => self.terminate_process(leader),
            (LeaderDeed::CutOff, Some(leader)) => {
                self.leaders.cut_off.insert(leader);
            }
            (LeaderDeed::Pause { millis }, Some(process)) => {
                self.plan(0, Event::Pause { process });
                self.plan(*millis, Event::Resume { process });
            }
            (LeaderDeed::Kill | LeaderDeed::Terminate | LeaderDeed::CutOff | LeaderDeed::Pause { .. }, None) => {}
        }
    }

    /// A request arrives that was sent before its process was stopped, or held up on its way.
    pub(super) fn arrived(&mut self, process: Process, kind: Kind, error: Option<&ClusterError>) {
        let is_late = kind != LEASE && self.leaders.is_late(process, self.clock.now());
        match error {
            Some(ClusterError::Conflict { .. }) if is_late => self.note("a late write is refused".to_owned()),
            None if is_late => self.note("a late write is stored".to_owned()),
            Some(_) | None => {}
        }
    }

    fn edit_lease(&mut self, holder: &str, epoch: i64) {
        let (writer, Place { namespace, name }) = (self.hand(), self.lease());
        let Some(found) = self.server.get(LEASE, &namespace, &name) else { return };
        let mut lease = Arc::unwrap_or_clone(found);
        lease["spec"]["holderIdentity"] = json!(holder);
        lease["spec"]["leaseTransitions"] = json!(epoch);
        // A refused edit leaves it as it was.
        let _ = self.server.replace(&writer, LEASE, &namespace, &name, "", &lease);
    }

    fn hand(&self) -> Writer {
        Writer::new("kubectl-edit", &self.clock.text())
    }
}
