//! A proxy between a controller and the lab's API server: it injects faults, cuts the controller off at a write, and keeps
//! what was written through it.
//!
//! It changes nothing of what it passes on. What it passes on goes to its end, also if the controller is gone by then: so
//! the record of what was written is whole.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{header, request::Parts},
    response::Response,
};
use futures::stream;
use kube::{Client, client::Body as Sent};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    Space,
    fault::{Fault, Rule, broken_off, refusal},
    partition::Way,
    point::{Point, Side},
    request::{Asks, Write},
    space::{client_of, lab},
    watches::{Watches, ruled},
};

/// A write that the API server answered with success.
#[derive(Clone, Debug)]
pub struct Written {
    pub write: Write,
    pub sent: Instant,
    /// The answer: the object as it became, its Scale, or a Status about what was deleted.
    pub answer: Value,
}

pub struct Proxy {
    shared: Arc<Shared>,
    pub kubeconfig: PathBuf,
    serving: JoinHandle<()>,
}

struct Shared {
    client: Client,
    plan: Mutex<Plan>,
    reached: watch::Sender<bool>,
    watches: watch::Sender<Watches>,
    /// What is held back may go on.
    let_go: watch::Sender<bool>,
}

/// What happens to requests, and what happened.
#[derive(Default)]
struct Plan {
    rules: Vec<(Rule, u64)>,
    crash: Option<(Point, Side, u64)>,
    /// Nothing passes any more.
    is_shut: bool,
    /// All writes that were asked for, in the order of their arrival.
    asked: Vec<Write>,
    injected: u64,
    written: Vec<Written>,
    way: Way,
    /// Writes of this resource are held back on their way.
    held: Option<&'static str>,
    /// How many were.
    holds: usize,
    /// What the API server answered to those that were let go.
    late: Vec<u16>,
}

enum Fate {
    Passes,
    Fault(Fault),
    Crash(Side),
    Held,
    Nothing,
}

impl Proxy {
    /// A way for the controllers of this namespace.
    pub async fn start(space: &Space) -> Self {
        let shared = Arc::new(Shared {
            client: client_of("tidegate").await,
            plan: Mutex::default(),
            reached: watch::Sender::new(false),
            watches: watch::Sender::new(Watches::Prompt),
            let_go: watch::Sender::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let kubeconfig =
            PathBuf::from(lab("TIDEGATE_LAB_DIR")).join(format!("kubeconfig-{}-{}", space.namespace, address.port()));
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        });
        std::fs::write(&kubeconfig, text.to_string()).expect("a kubeconfig");
        let router = Router::new().fallback(handle).with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("the proxy serves") });
        Self { shared, kubeconfig, serving }
    }

    /// These faults from now on, the first rule that fires counts.
    pub fn inject(&self, rules: &[Rule]) {
        self.shared.plan().rules = rules.iter().map(|rule| (*rule, 0)).collect();
    }

    /// Faults injected so far.
    pub fn injected(&self) -> u64 {
        self.shared.plan().injected
    }

    pub fn watches(&self, rule: Watches) {
        self.shared.watches.send_replace(rule);
    }

    pub fn way(&self, way: Way) {
        self.shared.plan().way = way;
    }

    /// Writes of this resource are held back from now on, however long: whoever sent them gets no answer.
    pub fn hold(&self, resource: &'static str) {
        self.shared.plan().held = Some(resource);
    }

    /// How many writes are held back.
    pub fn holds(&self) -> usize {
        self.shared.plan().holds
    }

    /// What was held back goes to the API server.
    pub fn let_go(&self) {
        self.shared.let_go.send_replace(true);
    }

    /// The API server's answers to what was let go.
    pub fn late(&self) -> Vec<u16> {
        self.shared.plan().late.clone()
    }

    /// Cuts the controller off at this write; writes are counted from now on.
    pub fn crash_at(&self, point: Point, side: Side) {
        self.shared.plan().crash = Some((point, side, 0));
    }

    /// The controller is cut off: nothing of it passes any more.
    pub async fn cut_off(&self) {
        let mut reached = self.shared.reached.subscribe();
        reached.wait_for(|reached| *reached).await.expect("the proxy lives");
    }

    /// Passes again. Whoever was cut off must be gone.
    pub fn open(&self) {
        self.shared.plan().is_shut = false;
    }

    /// All writes that were asked for so far, in the order of their arrival.
    pub fn asked(&self) -> Vec<Write> {
        self.shared.plan().asked.clone()
    }

    /// All writes that succeeded, whether the controller got the answer or not.
    pub fn written(&self) -> Vec<Written> {
        self.shared.plan().written.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().expect("no panic under the lock")
    }
}

