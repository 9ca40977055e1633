//! The live provider: a Prometheus-compatible server over HTTP.
//!
//! It follows no redirect and heeds no proxy of the environment, so a token goes only where the administrator pointed it;
//! connects to no address that the provider does not allow; reads no more of an answer than it could use; and never
//! retries: the next evaluation asks again.

mod addresses;
mod material;

use std::{error::Error as StdError, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use prometheus_http_query::{Client, Error};
use reqwest::{
    Response, Url,
    dns::Resolve,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect,
};
use tokio::{
    sync::{Mutex, Semaphore},
    time::{Instant, timeout},
};

pub use addresses::AddressRefused;
use addresses::{Guard, HostNames, check, literal};
use material::Material;
pub use material::MaterialError;

use super::{
    answer::{read_samples, read_series},
    provider::{Provider, Sample, Series, WhyNot},
    secrets::Secrets,
};
use crate::api::{MetricsProviderSpec, Span};

/// Bytes of an answer with one number for each arm, or one for each step of a query over time.
const SMALL_ANSWER: usize = 1024 * 1024;
/// Bytes of an answer with raw samples. The most that is used of one are 250,000 samples (35 bytes each as JSON) or buckets of native
/// histograms (60 bytes each) of 2,000 series. Larger, and a careless selector takes the memory of everybody's runs.
const LARGE_ANSWER: usize = 16 * 1024 * 1024;
/// Answers above the small size that are in memory at once, of all providers: with what reading them takes, the most that they
/// can add to the process.
static LARGE_ANSWERS: Semaphore = Semaphore::const_new(4);
const DEFAULT_TIMEOUT: Span = Span::seconds(5);
/// After this Secrets and files are read again. Longer, and a rotated credential is an outage; shorter, and every query is a read.
const REREAD: Duration = Duration::from_secs(60);
/// After this they are looked for again, if they were missing.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PrometheusError {
    #[error("failed to find a certificate in caBundle: write them as PEM")]
    CaBundle,
    #[error("failed to use address {0:?}: write it with its scheme, such as https://prometheus.monitoring.svc:9090")]
    Address(String),
    #[error("failed to use an address with a user's name or password: name a Secret in spec.auth.basic")]
    UserInAddress,
    #[error("failed to use the address: it is {0}")]
    Refused(AddressRefused),
}

pub struct Prometheus {
    name: String,
    spec: MetricsProviderSpec,
    address: String,
    timeout: Duration,
    token_file: Option<PathBuf>,
    secrets: Arc<dyn Secrets>,
    names: Arc<dyn Resolve>,
    ready: Mutex<Option<Ready>>,
}

/// A client with the certificates that were read, or why there is none.
struct Ready {
    read_at: Instant,
    made: Result<(Client, Material), MaterialError>,
}

impl Prometheus {
    /// A provider as its administrator described it. The process must have installed a crypto provider for rustls.
    pub fn new(name: &str, spec: &MetricsProviderSpec, secrets: Arc<dyn Secrets>) -> Result<Self, PrometheusError> {
        Self::with_names(name, spec, secrets, Arc::new(HostNames))
    }

    fn with_names(
        name: &str,
        spec: &MetricsProviderSpec,
        secrets: Arc<dyn Secrets>,
        names: Arc<dyn Resolve>,
    ) -> Result<Self, PrometheusError> {
        if let Some(bundle) = &spec.ca_bundle {
            let certificates = reqwest::Certificate::from_pem_bundle(bundle.as_bytes()).unwrap_or_default();
            if certificates.is_empty() {
                return Err(PrometheusError::CaBundle);
            }
        }
        Ok(Self {
            name: name.to_owned(),
            spec: spec.clone(),
            address: address(spec)?,
            timeout: spec.timeout.unwrap_or(DEFAULT_TIMEOUT).duration(),
            token_file: spec.bearer_token_file.as_ref().map(PathBuf::from),
            secrets,
            names,
            ready: Mutex::default(),
        })
    }

    /// A client as the Secrets and files have it, which are read again every minute, and the header it sends.
    async fn client(&self) -> Result<(Client, Option<HeaderValue>), WhyNot> {
        let mut ready = self.ready.lock().await;
        if ready.as_ref().is_none_or(|ready| self.is_stale(ready)) {
            // Given up in between, what is there stays.
            let made = self.make(ready.as_ref()).await;
            *ready = Some(Ready { made, read_at: Instant::now() });
        }
        match ready.as_ref().map(|ready| &ready.made) {
            Some(Ok((client, material))) => Ok((client.clone(), material.authorization.clone())),
            Some(Err(problem)) => Err(WhyNot::Credentials { provider: self.name.clone(), problem: problem.clone() }),
            None => Err(WhyNot::Unreachable),
        }
    }

    fn is_stale(&self, ready: &Ready) -> bool {
        let age = ready.read_at.elapsed();
        if ready.made.is_ok() { Material::rotates(&self.spec) && age >= REREAD } else { age >= LOOK_AGAIN }
    }

    async fn make(&self, old: Option<&Ready>) -> Result<(Client, Material), MaterialError> {
        let old = old.and_then(|ready| ready.made.clone().ok());
        match (Material::read(&self.spec, &*self.secrets).await, old) {
            (Err(error), Some(old)) if error.is_passing() => Ok(old),
            // The connections that are open stay.
            (Ok(material), Some((client, known))) if material == known => Ok((client, known)),
            (Ok(material), _) => Ok((self.build(&material)?, material)),
            (Err(error), _) => Err(error),
        }
    }

