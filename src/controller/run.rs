//! The controller's wiring: arguments, client, watches, workers, shutdown. No policy.

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, sync::Arc};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use super::{
    Elector, Evaluators, Events, Health, Index, LEASE_REQUEST_LIMIT, Leadership, Live, Lookout, Lost, Machine, Metrics,
    Notifications, NotificationsError, Place, Queue, Runtime, Servers, Shell, Triggers, WORKERS, alone_on_duty,
    identity, on_duty, serve::serve,
};

/// How the controller is started.
#[derive(Clone, Debug)]
pub struct Args {
    /// None: KUBECONFIG, ~/.kube/config, or the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; None: its current one.
    pub context: Option<String>,
    /// Work in this namespace only; None: in all.
    pub namespace: Option<String>,
    /// The Lease by which one of several processes leads; None: this one has no election.
    pub lease: Option<Place>,
    /// Without an election: the Lease by which others may lead, to whom this process gives way; None: there are no others.
    pub lookout: Option<Place>,
    /// Address for metrics and probes.
    pub listen: SocketAddr,
    /// Receivers that decisions are told to; None: nobody outside the cluster.
    pub notifications_file: Option<PathBuf>,
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
    #[error(transparent)]
    Notifications(#[from] NotificationsError),
    #[error("failed to await signals")]
    Signal(#[from] std::io::Error),
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// Runs the controller until SIGTERM or SIGINT, or until it has lost its lease.
pub async fn run(args: Args) -> Result<(), RunError> {
    start_log(args.json_log, &args.log_filter);
    // An error only says that somebody was first: then there is a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = config(args.kubeconfig, args.context).await?;
    let metrics = Arc::new(Metrics::default());
    let health = Arc::new(Health::default());
    let runtime: Arc<dyn Runtime> = Arc::new(Machine::default());
    let queue = Arc::new(Queue::new(runtime.clone()));
    let of_lease = || Live::with_limit(config.clone(), metrics.clone(), LEASE_REQUEST_LIMIT).map(Arc::new);
    let lookout = args.lookout.map(|place| Ok::<_, kube::Error>(Lookout::new(of_lease()?, place, runtime.clone())));
    let lookout = lookout.transpose()?;
    let (leadership, elector) = match args.lease {
        None => (Arc::new(Leadership::alone(runtime.clone())), None),
        Some(place) => {
            let leadership = Arc::new(Leadership::candidate(runtime.clone()));
            let cluster = of_lease()?;
            let (runtime, metrics) = (runtime.clone(), metrics.clone());
            let elector = Elector::new(cluster, place, identity(), runtime, leadership.clone(), metrics);
            (leadership, Some(elector))
        }
    };
    let cluster = Arc::new(Live::new(config.clone(), metrics.clone())?);
    let (events, outbox) = Events::new(metrics.clone());
    let servers = Servers::new(cluster.clone(), &config.default_namespace);
    let evaluators = Evaluators::new(queue.clone(), runtime.clone(), Arc::new(servers));
    let file = args.notifications_file.as_deref();
    let notifications = file.map(|file| Notifications::read(file, &runtime, &metrics)).transpose()?;
    let shell = Shell::new(cluster, metrics.clone(), events, evaluators, runtime, leadership).telling(notifications);
    let shell = Arc::new(shell);

    let listener =
        TcpListener::bind(args.listen).await.map_err(|source| RunError::Listen { address: args.listen, source })?;
    let (stop, stopped) = watch::channel(false);
    let mut until = stopped.clone();
    let ended = async move { while !*until.borrow_and_update() && until.changed().await.is_ok() {} };
    let server = tokio::spawn(serve(listener, metrics.clone(), health.clone(), ended));
    let sender = tokio::spawn(outbox.send(shell.cluster.clone()));
    let triggers = Triggers {
        client: Client::try_from(config)?,
        namespace: args.namespace,
        index: Arc::new(Index::default()),
        queue: queue.clone(),
        metrics,
        health,
    };
    let watches = triggers.start();
    let mut signals = Signals::new()?;
    tracing::info!(address = %args.listen, "the controller has started");
    let told = async {
        signals.come().await;
        tracing::info!("the controller stops");
        drop(watches);
    };
    let ending = match lookout {
        Some(mut lookout) => alone_on_duty(&mut lookout, shell, queue, WORKERS, told).await,
        None => on_duty(elector, shell, queue, WORKERS, told).await,
    };
    let _ = stop.send(true);
    sender.abort();
    server.abort();
    Ok(ending?)
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

/// What tells a process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, std::io::Error> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn come(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }
}
