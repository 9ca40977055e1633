//! Two controllers and the Lease between them in the simulated cluster: who acts, how soon, and that no law is broken when
//! both believe that they lead.

mod threads;

use std::collections::BTreeMap;

use threads::side_by_side;
use tidegate::sim::{
    Candidates, Deed, Delay, Habits, LeaderDeed, Millis, Offence, Process,
    scenario::{IMAGES, ROLLOUT_NAME, Shop, phase},
};

/// L8: after a crash, and after the lease was given back.
const AFTER_CRASH: Millis = 25_000;
const AFTER_RELEASE: Millis = 3_000;

/// What a deed has led to is over after this: a pause, and a lease that expires.
const SEQUEL: Millis = 70_000;

struct Told {
    end: String,
    offences: Vec<Offence>,
    lost: u64,
    situations: BTreeMap<String, u64>,
    /// Which process wrote first at which time, counted from the release.
    first_writes: Vec<(Process, i64)>,
    epoch: i64,
}

fn shop() -> Shop {
    Shop { steps: vec![(10, 8), (50, 8)], soak_seconds: 5, drain_seconds: 2, ..Shop::default() }
}

/// A release, and what happens to its leader after so many milliseconds.
fn told(seed: u64, skewed: bool, deeds: &[(Millis, LeaderDeed)]) -> Told {
    told_in(seed, Habits { candidates: Candidates { count: 2, skewed }, ..Habits::default() }, deeds)
}

fn told_in(seed: u64, habits: Habits, deeds: &[(Millis, LeaderDeed)]) -> Told {
    let shop = shop();
    let mut simulation = shop.open(seed, habits, &[]).expect("the first version is adopted");
    let begun = simulation.clock.now();
    {
        let mut world = simulation.world.lock();
        let deploy = Deed::Deploy { rollout: ROLLOUT_NAME.into(), image: IMAGES[1].into() };
        world.plan_deed(begun, deploy);
        for (at, deed) in deeds {
            world.plan_deed(begun + at, Deed::Leader(deed.clone()));
        }
    }
    let last = deeds.iter().map(|(at, _)| *at).max().unwrap_or(0);
    simulation.run_until(begun + last + SEQUEL, |_| false);
    simulation.run_until(begun + last + 2 * shop.longest(), |world| phase(world) == "Healthy");
    let world = simulation.world.lock();
    let relative = |at: Millis| i64::try_from(at).unwrap_or(i64::MAX) - i64::try_from(begun).unwrap_or(0);
    Told {
        end: phase(&world),
        offences: world.oracle.offences.clone(),
        lost: world.traffic.lost_requests,
        situations: world.situations.clone(),
        first_writes: world.leaders.first_writes.iter().map(|(process, at)| (*process, relative(*at))).collect(),
        epoch: world.lease_epoch().unwrap_or(0),
    }
}

fn sound(told: &Told, what: &str) {
    assert_eq!(told.offences, [], "{what}");
    assert_eq!((told.end.as_str(), told.lost), ("Healthy", 0), "{what}");
}

/// When another process first wrote after this moment, from then on.
fn gap(told: &Told, at: Millis) -> Option<i64> {
    let at = i64::try_from(at).unwrap_or(i64::MAX);
    told.first_writes.iter().map(|(_, first)| first - at).find(|gap| *gap > 0)
}

#[test]
fn another_acts_within_25_s_of_a_crash_and_within_3_s_of_an_orderly_end() {
    for (deed, limit) in [(LeaderDeed::Kill, AFTER_CRASH), (LeaderDeed::Terminate, AFTER_RELEASE)] {
        let moments: Vec<Millis> = (0..14).map(|index| 500 + index * 1_077).collect();
        let gaps = side_by_side(&moments, |at| {
            let told = told(*at, false, &[(*at, deed.clone())]);
            sound(&told, &format!("{deed:?} after {at} ms"));
            gap(&told, *at)
        });
        // At rest there is nothing to write: only a run under way shows who acts.
        let seen: Vec<i64> = gaps.into_iter().flatten().collect();
        let longest = seen.iter().copied().max().unwrap_or(0);
        println!("{deed:?}: {} changes, the longest gap is {longest} ms", seen.len());
        assert!(seen.len() >= 10 && longest <= limit as i64, "{deed:?}: {seen:?}");
    }
}

