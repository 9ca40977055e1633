//! A connection to a cluster as kubectl would make it: flags, KUBECONFIG, ~/.kube/config, or a pod's service account.
//!
//! It reads no object of Tidegate's.

use std::{env, time::Duration};

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use super::{Failure, arguments::ConnectionArguments, failure::innermost};

/// A person waits at the prompt: an address that does not answer in this time is a wrong one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub struct Connection {
    pub client: Client,
    pub namespace: String,
    /// The server's address, for messages.
    pub server: String,
}

impl Connection {
    pub async fn new(arguments: &ConnectionArguments) -> Result<Self, Failure> {
        let mut config = config(arguments).await?;
        // The client's own retries go on for minutes; a person decides by the first answer.
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let namespace = arguments.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = Client::try_from(config).map_err(|error| Failure::of_client("make a client", &server, &error))?;
        Ok(Self { client, namespace, server })
    }

    pub fn failure(&self, attempt: impl Into<String>, error: &kube::Error) -> Failure {
        Failure::of_client(attempt, &self.server, error)
    }

    /// Who asks, as the API server knows them. None: it does not say; then it says so if it wants to know.
    pub async fn author(&self) -> Option<String> {
        let api: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let review = api.create(&PostParams::default(), &SelfSubjectReview::default()).await.ok();
        review.and_then(|review| review.status?.user_info?.username)
    }
}

async fn config(arguments: &ConnectionArguments) -> Result<Config, Failure> {
    let path = arguments.kubeconfig.clone();
    let failed = |error: &KubeconfigError| Failure::Kubeconfig { path: path.clone(), message: innermost(error) };
    let read = match &path {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = match read {
        Ok(kubeconfig) => kubeconfig,
        Err(error) if path.is_none() && is_absent(&error) => return in_pod(),
        Err(error) => return Err(failed(&error)),
    };
    let known: Vec<String> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    let chosen =
        arguments.context.clone().or_else(|| kubeconfig.current_context.clone()).filter(|name| !name.is_empty());
    let Some(name) = chosen else { return Err(Failure::NoCurrentContext { known }) };
    if !known.contains(&name) {
        return Err(Failure::NoContext { name, known });
    }
    let options = KubeConfigOptions { context: Some(name), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| failed(&error))
}

/// Nobody named a kubeconfig and there is none at the default place.
fn is_absent(error: &KubeconfigError) -> bool {
    let missing = match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(error, _) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    };
    missing && env::var_os("KUBECONFIG").is_none_or(|value| value.is_empty())
}

fn in_pod() -> Result<Config, Failure> {
    Config::incluster().map_err(|_| Failure::NoCluster)
}
