//! S17: in a freeze window nothing starts and nothing goes on, unless a person lifted it.
//!
//! Windows that open each minute are understood, which are those of the simulator; of others nothing is said, and neither is
//! anything where no RolloutPolicy was seen.

use serde_json::Value;

use super::{Change, broken, marks::marks, mirror::Mirror};
use crate::{
    api::{RolloutRunSpec, RolloutRunStatus, RunPhase, Span},
    controller::{ACTION, GRPC_ROUTE, HTTP_ROUTE, ROLLOUT_POLICY, SERVICE},
    engine::Broken,
    sim::{
        clock::{EPOCH_SECONDS, Millis},
        scenario::EACH_MINUTE,
    },
    workload::object::{items, name, namespace, text},
};

/// How old that may be on which a write rests: a process that is stopped for less than its renew deadline goes on with what it knew.
const KNOWN_FOR: Millis = 12_000;
const MINUTE: Millis = 60_000;

/// A window that has been open for longer than the age of anything that a write rests on.
struct Open {
    said: String,
    ends: Millis,
}

fn open(mirror: &Mirror, space: &str, now: Millis) -> Option<Open> {
    let selects = |policy: &&Value| items(policy, "/spec/namespaces/names").iter().any(|named| named == space);
    mirror.all(ROLLOUT_POLICY, "").filter(selects).find_map(|policy| {
        let window = |window: &Value| {
            let lasts: Span = text(window, "/duration")?.parse().ok()?;
            let (passed, lasts) = (now % MINUTE, lasts.as_millis());
            let holds = text(window, "/schedule") == Some(EACH_MINUTE) && (KNOWN_FOR..lasts).contains(&passed);
            let said = || format!("freeze window {} of {}", text(window, "/name").unwrap_or_default(), name(policy));
            holds.then(|| Open { said: said(), ends: now - passed + lasts })
        };
        items(policy, "/spec/freezeWindows").iter().find_map(window)
    })
}

/// A run that was not there begins.
pub fn starts(mirror: &Mirror, change: &Change) -> Option<Broken> {
    let run = change.after?;
    let (space, rollout) = (namespace(run), text(run, "/spec/rollout")?);
    let known = run.pointer("/spec/plan/known").and_then(Value::as_bool) == Some(true);
    let open = open(mirror, space, change.at).filter(|_| !known)?;
    let lifts = |action: &Value| {
        text(action, "/spec/type") == Some("Override")
            && text(action, "/spec/rollout") == Some(rollout)
            && text(action, "/spec/reason").is_some_and(|reason| !reason.is_empty())
            && text(action, "/status/outcome").is_none()
    };
    // A record that was lost is made again, to go back.
    let mut marked = [SERVICE, HTTP_ROUTE, GRPC_ROUTE].into_iter().flat_map(|kind| mirror.all(kind, space));
    let is_lost = marked.any(|document| marks(document).any(|(of, _)| of == name(run)));
    if is_lost || mirror.all(ACTION, space).any(lifts) {
        return None;
    }
    broken("S17", format!("{} begins in {}", name(run), open.said))
}

