//! Laws on routes: S1 capacity, S2 an abort absorbs, S5 well-formed rules, S10 what is not ours.

use serde_json::{Value, json};

use super::{
    Change, Verdicts, broken,
    mirror::{Mirror, need, parts},
};
use crate::{
    api::RUN_ANNOTATION,
    engine::Broken,
    sim::clock::Millis,
    workload::object::{items, name, namespace, text},
};

/// After this a version that failed leaves stable whatever it has ready; a record and the write that follows from it lie apart.
const PATIENCE: Millis = 59_000;

pub fn judge(mirror: &Mirror, change: &Change) -> Verdicts {
    let (Some(before), Some(after)) = (change.before, change.after) else {
        return vec![broken("S10", "a route of somebody else's was created or deleted".to_owned())];
    };
    let route = Route { mirror, change, before, after };
    let mut verdicts = vec![route.foreign_fields()];
    let rules = items(after, "/spec/rules").iter().zip(items(before, "/spec/rules"));
    for (rule, old) in rules.filter(|(rule, old)| rule != old) {
        verdicts.extend([route.well_formed(rule), route.relative_weights(old, rule)]);
        verdicts.extend(parts(rule).into_iter().map(|(service, _)| route.raised(service, old, rule)));
    }
    verdicts
}

struct Route<'r> {
    mirror: &'r Mirror,
    change: &'r Change<'r>,
    before: &'r Value,
    after: &'r Value,
}

/// The part of 100 that a rule gives to a Service.
fn share(rule: &Value, service: &str) -> f64 {
    let refs = parts(rule);
    let total: f64 = refs.iter().map(|(_, weight)| weight).sum();
    let to: f64 = refs.iter().filter(|(named, _)| *named == service).map(|(_, weight)| weight).sum();
    if total > 0.0 { 100.0 * to / total } else { 0.0 }
}

/// Shares of whole weights differ by less than this without meaning it.
const ROUNDING: f64 = 0.01;

