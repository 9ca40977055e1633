//! The controller is killed at every write of a promotion and of a revert, on each side of it: before it is sent, when it is
//! committed but not answered, and after its answer. Started again, it comes to where a run without a crash comes to, no
//! request fails, and no law is broken.
//!
//! `make crash` does all of it; CI does a dozen points, spread over the writes.

use std::{
    any::Any,
    collections::VecDeque,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use kube::api::PropagationPolicy::Background;
use serde_json::{Value, json};
use tidegate::controller::{NAMESPACE, ROLLOUT};
use tokio::time::timeout;

use crate::{
    TIDEGATE,
    support::{
        Application, Ledger, Proxy, Stage,
        point::{Point, Side},
        rest::{quiet, rest},
        space::rhythm,
    },
};

/// Points in the lab's tests, and how many go on at once.
const FEW: (usize, usize) = (12, 12);
/// How many go on at once if it is all of them.
const MANY_AT_ONCE: usize = 20;
/// Runs that are to come to a point: evidence is recorded as time allows, and one run has a record more than another.
const TRIES: usize = 3;
/// From the outcome to the end of all that follows from it.
const MOST_UNTIL_REST: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Story {
    Promotion,
    Revert,
}

impl Story {
    const fn name(self) -> &'static str {
        match self {
            Self::Promotion => "promotion",
            Self::Revert => "revert",
        }
    }

    const fn outcome(self) -> &'static str {
        match self {
            Self::Promotion => "Promoted",
            Self::Revert => "Reverted",
        }
    }

    fn shape(self, app: &mut Application) {
        if self == Self::Revert {
            let threshold = json!({"query": "vector(1)", "success": ">= 2", "interval": "1s"});
            app.metrics = json!([{"name": "one", "threshold": threshold}]);
        }
    }
}

/// What a run without a crash writes, and what it comes to.
struct Faultless {
    story: Story,
    points: Vec<Point>,
    rest: Value,
}

/// One crash.
#[derive(Clone)]
struct Crash<'f> {
    of: &'f Faultless,
    point: Point,
    side: Side,
}

/// A story's stage when its run begins.
async fn scene(namespace: &str, story: Story) -> (Stage, Proxy, Ledger) {
    let (stage, proxy) = Stage::behind_proxy(namespace, TIDEGATE, |app| story.shape(app)).await;
    quiet(&stage.space, &proxy).await;
    let ledger = Ledger::open(&stage.space).await;
    (stage, proxy, ledger)
}

/// What holds at the end of every run, with a crash or without one.
async fn judged(stage: &mut Stage, proxy: &Proxy, ledger: &Ledger) -> u64 {
    ledger.judge(&[proxy]).await.holds();
    stage.nothing_failed().await.sent
}

async fn faultless(story: Story) -> Faultless {
    let (mut stage, proxy, ledger) = scene(&format!("points-{}", story.name()), story).await;
    let before = proxy.asked().len();
    stage.release("v2").await;
    stage.until_outcome("v2", story.outcome()).await;
    quiet(&stage.space, &proxy).await;
    let points = Point::each(&proxy.asked()[before..]);
    judged(&mut stage, &proxy, &ledger).await;
    let rest = rest(&stage.space).await;
    away(stage).await;
    Faultless { story, points, rest }
}

/// The requests that went through the gateway; None: this run had fewer such writes.
async fn crashed(crash: &Crash<'_>, number: usize, attempt: usize) -> Option<u64> {
    let (story, name) = (crash.of.story, crash.of.story.name());
    let (mut stage, proxy, ledger) = scene(&format!("points-{name}-{number}-{attempt}"), story).await;
    proxy.crash_at(crash.point.clone(), crash.side);
    stage.release("v2").await;
    let over = async {
        stage.until_outcome("v2", story.outcome()).await;
        quiet(&stage.space, &proxy).await;
    };
    let is_cut = tokio::select! {
        () = proxy.cut_off() => true,
        () = over => false,
    };
    if is_cut {
        stage.controller.kill();
        proxy.open();
        stage.controller.restart();
    }
    stage.until_outcome("v2", story.outcome()).await;
    let wanted = &crash.of.rest;
    let came = timeout(MOST_UNTIL_REST, async {
        while rest(&stage.space).await != *wanted {
            rhythm(0.3).await;
        }
    });
    if came.await.is_err() {
        panic!("it does not come to\n{wanted:#}\nbut to\n{:#}", rest(&stage.space).await);
    }
    let sent = judged(&mut stage, &proxy, &ledger).await;
    away(stage).await;
    is_cut.then_some(sent)
}

