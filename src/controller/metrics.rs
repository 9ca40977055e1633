//! Tidegate's own metrics, in Prometheus' form.
//!
//! Labels are kinds, verbs, reasons and Rollouts: all bounded. What a Rollout is labelled with goes when it goes.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::Key;
use crate::{
    api::{ActionOutcome, Percent, Phase, Reason},
    engine::LAWS,
};

type Labels = Vec<(&'static str, String)>;
type Seconds = Gauge<f64, AtomicU64>;

/// What one pass saw, for the gauges of one Rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauges {
    pub phase: Option<Phase>,
    pub weight: Percent,
    /// Age of the newest evidence, while a run has some.
    pub evidence_age: Option<Duration>,
    /// Why the Rollout waits, and for how long.
    pub hold: Option<(Reason, Duration)>,
}

pub struct Metrics {
    registry: Registry,
    shown: Mutex<HashMap<Key, Gauges>>,
    rollouts: Family<Labels, Gauge>,
    weight: Family<Labels, Seconds>,
    evidence_age: Family<Labels, Seconds>,
    hold_age: Family<Labels, Seconds>,
    reconcile_duration: Histogram,
    reconcile_errors: Family<Labels, Counter>,
    api_writes: Family<Labels, Counter>,
    laws_broken: Family<Labels, Counter>,
    transitions: Family<Labels, Counter>,
    actions: Family<Labels, Counter>,
    events_dropped: Counter,
    notifications: Family<Labels, Counter>,
    watch_errors: Family<Labels, Counter>,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("tidegate"),
            shown: Mutex::default(),
            rollouts: Family::default(),
            weight: Family::default(),
            evidence_age: Family::default(),
            hold_age: Family::default(),
            reconcile_duration: Histogram::new(exponential_buckets(0.005, 2.0, 12)),
            reconcile_errors: Family::default(),
            api_writes: Family::default(),
            laws_broken: Family::default(),
            transitions: Family::default(),
            actions: Family::default(),
            events_dropped: Counter::default(),
            notifications: Family::default(),
            watch_errors: Family::default(),
            leader: Gauge::default(),
        };
        metrics.register();
        metrics.begin_at_zero();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let Self { registry, rollouts, weight, evidence_age, hold_age, reconcile_duration, .. } = self;
        registry.register("rollouts", "Rollouts by phase", rollouts.clone());
        registry.register("rollout_weight_percent", "Share granted to the revision under test", weight.clone());
        registry.register("evidence_age_seconds", "Age of the newest evidence of a run", evidence_age.clone());
        registry.register("hold_age_seconds", "How long a Rollout has waited, by reason", hold_age.clone());
        registry.register("reconcile_duration_seconds", "Time of one pass over a Rollout", reconcile_duration.clone());
        let Self { registry, reconcile_errors, api_writes, laws_broken, transitions, .. } = self;
        registry.register("reconcile_errors", "Passes that ended early, by stage", reconcile_errors.clone());
        registry.register("api_writes", "Writes to the API server", api_writes.clone());
        registry.register("laws_broken", "Decisions withheld because a law forbids them", laws_broken.clone());
        registry.register("transitions", "Transitions of Rollouts, by reason", transitions.clone());
        let Self { registry, actions, events_dropped, notifications, watch_errors, leader, .. } = self;
        registry.register("actions", "RolloutActions that were answered, by outcome", actions.clone());
        registry.register("events_dropped", "Events not written for lack of room or an answer", events_dropped.clone());
        registry.register(
            "notifications",
            "Notifications by receiver: ok, failed (a try), lost",
            notifications.clone(),
        );
        registry.register("watch_errors", "Errors of watches, by kind", watch_errors.clone());
        registry.register("leader", "1 if this process leads, and so writes", leader.clone());
    }

    /// What an alert counts is there before its first time: to a counter that begins at 1, `increase` sees no increase.
    fn begin_at_zero(&self) {
        for law in LAWS {
            drop(self.laws_broken.get_or_create(&law_labels(law)));
        }
        for outcome in [ActionOutcome::Accepted, ActionOutcome::Refused] {
            drop(self.actions.get_or_create(&outcome_labels(outcome)));
        }
    }

    /// A receiver that notifications are sent to: its counters begin at 0, too.
    pub fn receiver(&self, receiver: &str) {
        for result in ["ok", "failed", "lost"] {
            drop(self.notifications.get_or_create(&notification_labels(receiver, result)));
        }
    }

    /// The text that a Prometheus server reads.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    pub fn api_write(&self, kind: &str, verb: &str, failed: bool) {
        let result = if failed { "error" } else { "ok" };
        let labels = vec![("kind", kind.into()), ("verb", verb.into()), ("result", result.into())];
        self.api_writes.get_or_create(&labels).inc();
    }

    pub fn reconcile(&self, duration: Duration) {
        self.reconcile_duration.observe(duration.as_secs_f64());
    }

    /// A pass that ended early; `stage` is one of a few words.
    pub fn reconcile_error(&self, stage: &'static str) {
        self.reconcile_errors.get_or_create(&vec![("stage", stage.into())]).inc();
    }

    pub fn law_broken(&self, law: &str) {
        self.laws_broken.get_or_create(&law_labels(law)).inc();
    }

    pub fn transition(&self, reason: Reason) {
        self.transitions.get_or_create(&vec![("reason", reason.word().into())]).inc();
    }

    pub fn action(&self, outcome: ActionOutcome) {
        self.actions.get_or_create(&outcome_labels(outcome)).inc();
    }

    pub fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// `result` is ok, failed (a try) or lost (given up).
    pub fn notification(&self, receiver: &str, result: &'static str) {
        self.notifications.get_or_create(&notification_labels(receiver, result)).inc();
    }

    pub fn watch_error(&self, kind: &str) {
        self.watch_errors.get_or_create(&vec![("kind", kind.into())]).inc();
    }

    /// Whether this process leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Shows what the last pass over a Rollout saw.
    pub fn show(&self, key: &Key, gauges: Gauges) {
        let mut shown = self.lock();
        self.hide(key, shown.remove(key));
        let labels = labels(key);
        if let Some(phase) = gauges.phase {
            self.rollouts.get_or_create(&phase_labels(phase)).inc();
        }
        self.weight.get_or_create(&labels).set(gauges.weight.ratio() * 100.0);
        if let Some(age) = gauges.evidence_age {
            self.evidence_age.get_or_create(&labels).set(age.as_secs_f64());
        }
        if let Some((reason, age)) = gauges.hold {
            self.hold_age.get_or_create(&hold_labels(key, reason)).set(age.as_secs_f64());
        }
        shown.insert(key.clone(), gauges);
    }

    /// The Rollout is gone.
    pub fn forget(&self, key: &Key) {
        let mut shown = self.lock();
        self.hide(key, shown.remove(key));
    }

    fn hide(&self, key: &Key, gauges: Option<Gauges>) {
        let Some(Gauges { phase, weight: _, evidence_age: _, hold }) = gauges else { return };
        if let Some(phase) = phase {
            self.rollouts.get_or_create(&phase_labels(phase)).dec();
        }
        if let Some((reason, _)) = hold {
            self.hold_age.remove(&hold_labels(key, reason));
        }
        self.weight.remove(&labels(key));
        self.evidence_age.remove(&labels(key));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Gauges>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn labels(key: &Key) -> Labels {
    vec![("namespace", key.namespace.clone()), ("rollout", key.name.clone())]
}

fn hold_labels(key: &Key, reason: Reason) -> Labels {
    let mut labels = labels(key);
    labels.push(("reason", reason.word().into()));
    labels
}

fn law_labels(law: &str) -> Labels {
    vec![("law", law.into())]
}

fn outcome_labels(outcome: ActionOutcome) -> Labels {
    vec![("outcome", format!("{outcome:?}"))]
}

fn notification_labels(receiver: &str, result: &str) -> Labels {
    vec![("receiver", receiver.into()), ("result", result.into())]
}

fn phase_labels(phase: Phase) -> Labels {
    vec![("phase", format!("{phase:?}"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_is_counted_in_one_phase_and_leaves_nothing_behind() {
        let (metrics, key) = (Metrics::default(), Key::new("shop", "checkout"));
        let hold = Some((Reason::AwaitingApproval, Duration::from_secs(3)));
        for phase in [Phase::Progressing, Phase::Paused] {
            metrics.show(&key, Gauges { phase: Some(phase), weight: Percent::whole(10), hold, evidence_age: None });
        }
        let text = metrics.text();
        assert!(text.contains("tidegate_rollouts{phase=\"Progressing\"} 0"), "{text}");
        assert!(text.contains("tidegate_rollouts{phase=\"Paused\"} 1"), "{text}");
        assert!(text.contains("reason=\"AwaitingApproval\"} 3"), "{text}");
        metrics.forget(&key);
        assert!(!metrics.text().contains("checkout"));
    }

    #[test]
    fn what_alerts_count_is_there_before_it_happens() {
        let metrics = Metrics::default();
        metrics.receiver("audit");
        let text = metrics.text();
        let strings = include_str!("../engine/laws.rs").split('"').filter_map(|text| text.strip_prefix('S'));
        let mut laws = strings.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
        assert!(laws.clone().count() > LAWS.len());
        assert!(laws.all(|law| text.contains(&format!("tidegate_laws_broken_total{{law=\"S{law}\"}} 0"))), "{text}");
        for series in [
            "tidegate_actions_total{outcome=\"Accepted\"} 0",
            "tidegate_actions_total{outcome=\"Refused\"} 0",
            "tidegate_notifications_total{receiver=\"audit\",result=\"lost\"} 0",
        ] {
            assert!(text.contains(series), "{series}: {text}");
        }
    }
}
