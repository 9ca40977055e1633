//! What the verdicts promise, as claims about simulated rollouts: of each family of cells, how often a verdict may come, and how soon.
//!
//! `bench/verdicts.rs` checks them in full, `tests/verdict_operating_characteristics.rs` with fewer runs. Every window goes
//! through the tests of `stats` as a rollout's would; the engine, Prometheus and the clock have no part in it.

pub mod claim;
pub mod judge;
pub mod traffic;
pub mod trial;

use claim::{Claim, Wanted};
use judge::Rule;
use traffic::{Event, Service, Weight};

/// Runs of each cell in the full form.
pub const FULL_RUNS: u64 = 2000;

/// The first seed of a cell's runs; no two cells share one.
pub fn first_seed(family: u64, cell: u64) -> u64 {
    (family * 1000 + cell) * 1_000_000
}

/// Cells that make one promise.
pub struct Family {
    pub title: &'static str,
    pub claims: Vec<Claim>,
}

pub fn families() -> Vec<Family> {
    let family = |title, claims| Family { title, claims };
    vec![
        family("A good canary is reverted within 1 h, looked at every 5 s", good_canary()),
        family("A bad canary is reverted", bad_canary()),
        family("A canary just inside the fail margin is reverted", at_the_fail_margin()),
        family(
            "An outage of 5 min that hits both versions is blamed on the canary, scrapes out of step",
            shared_outage(),
        ),
        family("A good canary is reverted while the weight goes 1-5-25-50 and the base rises tenfold", ramp()),
        family("A canary at the pass margin gets a Pass", at_the_pass_margin()),
        family("A good canary gets its Pass within 1 h", good_canary_passes()),
        family("Ways to read the counters that would break the promise", broken_readings()),
    ]
}

const STEADY: Service =
    Service { rps: 50.0, weight: Weight::Fixed(0.05), stable: 0.01, canary: 0.01, event: Event::Nothing };

fn good_canary() -> Vec<Claim> {
    let mut claims = Vec::new();
    for base in [0.001, 0.01] {
        for rps in [1.0, 50.0, 5000.0] {
            for weight in [0.01, 0.05, 0.25, 0.5] {
                let service = Service { rps, weight: Weight::Fixed(weight), stable: base, canary: base, ..STEADY };
                claims.push(Claim::new(service, Rule::Fail, Wanted::AtMost(0.015)));
            }
        }
    }
    claims
}

fn bad_canary() -> Vec<Claim> {
    let half = Service { canary: 0.5, ..STEADY };
    let fivefold = Service { rps: 5000.0, stable: 0.001, canary: 0.005, ..STEADY };
    vec![
        Claim::new(half, Rule::Fail, Wanted::All { median: 15.0..=15.0, mean_bad: 21.0 }),
        Claim::new(fivefold, Rule::Fail, Wanted::All { median: 15.0..=25.0, mean_bad: f64::INFINITY }),
    ]
}

/// The largest ratio that is tolerated: here the guarantee of 1 % itself is tested, a good canary is far inside.
fn at_the_fail_margin() -> Vec<Claim> {
    let cells = [(50.0, 0.25, 0.01), (500.0, 0.05, 0.001), (500.0, 0.5, 0.05), (5000.0, 0.25, 0.001), (50.0, 0.5, 0.3)];
    let claim = |(rps, weight, stable): (f64, f64, f64)| {
        let service = Service { rps, weight: Weight::Fixed(weight), stable, ..STEADY };
        let canary = judge::tolerated(judge::fail_margin(&service), stable);
        Claim::new(Service { canary, ..service }, Rule::Fail, Wanted::AtMost(0.01))
    };
    cells.map(claim).into()
}

fn outages() -> impl Iterator<Item = Service> {
    let cells = [(50.0, 0.05), (50.0, 0.25), (5000.0, 0.05), (5000.0, 0.25)];
    let event = Event::Outage { ratio: 0.2, seconds: 300.0 };
    let service =
        move |(rps, weight)| Service { rps, weight: Weight::Fixed(weight), stable: 0.001, canary: 0.001, event };
    cells.into_iter().map(service)
}

fn shared_outage() -> Vec<Claim> {
    outages().map(|service| Claim::new(service, Rule::Fail, Wanted::AtMost(0.005))).collect()
}

fn ramps() -> impl Iterator<Item = Service> {
    let event = Event::Rise { factor: 10.0 };
    let service = move |rps| Service { rps, weight: Weight::Ramp, stable: 0.001, canary: 0.001, event };
    [50.0, 500.0, 5000.0].into_iter().map(service)
}

fn ramp() -> Vec<Claim> {
    ramps().map(|service| Claim::new(service, Rule::Fail, Wanted::AtMost(0.015))).collect()
}

fn passing() -> impl Iterator<Item = Service> {
    let cells = [(500.0, 0.25, 0.001), (500.0, 0.5, 0.01), (5000.0, 0.05, 0.001)];
    let service =
        |(rps, weight, base)| Service { rps, weight: Weight::Fixed(weight), stable: base, canary: base, ..STEADY };
    cells.into_iter().map(service)
}

fn at_the_pass_margin() -> Vec<Claim> {
    let claim = |service: Service| {
        let canary = judge::tolerated(judge::pass_margin(&service), service.stable);
        Claim::new(Service { canary, ..service }, Rule::Pass, Wanted::AtMost(0.05))
    };
    passing().map(claim).collect()
}

fn good_canary_passes() -> Vec<Claim> {
    let wanted = || Wanted::All { median: 5.0..=120.0, mean_bad: f64::INFINITY };
    passing().map(|service| Claim::new(service, Rule::Pass, wanted())).collect()
}

/// They show that the simulation can tell: a family above that cannot fail would prove nothing.
fn broken_readings() -> Vec<Claim> {
    let overlapping = Service { weight: Weight::Fixed(0.25), ..STEADY };
    let mut claims = vec![Claim::new(overlapping, Rule::Overlapping, Wanted::AtLeast(0.1))];
    let busy = |service: &Service| service.rps > 1000.0;
    claims.extend(outages().filter(busy).map(|it| Claim::new(it, Rule::Uncapped, Wanted::AtLeast(0.2))));
    claims.extend(ramps().map(|it| Claim::new(it, Rule::Pooled, Wanted::AtLeast(0.9))));
    claims
}
