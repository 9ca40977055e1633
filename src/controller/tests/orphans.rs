//! RolloutActions whose Rollout does not exist.

use super::*;

#[tokio::test]
async fn an_action_for_a_rollout_that_is_not_there_is_refused_with_a_sentence() {
    let action = json!({
        "metadata": {"name": "promote-1", "namespace": "shop"},
        "spec": {"type": "Promote", "rollout": "chekout"},
    });
    let fake = Arc::new(Fake::with([(ACTION, action)]));
    let (shell, key) = (shell(&fake), Key::new("shop", "chekout"));
    assert!(reconcile(&shell, &key, now()).await.is_some());
    let status = &fake.read(ACTION, "shop", "promote-1").unwrap()["status"];
    assert_eq!(status["outcome"], "Refused");
    assert!(status["message"].as_str().unwrap().contains("no Rollout chekout in namespace shop"), "{status}");
    let tomorrow = Moment { text: "2026-01-02T00:00:01Z".into(), ..now() };
    assert_eq!(reconcile(&shell, &key, tomorrow).await, None);
    assert_eq!(fake.read(ACTION, "shop", "promote-1"), None, "a day later it is gone");
}
