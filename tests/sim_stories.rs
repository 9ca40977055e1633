//! The whole controller in the simulated cluster: stories with one thing each that goes right or wrong.

use tidegate::sim::{
    Deed, Habits, Simulation,
    scenario::{ROLLOUT_NAME, Shop, phase},
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
