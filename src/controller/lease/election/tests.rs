//! Two candidates and one Lease, told by their own clocks.

use super::*;

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The Lease of a cluster: it takes a write on its version only.
#[derive(Default)]
struct Store {
    version: u64,
    record: Option<Record>,
}

impl Store {
    fn read(&self) -> Option<(String, Record)> {
        self.record.clone().map(|record| (self.version.to_string(), record))
    }

    /// Whether it was stored.
    fn take(&mut self, step: &Step) -> bool {
        let record = match step {
            Step::Create(record) if self.record.is_none() => record,
            Step::Write { version, record } if *version == self.version.to_string() && self.record.is_some() => record,
            Step::Create(_) | Step::Write { .. } | Step::StandBy | Step::Lost { .. } => return false,
        };
        self.version += 1;
        self.record = Some(record.clone());
        true
    }

    fn edit(&mut self, change: impl FnOnce(&mut Record)) {
        self.version += 1;
        change(self.record.as_mut().unwrap());
    }
}

struct Candidate {
    election: Election,
}

impl Candidate {
    fn new(name: &str) -> Self {
        Self { election: Election::new(name.into()) }
    }

    fn look(&mut self, store: &Store, now: u64) -> Step {
        self.election.see(at(now), store.read(), &now.to_string())
    }

    /// Carries a step out; the answer comes back.
    fn write(&mut self, store: &mut Store, now: u64, step: &Step) -> bool {
        let stored = store.take(step);
        if let (true, Some((version, record))) = (stored, store.read()) {
            self.election.wrote(at(now), version, record);
        }
        stored
    }

    fn turn(&mut self, store: &mut Store, now: u64) -> Step {
        let step = self.look(store, now);
        self.write(store, now, &step);
        step
    }

    fn renew(&mut self, store: &mut Store, now: u64) -> bool {
        let step = self.election.renewal(&now.to_string()).expect("it leads");
        self.write(store, now, &step)
    }

    fn epoch(&self) -> Option<i64> {
        self.election.term().map(|term| term.epoch)
    }
}

fn led_by_a() -> (Store, Candidate, Candidate) {
    let (mut store, mut a) = (Store::default(), Candidate::new("a"));
    a.turn(&mut store, 0);
    assert_eq!(a.epoch(), Some(1));
    (store, a, Candidate::new("b"))
}

#[test]
fn a_lease_expires_when_it_was_seen_unchanged_for_its_duration_and_not_by_its_times() {
    let (mut store, mut a, mut b) = led_by_a();
    // The leader's wall clock is an hour ahead, or behind: nothing is different.
    store.edit(|record| record.renewed = "1970-01-01T00:00:00.000000Z".into());
    assert_eq!(b.turn(&mut store, 100), Step::StandBy);
    assert_eq!(b.turn(&mut store, 114), Step::StandBy);
    a.look(&store, 14);
    assert!(a.renew(&mut store, 14));
    // Renewed in between: the time begins anew.
    for now in [115, 129] {
        assert_eq!(b.turn(&mut store, now), Step::StandBy, "{now}");
    }
    assert!(matches!(b.turn(&mut store, 130), Step::Write { .. }));
    assert_eq!(b.epoch(), Some(2));
    assert_eq!(a.turn(&mut store, 31), Step::Lost { holder: "b".into() });
}

#[test]
fn of_two_candidates_that_read_the_same_version_one_acquires() {
    let (mut store, a, mut b) = led_by_a();
    drop(a);
    let mut c = Candidate::new("c");
    assert_eq!((b.look(&store, 0), c.look(&store, 0)), (Step::StandBy, Step::StandBy));
    let (of_b, of_c) = (b.look(&store, 15), c.look(&store, 15));
    assert!(b.write(&mut store, 15, &of_b));
    assert!(!c.write(&mut store, 15, &of_c), "a write on an old version is refused");
    assert_eq!((b.epoch(), c.epoch()), (Some(2), None));
    assert_eq!(c.look(&store, 16), Step::StandBy);
}

