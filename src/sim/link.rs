//! One controller process's line to the simulated API server: requests take time, fail, go unheard, and the process may be
//! killed at any of its writes.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::{
    chance::Chance,
    clock::{Clock, Millis, Process},
    habits::Faults,
    server::Writer,
    world::{Shared, World},
};
use crate::{
    api::FIELD_MANAGER,
    controller::{Cluster, ClusterError, Kind, LEASE, Patch, Verb, WriteSite, is_granted},
    workload::object::text,
};

/// At which side of a write a process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    BeforeSend,
    /// It is stored, and the process never hears of it.
    AfterCommit,
    AfterAnswer,
}

/// A kill that is planned. Those of one schedule come one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// At this write, counted from 1.
    Write(u64, Moment),
    /// At the first write at this site after the crash before.
    Site(WriteSite, Moment),
}

impl Moment {
    pub const ALL: [Self; 3] = [Self::BeforeSend, Self::AfterCommit, Self::AfterAnswer];
}

/// What becomes of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Fine,
    Conflict,
    Refused,
    Unheard,
    Killed(Moment),
}

/// The line of one process.
pub struct Link {
    pub world: Shared,
    pub clock: Clock,
    pub process: Process,
}

impl Link {
    /// The way there, what is done, and the way back.
    async fn write<T>(
        &self,
        site: WriteSite,
        kind: Kind,
        object: String,
        perform: impl FnOnce(&mut World, &Writer) -> Result<T, ClusterError> + Send,
    ) -> Result<T, ClusterError> {
        let (fate, there, back) = {
            let mut world = self.world.lock();
            world.sends(self.process, kind);
            world.fate(site)
        };
        if fate == Fate::Killed(Moment::BeforeSend) {
            return self.killed().await;
        }
        self.clock.sleep(there).await;
        if self.is_cut_off(kind) {
            return Err(ClusterError::Unavailable { object, message: "the request timed out".into() });
        }
        match fate {
            Fate::Conflict => return Err(ClusterError::Conflict { object }),
            Fate::Refused => return Err(ClusterError::Unavailable { object, message: "too many requests".into() }),
            Fate::Fine | Fate::Unheard | Fate::Killed(_) => {}
        }
        let answer = {
            let mut world = self.world.lock();
            let writer = Writer::new(FIELD_MANAGER, &self.clock.text());
            world.server.at_site(Some(site));
            let answer = perform(&mut world, &writer);
            world.server.at_site(None);
            world.arrived(self.process, kind, answer.as_ref().err());
            world.after_commits();
            if matches!(answer, Err(ClusterError::Conflict { .. })) {
                world.note_lateness(site);
            }
            answer
        };
        if fate == Fate::Killed(Moment::AfterCommit) {
            return self.killed().await;
        }
        self.clock.sleep(back).await;
        match fate {
            Fate::Unheard => Err(ClusterError::Unavailable { object, message: "the request timed out".into() }),
            Fate::Killed(_) => self.killed().await,
            Fate::Fine | Fate::Conflict | Fate::Refused => answer,
        }
    }

    fn is_cut_off(&self, kind: Kind) -> bool {
        self.world.lock().leaders.is_cut_off(self.process, kind)
    }

    async fn read<T>(
        &self,
        kind: Kind,
        name: &str,
        perform: impl FnOnce(&World) -> T + Send,
    ) -> Result<T, ClusterError> {
        let (lost, there, back) = {
            let mut world = self.world.lock();
            let (delay, faults) = (world.habits.request, world.habits.faults);
            (world.chance.happens(faults.unread), world.draw(delay), world.draw(delay))
        };
        self.clock.sleep(there).await;
        if lost || self.is_cut_off(kind) {
            let object = if name.is_empty() { kind.plural.into() } else { said(kind, name) };
            return Err(ClusterError::Unavailable { object, message: "the request timed out".into() });
        }
        let (answer, delay) = {
            let mut world = self.world.lock();
            (perform(&world), world.delay_of_answer(kind, name))
        };
        self.clock.sleep(back + delay).await;
        Ok(answer)
    }

    /// The answer to a write that was sent then has come.
    fn heard(&self, kind: Kind, sent: Millis, answer: &Value) {
        if kind == LEASE {
            let holder = text(answer, "/spec/holderIdentity");
            self.world.lock().leaders.renewed(self.process, sent, holder);
        }
    }

    /// Nothing of this process runs after this.
    async fn killed<T>(&self) -> T {
        self.world.lock().killed.push(self.process);
        std::future::pending().await
    }
}

