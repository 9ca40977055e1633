//! The HTTP endpoints of the controller: metrics and probes. Nothing that changes anything is served.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{Router, http::StatusCode, http::header::CONTENT_TYPE, routing::get};
use tokio::net::TcpListener;

use super::Metrics;

/// What the probes answer.
#[derive(Default)]
pub struct Health {
    ready: AtomicBool,
}

impl Health {
    /// The Rollouts have been listed once: the controller works.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

/// Answers `/metrics`, `/healthz` and `/readyz` until `stop` is done.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let text = move || async move { ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0")], metrics.text()) };
    let ready = move || async move {
        if health.is_ready() { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "starting") }
    };
    let app = Router::new()
        .route("/metrics", get(text))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready));
    axum::serve(listener, app).with_graceful_shutdown(stop).await
}