impl Plan {
    fn fate(&mut self, asks: &Asks) -> Fate {
        if self.is_shut {
            return Fate::Nothing;
        }
        if asks.write().is_some_and(|write| Some(write.resource.as_str()) == self.held) {
            self.holds += 1;
            return Fate::Held;
        }
        if let Some(write) = asks.write() {
            self.asked.push(write.clone());
            if let Some((point, side, seen)) = &mut self.crash
                && point.write == *write
            {
                *seen += 1;
                if *seen == point.nth {
                    let side = *side;
                    self.is_shut = true;
                    return Fate::Crash(side);
                }
            }
        }
        let mut fate = Fate::Passes;
        for (rule, count) in self.rules.iter_mut().filter(|(rule, _)| rule.concerns(asks)) {
            *count += 1;
            if matches!(fate, Fate::Passes) && count.is_multiple_of(rule.every) {
                fate = Fate::Fault(rule.fault);
            }
        }
        if matches!(fate, Fate::Fault(_)) {
            self.injected += 1;
        }
        fate
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let asks = Asks::of(request.method(), request.uri());
    if !shared.plan().way.leads_to(request.uri().path()) {
        return std::future::pending().await;
    }
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let fate = shared.plan().fate(&asks);
    if asks == Asks::Watch {
        return match fate {
            Fate::Nothing => std::future::pending().await,
            Fate::Passes | Fate::Fault(_) | Fate::Crash(_) | Fate::Held => {
                let rule = shared.watches.subscribe();
                passed(&shared, head, body).await.map_or_else(broken_off, |answer| ruled(answer, rule))
            }
        };
    }
    let pass = exchange(shared.clone(), asks, head, body);
    match fate {
        Fate::Passes => pass.await,
        Fate::Nothing => std::future::pending().await,
        Fate::Held => {
            let mut let_go = shared.let_go.subscribe();
            // A task of its own: it outlives the connection and whoever sent it.
            tokio::spawn(async move {
                let _ = let_go.wait_for(|let_go| *let_go).await;
                let answer = pass.await;
                shared.plan().late.push(answer.status().as_u16());
            });
            std::future::pending().await
        }
        Fate::Fault(Fault::Refused(code)) => refusal(code),
        Fate::Fault(Fault::Applied504) => {
            pass.await;
            refusal(504)
        }
        Fate::Fault(Fault::Lost) => broken_off(),
        Fate::Fault(Fault::AppliedLost) => {
            pass.await;
            broken_off()
        }
        Fate::Fault(Fault::Slow(by)) => {
            sleep(by).await;
            pass.await
        }
        Fate::Crash(side) => crash(shared, side, pass).await,
    }
}

/// The last request of a controller that is killed for it.
async fn crash(shared: Arc<Shared>, side: Side, pass: impl Future<Output = Response>) -> Response {
    if side == Side::Before {
        shared.reached.send_replace(true);
        return std::future::pending().await;
    }
    let answer = pass.await;
    if side == Side::Committed {
        shared.reached.send_replace(true);
        return std::future::pending().await;
    }
    let (mut head, body) = answer.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    // The body is asked for when it is about to be sent, and sent before anybody else has a turn.
    let last = async move {
        shared.reached.send_replace(true);
        Ok::<_, std::io::Error>(bytes)
    };
    Response::from_parts(head, Body::from_stream(stream::once(last)))
}

/// The request and its whole answer, in a task of its own: it goes on when the controller is gone.
async fn exchange(shared: Arc<Shared>, asks: Asks, head: Parts, body: Bytes) -> Response {
    let task = tokio::spawn(async move {
        let sent = Instant::now();
        let Some(answer) = passed(&shared, head, body).await else { return refusal(503) };
        let (mut head, body) = answer.into_parts();
        let Ok(bytes) = to_bytes(body, usize::MAX).await else { return refusal(503) };
        if let Asks::Write(write) = asks
            && head.status.is_success()
        {
            let answer = serde_json::from_slice(&bytes).unwrap_or_default();
            shared.plan().written.push(Written { write, sent, answer });
        }
        head.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(head, Body::from(bytes))
    });
    task.await.expect("the exchange does not panic")
}

/// None: the API server is not there.
async fn passed(shared: &Shared, mut head: Parts, body: Bytes) -> Option<Response> {
    for hop in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        head.headers.remove(hop);
    }
    let answer = shared.client.send(Request::from_parts(head, Sent::from(body.to_vec()))).await.ok()?;
    let (mut head, body) = answer.into_parts();
    head.headers.remove(header::TRANSFER_ENCODING);
    Some(Response::from_parts(head, Body::new(body)))
}
