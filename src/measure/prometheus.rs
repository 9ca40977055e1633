//! The live provider: a Prometheus-compatible server over HTTP.
//!
//! It follows no redirect, so a token goes only where the administrator pointed it, reads no more of an answer than it
//! could use, and never retries: the next evaluation asks again.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use prometheus_http_query::{Client, Error};
use reqwest::{
    Certificate,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect,
};

use super::{
    answer::{read_samples, read_series},
    provider::{Provider, Sample, Series, WhyNot},
};
use crate::api::{MetricsProviderSpec, Span};

/// Bytes of an answer that are read: all samples that are allowed, with room for labels.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;
const DEFAULT_TIMEOUT: Span = Span::seconds(5);

#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    #[error("failed to read the certificates in caBundle")]
    CaBundle(#[source] reqwest::Error),
    #[error("failed to find a certificate in caBundle: write them as PEM")]
    EmptyBundle,
    #[error("failed to build the HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("failed to use address {0:?}: write it with its scheme, such as https://prometheus.monitoring.svc:9090")]
    Address(String),
}

pub struct Prometheus {
    client: Client,
    timeout: Duration,
    token_file: Option<PathBuf>,
}

impl Prometheus {
    /// A provider as its administrator described it. The process must have installed a crypto provider for rustls.
    pub fn new(spec: &MetricsProviderSpec) -> Result<Self, PrometheusError> {
        let address = || PrometheusError::Address(spec.address.chars().take(200).collect());
        let url = reqwest::Url::parse(&spec.address).map_err(|_| address())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(address());
        }
        let timeout = spec.timeout.unwrap_or(DEFAULT_TIMEOUT).duration();
        let mut builder = reqwest::Client::builder().timeout(timeout).redirect(redirect::Policy::none());
        if let Some(bundle) = &spec.ca_bundle {
            let certificates = Certificate::from_pem_bundle(bundle.as_bytes()).map_err(PrometheusError::CaBundle)?;
            // Without a certificate every server would be refused, and the reason would look like an outage.
            if certificates.is_empty() {
                return Err(PrometheusError::EmptyBundle);
            }
            builder = builder.tls_certs_only(certificates);
        }
        let http = builder.build().map_err(PrometheusError::Client)?;
        let client = Client::from(http, spec.address.trim_end_matches('/')).map_err(|_| address())?;
        Ok(Self { client, timeout, token_file: spec.bearer_token_file.as_ref().map(PathBuf::from) })
    }

    /// The token as the file has it now: tokens are rotated in place.
    async fn authorization(&self) -> Result<Option<HeaderValue>, WhyNot> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let token = tokio::fs::read_to_string(path).await.map_err(|_| WhyNot::Token)?;
        let mut header = HeaderValue::try_from(format!("Bearer {}", token.trim())).map_err(|_| WhyNot::Token)?;
        header.set_sensitive(true);
        Ok(Some(header))
    }

    async fn ask(&self, query: &str, at: i64) -> Result<Vec<u8>, WhyNot> {
        let limit = i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX);
        let mut request = self.client.query(query).at(at).timeout(limit);
        if let Some(header) = self.authorization().await? {
            request = request.header(AUTHORIZATION, header);
        }
        let mut response = request.post_raw().await.map_err(|error| match error {
            Error::Client(error) => failed(error.inner()),
            _ => WhyNot::Malformed,
        })?;
        if !response.status().is_success() {
            return Err(WhyNot::Status(response.status().as_u16()));
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("application/json") {
            return Err(WhyNot::NotJson);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(Some(&error)))? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(WhyNot::TooMany { what: "bytes", limit: LARGEST_ANSWER });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn failed(error: Option<&reqwest::Error>) -> WhyNot {
    if error.is_some_and(reqwest::Error::is_timeout) { WhyNot::TimedOut } else { WhyNot::Unreachable }
}

#[async_trait]
impl Provider for Prometheus {
    async fn instant(&self, query: &str, at: i64) -> Result<Vec<Sample>, WhyNot> {
        read_samples(&self.ask(query, at).await?)
    }

    /// A range selector gives the samples as they were scraped. The range stands on a line of its own, so that a comment at
    /// the end of the selector cannot swallow it.
    async fn raw(&self, selector: &str, from: i64, to: i64) -> Result<Vec<Series>, WhyNot> {
        read_series(&self.ask(&format!("{selector}\n[{}s]", (to - from).max(1)), to).await?)
    }

    /// A subquery: its steps are multiples of their length since the epoch. Servers before 3.0 take in the moment `from` too.
    async fn over(&self, query: &str, from: i64, to: i64, step: i64) -> Result<Vec<Series>, WhyNot> {
        let query = format!("({query}\n)[{}s:{step}s]", (to - from).max(step));
        let mut found = read_series(&self.ask(&query, to).await?)?;
        if found.iter().any(|series| !series.histograms.is_empty()) {
            return Err(WhyNot::Histograms);
        }
        found.iter_mut().for_each(|series| series.samples.retain(|(at_ms, _)| *at_ms > from * 1_000));
        Ok(found)
    }
}

#[cfg(test)]
mod tests;
