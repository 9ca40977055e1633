//! A HorizontalPodAutoscaler: four times a minute it divides the load by the pods that it is shown, and scales the Rollout by its
//! `scale` subresource.
//!
//! Its manners are those of the real one for a metric of pods: a tolerance of a tenth, the fewest and the most pods, no more than
//! twice as many or four more at once, and fewer only once nothing within a while has asked for more.
//!
//! # Caveats
//! It knows the load as customers mean it, without the noise of counting, and all pods that run have their part in it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{agenda::Event, clock::Millis, world::World};
use crate::{
    controller::{HPA, POD, ROLLOUT, RUN},
    workload::object::{self, is_terminating, items, name, number, text},
};

/// Between two looks.
const PERIOD: Millis = 15_000;
const TOLERANCE: f64 = 0.1;
/// So many more at once, if that is more than twice as many.
const SURGE: u32 = 4;

/// What autoscalers remember.
#[derive(Debug, Default)]
pub struct Autoscaling {
    /// What the load asked for at each look, and when.
    asked: Vec<(Millis, u32)>,
    /// Whoever wanted to wait has waited.
    pub(super) is_over: bool,
}

impl Autoscaling {
    /// The pods to have: more at once, fewer only when nothing since then has asked for more.
    fn steadied(&mut self, now: Millis, patience: Millis, has: u32, wants: u32) -> u32 {
        let patience = if self.is_over { 0 } else { patience };
        self.asked.retain(|(at, _)| at + patience > now);
        self.asked.push((now, wants));
        let most = self.asked.iter().map(|(_, asked)| *asked).max().unwrap_or(wants);
        if wants > has { wants } else { most.min(has) }
    }
}

/// An autoscaler's document: the load of now is right for the pods that there are.
pub fn document(rollout: &str, namespace: &str, most: u32, patience: Millis, milli_per_pod: u64) -> Value {
    json!({
        "apiVersion": HPA.api_version(),
        "kind": HPA.kind,
        "metadata": {"name": rollout, "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": ROLLOUT.api_version(), "kind": ROLLOUT.kind, "name": rollout},
            "minReplicas": 1,
            "maxReplicas": most,
            "metrics": [{"type": "Pods", "pods": {
                "metric": {"name": "requests-per-second"},
                "target": {"type": "AverageValue", "averageValue": format!("{milli_per_pod}m")},
            }}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": patience / 1_000}},
        },
    })
}

/// The load that one pod is to have, in requests per second.
fn each(hpa: &Value) -> Option<f64> {
    let metric = items(hpa, "/spec/metrics").first()?;
    let milli: f64 = text(metric, "/pods/target/averageValue")?.strip_suffix('m')?.parse().ok()?;
    Some(milli / 1_000.0)
}

/// The pods that this load asks for, where so many have their part in it and so many are asked for.
fn pods_for(load: f64, each: f64, shown: usize, has: u32) -> u32 {
    let ratio = load / (each * shown as f64);
    if (ratio - 1.0).abs() <= TOLERANCE { has } else { (load / each).ceil() as u32 }
}

/// As many as it may have at once.
fn bounded(hpa: &Value, has: u32, wants: u32) -> u32 {
    let bound = |field: &str| number(hpa, field).and_then(|bound| u32::try_from(bound).ok()).unwrap_or(1);
    wants.min((2 * has).max(has + SURGE)).max(bound("/spec/minReplicas")).min(bound("/spec/maxReplicas"))
}

impl World {
    /// A person gives the Rollout an autoscaler, to which its pods are right for the usual load.
    pub(super) fn autoscale(&mut self, rollout: &str, most: u32, patience: Millis) {
        let Some(found) = self.server.get(ROLLOUT, &self.namespace, rollout) else { return };
        let pods = replicas(&found).max(1);
        let milli_per_pod = (1_000.0 * self.traffic.usual / f64::from(pods)).ceil().max(1.0) as u64;
        let document = document(rollout, &self.namespace, most, patience, milli_per_pod);
        let writer = self.person("kubectl");
        // One that is there already stays as it is.
        let _ = self.server.create(&writer, HPA, &self.namespace, &document, false);
        self.plan_once(PERIOD, Event::Autoscale);
    }

    /// All autoscalers look, as long as there are any.
    pub(super) fn autoscalers_look(&mut self) {
        let all = self.server.list(HPA, &self.namespace, "");
        for hpa in &all {
            self.autoscaler_looks(hpa);
        }
        if !all.is_empty() {
            self.plan_once(PERIOD, Event::Autoscale);
        }
    }

