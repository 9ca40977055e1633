//! The controller's wiring: arguments, client, watches, workers, shutdown. No policy.

use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::{
    Evaluators, Events, Health, Index, Live, Metrics, Moment, Queue, Shell, Triggers, reconcile, serve::serve,
};

/// Passes at once. Each waits for the API server most of the time; more would only crowd it.
const WORKERS: usize = 8;
/// Time for passes to finish their writes when the process is told to stop.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// How the controller is started.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Path of a kubeconfig; default: KUBECONFIG, ~/.kube/config, or the pod's service account.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; default: its current one.
    #[arg(long)]
    pub context: Option<String>,
    /// Work in this namespace only; default: in all.
    #[arg(long, env = "TIDEGATE_NAMESPACE")]
    pub namespace: Option<String>,
    /// Address for metrics and probes.
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Form of the log.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("failed to read the kubeconfig")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    #[error("failed to find a cluster: no kubeconfig and no service account")]
    Infer(#[from] kube::config::InferConfigError),
    #[error("failed to make a client")]
    Client(#[from] kube::Error),
    #[error("failed to listen on {address}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("failed to await signals")]
    Signal(#[from] std::io::Error),
}

/// Runs the controller until SIGTERM or SIGINT.
pub async fn run(args: Args) -> Result<(), RunError> {
    start_log(args.log);
    // An error only says that somebody was first: then there is a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = config(args.kubeconfig, args.context).await?;
    let metrics = Arc::new(Metrics::default());
    let health = Arc::new(Health::default());
    let queue = Arc::new(Queue::default());
    let cluster = Arc::new(Live::new(config.clone(), metrics.clone())?);
    let (events, outbox) = Events::new(metrics.clone());
    let evaluators = Evaluators::new(cluster.clone(), queue.clone());
    let shell = Arc::new(Shell::new(cluster.clone(), metrics.clone(), events, evaluators));

    let listener =
        TcpListener::bind(args.listen).await.map_err(|source| RunError::Listen { address: args.listen, source })?;
    let (stop, stopped) = watch::channel(false);
    let mut until = stopped.clone();
    let ended = async move { while !*until.borrow_and_update() && until.changed().await.is_ok() {} };
    let server = tokio::spawn(serve(listener, metrics.clone(), health.clone(), ended));
    let sender = tokio::spawn(outbox.send(cluster));
    let triggers = Triggers {
        client: Client::try_from(config)?,
        namespace: args.namespace,
        index: Arc::new(Index::default()),
        queue: queue.clone(),
        metrics,
        health,
    };
    let watches = triggers.start();
    let mut workers = workers(&shell, &queue);
    tracing::info!(address = %args.listen, "the controller has started");

    signalled().await?;
    tracing::info!("the controller stops");
    drop(watches);
    queue.close();
    let finished = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_LIMIT, finished).await.is_err() {
        tracing::warn!("passes were cut off after {} s", SHUTDOWN_LIMIT.as_secs());
    }
    let _ = stop.send(true);
    sender.abort();
    server.abort();
    Ok(())
}

/// Takes Rollouts off the queue, one each at a time. A panic ends one pass and nothing else.
fn workers(shell: &Arc<Shell>, queue: &Arc<Queue>) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    let start = Instant::now();
    for _ in 0..WORKERS {
        let (shell, queue) = (shell.clone(), queue.clone());
        workers.spawn(async move {
            while let Some(key) = queue.next().await {
                let begin = Instant::now();
                let pass = reconcile(&shell, &key, Moment::since(start));
                let next = AssertUnwindSafe(pass).catch_unwind().await.unwrap_or_else(|_| {
                    shell.metrics.reconcile_error("panic");
                    tracing::error!(rollout = %key, "a pass panicked; others go on");
                    Some(PANIC_RETRY)
                });
                shell.metrics.reconcile(begin.elapsed());
                queue.done(&key);
                if let Some(after) = next {
                    queue.add(key, after);
                }
            }
        });
    }
    workers
}

/// A pass that panics will most likely panic again; it must not fill the log.
const PANIC_RETRY: Duration = Duration::from_secs(10);

async fn config(kubeconfig: Option<PathBuf>, context: Option<String>) -> Result<Config, RunError> {
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    match kubeconfig {
        Some(path) => Ok(Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?),
        None if options.context.is_some() => Ok(Config::from_kubeconfig(&options).await?),
        None => Ok(Config::infer().await?),
    }
}

fn start_log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("TIDEGATE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,kube_client=error"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Started already by whoever embeds the controller: theirs counts.
    let _ = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}

async fn signalled() -> Result<(), std::io::Error> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
