//! The controller's wiring: arguments, client, watches, workers, shutdown. No policy.

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::{
    Evaluators, Events, Health, Index, Live, Machine, Metrics, Queue, Runtime, Servers, Shell, Triggers, WORKERS,
    serve::serve, work,
};

/// Time for passes to finish their writes when the process is told to stop.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// How the controller is started.
#[derive(Clone, Debug)]
pub struct Args {
    /// None: KUBECONFIG, ~/.kube/config, or the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; None: its current one.
    pub context: Option<String>,
    /// Work in this namespace only; None: in all.
    pub namespace: Option<String>,
    /// Address for metrics and probes.
    pub listen: SocketAddr,
    /// Log in JSON.
    pub json_log: bool,
    /// What is logged: a level or a filter.
    pub log_filter: String,
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
    start_log(args.json_log, &args.log_filter);
    // An error only says that somebody was first: then there is a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = config(args.kubeconfig, args.context).await?;
    let metrics = Arc::new(Metrics::default());
    let health = Arc::new(Health::default());
    let runtime: Arc<dyn Runtime> = Arc::new(Machine::default());
    let queue = Arc::new(Queue::new(runtime.clone()));
    let cluster = Arc::new(Live::new(config.clone(), metrics.clone())?);
    let (events, outbox) = Events::new(metrics.clone());
    let servers = Servers::new(cluster.clone(), &config.default_namespace);
    let evaluators = Evaluators::new(queue.clone(), runtime.clone(), Arc::new(servers));
    let shell = Arc::new(Shell::new(cluster.clone(), metrics.clone(), events, evaluators, runtime));

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
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(work(shell.clone(), queue.clone()));
    }
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

async fn config(kubeconfig: Option<PathBuf>, context: Option<String>) -> Result<Config, RunError> {
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    let kubeconfig = match kubeconfig {
        Some(path) => Kubeconfig::read_from(path)?,
        None if options.context.is_some() => Kubeconfig::read()?,
        None => return Ok(Config::infer().await?),
    };
    Ok(Config::from_custom_kubeconfig(kubeconfig, &options).await?)
}

fn start_log(json: bool, filter: &str) {
    // The client's own warnings repeat what the passes say with the object's name.
    let filter = tracing_subscriber::EnvFilter::new(format!("{filter},kube_client=off"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Started already by whoever embeds the controller: theirs counts.
    let _ = if json { log.json().try_init() } else { log.try_init() };
}

async fn signalled() -> Result<(), std::io::Error> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
