//! Passes while the API server does not answer.

use super::*;

#[tokio::test]
async fn an_api_server_that_is_away_is_asked_again_soon() {
    let fake = Arc::new(cluster());
    fake.fail("list RolloutRun", unavailable("runs"), 3);
    let (shell, key) = (shell(&fake), Key::new("shop", "checkout"));
    let mut waits = Vec::new();
    for _ in 0..3 {
        waits.push(reconcile(&shell, &key, now()).await.unwrap().as_millis());
    }
    assert_eq!((waits, fake.writes()), (vec![50, 100, 200], Vec::new()));
}