#[test]
fn a_leader_that_was_stopped_in_mid_write_writes_nothing_more() {
    let moments: Vec<Millis> = (0..24).map(|index| 3_000 + index * 751).collect();
    let all = side_by_side(&moments, |at| {
        // Slow requests: a pause falls into one.
        let candidates = Candidates { count: 2, skewed: false };
        let habits = Habits { candidates, request: Delay::of(50, 150), ..Habits::default() };
        let told = told_in(*at, habits, &[(*at, LeaderDeed::Pause { millis: 60_000 })]);
        sound(&told, &format!("paused after {at} ms"));
        told.situations
    });
    let count = |what: &str| all.iter().filter_map(|told| told.get(what)).sum::<u64>();
    let (refused, stored) = (count("a late write is refused"), count("a late write is stored"));
    println!("{} pauses, {refused} late writes refused, {stored} stored", moments.len());
    let ended = count("a leader ends at its renew deadline") + count("a leader ends because another leads");
    assert_eq!(ended, 24);
    assert!(refused > 0);
}

#[test]
fn with_renewals_cut_off_the_leader_stops_and_another_goes_on() {
    let told = told(3, false, &[(9_000, LeaderDeed::CutOff)]);
    sound(&told, "cut off");
    assert_eq!(told.situations["a leader ends at its renew deadline"], 1);
    assert!(gap(&told, 9_000).is_some_and(|gap| gap > 10_000));
}

#[test]
fn with_clocks_that_go_wrong_no_law_is_broken() {
    let seeds: Vec<u64> = (0..16).collect();
    let all = side_by_side(&seeds, |seed| {
        let at = 2_000 + seed * 811;
        let told = told(*seed, true, &[(at, LeaderDeed::CutOff), (at + 30_000, LeaderDeed::Reconnect)]);
        sound(&told, &format!("seed {seed}"));
        told.situations
    });
    let lost = |what: &str| all.iter().filter(|told| told.contains_key(what)).count();
    println!(
        "{} deadlines, {} taken",
        lost("a leader ends at its renew deadline"),
        lost("a leader ends because another leads")
    );
    assert!(lost("a leader ends at its renew deadline") > 8);
}

#[test]
fn a_lease_that_is_deleted_or_edited_does_not_let_epochs_fall() {
    for (name, edit) in [
        ("deleted", LeaderDeed::DeleteLease),
        ("emptied", LeaderDeed::EditLease { holder: "", epoch: 0 }),
        ("set back", LeaderDeed::EditLease { holder: "controller-0", epoch: 0 }),
        ("given to nobody", LeaderDeed::EditLease { holder: "nobody", epoch: 0 }),
    ] {
        let deeds = [(4_000, LeaderDeed::Terminate), (9_000, LeaderDeed::Terminate), (14_000, edit)];
        let told = told(5, false, &deeds);
        sound(&told, name);
        assert!(told.epoch >= 3, "{name}: epoch {}", told.epoch);
    }
}

#[test]
fn when_everybody_is_gone_and_the_lease_too_the_next_leader_passes_the_records() {
    let deeds = [
        (4_000, LeaderDeed::Terminate),
        (8_000, LeaderDeed::Terminate),
        (12_000, LeaderDeed::Kill),
        (12_001, LeaderDeed::DeleteLease),
    ];
    let told = told(5, false, &deeds);
    sound(&told, "gone");
    assert!(told.epoch >= 4, "epoch {}", told.epoch);
}
