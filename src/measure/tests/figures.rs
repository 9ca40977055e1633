//! The traffic before a run, from a fake metrics server.

use futures::FutureExt;

use super::{fake::Fake, *};

const WINDOW: Span = Span::minutes(720 * 60);

/// Growth by selector, range and offset: the text of the query is the key.
fn provider(values: &[(&str, &str, f64)]) -> Fake {
    let key = |(counter, range, _): &(&str, &str, f64)| format!("{counter}{{c=\"{CONTROL}\"}}\n{range}))");
    Fake { values: values.iter().map(|it| (key(it), vec![it.2])).collect(), ..Fake::default() }
}

fn asked(order: &Order, provider: &Fake) -> Result<Figures, FiguresError> {
    figures(order, provider, WINDOW, START).now_or_never().unwrap()
}

#[test]
fn the_rate_and_the_errors_are_those_of_the_last_hour() {
    let provider = provider(&[
        ("errors_all", "[300s] offset 3300s", 12_000.0),
        ("errors_all", "[3600s]", 144_000.0),
        ("errors_bad", "[3600s]", 144.0),
        ("errors_all", "[300s]", 12_000.0),
    ]);
    let found = asked(&order(), &provider).unwrap();
    assert_eq!((found.requests_per_second, found.over), (40.0, Span::seconds(3_600)));
    assert!((found.error_ratio - 0.001).abs() < 1e-12);
    assert_eq!(found.expected, (103_680_000, true));
}

#[test]
fn of_young_counters_the_present_is_taken_and_no_error_is_none() {
    let found = asked(&order(), &provider(&[("errors_all", "[300s]", 1_500.0)])).unwrap();
    let expected =
        Figures { requests_per_second: 5.0, error_ratio: 0.0, over: Span::seconds(300), expected: (12_960_000, true) };
    assert_eq!(found, expected);
}

#[test]
fn the_metric_of_the_budget_is_asked_and_good_ones_count_the_other_way() {
    let mut named = errors_metric("named");
    let ratio = named.ratio.as_mut().unwrap();
    ratio.good = ratio.bad.take();
    let budget = Some(ErrorBudget { metric: Some("named".into()), ..demo_budget() });
    let order = Order { metrics: vec![errors_metric("errors"), named], budget, ..order() };
    let provider = provider(&[("named_all", "[300s]", 1_000.0), ("named_bad", "[300s]", 990.0)]);
    assert!((asked(&order, &provider).unwrap().error_ratio - 0.01).abs() < 1e-12);
}

#[test]
fn without_an_answer_the_reason_names_the_metric() {
    let nothing = asked(&order(), &Fake::default()).unwrap_err();
    assert_eq!(
        nothing.to_string(),
        "metric errors: the metrics server has no requests of the last hour for errors_all{c=\"shop_checkout_80\"}"
    );
    let away = Fake { faults: vec![("errors_all", WhyNot::TimedOut)], ..Fake::default() };
    assert_eq!(
        asked(&order(), &away).unwrap_err().to_string(),
        "metric errors: the metrics server did not answer in time"
    );
    let none = Order { metrics: Vec::new(), ..order() };
    assert_eq!(asked(&none, &Fake::default()).unwrap_err(), FiguresError::NoMetric);
}
