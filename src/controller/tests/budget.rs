//! How the error budget is asked for before a run, as the documents say.

use super::*;
use crate::controller::{BudgetQuestion, CONTROLLER_REVISION, METRICS_PROVIDER, ROLLOUT_POLICY};

/// A Rollout with an error budget and a promoted revision, and a policy that selects it.
fn guarded(policy: Value) -> Fake {
    let mut rollout = rollout();
    let selector = |name: &str| format!("{name}{{c=\"{{{{ route.cluster }}}}\"}}");
    rollout["spec"]["errorBudget"] = json!({"objective": "99.9"});
    rollout["spec"]["analysis"] = json!({"metrics": [
        {"name": "errors", "ratio": {"bad": selector("bad"), "total": selector("all")}},
    ]});
    let labels = json!({"tidegate.io/rollout": "checkout", "tidegate.io/revision": "old"});
    let annotations = json!({"tidegate.io/last-proven": "1"});
    let metadata = json!({"name": "checkout-old", "namespace": "shop", "labels": labels, "annotations": annotations});
    Fake::with([
        (ROLLOUT, rollout),
        (SERVICE, service("checkout")),
        (HTTP_ROUTE, route("a", [1, 0])),
        (HTTP_ROUTE, route("b", [1, 0])),
        (CONTROLLER_REVISION, json!({"metadata": metadata, "data": {"template": {}}})),
        (METRICS_PROVIDER, json!({"metadata": {"name": "main"}, "spec": {"address": "http://a", "default": true}})),
        (ROLLOUT_POLICY, json!({"metadata": {"name": "sre"}, "spec": policy})),
    ])
}

async fn question(fake: &Fake) -> Option<BudgetQuestion> {
    let rollout = fake.read(ROLLOUT, "shop", "checkout").unwrap();
    observe(gather(fake, rollout).await.unwrap(), &mut Memory::default(), &now(), EPOCH, None).unwrap().budget
}

#[tokio::test]
async fn the_budget_is_asked_for_where_a_policy_guards_it() {
    let BudgetQuestion { burn, provider } =
        question(&guarded(json!({"errorBudget": {"minRemaining": 10}}))).await.expect("a question");
    assert_eq!((burn.service.service.as_str(), burn.service.port), ("checkout", 80));
    assert_eq!((burn.service.revisions, burn.asks_spent), (vec!["old".to_owned()], true));
    assert_eq!((burn.metrics[0].name.as_str(), burn.budget.objective), ("errors", "99.9".parse().unwrap()));
    assert_eq!(provider.map(|(name, _)| name), Ok("main".into()));
    let speed_only = question(&guarded(json!({"errorBudget": {}}))).await;
    assert!(!speed_only.expect("a question").burn.asks_spent);
}

#[tokio::test]
async fn nothing_is_asked_without_a_guard_or_without_a_budget() {
    let other = json!({"errorBudget": {}, "namespaces": {"names": ["bank"]}});
    for policy in [json!({}), json!({"limits": {"maxSpend": 1}}), other] {
        assert_eq!(question(&guarded(policy.clone())).await, None, "{policy}");
    }
    let fake = guarded(json!({"errorBudget": {}}));
    let mut rollout = fake.read(ROLLOUT, "shop", "checkout").unwrap();
    rollout["spec"].as_object_mut().unwrap().remove("errorBudget");
    fake.put(ROLLOUT, rollout);
    assert_eq!(question(&fake).await, None);
}
