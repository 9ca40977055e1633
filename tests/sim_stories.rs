//! The whole controller in the simulated cluster: stories with one thing each that goes right or wrong.

use tidegate::{
    controller::{ROLLOUT, RUN},
    sim::{
        Deed, Habits, Simulation, World,
        scenario::{NAMESPACE, ROLLOUT_NAME, Shop, phase},
        story::Story,
    },
};

fn deploy(image: &str) -> Deed {
    Deed::Deploy { rollout: ROLLOUT_NAME.into(), image: image.into() }
}

fn open(shop: &Shop, seed: u64) -> Simulation {
    shop.open(seed, Habits::default(), &[]).expect("the first version is adopted")
}

#[test]
fn a_good_version_is_promoted_without_a_lost_request() {
    let shop = Shop::default();
    let mut simulation = open(&shop, 1);
    let at = simulation.clock.now() + 1_000;
    simulation.world.lock().plan_deed(at, deploy("shop:2"));
    simulation.run_until(at + 5_000, |_| false);
    let done = simulation.run_until(at + shop.longest(), |world| phase(world) == "Healthy");
    let world = simulation.world.lock();
    assert!(done, "{}", phase(&world));
    assert_eq!(world.oracle.offences, []);
    assert_eq!(world.traffic.lost, []);
    println!(
        "{} ms, {} writes, {:?}, {} requests",
        simulation.clock.now(),
        world.writes,
        world.sites,
        world.traffic.sent
    );
}

/// What the Rollout's status says, and how many runs there are.
fn said(simulation: &Simulation) -> (String, String, usize) {
    let world = simulation.world.lock();
    let status = world.server.get(ROLLOUT, NAMESPACE, ROLLOUT_NAME).map(|rollout| rollout["status"].clone());
    let status = status.unwrap_or_default();
    let of = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
    (of("phase"), of("message"), world.server.list(RUN, NAMESPACE, "").len())
}

fn plan(simulation: &Simulation, seconds: u64, deed: Deed) {
    let at = simulation.clock.now() + 1_000 * seconds;
    simulation.world.lock().plan_deed(at, deed);
}

#[test]
fn a_version_waits_while_the_service_burns_its_budget_and_begins_when_it_is_well_for_five_minutes() {
    let shop = Shop { guarded: true, judged: true, steps: vec![(10, 1), (50, 1)], ..Shop::default() };
    let mut simulation = open(&shop, 1);
    let begun = simulation.clock.now();
    let failing = |per_million| Deed::Fail { image: "shop:1".into(), per_million };
    plan(&simulation, 1, failing(1_000_000));
    plan(&simulation, 75, deploy("shop:2"));
    plan(&simulation, 80, failing(0));
    for second in [90, 200, 370] {
        simulation.run_until(begun + 1_000 * second, |_| false);
        let (phase, message, runs) = said(&simulation);
        assert_eq!((phase.as_str(), runs), ("Pending", 0), "{second} s: {message}");
        assert!(message.starts_with("a new template waits: the service burns its error budget 2"), "{message}");
        assert!(message.contains("(RolloutPolicy sre); if this release is the repair: tidegate override"), "{message}");
    }
    let begins = |world: &World| !world.server.list(RUN, NAMESPACE, "").is_empty();
    assert!(simulation.run_until(begun + 430_000, begins), "{:?}", said(&simulation));
    let done = simulation.run_until(begun + 430_000 + shop.longest(), |world| phase(world) == "Healthy");
    assert!(done, "{:?}", said(&simulation));
    assert_eq!(simulation.world.lock().oracle.offences, []);
}

#[test]
fn a_version_waits_while_the_budget_cannot_be_read_and_begins_when_it_can() {
    let shop = Shop { guarded: true, judged: true, steps: vec![(10, 1), (50, 1)], ..Shop::default() };
    let mut simulation = open(&shop, 1);
    let begun = simulation.clock.now();
    plan(&simulation, 1, Deed::Prometheus { away: true });
    plan(&simulation, 2, deploy("shop:2"));
    plan(&simulation, 60, Deed::Prometheus { away: false });
    simulation.run_until(begun + 50_000, |_| false);
    let (phase_word, message, runs) = said(&simulation);
    assert_eq!((phase_word.as_str(), runs), ("Pending", 0), "{message}");
    assert!(
        message.contains("cannot be read: MetricsProvider prometheus, metric errors: failed to reach"),
        "{message}"
    );
    let done = simulation.run_until(begun + 60_000 + shop.longest(), |world| phase(world) == "Healthy");
    assert!(done, "{:?}", said(&simulation));
    assert_eq!(simulation.world.lock().oracle.offences, []);
}

#[test]
fn an_autoscaler_scales_when_the_stories_say_and_nothing_is_lost() {
    let scales = [
        ("an autoscaler scales out in a step", "the autoscaler scales out while Stepping"),
        ("an autoscaler scales in, and the version is taken back", "the autoscaler scales in while Stepping"),
        ("an autoscaler scales out while a version is taken back", "the autoscaler scales out while Aborting"),
    ];
    let stories = Story::all();
    for (name, situation) in scales {
        let outcome = stories.iter().find(|story| story.name == name).expect("a story").run(&[]);
        assert_eq!((outcome.offences.as_slice(), outcome.lost), (&[][..], 0), "{name}");
        assert_eq!(outcome.situations.get(situation), Some(&1), "{name}: {:?}", outcome.situations);
    }
}
