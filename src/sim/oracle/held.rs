//! S6 on routes: while a run goes forward, a route gives the canary what the record grants, and less only to go back.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Change, broken, mirror::Mirror};
use crate::{
    controller::{GRPC_ROUTE, HTTP_ROUTE, RUN},
    engine::Broken,
    workload::object::{items, name, namespace, text},
};

/// Shares of whole weights differ by less than this without meaning it.
const ROUNDING: f64 = 1.0;

/// Routes that were lowered before the record said why, by run: an abort whose record cannot be written does that.
#[derive(Debug, Default)]
pub struct Held {
    lowered: BTreeMap<String, String>,
}

impl Held {
    pub fn see(&mut self, mirror: &Mirror, change: &Change) -> Option<Broken> {
        match change.kind {
            HTTP_ROUTE | GRPC_ROUTE => self.lowers(mirror, change),
            RUN => self.said(change),
            _ => None,
        }
    }

    fn lowers(&mut self, mirror: &Mirror, change: &Change) -> Option<Broken> {
        let (before, after) = (change.before?, change.after?);
        let space = namespace(after);
        let forward = |run: &&Value| {
            matches!(text(run, "/status/phase"), Some("Stepping" | "Soaking")) && !mirror.is_disturbed(change.at)
        };
        let run = mirror.all(RUN, space).find(forward)?;
        let (rollout, canary) = (text(run, "/spec/rollout")?, text(run, "/spec/canary")?);
        let granted: f64 = granted(run)?;
        let share = |route: &Value| {
            let rules = items(route, "/spec/rules").iter();
            rules.map(|rule| mirror.part(rule, space, rollout, canary)).fold(0.0, f64::max)
        };
        let (had, has) = (share(before), share(after));
        if has + ROUNDING < had && has + ROUNDING < granted {
            let message = format!("{} lowers {canary} from {had} % to {has} %, {granted} % is granted", name(after));
            self.lowered.insert(name(run).to_owned(), message);
        }
        None
    }

    /// The record's next word.
    fn said(&mut self, change: &Change) -> Option<Broken> {
        let after = change.after?;
        let message = self.lowered.remove(name(after))?;
        let goes_back = matches!(text(after, "/status/phase"), Some("Aborting" | "Ended"));
        if goes_back { None } else { broken("S6", message) }
    }
}

fn granted(run: &Value) -> Option<f64> {
    let weight = run.pointer("/status/weight")?;
    weight.as_f64().or_else(|| weight.as_str()?.trim_end_matches('%').parse().ok())
}
