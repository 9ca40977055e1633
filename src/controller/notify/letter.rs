//! What a receiver is sent about one decision: the body in its form, and its signature.
//!
//! Pure: the same decision gives the same body and the same id, whoever sends it and however often.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::Format;
use crate::{
    api::{DecisionEntry, RunOutcome, RunPhase},
    engine::{RunView, chain},
};

/// One decision of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    pub namespace: String,
    pub run: String,
    pub run_uid: String,
    pub rollout: String,
    pub release: Option<String>,
    pub stable: String,
    pub canary: String,
    pub outcome: Option<RunOutcome>,
    pub entry: DecisionEntry,
}

impl Decided {
    pub fn new(namespace: &str, run_uid: &str, run: &RunView, entry: &DecisionEntry) -> Self {
        let spec = &run.spec;
        let closing = matches!(entry.phase, RunPhase::Finishing | RunPhase::Aborting);
        let status = run.status.as_ref().filter(|_| closing);
        Self {
            namespace: namespace.to_owned(),
            run: run.name.clone(),
            run_uid: run_uid.to_owned(),
            rollout: spec.rollout.clone(),
            release: spec.release.clone(),
            stable: spec.stable.clone(),
            canary: spec.canary.clone(),
            outcome: status.and_then(|status| status.ending),
            entry: entry.clone(),
        }
    }

    /// By which a receiver tells that it has it already.
    pub fn id(&self) -> String {
        format!("{}-{}", self.run_uid, self.entry.seq)
    }

    pub fn body(&self, format: Format) -> Vec<u8> {
        let document = match format {
            Format::CloudEvents => self.cloud_event(),
            Format::Slack => json!({"text": self.sentence()}),
        };
        document.to_string().into_bytes()
    }

    fn cloud_event(&self) -> Value {
        let entry = serde_json::to_value(&self.entry).unwrap_or_default();
        let hash = chain::hash(&entry);
        json!({
            "specversion": "1.0",
            "id": self.id(),
            "source": format!("/apis/tidegate.io/v1alpha1/namespaces/{}/rolloutruns/{}", self.namespace, self.run),
            "type": "io.tidegate.rolloutrun.decision",
            "subject": format!("{}/{}", self.namespace, self.rollout),
            "time": self.entry.at,
            "datacontenttype": "application/json",
            "data": {
                "namespace": self.namespace,
                "rollout": self.rollout,
                "run": self.run,
                "runUID": self.run_uid,
                "release": self.release,
                "stable": self.stable,
                "canary": self.canary,
                "outcome": self.outcome,
                "decision": entry,
                "hash": hash,
            },
        })
    }

    fn sentence(&self) -> String {
        let DecisionEntry { reason, message, weight, .. } = &self.entry;
        let release = self.release.as_ref().map_or(String::new(), |release| format!(" {release}"));
        let text = format!("{}/{}{release} at {weight} %: {}: {message}", self.namespace, self.rollout, reason.word());
        // The three characters that Slack reads as its own.
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    }
}

pub const fn content_type(format: Format) -> &'static str {
    match format {
        Format::CloudEvents => "application/cloudevents+json; charset=utf-8",
        Format::Slack => "application/json",
    }
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 over the seconds, a full stop and the body. With the time in it an old letter cannot be
/// sent again by somebody else later.
pub fn signature(secret: &[u8], at_seconds: i64, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(format!("{at_seconds}.").as_bytes());
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("t={at_seconds},v1={hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_hmac_sha256_over_time_and_body() {
        let signed = signature(b"Jefe", 0, b"what do ya want for nothing?").unwrap();
        // printf '0.what do ya want for nothing?' | openssl dgst -sha256 -hmac Jefe
        assert_eq!(signed, "t=0,v1=37f471929915ccd2cbbe79feb84ffcff4f2bb25e15fc41c2506687331ae179cc");
        assert_ne!(signature(b"jefe", 0, b"x"), signature(b"Jefe", 0, b"x"));
    }
}
