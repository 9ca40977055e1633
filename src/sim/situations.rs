//! Situations that come up in a simulation: what happened, and while what was going on, counted.
//!
//! Which of them have to come up, and how often, is for tests to say.

use std::sync::Arc;

use serde_json::Value;

use super::{people::Deed, server::Commit, world::World};
use crate::{
    api::{FIELD_MANAGER, ROLLOUT_LABEL},
    controller::{GRPC_ROUTE, HTTP_ROUTE, ROLLOUT, RUN, SERVICE, WriteSite},
    workload::object::{condition, items, label, text},
};

/// From this part of the writes on that it refuses or does not answer, the API server counts as one that fails.
const FAILING: f64 = 0.1;

impl World {
    fn open_run(&self) -> Option<Arc<Value>> {
        let runs = self.server.list(RUN, &self.namespace, "");
        runs.into_iter().find(|run| text(run, "/status/phase") != Some("Ended"))
    }

    /// The phase of the run that is open, in words.
    pub(super) fn where_the_run_stands(&self) -> String {
        match self.open_run() {
            None => "at rest".to_owned(),
            Some(run) => format!("while {}", text(&run, "/status/phase").unwrap_or("a run begins")),
        }
    }

    /// What happened in which situation.
    pub(super) fn note(&mut self, what: String) {
        if let Some(timeline) = &mut self.timeline {
            timeline.add(self.clock.now(), format!("* {what}"));
        }
        self.count(what);
    }

    fn count(&mut self, what: String) {
        *self.situations.entry(what).or_default() += 1;
    }

    /// What somebody does, by where the run stands and by everything else that is amiss.
    pub(super) fn note_deed(&mut self, deed: &Deed) {
        let word = deed.word();
        self.note(format!("{word} {}", self.where_the_run_stands()));
        for hardship in self.hardships() {
            self.count(format!("{word} while {hardship}"));
        }
    }

    fn hardships(&self) -> Vec<&'static str> {
        let faults = self.habits.faults;
        let all = [
            (self.prometheus_away, "metrics are away"),
            (self.gateway.silent, "the Gateway is silent"),
            (faults.refused + faults.unheard > FAILING, "the API server fails"),
            (self.processes.iter().all(Option::is_none), "no controller runs"),
            (self.is_raising(), "a share is raised"),
            (self.habits.candidates.count > 1 && !self.is_led(), "the leader changes"),
        ];
        all.into_iter().filter_map(|(holds, word)| holds.then_some(word)).collect()
    }

    /// A share is granted, and the routes have not all got and accepted it.
    fn is_raising(&self) -> bool {
        self.open_run().is_some_and(|run| {
            text(&run, "/status/phase") == Some("Stepping")
                && text(&run, "/status/settledAt").is_none()
                && run.pointer("/status/weight").is_some_and(|weight| *weight != 0)
        })
    }

    /// A write of the controller that somebody else's came before.
    pub(super) fn note_lateness(&mut self, site: WriteSite) {
        self.note(format!("{site:?} comes too late {}", self.where_the_run_stands()));
    }

    /// What a commit says of the situation.
    pub(super) fn note_commit(&mut self, commit: &Commit) {
        let (Some(before), Some(after)) = (&commit.before, &commit.after) else { return };
        let ours = &*commit.writer.manager == FIELD_MANAGER;
        match commit.kind {
            ROLLOUT if ours => {
                for said in newly_said(before, after) {
                    self.count(said);
                }
            }
            HTTP_ROUTE | GRPC_ROUTE | SERVICE
                if !ours && label(after, ROLLOUT_LABEL).is_none() && before["spec"] != after["spec"] =>
            {
                let what = if commit.kind == SERVICE { "the Service" } else { "the route" };
                self.count(format!("{what} is reset {}", self.where_the_run_stands()));
                if self.is_raising() {
                    self.count(format!("{what} is reset while a share is raised"));
                }
            }
            _ => {}
        }
    }
}

/// The reason of a Rollout's readiness, and its conditions that hold, as far as they are new.
fn newly_said(before: &Value, after: &Value) -> Vec<String> {
    let reason =
        |rollout: &Value| condition(rollout, "Ready").and_then(|ready| text(ready, "/reason")).map(str::to_owned);
    let holds = |rollout: &Value, kind: &str| {
        condition(rollout, kind).is_some_and(|condition| text(condition, "/status") == Some("True"))
    };
    let mut said: Vec<String> = reason(after)
        .filter(|now| reason(before).as_ref() != Some(now))
        .map(|now| format!("the status says {now}"))
        .into_iter()
        .collect();
    let kinds = items(after, "/status/conditions").iter().filter_map(|condition| text(condition, "/type"));
    let new = kinds.filter(|kind| holds(after, kind) && !holds(before, kind));
    said.extend(new.map(|kind| format!("the status has {kind}")));
    said
}