impl World {
    fn sends(&mut self, process: Process, kind: Kind) {
        let now = self.clock.now();
        if let Some(broken) = self.leaders.sends(process, kind, now) {
            self.oracle.accuse(now, broken);
        }
    }

    /// What becomes of the next write, and how long its ways take.
    fn fate(&mut self, site: WriteSite) -> (Fate, Millis, Millis) {
        self.writes += 1;
        self.writes_at.push(site);
        *self.sites.entry(site).or_default() += 1;
        let (there, back) = (self.draw(self.habits.request), self.draw(self.habits.request));
        let planned = self.planned_crash(site).map(Fate::Killed);
        let fate = planned.unwrap_or_else(|| drawn(&mut self.chance, &self.habits.faults));
        if fate != Fate::Fine {
            self.note(format!("{fate:?} at {site:?} {}", self.where_the_run_stands()));
        }
        (fate, there, back)
    }

    fn planned_crash(&mut self, site: WriteSite) -> Option<Moment> {
        let moment = match *self.crashes.front()? {
            Crash::Write(at, moment) if at == self.writes => moment,
            Crash::Site(at, moment) if at == site => moment,
            Crash::Write(..) | Crash::Site(..) => return None,
        };
        self.crashes.pop_front();
        Some(moment)
    }
}

fn drawn(chance: &mut Chance, faults: &Faults) -> Fate {
    let kinds = [
        (faults.crash, Fate::Killed(chance.pick(&Moment::ALL))),
        (faults.conflict, Fate::Conflict),
        (faults.refused, Fate::Refused),
        (faults.unheard, Fate::Unheard),
    ];
    let hit = kinds.into_iter().find(|(probability, _)| chance.happens(*probability));
    hit.map_or(Fate::Fine, |(_, fate)| fate)
}

/// What the controller's Roles do not grant is refused, as an API server would.
fn may(verb: Verb, kind: Kind, subresource: &str, name: &str) -> Result<(), ClusterError> {
    if is_granted(verb, kind, subresource) {
        return Ok(());
    }
    let message = format!("forbidden: permissions.rs grants no {} on {} {subresource}", verb.word(), kind.plural);
    Err(ClusterError::Refused { object: said(kind, name), message })
}

fn said(kind: Kind, name: &str) -> String {
    format!("{} {name}", kind.kind)
}

#[async_trait]
impl Cluster for Link {
    async fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Option<Value>, ClusterError> {
        may(Verb::Get, kind, "", name)?;
        let found = self.read(kind, name, |world| world.server.get(kind, namespace, name)).await?;
        Ok(found.map(Arc::unwrap_or_clone))
    }

    async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Vec<Value>, ClusterError> {
        may(Verb::List, kind, "", "")?;
        let found = self.read(kind, "", |world| world.server.list(kind, namespace, selector)).await?;
        Ok(found.into_iter().map(Arc::unwrap_or_clone).collect())
    }

    async fn create(
        &self,
        site: WriteSite,
        kind: Kind,
        namespace: &str,
        document: &Value,
        dry_run: bool,
    ) -> Result<Value, ClusterError> {
        let object = said(kind, crate::workload::object::name(document));
        may(Verb::Create, kind, "", &object)?;
        let sent = self.clock.now();
        let made = self
            .write(site, kind, object, |world, writer| world.server.create(writer, kind, namespace, document, dry_run));
        let made = made.await.map(Arc::unwrap_or_clone)?;
        self.heard(kind, sent, &made);
        Ok(made)
    }

    async fn patch(
        &self,
        site: WriteSite,
        kind: Kind,
        namespace: &str,
        name: &str,
        subresource: &str,
        patch: &Patch,
    ) -> Result<Value, ClusterError> {
        may(Verb::Patch, kind, subresource, name)?;
        if matches!(patch, Patch::Apply { .. }) {
            may(Verb::Create, kind, subresource, name)?;
        }
        let at = self.clock.now();
        self.world.lock().oracle.see_patch(at, kind, name, patch);
        let written = self.write(site, kind, said(kind, name), |world, writer| {
            world.server.patch(writer, kind, namespace, name, subresource, patch)
        });
        let written = written.await.map(Arc::unwrap_or_clone)?;
        self.heard(kind, at, &written);
        Ok(written)
    }

    async fn delete(
        &self,
        site: WriteSite,
        kind: Kind,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), ClusterError> {
        may(Verb::Delete, kind, "", name)?;
        let gone = self.write(site, kind, said(kind, name), |world, writer| {
            world.server.delete(writer, kind, namespace, name, Some(uid))
        });
        match gone.await {
            Ok(()) | Err(ClusterError::NotFound { .. } | ClusterError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
