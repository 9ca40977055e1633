//! Decisions told to receivers that answer, refuse, are away, or come back.

use std::{collections::VecDeque, sync::Mutex};

use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::Timestamp;

use super::*;
use crate::{
    api::{DecisionEntry, RolloutRun},
    controller::notify::{Address, Format, Letter, Notifications, Post, Receiver},
    engine::chain,
};

/// Sleeps take no time, and are remembered.
#[derive(Default)]
struct Timeless {
    slept: Mutex<Vec<Duration>>,
}

impl Runtime for Timeless {
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.slept.lock().unwrap().push(time);
        Box::pin(tokio::task::yield_now())
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

/// Answers in this order, and then with 204; an address with "away" in it never answers.
#[derive(Default)]
struct Letterbox {
    answers: Mutex<VecDeque<Result<u16, String>>>,
    got: Mutex<Vec<Letter>>,
}

#[async_trait]
impl Post for Letterbox {
    async fn post(&self, letter: Letter) -> Result<u16, String> {
        if letter.address.contains("away") {
            return std::future::pending().await;
        }
        self.got.lock().unwrap().push(letter);
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(204))
    }
}

/// A cluster whose run has this many decisions, of which receivers have got some.
fn with_decisions(count: i64, notified: i64) -> Fake {
    let mut document = run();
    document["metadata"]["uid"] = json!("run-uid");
    let entry = |seq: i64| DecisionEntry {
        seq,
        epoch: 1,
        at: "2026-01-01T00:00:00Z".into(),
        from: None,
        phase: RunPhase::Stepping,
        step: 0,
        weight: Percent::whole(50),
        reason: Reason::Baking,
        message: format!("decision {seq} <b>"),
        asked: None,
        evidence: None,
        folds: None,
        previous: None,
    };
    document["status"]["decisions"] = json!({"entries": (1..=count).map(entry).collect::<Vec<_>>()});
    document["status"]["seq"] = json!(count);
    document["status"]["notifiedSeq"] = json!(notified);
    let fake = cluster();
    fake.put(RUN, document);
    fake
}

fn receiver(name: &str, format: Format) -> Receiver {
    let address = Address::Known(format!("https://{name}.example/hook"));
    Receiver { name: name.into(), address, format, secret_file: None }
}

struct Scene {
    letterbox: Arc<Letterbox>,
    clock: Arc<Timeless>,
    metrics: Arc<Metrics>,
    notifications: Notifications,
}

impl Scene {
    fn new(receivers: Vec<Receiver>, answers: &[Result<u16, String>]) -> Self {
        let answers = Mutex::new(answers.iter().cloned().collect());
        let letterbox = Arc::new(Letterbox { answers, got: Mutex::default() });
        let (clock, metrics) = (Arc::new(Timeless::default()), Arc::new(Metrics::default()));
        let (post, runtime): (Arc<dyn Post>, Arc<dyn Runtime>) = (letterbox.clone(), clock.clone());
        let notifications = Notifications::start(receivers, &post, &runtime, &metrics);
        Self { letterbox, clock, metrics, notifications }
    }

    /// One pass: how far all receivers are, as the next write of the record will say.
    async fn pass(&self, fake: &Fake, at: &str) -> i64 {
        let (mut world, documents) = look(fake, &mut Memory::default()).await.unwrap();
        let moment = Moment { text: at.into(), ..now() };
        self.notifications.follow(&Key::new("shop", "checkout"), &mut world, &documents, &moment);
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        world.runs[0].status.as_ref().unwrap().notified_seq
    }

    fn ids(&self) -> Vec<String> {
        self.letterbox.got.lock().unwrap().iter().map(|letter| letter.id.clone()).collect()
    }
}

const AT: &str = "2026-01-01T00:00:00Z";

#[tokio::test]
async fn each_decision_is_told_once_and_the_record_learns_of_it_with_its_next_write() {
    let scene = Scene::new(vec![receiver("audit", Format::CloudEvents)], &[]);
    let fake = with_decisions(3, 1);
    assert_eq!(scene.pass(&fake, AT).await, 1);
    assert_eq!((scene.pass(&fake, AT).await, scene.ids()), (3, vec!["run-uid-2".into(), "run-uid-3".into()]));
    assert_eq!(scene.pass(&with_decisions(4, 3), AT).await, 3);
    assert_eq!(scene.ids().last().unwrap(), "run-uid-4");
}

