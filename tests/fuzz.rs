//! Foreign input of every kind, given to each parser that meets it: nothing panics, nothing hangs, and what is promised of any input
//! holds.
//!
//! A target is a function of bytes (`tests/fuzz/targets.rs`), so that a coverage-guided fuzzer can call it too. Here its inputs
//! are a corpus and mutations of it, drawn from a seed. `FUZZ_RUNS=n` for each target (`make fuzz`), `FUZZ_SEED=n` for another
//! sequence; an input that fails is printed whole.

#[path = "fuzz/corpus.rs"]
mod corpus;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/routes.rs"]
mod routes;
#[path = "fuzz/targets.rs"]
mod targets;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::ChaCha8Rng};

/// No input may take longer, on a machine that is busy with other things.
const LONGEST: Duration = Duration::from_secs(20);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs a target over its corpus and `runs` mutations of it; the target says whether it understood an input.
fn fuzz(name: &str, target: fn(&[u8]) -> bool, corpus: &[Vec<u8>], runs: u64) {
    let seed = number("FUZZ_SEED", 1);
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let (mut understood, mut slowest) = (0, Duration::ZERO);
    let runs = number("FUZZ_RUNS", runs);
    let mutations = (0..runs).map(|_| mutate::mutate(corpus, &mut chance));
    for input in corpus.iter().cloned().chain(mutations) {
        let began = Instant::now();
        let found = catch_unwind(AssertUnwindSafe(|| target(&input)));
        slowest = slowest.max(began.elapsed());
        let shown = || String::from_utf8_lossy(&input).into_owned();
        match found {
            Ok(is_understood) => understood += u64::from(is_understood),
            Err(_) => panic!("{name}, FUZZ_SEED={seed}: this input fails: {}\n{input:?}", shown()),
        }
        assert!(slowest < LONGEST, "{name}, FUZZ_SEED={seed}: {slowest:?} for {}", shown());
    }
    let count = corpus.len() as u64 + runs;
    println!(
        "fuzz {name}: {count} inputs, {understood} understood, the slowest took {} ms, no panic",
        slowest.as_millis()
    );
    assert!(understood > 0 && understood < count, "{name}: the inputs are all of one kind");
}

#[test]
fn manifests_are_validated_and_planned() {
    fuzz("manifests", targets::manifest, &corpus::manifests(), 40);
}

#[test]
fn answers_of_a_metrics_server_are_judged() {
    fuzz("answers", targets::answer, &corpus::answers(), 60);
}

#[test]
fn routes_are_edited_and_given_back_as_they_were() {
    fuzz("routes", routes::route, &corpus::routes(), 1_000);
}

#[test]
fn queries_with_any_argument_keep_their_shape() {
    fuzz("queries", targets::query, &corpus::queries(), 2_000);
}

#[test]
fn numbers_with_units_are_read_and_written() {
    fuzz("numbers", targets::number, &corpus::numbers(), 5_000);
}

#[test]
fn records_of_runs_are_folded_again() {
    fuzz("records", targets::record, &corpus::records(), 150);
}

#[test]
fn recorded_windows_are_judged() {
    fuzz("windows", targets::windows, &corpus::windows(), 1_000);
}