/// A run goes forward.
pub fn goes_on(
    mirror: &Mirror,
    change: &Change,
    spec: Option<&RolloutRunSpec>,
    (then, now): (&RolloutRunStatus, &RolloutRunStatus),
) -> Option<Broken> {
    let run = change.after?;
    let forward = now.step > then.step
        || now.weight > then.weight
        || (then.phase == RunPhase::Stepping && now.phase == RunPhase::Soaking)
        || (then.phase <= RunPhase::Soaking && now.phase == RunPhase::Finishing);
    if !forward || spec?.plan.known {
        return None;
    }
    let open = open(mirror, namespace(run), change.at)?;
    let lifted = then.freeze_override.as_ref().is_some_and(|lifted| {
        let until = lifted.until.as_ref().map(|until| until.parse::<jiff::Timestamp>());
        let ends = EPOCH_SECONDS * 1_000 + i64::try_from(open.ends).unwrap_or(i64::MAX);
        until.is_none_or(|until| until.is_ok_and(|until| until.as_millisecond() >= ends))
    });
    if lifted {
        return None;
    }
    let (then, now) = ((then.phase, then.step + 1, then.weight), (now.phase, now.step + 1, now.weight));
    broken("S17", format!("{} goes from {then:?} to {now:?} in {}", name(run), open.said))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{controller::RUN, sim::oracle::Oracle};

    fn see(oracle: &mut Oracle, at: Millis, ours: bool, kind: crate::controller::Kind, before: &Value, after: &Value) {
        let before = (!before.is_null()).then_some(before);
        oracle.see(&Change { at, ours, kind, before, after: Some(after) });
    }

    /// An oracle that has seen a policy which freezes the first 40 s of each minute.
    fn oracle() -> Oracle {
        let window = json!({"name": "calm", "schedule": EACH_MINUTE, "duration": "40s"});
        let policy = json!({"metadata": {"name": "sre"}, "spec": {"namespaces": {"names": ["shop"]}, "freezeWindows": [window]}});
        let mut oracle = Oracle::default();
        see(&mut oracle, 0, false, ROLLOUT_POLICY, &Value::Null, &policy);
        oracle
    }

    fn run(status: Value) -> Value {
        let spec = json!({
            "rollout": "checkout", "rolloutUID": "u", "stable": "a", "canary": "b", "plan": {"steps": []},
            "progressDeadline": "10m", "services": ["checkout"], "warm": "5s", "drain": "15s", "routes": [],
        });
        json!({"metadata": {"name": "checkout-b-1", "namespace": "shop"}, "spec": spec, "status": status})
    }

    fn laws(oracle: &Oracle) -> Vec<&'static str> {
        oracle.offences.iter().map(|found| found.law).collect()
    }

    #[test]
    fn a_run_that_begins_in_a_window_breaks_a_law_unless_a_person_has_lifted_it() {
        let action = |reason: &str| {
            let spec = json!({"type": "Override", "rollout": "checkout", "reason": reason});
            json!({"metadata": {"name": "lift", "namespace": "shop"}, "spec": spec})
        };
        let service = json!({"metadata": {"name": "checkout", "namespace": "shop",
            "annotations": {crate::api::RUN_ANNOTATION: "checkout-b-1@2"}}});
        let nothing = json!({"metadata": {"name": "other", "namespace": "shop"}});
        let ways = [
            (30_000, SERVICE, nothing.clone(), &["S17"][..]),
            // It may have been decided before the window opened; and after the window.
            (6_000, SERVICE, nothing.clone(), &[]),
            (41_000, SERVICE, nothing, &[]),
            (30_000, ACTION, action("it burns"), &[]),
            (30_000, ACTION, action(""), &["S17"]),
            // Its record was lost.
            (30_000, SERVICE, service, &[]),
        ];
        for (at, kind, document, expected) in ways {
            let mut oracle = oracle();
            see(&mut oracle, 1, false, kind, &Value::Null, &document);
            see(&mut oracle, at, true, RUN, &Value::Null, &run(Value::Null));
            assert_eq!(laws(&oracle), expected, "at {at} {document}");
        }
    }

    #[test]
    fn a_run_that_goes_forward_in_a_window_breaks_a_law_and_one_that_goes_back_does_not() {
        let status = |phase: &str, weight: u32, more: Value| {
            let mut status = json!({"phase": phase, "weight": weight, "settledAt": "2026-01-01T00:00:00Z"});
            status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            run(status)
        };
        let none = || json!({});
        let lifted = |until: &str| json!({"freezeOverride": {"author": "ada", "reason": "it burns", "until": until}});
        for (then, now, expected) in [
            (status("Stepping", 10, none()), status("Stepping", 50, none()), &["S17"][..]),
            (status("Stepping", 100, none()), status("Soaking", 100, none()), &["S17"]),
            (status("Stepping", 10, none()), status("Stepping", 0, none()), &[]),
            (status("Stepping", 10, none()), status("Aborting", 0, none()), &[]),
            (status("Stepping", 10, lifted("2026-01-01T00:00:40Z")), status("Stepping", 50, none()), &[]),
            (status("Stepping", 10, lifted("2026-01-01T00:00:39Z")), status("Stepping", 50, none()), &["S17"]),
        ] {
            let mut oracle = oracle();
            see(&mut oracle, 1, true, RUN, &Value::Null, &then);
            see(&mut oracle, 30_000, true, RUN, &then, &now);
            assert_eq!(laws(&oracle), expected, "{} {}", then["status"], now["status"]);
        }
    }
}