    fn autoscaler_looks(&mut self, hpa: &Arc<Value>) {
        let Some((rollout, has, wants)) = self.load_asks(hpa) else { return };
        let patience = number(hpa, "/spec/behavior/scaleDown/stabilizationWindowSeconds").unwrap_or(300);
        let patience = 1_000 * u64::try_from(patience).unwrap_or(0);
        let steadied = self.autoscaling.steadied(self.clock.now(), patience, has, wants);
        let now = bounded(hpa, has, steadied);
        if now != has {
            self.note_scaling(if now > has { "out" } else { "in" });
            self.scale(&rollout, now);
        }
        let status = json!({"currentReplicas": has, "desiredReplicas": now});
        if hpa.get("status") != Some(&status) {
            let mut document = Value::clone(hpa);
            document["status"] = status;
            let writer = self.controllers();
            // A conflict means that it was edited: the next look says it.
            let _ = self.server.replace(&writer, HPA, &self.namespace, name(hpa), "status", &document);
        }
        self.after_commits();
    }

    /// An autoscaler's Rollout, its pods, and those that the load asks for. None: there is nothing to go by, or it is scaled to 0.
    fn load_asks(&self, hpa: &Value) -> Option<(Arc<Value>, u32, u32)> {
        let rollout = self.server.get(ROLLOUT, &self.namespace, text(hpa, "/spec/scaleTargetRef/name")?)?;
        let selector = text(&rollout, "/status/selector")?;
        let pods = self.server.list(POD, &self.namespace, selector);
        let shown = pods.iter().filter(|pod| !is_terminating(pod)).count();
        let has = replicas(&rollout);
        if has == 0 || shown == 0 {
            return None;
        }
        let wants = pods_for(self.traffic.rate, each(hpa)?, shown, has);
        Some((rollout, has, wants))
    }

    fn scale(&mut self, rollout: &Value, replicas: u32) {
        let scale = json!({
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {
                "name": name(rollout),
                "namespace": object::namespace(rollout),
                "resourceVersion": rollout["metadata"]["resourceVersion"],
            },
            "spec": {"replicas": replicas},
        });
        let writer = self.controllers();
        if let Err(error) = self.server.replace(&writer, ROLLOUT, &self.namespace, name(rollout), "scale", &scale) {
            unreachable!("a Rollout is not scaled: {error}");
        }
    }

    fn note_scaling(&mut self, way: &str) {
        let place = self.where_the_run_stands();
        self.note(format!("the autoscaler scales {way} {place}"));
        let runs = self.server.list(RUN, &self.namespace, "");
        let last = runs.iter().max_by_key(|run| text(run, "/metadata/creationTimestamp").unwrap_or_default());
        let went_back = last.and_then(|run| text(run, "/status/outcome")).is_some_and(|how| how != "Promoted");
        if place == "at rest" && went_back {
            self.note(format!("the autoscaler scales {way} after a run went back"));
        }
    }

    /// An autoscaler that will scale at its next look.
    pub(super) fn scaling_ahead(&self) -> Option<String> {
        let all = self.server.list(HPA, &self.namespace, "");
        all.iter().find_map(|hpa| {
            let (_, has, wants) = self.load_asks(hpa)?;
            let wants = bounded(hpa, has, wants);
            (has != wants).then(|| format!("HorizontalPodAutoscaler {} wants {wants} pods, not {has}", name(hpa)))
        })
    }

    /// Customers come in other numbers: so many of a hundred that usually come.
    pub(super) fn load(&mut self, percent: u32) {
        self.traffic.rate = self.traffic.usual * f64::from(percent) / 100.0;
    }
}

fn replicas(rollout: &Value) -> u32 {
    number(rollout, "/spec/replicas").and_then(|replicas| u32::try_from(replicas).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_divided_by_the_pods_that_are_shown_and_a_tenth_is_tolerated() {
        for (load, shown, has, expected) in [
            (40.0, 4, 4, 4),
            (43.9, 4, 4, 4),
            (44.1, 4, 4, 5),
            (36.1, 4, 4, 4),
            (35.0, 4, 4, 4),
            (29.0, 4, 4, 3),
            // In a run there are twice the pods: what they share is not more.
            (40.0, 8, 4, 4),
            (60.0, 8, 4, 6),
            // The pods that there are carry it, so they stay.
            (80.0, 8, 4, 4),
            (0.0, 4, 4, 0),
        ] {
            assert_eq!(pods_for(load, 10.0, shown, has), expected, "{load} on {shown} pods");
        }
    }

    #[test]
    fn it_scales_out_by_steps_and_within_its_bounds() {
        let hpa = document("checkout", "shop", 9, 0, 10_000);
        for (has, wants, expected) in [(1, 9, 5), (4, 9, 8), (7, 20, 9), (4, 0, 1), (12, 12, 9)] {
            assert_eq!(bounded(&hpa, has, wants), expected, "from {has} to {wants}");
        }
    }

    #[test]
    fn it_scales_in_when_nothing_within_its_patience_has_asked_for_more() {
        let mut memory = Autoscaling::default();
        let mut look = |second: u64, has, wants| memory.steadied(1_000 * second, 30_000, has, wants);
        assert_eq!(look(0, 4, 6), 6);
        assert_eq!(look(15, 6, 2), 6);
        assert_eq!(look(30, 6, 3), 3);
        assert_eq!(look(45, 3, 2), 3);
        assert_eq!(look(60, 3, 2), 2);
    }
}
