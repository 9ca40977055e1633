//! The published method's numbers: every vector of `tests/data/verdict_vectors.json` comes out of the public functions, to a
//! millionth part.
//!
//! The vectors were computed independently of this program. A vector without a function here is an error.

use serde_json::Value;
use tidegate::{
    api::ErrorBudget,
    stats::{
        BettingTest, Birth, BudgetFold, BudgetTerms, Cells, Counts, DifferenceBounds, Fold, GaugeTest, Margin,
        MarginTest, Overdispersion, RatioBounds, Reading, Restarts, Window, gauge_log_evidence, increments,
        margin_log_evidence, mean_half_width, quantile_bounds, rate_bounds, rate_log_evidence,
        sample_ratio_log_evidence, slo_log_evidence, slots,
    },
};

const TOLERANCE: f64 = 1e-6;

/// What came out and what should have; None is "no number".
struct Pair {
    at: String,
    got: Option<f64>,
    wanted: Option<f64>,
}

impl Pair {
    fn new(at: impl Into<String>, got: f64, wanted: f64) -> Self {
        Self { at: at.into(), got: Some(got), wanted: Some(wanted) }
    }

    fn agrees(&self) -> bool {
        match (self.got, self.wanted) {
            (Some(got), Some(wanted)) => got == wanted || (got - wanted).abs() <= TOLERANCE * wanted.abs(),
            (got, wanted) => got == wanted,
        }
    }
}

/// The pairs of one vector; the second argument is the whole file.
type Check = fn(&Value, &Value) -> Vec<Pair>;

fn check_of(vector: &str) -> Option<Check> {
    Some(match vector {
        "V1" => one_window,
        "V2" | "V2b" => fail_stream,
        "V2c" => fail_stream_with_its_parts,
        "V3" => pass_stream,
        "V4" => objective,
        "V5" => rate,
        "V6" => difference,
        "V7" => ratio,
        "V8" => sample_ratio,
        "V9" => gauge,
        "V10" => betting,
        "V11" => mean,
        "V12" => quantiles,
        "V15" => spend,
        "V17" => overdispersion,
        "V18" => counter_increments,
        _ => return None,
    })
}