#[tokio::test]
async fn a_letter_is_a_cloud_event_with_the_decision_and_its_hash() {
    let scene = Scene::new(vec![receiver("audit", Format::CloudEvents), receiver("chat", Format::Slack)], &[]);
    let fake = with_decisions(1, 0);
    scene.pass(&fake, AT).await;
    let letters = scene.letterbox.got.lock().unwrap().clone();
    let to = |name: &str| letters.iter().find(|letter| letter.address.contains(name)).unwrap();
    let event: Value = serde_json::from_slice(&to("audit").body).unwrap();
    assert_eq!((&event["specversion"], &event["id"]), (&json!("1.0"), &json!("run-uid-1")));
    assert_eq!(event["source"], "/apis/tidegate.io/v1alpha1/namespaces/shop/rolloutruns/checkout-new-1");
    assert_eq!((&event["type"], &event["time"]), (&json!("io.tidegate.rolloutrun.decision"), &json!(AT)));
    let run: RolloutRun = serde_json::from_value(fake.read(RUN, "shop", "checkout-new-1").unwrap()).unwrap();
    let entry = serde_json::to_value(&run.status.unwrap().decisions.entries[0]).unwrap();
    assert_eq!((&event["data"]["decision"], &event["data"]["hash"]), (&entry, &json!(chain::hash(&entry))));
    assert_eq!(to("audit").content_type, "application/cloudevents+json; charset=utf-8");
    let chat: Value = serde_json::from_slice(&to("chat").body).unwrap();
    assert_eq!(chat, json!({"text": "shop/checkout at 50 %: Baking: decision 1 &lt;b&gt;"}));
}

#[tokio::test]
async fn after_a_crash_what_was_not_finished_is_told_again_with_the_same_id() {
    let fake = with_decisions(3, 1);
    let first = Scene::new(vec![receiver("audit", Format::CloudEvents)], &[]);
    first.pass(&fake, AT).await;
    let second = Scene::new(vec![receiver("audit", Format::CloudEvents)], &[]);
    second.pass(&fake, AT).await;
    assert_eq!(first.ids(), second.ids());
    let (one, other) = (first.letterbox.got.lock().unwrap(), second.letterbox.got.lock().unwrap());
    assert_eq!(*one, *other, "byte for byte");
}

#[tokio::test]
async fn a_run_that_ended_long_ago_is_not_told_again() {
    let fake = with_decisions(3, 1);
    let mut ended = fake.read(RUN, "shop", "checkout-new-1").unwrap();
    ended["status"]["phase"] = json!("Ended");
    ended["status"]["since"] = json!(AT);
    fake.put(RUN, ended);
    for (at, told) in [("2026-01-01T00:09:00Z", 2), ("2026-01-01T00:11:00Z", 0)] {
        let scene = Scene::new(vec![receiver("audit", Format::CloudEvents)], &[]);
        scene.pass(&fake, at).await;
        assert_eq!(scene.ids().len(), told, "{at}");
    }
}

#[tokio::test]
async fn a_receiver_that_fails_is_tried_again_and_given_up_and_the_next_decision_goes_on() {
    let away = || Err("connection refused".to_owned());
    let answers = [Ok(503), away(), Ok(429), Ok(200), Ok(400)];
    let scene = Scene::new(vec![receiver("audit", Format::CloudEvents)], &answers);
    let fake = with_decisions(3, 0);
    scene.pass(&fake, AT).await;
    assert_eq!(scene.ids(), [1, 1, 1, 1, 2, 3].map(|seq| format!("run-uid-{seq}")));
    assert_eq!(*scene.clock.slept.lock().unwrap(), [1, 2, 4].map(Duration::from_secs));
    assert_eq!(scene.pass(&fake, AT).await, 3, "what is given up is finished too");
    let text = scene.metrics.text();
    for (result, count) in [("ok", 2), ("failed", 3), ("lost", 1)] {
        let line = format!("tidegate_notifications_total{{receiver=\"audit\",result=\"{result}\"}} {count}");
        assert!(text.contains(&line), "{line} is missing in {text}");
    }
    let never: Vec<Result<u16, String>> = (0..7).map(|_| away()).collect();
    let scene = Scene::new(vec![receiver("audit", Format::CloudEvents)], &never);
    scene.pass(&with_decisions(1, 0), AT).await;
    assert_eq!((scene.ids().len(), scene.clock.slept.lock().unwrap().len()), (7, 6));
}

#[tokio::test]
async fn a_receiver_that_never_answers_delays_neither_the_pass_nor_the_others() {
    let receivers = vec![receiver("away", Format::CloudEvents), receiver("audit", Format::CloudEvents)];
    let scene = Scene::new(receivers, &[]);
    for count in [40, 80, 120, 160, 200, 240, 280, 320] {
        assert_eq!(scene.pass(&with_decisions(count, 0), AT).await, 0);
    }
    let expected: Vec<String> = (1..=320).map(|seq| format!("run-uid-{seq}")).collect();
    assert_eq!(scene.ids(), expected, "the others get all, in order");
}