#[test]
fn a_lease_that_was_given_back_is_taken_at_once() {
    let (mut store, a, mut b) = led_by_a();
    assert_eq!(b.turn(&mut store, 50), Step::StandBy);
    let step = a.election.release(store.read().unwrap(), "51").unwrap();
    assert!(store.take(&step));
    assert_eq!(a.election.release(("9".into(), Record { holder: "b".into(), ..Record::default() }), "51"), None);
    b.turn(&mut store, 52);
    assert_eq!(b.epoch(), Some(2));
}

#[test]
fn the_deadline_counts_from_when_the_renewal_was_sent() {
    let (mut store, mut a, _) = led_by_a();
    assert!(a.renew(&mut store, 7));
    assert_eq!(a.election.term().unwrap().deadline(), at(17));
    assert!(
        RENEW_DEADLINE + at(5) <= at(LEASE_SECONDS.unsigned_abs()),
        "a request under way ends before the lease does"
    );
}

#[test]
fn an_acquisition_whose_answer_was_lost_is_found_again() {
    let (mut store, mut a) = (Store::default(), Candidate::new("a"));
    let step = a.look(&store, 0);
    assert!(store.take(&step));
    assert_eq!(a.epoch(), None);
    a.turn(&mut store, 1);
    assert_eq!((a.epoch(), store.record.unwrap().epoch), (Some(1), 1));
}

#[test]
fn a_renewal_whose_answer_was_lost_is_written_on_what_it_made() {
    let (mut store, mut a, _) = led_by_a();
    let step = a.election.renewal("2").unwrap();
    assert!(store.take(&step));
    assert!(!a.renew(&mut store, 4));
    assert!(matches!(a.turn(&mut store, 4), Step::Write { .. }));
    assert_eq!((a.epoch(), a.election.term().unwrap().renewed), (Some(1), at(4)));
}

#[test]
fn epochs_rise_when_the_lease_was_deleted() {
    let (mut store, mut a, mut b) = led_by_a();
    store.edit(|record| record.epoch = 7);
    b.look(&store, 0);
    a.turn(&mut store, 2);
    assert_eq!(a.epoch(), Some(8), "a leader passes what somebody wrote");
    b.look(&store, 2);
    store.record = None;
    b.turn(&mut store, 3);
    assert_eq!(b.epoch(), Some(9));
    // One that has seen nothing begins at 1, and passes what it meets in the records.
    store.record = None;
    let mut c = Candidate::new("c");
    c.turn(&mut store, 4);
    assert_eq!(c.epoch(), Some(1));
    c.election.knows(9);
    assert!(c.renew(&mut store, 5));
    assert_eq!(c.epoch(), Some(10));
    assert_eq!(b.turn(&mut store, 6), Step::Lost { holder: "c".into() });
}

#[test]
fn a_lease_edited_by_hand_does_no_lasting_harm() {
    // Nobody holds it: the leader takes a new term.
    let (mut store, mut a, _) = led_by_a();
    store.edit(|record| *record = Record::default());
    a.turn(&mut store, 2);
    assert_eq!(a.epoch(), Some(2));
    // A lower number: the leader writes its own.
    store.edit(|record| record.epoch = 0);
    a.turn(&mut store, 3);
    assert_eq!(store.record.as_ref().unwrap().epoch, 2);
    // Somebody who does not exist: the leader goes, and the lease expires.
    store.edit(|record| record.holder = "nobody".into());
    assert_eq!(a.turn(&mut store, 4), Step::Lost { holder: "nobody".into() });
    // A duration of years, or none: neither keeps everybody out nor lets two in.
    let mut b = Candidate::new("b");
    for (seconds, early, late) in [(i64::MAX, 59, 60), (-5, 14, 15)] {
        store.edit(|record| (record.holder, record.duration_seconds) = ("nobody".into(), seconds));
        let begin = 1_000 + late;
        b.election.term = None;
        assert_eq!(b.look(&store, begin), Step::StandBy);
        assert_eq!(b.look(&store, begin + early), Step::StandBy);
        assert!(matches!(b.look(&store, begin + late), Step::Write { .. }));
    }
    // The largest number there is: the next term has it too, rather than none.
    store.edit(|record| (record.holder, record.epoch) = (String::new(), MOST_EPOCH));
    b.turn(&mut store, 3_000);
    assert_eq!(b.epoch(), Some(MOST_EPOCH));
}
