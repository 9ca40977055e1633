//! A worker takes Rollouts off the queue, one each at a time. A panic ends one pass and nothing else.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;

use super::{Moment, Queue, Shell, reconcile};

/// Passes at once. Each waits for the API server most of the time; more would only crowd it.
pub const WORKERS: usize = 8;
/// A pass that panics will most likely panic again; it must not fill the log.
const PANIC_RETRY: Duration = Duration::from_secs(10);

/// Works until the queue is closed.
pub async fn work(shell: Arc<Shell>, queue: Arc<Queue>) {
    while let Some(key) = queue.next().await {
        let begin = shell.runtime.elapsed();
        let pass = reconcile(&shell, &key, Moment::now(&*shell.runtime));
        let next = AssertUnwindSafe(pass).catch_unwind().await.unwrap_or_else(|_| {
            shell.metrics.reconcile_error("panic");
            tracing::error!(rollout = %key, "a pass panicked; others go on");
            Some(PANIC_RETRY)
        });
        shell.metrics.reconcile(shell.runtime.elapsed().saturating_sub(begin));
        queue.done(&key);
        if let Some(after) = next {
            queue.add(key, after);
        }
    }
}