    fn build(&self, material: &Material) -> Result<Client, MaterialError> {
        let guard = Guard { allowed: self.spec.allow_addresses.clone(), names: self.names.clone() };
        let builder = reqwest::Client::builder()
            .timeout(self.timeout)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(guard));
        let http = material.equip(builder)?.build().map_err(|_| MaterialError::NoClient)?;
        Client::from(http, &self.address).map_err(|_| MaterialError::NoClient)
    }

    /// The token as the file has it now: tokens are rotated in place.
    async fn file_token(&self) -> Result<Option<HeaderValue>, WhyNot> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let token = tokio::fs::read_to_string(path).await.map_err(|_| WhyNot::Token)?;
        let mut header = HeaderValue::try_from(format!("Bearer {}", token.trim())).map_err(|_| WhyNot::Token)?;
        header.set_sensitive(true);
        Ok(Some(header))
    }

    /// Asks, and reads the answer, within the time limit of all of it.
    async fn ask<T>(&self, query: &str, at: i64, limit: usize, read: Read<T>) -> Result<T, WhyNot> {
        timeout(self.timeout, self.answer(query, at, limit, read)).await.unwrap_or(Err(WhyNot::TimedOut))
    }

    async fn answer<T>(&self, query: &str, at: i64, limit: usize, read: Read<T>) -> Result<T, WhyNot> {
        let (client, header) = self.client().await?;
        let limit_ms = i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX);
        let mut request = client.query(query).at(at).timeout(limit_ms);
        if let Some(header) = self.file_token().await?.or(header) {
            request = request.header(AUTHORIZATION, header);
        }
        let response = request.post_raw().await.map_err(|error| match error {
            Error::Client(error) => error.inner().map_or(WhyNot::Unreachable, failed),
            _ => WhyNot::Malformed,
        })?;
        if !response.status().is_success() {
            return Err(WhyNot::Status(response.status().as_u16()));
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("application/json") {
            return Err(WhyNot::NotJson);
        }
        take_in(response, limit, read).await
    }
}

/// What is read of an answer's body.
type Read<T> = fn(&[u8]) -> Result<T, WhyNot>;

/// The server's address as it is connected to.
fn address(spec: &MetricsProviderSpec) -> Result<String, PrometheusError> {
    let unusable = || PrometheusError::Address(spec.address.chars().take(200).collect());
    let url = Url::parse(&spec.address).map_err(|_| unusable())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(PrometheusError::UserInAddress);
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(unusable)?;
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        return Err(unusable());
    }
    // The parser has written numbers of every spelling as what they are.
    if let Some(ip) = literal(host) {
        check(ip, &spec.allow_addresses).map_err(PrometheusError::Refused)?;
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Reads the body as it comes, up to the limit; a large one waits until there is room for it.
async fn take_in<T>(mut response: Response, limit: usize, read: Read<T>) -> Result<T, WhyNot> {
    let too_many = || WhyNot::TooMany { what: "bytes", limit };
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_many());
    }
    let (mut body, mut room) = (Vec::new(), None);
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        let length = body.len() + chunk.len();
        if length > limit {
            return Err(too_many());
        }
        if length > SMALL_ANSWER && room.is_none() {
            // A closed semaphore does not occur.
            room = Some(LARGE_ANSWERS.acquire().await.map_err(|_| WhyNot::TimedOut)?);
        }
        body.extend_from_slice(&chunk);
    }
    let found = read(&body);
    drop(room);
    found
}

fn failed(error: &reqwest::Error) -> WhyNot {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(found) = cause {
        if let Some(refused) = found.downcast_ref::<AddressRefused>() {
            return WhyNot::Address(*refused);
        }
        cause = found.source();
    }
    if error.is_timeout() { WhyNot::TimedOut } else { WhyNot::Unreachable }
}

#[async_trait]
impl Provider for Prometheus {
    async fn instant(&self, query: &str, at: i64) -> Result<Vec<Sample>, WhyNot> {
        self.ask(query, at, SMALL_ANSWER, read_samples).await
    }

    /// A range selector gives the samples as they were scraped. The range stands on a line of its own, so that a comment at
    /// the end of the selector cannot swallow it.
    async fn raw(&self, selector: &str, from: i64, to: i64) -> Result<Vec<Series>, WhyNot> {
        let query = format!("{selector}\n[{}s]", (to - from).max(1));
        self.ask(&query, to, LARGE_ANSWER, read_series).await
    }

    /// A subquery: its steps are multiples of their length since the epoch. Servers before 3.0 take in the moment `from` too.
    async fn over(&self, query: &str, from: i64, to: i64, step: i64) -> Result<Vec<Series>, WhyNot> {
        let query = format!("({query}\n)[{}s:{step}s]", (to - from).max(step));
        let mut found = self.ask(&query, to, SMALL_ANSWER, read_series).await?;
        if found.iter().any(|series| !series.histograms.is_empty()) {
            return Err(WhyNot::Histograms);
        }
        found.iter_mut().for_each(|series| series.samples.retain(|(at_ms, _)| *at_ms > from * 1_000));
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
