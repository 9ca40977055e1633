//! A test's stage: an adopted application with a controller of its own, under load.
//!
//! It asserts only what every test asserts: no request fails, and at rest everything is as its owner wrote it.

use serde_json::Value;
use tidegate::controller::SERVICE;

use super::{Application, Controller, Load, Proxy, Space, Tally, space::rhythm};

/// Requests a second: enough to notice a loss, little enough for many tests at once.
pub const RATE: u32 = 60;
/// The same for a dozen stages at once.
const LOW_RATE: u32 = 20;

pub struct Stage {
    pub space: Space,
    pub app: Application,
    pub controller: Controller,
    load: Option<Load>,
}

impl Stage {
    /// Version v1 is adopted and under load.
    pub async fn new(namespace: &str, binary: &str, shape: impl FnOnce(&mut Application)) -> Self {
        let (space, app) = Self::shaped(namespace, shape).await;
        app.apply(&space).await;
        let controller = Controller::start(&space, binary);
        Self::adopted(space, app, controller, RATE).await
    }

    /// The same with a controller that reaches the API server through a proxy, and little load.
    pub async fn behind_proxy(namespace: &str, binary: &str, shape: impl FnOnce(&mut Application)) -> (Self, Proxy) {
        let (space, app) = Self::shaped(namespace, shape).await;
        app.apply(&space).await;
        let proxy = Proxy::start(&space).await;
        let controller = Controller::start_by(&space, binary, proxy.kubeconfig.clone());
        (Self::adopted(space, app, controller, LOW_RATE).await, proxy)
    }

    /// The same with a controller that leads by a Lease in the namespace.
    pub async fn led(namespace: &str, binary: &str, shape: impl FnOnce(&mut Application)) -> (Self, Proxy) {
        let (space, app) = Self::shaped(namespace, shape).await;
        app.apply(&space).await;
        space.lease_rights().await;
        let proxy = Proxy::start(&space).await;
        let controller = Controller::candidate(&space, binary, proxy.kubeconfig.clone());
        (Self::adopted(space, app, controller, LOW_RATE).await, proxy)
    }

    /// The same with an owner of one's own.
    pub async fn by(
        namespace: &str,
        binary: &str,
        shape: impl FnOnce(&mut Application),
        apply: impl FnOnce(&Application),
    ) -> Self {
        let (space, app) = Self::shaped(namespace, shape).await;
        apply(&app);
        let controller = Controller::start(&space, binary);
        Self::adopted(space, app, controller, RATE).await
    }

    async fn shaped(namespace: &str, shape: impl FnOnce(&mut Application)) -> (Space, Application) {
        let space = Space::new(namespace).await;
        let mut app = Application::new(&space);
        shape(&mut app);
        (space, app)
    }

    async fn adopted(space: Space, app: Application, controller: Controller, rate: u32) -> Self {
        space.until_healthy(&app.name, 60).await;
        let load = if app.grpc {
            Load::when_called(&space, &app.host, rate).await
        } else {
            Load::when_served(&space, &app.host, rate).await
        };
        Self { space, app, controller, load: Some(load) }
    }

    /// The owner applies this version.
    pub async fn release(&mut self, version: &str) {
        self.app.version = version.into();
        self.app.release(&self.space).await;
    }

    /// The owner applies this version, and its run stands at this weight.
    pub async fn release_to(&mut self, version: &str, weight: u32) -> Value {
        self.release(version).await;
        self.until_release(version, weight).await
    }

    /// The version's run stands at this weight.
    pub async fn until_release(&self, version: &str, weight: u32) -> Value {
        self.space
            .until("the run to begin", 30, async || {
                self.space.newest_run(&self.app.name).await.is_some_and(|run| run["spec"]["release"] == version)
            })
            .await;
        self.space.until_at(&self.app.name, weight, 60).await
    }

    /// The version has this outcome and nothing goes on any more.
    pub async fn until_outcome(&self, version: &str, outcome: &str) {
        self.space.until_outcome(&self.app.name, version, outcome, 120).await;
    }

    /// The load so far.
    pub fn tally(&self) -> Tally {
        self.load.as_ref().map(Load::tally).unwrap_or_default()
    }

    /// Ends the load a moment later.
    pub async fn curtain(&mut self) -> Tally {
        rhythm(1.0).await;
        self.load.take().map(Load::stop).unwrap_or_default()
    }

    /// Ends the load: no request failed.
    pub async fn nothing_failed(&mut self) -> Tally {
        let tally = self.curtain().await;
        assert!(tally.sent > 100 && tally.sent == tally.answered, "{} sent, {} answered", tally.sent, tally.answered);
        assert_eq!(tally.failed(), 0, "{}: {:?}\n{}", self.space.namespace, tally.counts, tally.failures());
        tally
    }

    /// The Service and the route have their owner's form, without a mark of ours.
    pub async fn owners_form(&self) {
        owners_form(&self.space, &self.app).await;
    }

    /// The share that the route gives to backends other than the application Service, as its weights say.
    pub async fn share(&self) -> f64 {
        let route = self.space.get(self.app.route_kind(), &self.app.name).await.unwrap_or_default();
        let refs = route["spec"]["rules"][0]["backendRefs"].as_array().cloned().unwrap_or_default();
        let weight = |of: &Value| of["weight"].as_f64().unwrap_or(1.0);
        let all: f64 = refs.iter().map(weight).sum();
        let others: f64 = refs.iter().filter(|of| of["name"] != self.app.name.as_str()).map(weight).sum();
        if all == 0.0 { 0.0 } else { 100.0 * others / all }
    }
}

/// The Service and the route have their owner's form, without a mark of ours.
pub async fn owners_form(space: &Space, app: &Application) {
    for (kind, written) in [(SERVICE, app.service()), (app.route_kind(), app.route())] {
        let Some(found) = space.get(kind, &app.name).await else { panic!("{} is gone", kind.kind) };
        for (key, value) in written["spec"].as_object().into_iter().flatten() {
            assert!(covers(&found["spec"][key], value), "{}: {key} is {}", kind.kind, found["spec"][key]);
        }
        assert_eq!(found["spec"]["selector"], written["spec"]["selector"]);
        let marks = found["metadata"]["annotations"].as_object().into_iter().flatten();
        let marks: Vec<_> = marks.filter(|(key, _)| key.starts_with("tidegate.io/")).collect();
        assert!(marks.is_empty(), "{}: {marks:?}", kind.kind);
    }
}

/// Everything of `written` stands in `found`; defaults may have been added.
fn covers(found: &Value, written: &Value) -> bool {
    match (found, written) {
        (Value::Object(found), Value::Object(written)) => {
            written.iter().all(|(key, value)| found.get(key).is_some_and(|found| covers(found, value)))
        }
        (Value::Array(found), Value::Array(written)) => {
            found.len() == written.len() && found.iter().zip(written).all(|(found, written)| covers(found, written))
        }
        (found, written) => found == written,
    }
}