#[test]
fn every_vector_comes_out() {
    let file: Value = serde_json::from_str(include_str!("data/verdict_vectors.json")).unwrap();
    let vectors = file.as_object().unwrap();
    assert_eq!(vectors.len(), 17, "a vector is missing from the file");
    let mut wrong = Vec::new();
    for (name, vector) in vectors {
        let check = check_of(name).unwrap_or_else(|| panic!("{name} has no function"));
        let pairs = check(vector, &file);
        assert!(!pairs.is_empty(), "{name} compares nothing");
        let off = pairs.iter().filter(|pair| !pair.agrees());
        wrong.extend(off.map(|Pair { at, got, wanted }| format!("{name} {at}: {got:?}, not {wanted:?}")));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// A number of the file; null is infinity.
fn number(value: &Value) -> f64 {
    if value.is_null() { f64::INFINITY } else { value.as_f64().unwrap_or_else(|| panic!("{value} is no number")) }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

fn counts(bad: &Value, total: &Value) -> Counts {
    Counts { bad: number(bad), total: number(total) }
}

fn windows(vector: &Value) -> Vec<(Counts, Counts)> {
    list(&vector["windows"]).iter().map(|row| (counts(&row[0], &row[1]), counts(&row[2], &row[3]))).collect()
}

fn each(at: &str, got: &[f64], wanted: &Value) -> Vec<Pair> {
    let wanted = numbers(wanted);
    assert_eq!(got.len(), wanted.len(), "{at}");
    got.iter()
        .zip(wanted)
        .enumerate()
        .map(|(k, (got, wanted))| Pair::new(format!("{at} {}", k + 1), *got, wanted))
        .collect()
}

/// One pair for each row.
fn rows(vector: &Value, key: &str, got: impl Fn(&Value) -> f64) -> Vec<Pair> {
    list(&vector["rows"]).iter().map(|row| Pair::new(format!("{key} {row}"), got(row), number(&row[key]))).collect()
}

fn margin(vector: &Value) -> Margin {
    Margin { ratio: number(&vector["ratio"]), absolute: number(&vector["absolute"]) }
}

fn one_window(vector: &Value, _: &Value) -> Vec<Pair> {
    rows(vector, "log_e", |row| {
        let margin = Margin { ratio: number(&row["r"]), absolute: number(&row["D"]) };
        let (canary, control) = (counts(&row["xc"], &row["nc"]), counts(&row["xs"], &row["ns"]));
        margin_log_evidence(canary, control, number(&row["ratio"]), margin, number(&row["phi"]))
    })
}

fn folded(mut test: MarginTest, vector: &Value) -> (MarginTest, Vec<f64>) {
    let phi = number(&vector["phi"]);
    let evidence = windows(vector).iter().map(|(canary, control)| test.absorb(*canary, *control, phi)).collect();
    (test, evidence)
}

fn fail_test(vector: &Value) -> MarginTest {
    let restarts = Restarts {
        horizon_windows: number(&vector["horizon_windows"]),
        confirm_windows: number(&vector["confirm"]) as u32,
        reserve: number(&vector["reserve"]),
    };
    MarginTest::fail(margin(vector), number(&vector["alpha"]), restarts)
}

fn fail_stream(vector: &Value, _: &Value) -> Vec<Pair> {
    each("window", &folded(fail_test(vector), vector).1, &vector["evidence"])
}

fn fail_stream_with_its_parts(vector: &Value, _: &Value) -> Vec<Pair> {
    let (test, evidence) = folded(fail_test(vector), vector);
    let (masses, left) = test.parts();
    let mut pairs = each("window", &evidence, &vector["evidence"]);
    pairs.extend(each("alternative", &masses, &vector["masses"]));
    pairs.push(Pair::new("reserve", left, number(&vector["left"])));
    pairs
}

fn pass_stream(vector: &Value, _: &Value) -> Vec<Pair> {
    let test = MarginTest::pass(margin(vector), number(&vector["beta"]));
    each("window", &folded(test, vector).1, &vector["evidence"])
}

fn objective(vector: &Value, _: &Value) -> Vec<Pair> {
    rows(vector, "log_e", |row| slo_log_evidence(counts(&row["x"], &row["n"]), number(&row["p0"])))
}

fn rate(vector: &Value, _: &Value) -> Vec<Pair> {
    let arm = |row: &Value| counts(&row["x"], &row["n"]);
    let bounds = |row: &Value| rate_bounds(arm(row), number(&row["alpha"]));
    let lower = rows(vector, "lo", |row| bounds(row).0);
    let upper = rows(vector, "hi", |row| bounds(row).1);
    let evidence = rows(vector, "log_e_at_0_01", |row| rate_log_evidence(arm(row), 0.01));
    [lower, upper, evidence].into_iter().flatten().collect()
}

fn difference(vector: &Value, file: &Value) -> Vec<Pair> {
    let mut bounds = DifferenceBounds::default();
    windows(&file["V2"]).iter().for_each(|(canary, control)| bounds.absorb(*canary, *control, 1.0));
    let alpha = number(&vector["alpha"]);
    let mut pairs = vec![
        Pair::new("lower", bounds.lower(alpha), number(&vector["lower"])),
        Pair::new("upper", bounds.upper(alpha), number(&vector["upper"])),
    ];
    let (above, _) = bounds.sums();
    pairs.extend(each("S", &above.gain, &vector["gain"]));
    pairs.extend(each("V", &above.cost, &vector["cost"]));
    pairs
}

fn ratio(vector: &Value, file: &Value) -> Vec<Pair> {
    let mut bounds = RatioBounds::default();
    windows(&file["V2"]).iter().for_each(|(canary, control)| bounds.absorb(*canary, *control, 1.0));
    let (lower, upper) = bounds.bounds(number(&vector["alpha"]));
    vec![
        Pair::new("lower", lower, number(&vector["lower"])),
        Pair::new("upper", upper, number(&vector["upper"])),
        Pair::new("at 1", bounds.log_evidence_of_a_difference(), number(&vector["log_e_at_1"])),
    ]
}

fn sample_ratio(vector: &Value, _: &Value) -> Vec<Pair> {
    rows(vector, "log_e", |row| {
        let (seen, shares) = (numbers(&row["counts"]), numbers(&row["theta0"]));
        sample_ratio_log_evidence(&seen, &shares, number(&row["k"]), number(&row["tol"]))
    })
}

fn gauge(vector: &Value, _: &Value) -> Vec<Pair> {
    let sums = |row: &Value| gauge_log_evidence(number(&row["S"]), number(&row["V"]), number(&row["rho"]));
    let mut test = GaugeTest::new(number(&vector["rho"]), 0.0);
    let stream: Vec<f64> = numbers(&vector["stream"]).iter().map(|value| test.absorb_difference(*value)).collect();
    let mut pairs = rows(vector, "log_e", sums);
    pairs.extend(each("block", &stream, &vector["log_e"]));
    pairs
}

fn betting(vector: &Value, _: &Value) -> Vec<Pair> {
    let mut test = BettingTest::new(number(&vector["limit"]));
    let evidence: Vec<f64> = numbers(&vector["values"]).iter().map(|value| test.absorb(*value)).collect();
    each("value", &evidence, &vector["evidence"])
}

fn mean(vector: &Value, _: &Value) -> Vec<Pair> {
    rows(vector, "hw", |row| {
        mean_half_width(number(&row["n"]), number(&row["sd"]), number(&row["rho2"]), number(&row["alpha"]))
    })
}

fn quantiles(vector: &Value, _: &Value) -> Vec<Pair> {
    let (edges, cumulative) = (numbers(&vector["edges"]), numbers(&vector["cumulative"]));
    let bounds = |row: &Value| quantile_bounds(&edges, &cumulative, number(&row["quantile"]), number(&vector["alpha"]));
    let lower = rows(vector, "lower", |row| bounds(row).0);
    let upper = rows(vector, "upper", |row| bounds(row).1);
    lower.into_iter().chain(upper).collect()
}

fn spend(vector: &Value, file: &Value) -> Vec<Pair> {
    let mut fold = BudgetFold::default();
    for (end, (canary, control)) in (5..).step_by(5).zip(windows(&file["V2"])) {
        fold.absorb(&Window { start: end - 5, end, canary, control });
    }
    let spending = fold.spending();
    let objective = vector["objective"].to_string().parse().unwrap();
    let budget = ErrorBudget { objective, max_spend: Some("100".parse().unwrap()), ..ErrorBudget::default() };
    let whole = BudgetTerms::new(&budget, number(&vector["requests"]) as u64, false).allowance().requests() as f64;
    vec![
        Pair::new("gross", spending.gross, number(&vector["gross"])),
        Pair::new("excess", spending.excess, number(&vector["excess"])),
        Pair::new("gross fraction", spending.gross / whole, number(&vector["gross_fraction"])),
        Pair::new("excess fraction", spending.excess / whole, number(&vector["excess_fraction"])),
    ]
}

fn overdispersion(vector: &Value, _: &Value) -> Vec<Pair> {
    let mut dispersion = Overdispersion::default();
    for block in list(&vector["blocks"]) {
        dispersion.absorb(counts(&block[0], &block[1]), counts(&block[2], &block[3]));
    }
    vec![Pair::new("phi", dispersion.estimate(), number(&vector["phi"]))]
}

/// Scrapes are 10 s apart; the increments by the scrape at which they end.
fn counter_increments(vector: &Value, _: &Value) -> Vec<Pair> {
    let at = |index: usize| index as i64 * 10_000;
    let mut pairs = Vec::new();
    for row in list(&vector["rows"]) {
        let birth = if row["birth"] == "zero" { Birth::Zero { since_ms: 0 } } else { Birth::Unknown };
        let given = list(&row["samples"]).iter().enumerate().filter(|(_, sample)| !sample.is_null());
        let samples: Vec<_> = given.map(|(k, sample)| (at(k), sample.as_f64().unwrap_or(f64::NAN))).collect();
        let found = increments(&samples, birth);
        for (k, wanted) in list(&row["increments"]).iter().enumerate() {
            let got = found.iter().find(|increment| increment.at_ms == at(k + 1)).map(|increment| increment.value);
            pairs.push(Pair { at: format!("{} {}", row["case"], k + 1), got, wanted: wanted.as_f64() });
        }
    }
    let absent = &vector["absent"];
    let grown = |samples: &Value| {
        let samples: Vec<_> = numbers(samples).into_iter().enumerate().map(|(k, value)| (at(k), value)).collect();
        increments(&samples, Birth::Unknown)
    };
    let arm = Reading {
        bad: grown(&absent["bad"]),
        total: grown(&absent["total"]),
        sampled_ms: vec![at(0), at(1)],
        scraped_ms: vec![at(0), at(1)],
        ..Reading::default()
    };
    let side = slots(&arm, &arm, &Cells { window: 10, from: 0, to: 10, changed_at: 0 })[0].canary;
    let known = side.present.then_some(side.counts);
    let pair = |key: &str, got: Option<f64>| Pair { at: format!("absent {key}"), got, wanted: absent[key].as_f64() };
    pairs.extend([pair("x", known.map(|counts| counts.bad)), pair("n", known.map(|counts| counts.total))]);
    pairs
}
