//! What keeps pods from getting ready, in a sentence for people.
//!
//! It is read from the pods' status and decides nothing: how long to wait is the progress deadline's to say.

use serde_json::Value;

use super::object::{self, condition, condition_is_true, count, is_terminating, items, number, text};

/// Bytes of the kubelet's and the scheduler's own words.
const LONGEST_WORDS: usize = 200;
/// What every container waits for at first: no news.
const USUAL: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// The first trouble among the pods that are not ready, by name, and how many others have one; None: they just need time.
pub fn trouble<'p>(pods: impl Iterator<Item = &'p Value>) -> Option<String> {
    let is_awaited = |pod: &&Value| !is_terminating(pod) && !condition_is_true(pod, "Ready");
    let mut found: Vec<(&str, String)> =
        pods.filter(is_awaited).filter_map(|pod| Some((object::name(pod), of_pod(pod)?))).collect();
    found.sort();
    let (pod, what) = found.first()?;
    let others = match found.len() - 1 {
        0 => String::new(),
        others => format!(" ({others} more like it)"),
    };
    Some(format!("pod {pod} {what}{others}"))
}

/// Containers tell more than the pod, and one that cannot start more than one that has ended.
fn of_pod(pod: &Value) -> Option<String> {
    let statuses = || {
        let of_init = items(pod, "/status/initContainerStatuses").iter();
        of_init.chain(items(pod, "/status/containerStatuses"))
    };
    statuses()
        .find_map(waits)
        .or_else(|| statuses().find_map(ended))
        .or_else(|| unscheduled(pod))
        .or_else(|| failed(pod))
}

/// CrashLoopBackOff, ImagePullBackOff, CreateContainerConfigError and their like.
fn waits(container: &Value) -> Option<String> {
    let reason = text(container, "/state/waiting/reason").filter(|reason| !USUAL.contains(reason))?;
    let name = text(container, "/name").unwrap_or_default();
    let why = last_end(container).or_else(|| text(container, "/state/waiting/message").map(words));
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    Some(format!("is in {reason} (container {name}{why})"))
}

/// It has ended and is started again before the kubelet takes its time for it.
fn ended(container: &Value) -> Option<String> {
    let how =
        end(container, "/state/terminated").filter(|_| number(container, "/state/terminated/exitCode") != Some(0));
    let how = how.or_else(|| last_end(container).filter(|_| count(container, "/restartCount") > 0))?;
    let name = text(container, "/name").unwrap_or_default();
    Some(format!("is not ready (container {name}: {how})"))
}

fn last_end(container: &Value) -> Option<String> {
    end(container, "/lastState/terminated")
}

fn end(container: &Value, state: &str) -> Option<String> {
    let code = number(container, &format!("{state}/exitCode"))?;
    let reason = text(container, &format!("{state}/reason")).filter(|reason| !["Error", "Completed"].contains(reason));
    Some(match reason {
        Some(reason) => format!("ended with exit code {code}, {reason}"),
        None => format!("ended with exit code {code}"),
    })
}

fn unscheduled(pod: &Value) -> Option<String> {
    let scheduled = condition(pod, "PodScheduled").filter(|condition| text(condition, "/status") == Some("False"))?;
    let reason = text(scheduled, "/reason").unwrap_or("Unscheduled");
    let why = text(scheduled, "/message").map(|why| format!(": {}", words(why))).unwrap_or_default();
    Some(format!("is {reason}{why}"))
}

/// Evicted, and what else the kubelet refuses as a whole.
fn failed(pod: &Value) -> Option<String> {
    let reason = text(pod, "/status/reason")?;
    let why = text(pod, "/status/message").map(|why| format!(": {}", words(why))).unwrap_or_default();
    Some(format!("is {reason}{why}"))
}

fn words(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = (0..=LONGEST_WORDS.min(line.len())).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    if end < line.len() { format!("{}...", &line[..end]) } else { line }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, status: Value) -> Value {
        json!({"metadata": {"name": name}, "status": status})
    }

    fn of(status: Value) -> Option<String> {
        trouble([&pod("app-v2-x", status)].into_iter())
    }

    fn container(state: Value) -> Value {
        let mut status = json!({"name": "app", "ready": false});
        status.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
        json!({"containerStatuses": [status]})
    }

    #[test]
    fn the_sentence_names_the_pod_the_container_and_what_keeps_it() {
        let back_off = json!({"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container=app"});
        let killed = json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}});
        for (status, expected) in [
            (
                container(json!({"state": {"waiting": back_off}, "lastState": killed})),
                "is in CrashLoopBackOff (container app: ended with exit code 137, OOMKilled)",
            ),
            (
                container(json!({"state": {"waiting": back_off}})),
                "is in CrashLoopBackOff (container app: back-off 40s restarting failed container=app)",
            ),
            (
                container(
                    json!({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x:2\""}}}),
                ),
                "is in ImagePullBackOff (container app: Back-off pulling image \"x:2\")",
            ),
            (
                container(
                    json!({"state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}, "restartCount": 1}),
                ),
                "is not ready (container app: ended with exit code 1)",
            ),
            (container(json!({"state": killed})), "is not ready (container app: ended with exit code 137, OOMKilled)"),
            (
                json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}]}),
                "is Unschedulable: 0/3 nodes are available",
            ),
            (
                json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}),
                "is Evicted: The node was low on resource: memory.",
            ),
        ] {
            assert_eq!(of(status.clone()), Some(format!("pod app-v2-x {expected}")), "{status}");
        }
    }

    #[test]
    fn pods_that_are_on_their_way_ready_or_leaving_have_no_trouble() {
        let crashed = container(json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}}));
        let mut leaving = pod("a", crashed.clone());
        leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let mut ready = pod("b", crashed);
        ready["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
        assert_eq!(trouble([&leaving, &ready].into_iter()), None);
        for state in [
            json!({"state": {"waiting": {"reason": "ContainerCreating"}}}),
            json!({"state": {"running": {}}}),
            json!({"state": {"terminated": {"exitCode": 0}}}),
            json!({}),
        ] {
            assert_eq!(of(container(state.clone())), None, "{state}");
        }
    }

    #[test]
    fn of_several_the_first_by_name_is_told_and_long_words_are_cut() {
        let status =
            |message: &str| container(json!({"state": {"waiting": {"reason": "ErrImagePull", "message": message}}}));
        let pods = [pod("b", status("no")), pod("a", status(&"ä\n ".repeat(300))), pod("c", status("no"))];
        let said = trouble(pods.iter()).unwrap();
        assert!(
            said.starts_with("pod a is in ErrImagePull (container app: ä ä") && said.ends_with("...) (2 more like it)"),
            "{said}"
        );
        assert!(said.len() < 300, "{}", said.len());
    }
}
