//! One process from its start to its end: it stands by, works while it leads, and lets go after its last write.
//!
//! It knows neither signals nor sockets.

use std::{sync::Arc, time::Duration};

use futures::future::{Either, select};

use super::{Elector, Lookout, Lost, Queue, Shell, work};

/// Time for passes to finish their writes when the process is told to stop: as long as one request may take.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// Works until `stop`; without an elector at once. An error: somebody else may lead now, and nothing may be written any more.
pub async fn on_duty(
    elector: Option<Elector>,
    shell: Arc<Shell>,
    queue: Arc<Queue>,
    workers: usize,
    stop: impl Future<Output = ()>,
) -> Result<(), Lost> {
    tokio::pin!(stop);
    let Some(elector) = elector else {
        shell.metrics.leads(true);
        finish(&shell, &queue, workers, stop).await;
        shell.leadership.end();
        return Ok(());
    };
    let in_turn = async {
        let begun = std::pin::pin!(shell.leadership.begun());
        match select(begun, stop.as_mut()).await {
            Either::Left(_) => finish(&shell, &queue, workers, stop).await,
            Either::Right(_) => true,
        }
    };
    let finished = {
        let (campaign, in_turn) = (std::pin::pin!(elector.run()), std::pin::pin!(in_turn));
        match select(campaign, in_turn).await {
            Either::Left((lost, _)) => return Err(lost),
            Either::Right((finished, _)) => finished,
        }
    };
    if finished {
        elector.release().await;
    } else {
        // What is under way may still be stored: another must not begin before the lease has expired.
        shell.leadership.end();
    }
    Ok(())
}

/// Works until `stop` without an election, as long as nobody leads by the Lease that the lookout knows.
pub async fn alone_on_duty(
    lookout: &mut Lookout,
    shell: Arc<Shell>,
    queue: Arc<Queue>,
    workers: usize,
    stop: impl Future<Output = ()>,
) -> Result<(), Lost> {
    tokio::pin!(stop);
    if let Either::Right(_) = select(std::pin::pin!(lookout.until_free()), stop.as_mut()).await {
        return Ok(());
    }
    let work = std::pin::pin!(on_duty(None, shell.clone(), queue, workers, stop));
    match select(std::pin::pin!(lookout.until_taken()), work).await {
        Either::Left((lost, _)) => {
            shell.leadership.end();
            shell.metrics.leads(false);
            Err(lost)
        }
        Either::Right((ended, _)) => ended,
    }
}

/// Works until `stop`, and until every pass that has begun is over. False: some were cut off.
async fn finish(shell: &Arc<Shell>, queue: &Arc<Queue>, workers: usize, stop: impl Future<Output = ()>) -> bool {
    for _ in 0..workers {
        shell.runtime.spawn(Box::pin(work(shell.clone(), queue.clone())));
    }
    stop.await;
    queue.close();
    let drained = std::pin::pin!(queue.drained());
    let finished = matches!(select(drained, shell.runtime.sleep(SHUTDOWN_LIMIT)).await, Either::Left(_));
    if !finished {
        tracing::warn!("passes were cut off after {} s", SHUTDOWN_LIMIT.as_secs());
    }
    finished
}
