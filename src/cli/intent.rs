//! An intent as a RolloutAction, meant for the state that its author sees, and the controller's answer to it.
//!
//! Whether it fits is for the controller to say: a command never writes to a Rollout.

use std::time::Duration;

use kube::{Api, ResourceExt, api::PostParams};
use tokio::time::{Instant, sleep};

use super::{
    Failure, Terminal,
    arguments::{ConnectionArguments, Wish},
    connection::Connection,
    live::Live,
};
use crate::api::{ActionOutcome, ActionType, RolloutAction, RolloutActionSpec, Span};

/// How often the answer is asked for. The controller answers within a second or two.
const POLL: Duration = Duration::from_millis(250);

pub async fn run(arguments: &ConnectionArguments, wish: Wish) -> Result<(), Failure> {
    let connection = Connection::new(arguments).await?;
    let live = Live::read(&connection, &wish.intent.name).await?;
    let action = action(&wish, &live, connection.author().await);
    let api: Api<RolloutAction> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let created = api.create(&PostParams::default(), &action).await;
    let name = created.map_err(|error| connection.failure("create the RolloutAction", &error))?.name_any();
    if wish.intent.no_wait {
        return Terminal::stdout().print(&format!("RolloutAction {name} was created\n"));
    }
    let sentence = answer(&connection, &api, &name, wish.intent.timeout).await?;
    Terminal::stdout().print(&format!("{sentence}\n"))
}

/// The action that the wish is in the present state.
fn action(wish: &Wish, live: &Live, author: Option<String>) -> RolloutAction {
    let run = live.run.as_ref();
    let step = run.and_then(|run| run.status.as_ref()).map(|status| status.step);
    // An abort or a pause that comes a step late is still meant; the end of one step is not the end of another.
    let (means_run, means_step) = match wish.kind {
        ActionType::Promote | ActionType::Approve => (true, true),
        ActionType::PromoteFull | ActionType::Pause | ActionType::Resume => (true, false),
        ActionType::Abort | ActionType::Retry => (true, false),
        // It may be meant for a run that waits to start.
        ActionType::Restart | ActionType::Override => (false, false),
    };
    let spec = RolloutActionSpec {
        kind: wish.kind,
        rollout: wish.intent.name.clone(),
        rollout_uid: live.rollout.metadata.uid.clone(),
        run: wish.intent.run.clone().or_else(|| run.filter(|_| means_run).map(ResourceExt::name_any)),
        step: wish.intent.step.or(step.filter(|_| means_step)),
        gate: wish.gate.clone(),
        author,
        on_behalf_of: None,
        reason: wish.intent.reason.clone(),
    };
    let mut action = RolloutAction::new("", spec);
    action.metadata.name = None;
    action.metadata.generate_name = Some(format!("{}-{}-", wish.intent.name, verb(wish.kind)));
    action
}

const fn verb(kind: ActionType) -> &'static str {
    match kind {
        ActionType::Promote => "promote",
        ActionType::PromoteFull => "promote-full",
        ActionType::Approve => "approve",
        ActionType::Pause => "pause",
        ActionType::Resume => "resume",
        ActionType::Abort => "abort",
        ActionType::Retry => "retry",
        ActionType::Restart => "restart",
        ActionType::Override => "override",
    }
}

/// The controller's sentence.
async fn answer(
    connection: &Connection,
    api: &Api<RolloutAction>,
    name: &str,
    timeout: Span,
) -> Result<String, Failure> {
    let end = Instant::now() + timeout.duration();
    loop {
        let read = api.get_opt(name).await;
        let action = read.map_err(|error| connection.failure(format!("read RolloutAction {name}"), &error))?;
        let status = action.and_then(|action| action.status).unwrap_or_default();
        let message = status.message.unwrap_or_default();
        match status.outcome {
            Some(ActionOutcome::Accepted) if message.is_empty() => return Ok("accepted".into()),
            Some(ActionOutcome::Accepted) => return Ok(format!("accepted: {message}")),
            Some(ActionOutcome::Refused) => return Err(Failure::Refused { message }),
            None if Instant::now() >= end => {
                let (action, namespace) = (name.to_owned(), connection.namespace.clone());
                return Err(Failure::Unanswered { action, namespace, timeout });
            }
            None => sleep(POLL.min(end - Instant::now())).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::cli::arguments::Intent;

    fn live() -> Live {
        let rollout = json!({
            "apiVersion": "tidegate.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "checkout", "uid": "7c0f"},
            "spec": {"workload": {}, "traffic": {"services": []}, "strategy": {}},
            "status": {"run": "checkout-7d9f-1"},
        });
        let run = json!({
            "apiVersion": "tidegate.io/v1alpha1", "kind": "RolloutRun",
            "metadata": {"name": "checkout-7d9f-1"},
            "spec": {"rollout": "checkout", "rolloutUID": "7c0f", "stable": "a", "canary": "b", "plan": {"steps": []},
                "progressDeadline": "10m", "services": [], "warm": "5s", "drain": "15s"},
            "status": {"step": 2},
        });
        let (rollout, run) = (serde_json::from_value(rollout).unwrap(), serde_json::from_value(run).unwrap());
        Live { rollout, run: Some(run), pods: BTreeMap::new() }
    }

    fn made(kind: ActionType, run: Option<&str>, step: Option<u32>) -> RolloutAction {
        let run = run.map(str::to_owned);
        let (name, timeout) = ("checkout".into(), Span::seconds(1));
        let intent = Intent { name, reason: Some("slow".into()), run, step, timeout, no_wait: false };
        action(&Wish { kind, gate: None, intent }, &live(), Some("ana".into()))
    }

    #[test]
    fn an_intent_is_meant_for_the_state_that_its_author_sees() {
        for (kind, run, step) in [
            (ActionType::Promote, Some("checkout-7d9f-1"), Some(2)),
            (ActionType::Approve, Some("checkout-7d9f-1"), Some(2)),
            (ActionType::Abort, Some("checkout-7d9f-1"), None),
            (ActionType::Restart, None, None),
        ] {
            let spec = made(kind, None, None).spec;
            assert_eq!((spec.run.as_deref(), spec.step), (run, step), "{kind:?}");
            assert_eq!((spec.rollout_uid.as_deref(), spec.author.as_deref()), (Some("7c0f"), Some("ana")));
        }
    }

    #[test]
    fn what_the_author_names_goes_before_what_is_seen() {
        let spec = made(ActionType::Promote, Some("checkout-7d9f-9"), Some(1)).spec;
        assert_eq!((spec.run.as_deref(), spec.step), (Some("checkout-7d9f-9"), Some(1)));
    }

    #[test]
    fn the_server_gives_an_action_its_name() {
        let action = made(ActionType::PromoteFull, None, None);
        assert_eq!(action.metadata.generate_name.as_deref(), Some("checkout-promote-full-"));
        assert_eq!(action.metadata.name, None);
    }
}