impl Route<'_> {
    fn space(&self) -> &str {
        namespace(self.after)
    }

    fn is_of_revision(&self, service: &str) -> bool {
        self.mirror.revision_of_service(self.space(), service).is_some()
    }

    /// S1 and S2: more for a Service only if its ready pods carry it, and never for the canary while a run goes back.
    fn raised(&self, service: &str, old: &Value, rule: &Value) -> Option<Broken> {
        let (before, after) = (share(old, service), share(rule, service));
        if after <= before + ROUNDING {
            return None;
        }
        let ready = self.mirror.ready(self.space(), service, self.change.at);
        let Some((rollout, revision)) = self.mirror.revision_of_service(self.space(), service) else {
            let message = || format!("{}: {service} gets {after} % with no ready endpoint", name(self.after));
            return if ready == 0 { broken("S1", message()) } else { self.overloaded(service, ready, after) };
        };
        let needed = need(self.mirror.least_replicas(self.space(), rollout, self.change.at), after - ROUNDING);
        if ready < needed {
            let message =
                format!("{}: {service} gets {after} % with {ready} ready endpoints, {needed} needed", name(self.after));
            return broken("S1", message);
        }
        let mut runs = self.mirror.open_runs(self.space(), rollout);
        let aborting = runs.any(|run| text(run, "/status/phase") == Some("Aborting"));
        let message =
            || format!("{}: {service} ({revision}) rises to {after} % while its run goes back", name(self.after));
        if aborting { broken("S2", message()) } else { None }
    }

    /// S1 of a run that goes back: with fewer than 70 % of its pods ready, stable gets what they carry. A revert may end the wait
    /// after a minute.
    fn overloaded(&self, service: &str, ready: u32, after: f64) -> Option<Broken> {
        let named = |run: &&Value| {
            items(run, "/spec/services").iter().any(|found| found == service)
                && text(run, "/status/phase") == Some("Aborting")
                && (text(run, "/status/ending") != Some("Reverted")
                    || self.mirror.goes_back_for(run, self.change.at) < PATIENCE)
        };
        let run = self.mirror.all(crate::controller::RUN, self.space()).find(named)?;
        let rollout = text(run, "/spec/rollout")?;
        let full = f64::from(self.mirror.least_replicas(self.space(), rollout, self.change.at));
        let carried = 100.0 * f64::from(ready) / full.max(1.0);
        if f64::from(ready) >= (0.7 * full).ceil() || after <= carried + 1.0 {
            return None;
        }
        broken("S1", format!("{}: {service} gets {after} % back with {ready} of {full} pods ready", name(self.after)))
    }

    /// S5: a rule that we write has weights that can be split by, and backends that exist, each once.
    fn well_formed(&self, rule: &Value) -> Option<Broken> {
        let refs = parts(rule);
        let route = name(self.after);
        if refs.iter().any(|(_, weight)| *weight < 0.0) || refs.iter().all(|(_, weight)| *weight <= 0.0) {
            return broken("S5", format!("{route}: weights are {refs:?}"));
        }
        for (index, (service, _)) in refs.iter().enumerate() {
            let exists = self.mirror.get(crate::controller::SERVICE, self.space(), service).is_some();
            if service.is_empty()
                || self.is_of_revision(service) && refs[..index].iter().any(|(named, _)| named == service)
            {
                return broken("S5", format!("{route}: backend {service:?} is empty or named twice"));
            }
            if !exists && self.is_new(service) {
                return broken("S5", format!("{route}: backend {service} does not exist"));
            }
        }
        None
    }

    /// The backend was not in the route before.
    fn is_new(&self, service: &str) -> bool {
        let rules = items(self.before, "/spec/rules").iter();
        !rules.flat_map(|rule| parts(rule)).any(|(named, _)| named == service)
    }

    /// S10: everything but weights, our backends and our annotation is as it was.
    fn foreign_fields(&self) -> Option<Broken> {
        let (before, after) = (self.of_others(self.before), self.of_others(self.after));
        if before == after {
            return None;
        }
        broken("S10", format!("{}: fields of its owner differ: {before} became {after}", name(self.after)))
    }

    fn of_others(&self, document: &Value) -> Value {
        let mut spec = document["spec"].clone();
        for rule in spec["rules"].as_array_mut().into_iter().flatten() {
            let Some(refs) = rule.get_mut("backendRefs").and_then(Value::as_array_mut) else { continue };
            refs.retain(|reference| !text(reference, "/name").is_some_and(|service| self.may_be_ours(service)));
            for reference in refs.iter_mut() {
                reference["weight"] = json!(0);
            }
        }
        let mut annotations = document.pointer("/metadata/annotations").cloned().unwrap_or_else(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.remove(RUN_ANNOTATION);
        }
        json!({"spec": spec, "annotations": annotations, "labels": document.pointer("/metadata/labels")})
    }

    /// A revision's Service, also one that is gone already.
    fn may_be_ours(&self, service: &str) -> bool {
        let gone = self.mirror.get(crate::controller::SERVICE, self.space(), service).is_none();
        gone || self.is_of_revision(service)
    }

    /// S10: other backends of a rule keep their weights relative to each other, unless all of them have none.
    fn relative_weights(&self, old: &Value, rule: &Value) -> Option<Broken> {
        let others = |rule: &Value| -> Vec<f64> {
            let kept = parts(rule).into_iter().filter(|(service, _)| !self.may_be_ours(service));
            kept.map(|(_, weight)| weight).collect()
        };
        let (before, after) = (others(old), others(rule));
        let (sum_before, sum_after): (f64, f64) = (before.iter().sum(), after.iter().sum());
        if before.len() != after.len() || sum_before <= 0.0 || sum_after <= 0.0 {
            return None;
        }
        let drift = |(old, new): (&f64, &f64)| (old / sum_before - new / sum_after).abs();
        // Whole weights of a hundred or more are exact to one of them.
        let worst = before.iter().zip(&after).map(drift).fold(0.0, f64::max);
        (worst > 1.0 / sum_after.min(sum_before).max(1.0))
            .then(|| Broken { law: "S10", message: format!("{}: {before:?} became {after:?}", name(self.after)) })
    }
}