/// Makes room for the next one.
async fn away(stage: Stage) {
    stage.space.delete(ROLLOUT, &stage.app.name, Background).await;
    let gone = async || stage.space.get(ROLLOUT, &stage.app.name).await.is_none();
    stage.space.until("the Rollout to be gone", 60, gone).await;
    stage.space.delete(NAMESPACE, &stage.space.namespace, Background).await;
}

/// In a thread of its own, so that one stage's waits are nobody else's; a panic is its sentence.
fn alone<T: Send>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run)
}

fn sentence(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// What came of all crashes.
#[derive(Default)]
struct Sweep {
    converged: usize,
    requests: u64,
    /// Points that no run came to: each had fewer such writes.
    unreached: Vec<String>,
    failed: Vec<String>,
}

fn sweep(crashes: Vec<Crash<'_>>, at_once: usize) -> Sweep {
    let queue: Mutex<VecDeque<(usize, Crash)>> = Mutex::new(crashes.into_iter().enumerate().collect());
    let found = Mutex::new(Sweep::default());
    let next = || queue.lock().expect("no panic").pop_front();
    let worker = || {
        while let Some((number, crash)) = next() {
            let begin = Instant::now();
            let run = |attempt| thread::scope(|scope| scope.spawn(|| alone(crashed(&crash, number, attempt))).join());
            let mut ended = Ok(None);
            for attempt in 0..TRIES {
                ended = run(attempt);
                if !matches!(ended, Ok(None)) {
                    break;
                }
            }
            let what = format!("{number}: {} at {}, {:?}", crash.of.story.name(), crash.point, crash.side);
            println!("{what}: {:.0} s{}", begin.elapsed().as_secs_f64(), if ended.is_err() { ", failed" } else { "" });
            let mut found = found.lock().expect("no panic");
            match ended {
                Ok(Some(requests)) => {
                    found.converged += 1;
                    found.requests += requests;
                }
                Ok(None) => found.unreached.push(what),
                Err(panic) => found.failed.push(format!("{what}\n{}", sentence(&*panic))),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(worker);
        }
    });
    found.into_inner().expect("no panic")
}

#[test]
fn a_crash_on_either_side_of_a_write_changes_nothing_of_the_end() {
    let stories = [Story::Promotion, Story::Revert];
    let recorded: Vec<Faultless> = thread::scope(|scope| {
        let runs: Vec<_> = stories.into_iter().map(|story| scope.spawn(move || alone(faultless(story)))).collect();
        runs.into_iter().map(|run| run.join().expect("the run without a crash")).collect()
    });
    let mut crashes: Vec<Crash> = Vec::new();
    for of in &recorded {
        println!("a {} has {} writes", of.story.name(), of.points.len());
        for point in &of.points {
            crashes.extend(Side::ALL.map(|side| Crash { of, point: point.clone(), side }));
        }
    }
    let is_all = std::env::var("CRASH_POINTS").is_ok_and(|points| points == "all");
    let all = crashes.len();
    if !is_all {
        // Not a multiple of the number of sides: each side has its share.
        let spread = |number: usize| crashes[number * all / FEW.0 + number % Side::ALL.len()].clone();
        crashes = (0..FEW.0).map(spread).collect();
    }
    let points = crashes.len();
    let found = sweep(crashes, if is_all { MANY_AT_ONCE } else { FEW.1 });
    for failure in &found.failed {
        println!("{failure}");
    }
    for unreached in &found.unreached {
        println!("not reached: {unreached}");
    }
    println!(
        "{points} crash points of {all}, {} converged, {} not reached; 0 of {} requests failed, 0 laws broken in these",
        found.converged,
        found.unreached.len(),
        found.requests
    );
    assert!(found.failed.is_empty(), "{} of {points} crash points did not come to the same end", found.failed.len());
    assert!(found.unreached.len() * 20 <= points.max(20), "{:?}", found.unreached);
}
