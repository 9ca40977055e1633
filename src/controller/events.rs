//! Events for people: what happened to a Rollout, as `kubectl describe` shows it.
//!
//! They are sent beside the passes, through a bounded queue: an API server that is slow with Events delays no Rollout, and
//! one that is away loses them. Nothing depends on an Event.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Cluster, EVENT, Key, Metrics, Moment, WriteSite};
use crate::{api::FIELD_MANAGER, engine::Note};

/// Events that wait to be sent; more are dropped and counted.
const WAITING_LIMIT: usize = 256;
/// The server's limit for an Event's note.
const NOTE_LIMIT: usize = 1_024;

/// Where passes leave their Events.
#[derive(Clone)]
pub struct Events {
    sender: mpsc::Sender<(String, Value)>,
    metrics: Arc<Metrics>,
}

/// The other end: what is left to send.
pub struct Outbox {
    receiver: mpsc::Receiver<(String, Value)>,
    metrics: Arc<Metrics>,
}

impl Events {
    pub fn new(metrics: Arc<Metrics>) -> (Self, Outbox) {
        let (sender, receiver) = mpsc::channel(WAITING_LIMIT);
        (Self { sender, metrics: metrics.clone() }, Outbox { receiver, metrics })
    }

    /// Leaves one Event about a Rollout; `number` tells the Events of one moment apart.
    pub fn tell(&self, key: &Key, uid: &str, note: &Note, now: &Moment, number: u64) {
        let event = event(key, uid, note, &now.text, now.serial.wrapping_add(number));
        if self.sender.try_send((key.namespace.clone(), event)).is_err() {
            self.metrics.event_dropped();
        }
    }
}

impl Outbox {
    /// Sends Events, each once, until all `Events` are gone.
    pub async fn send(mut self, cluster: Arc<dyn Cluster>) {
        while let Some((namespace, event)) = self.receiver.recv().await {
            if let Err(error) = cluster.create(WriteSite::Event, EVENT, &namespace, &event, false).await {
                self.metrics.event_dropped();
                tracing::debug!(%error, "an Event was not written");
            }
        }
    }
}

fn event(key: &Key, uid: &str, note: &Note, at: &str, serial: u64) -> Value {
    let fits = |size: &mut usize, char: char| {
        *size += char.len_utf8();
        (*size <= NOTE_LIMIT).then_some(char)
    };
    let text: String = note.message.chars().scan(0, fits).collect();
    let micros = at.strip_suffix('Z').map_or_else(|| at.to_owned(), |at| format!("{at}.000000Z"));
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": format!("{}.{serial:x}", key.name), "namespace": key.namespace},
        "eventTime": micros,
        "action": "Rollout",
        "reason": note.reason.word(),
        "note": text,
        "type": if note.warning { "Warning" } else { "Normal" },
        "regarding": {
            "apiVersion": "tidegate.io/v1alpha1",
            "kind": "Rollout",
            "namespace": key.namespace,
            "name": key.name,
            "uid": uid,
        },
        "reportingController": FIELD_MANAGER,
        "reportingInstance": FIELD_MANAGER,
    })
}
