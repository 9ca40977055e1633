//! The bad requests of a service over some times, from a fake metrics server.

use futures::FutureExt;

use super::{fake::Fake, *};
use crate::{
    api::RatioMetric,
    stats::{Burn, Requests},
};

const ALL: &str = "(-[bcdfghjklmnpqrstvwxz2456789]{10}(-baseline)?)?";

fn selector(counter: &str) -> String {
    format!("errors_{counter}{{c=~\"shop_checkout{ALL}_80\"}}")
}

/// Growth by counter and range: the text of the query is the key.
fn provider(values: &[(&str, u64, f64)]) -> Fake {
    let key = |(counter, seconds, _): &(&str, u64, f64)| format!("{}\n[{seconds}s]))", selector(counter));
    Fake { values: values.iter().map(|it| (key(it), vec![it.2])).collect(), ..Fake::default() }
}

/// 1,000 requests over each time, and these bad ones.
fn times(bad: [f64; 4]) -> Vec<(&'static str, u64, f64)> {
    let of = |(seconds, bad): (u64, f64)| [("all", seconds, 1_000.0), ("bad", seconds, bad)];
    [3_600, 300, 21_600, 1_800].into_iter().zip(bad).flat_map(of).collect()
}

fn question() -> BurnQuestion {
    BurnQuestion {
        service: Whole {
            namespace: "shop".into(),
            rollout: "checkout".into(),
            service: "checkout".into(),
            port: 80,
            revisions: vec!["def".into()],
        },
        metrics: vec![errors_metric("errors")],
        budget: ErrorBudget { objective: "99".parse().unwrap(), ..ErrorBudget::default() },
        asks_spent: false,
    }
}

fn asked(question: &BurnQuestion, provider: &Fake) -> Result<Burn, BurnError> {
    burn(question, provider, None, START).now_or_never().expect("a fake answers at once")
}

#[test]
fn the_requests_of_all_revisions_are_counted_over_both_times_of_each_page() {
    let found = asked(&question(), &provider(&times([200.0, 150.0, 10.0, 0.0]))).unwrap();
    let of = |bad: f64| Requests { all: 1_000.0, bad };
    assert_eq!(found, Burn { pages: [[of(200.0), of(150.0)], [of(10.0), of(0.0)]], spent: None });
    assert!(found.page("99".parse().unwrap()).unwrap().contains("20.0 times"));
}

#[test]
fn good_ones_count_the_other_way_and_without_any_nothing_is_known() {
    let mut question = question();
    let ratio = question.metrics[0].ratio.as_mut().unwrap();
    (ratio.good, ratio.bad) = (ratio.bad.take(), None);
    let found = asked(&question, &provider(&times([900.0, 1_000.0, 990.0, 1_001.0]))).unwrap();
    assert_eq!(found.pages.map(|page| page.map(|requests| requests.bad)), [[100.0, 0.0], [10.0, 0.0]]);
    let totals: Vec<_> = times([0.0; 4]).into_iter().filter(|(counter, ..)| *counter == "all").collect();
    let why = asked(&question, &provider(&totals)).unwrap_err().to_string();
    assert!(why.starts_with("metric errors: the metrics server has no samples over 1h of errors_bad{"), "{why}");
}

#[test]
fn what_is_spent_is_asked_on_demand_and_not_again_if_it_is_known() {
    let month = |bad: f64| {
        let mut values = times([0.0; 4]);
        values.extend([("all", 2_592_000, 50_000.0), ("bad", 2_592_000, bad)]);
        provider(&values)
    };
    let asks = BurnQuestion { asks_spent: true, ..question() };
    assert_eq!(asked(&asks, &month(250.0)).unwrap().spent, Some(Requests { all: 50_000.0, bad: 250.0 }));
    assert_eq!(asked(&question(), &month(250.0)).unwrap().spent, None);
    let known = Some(Requests { all: 1.0, bad: 1.0 });
    let server = month(250.0);
    assert_eq!(burn(&asks, &server, known, START).now_or_never().unwrap().unwrap().spent, known);
    assert!(server.asked.lock().unwrap().iter().all(|query| !query.contains("[2592000s]")));
}

#[test]
fn the_expected_requests_are_the_budgets_and_of_a_longer_window_than_is_read_its_part() {
    for (window, expected, all) in
        [(720, Some(100_000), 100_000.0), (1_440, Some(100_000), 50_000.0), (1_440, None, 9.0)]
    {
        let window = Some(Span::minutes(window * 60));
        let mut asks = BurnQuestion { asks_spent: true, ..question() };
        (asks.budget.window, asks.budget.expected_requests) = (window, expected);
        let mut values = times([0.0; 4]);
        values.extend([("all", 2_592_000, 9.0), ("bad", 2_592_000, 2.0)]);
        assert_eq!(asked(&asks, &provider(&values)).unwrap().spent, Some(Requests { all, bad: 2.0 }), "{window:?}");
    }
}

#[test]
fn no_failure_yet_is_none_and_no_counters_at_all_are_no_answer() {
    let totals: Vec<_> = times([0.0; 4]).into_iter().filter(|(counter, ..)| *counter == "all").collect();
    let found = asked(&question(), &provider(&totals)).unwrap();
    assert_eq!(found.pages[0][0], Requests { all: 1_000.0, bad: 0.0 });
    let why = asked(&question(), &Fake::default()).unwrap_err().to_string();
    let said = "metric errors: the metrics server has no samples over 1h of errors_all{c=~\"shop_checkout(-";
    assert!(why.starts_with(said), "{why}");
    let away = Fake { faults: vec![("errors_all", WhyNot::TimedOut)], ..Fake::default() };
    let why = asked(&question(), &away).unwrap_err().to_string();
    assert_eq!(why, "metric errors: the metrics server did not answer in time");
}

#[test]
fn a_service_that_nobody_has_called_yet_burns_nothing_if_its_proxies_are_scraped() {
    let mut server = Fake::default();
    server.values.insert("group by (job, instance) (errors_all)".into(), vec![1.0]);
    assert_eq!(asked(&question(), &server).unwrap(), Burn::default());
    // Its counters are there, and were not five minutes ago: what they had counted by then is not known.
    server.values.insert(format!("group ({})", selector("all")), vec![1.0]);
    assert!(matches!(asked(&question(), &server), Err(BurnError::NoSamples { .. })));
}

#[test]
fn pods_that_are_scraped_and_have_no_counters_yet_have_had_no_requests() {
    let pods = r#"errors_all{namespace="{{ namespace }}",pod=~"{{ pods }}"}"#;
    let ratio = RatioMetric { total: pods.into(), bad: Some(pods.replace("all", "bad")), good: None };
    let metrics = vec![Metric { name: "errors".into(), ratio: Some(ratio), ..Metric::default() }];
    let question = BurnQuestion { metrics, ..question() };
    for (up, is_known) in [(Some(1.0), true), (Some(0.0), false), (None, false)] {
        let mut server = Fake::default();
        server.values.extend(up.map(|up| ("up{namespace=\"shop\",pod=~\"checkout-".to_owned(), vec![up])));
        assert_eq!(asked(&question, &server).is_ok(), is_known, "{up:?}");
    }
}

#[test]
fn a_metric_that_cannot_be_asked_for_all_revisions_is_named() {
    let mut question = question();
    let ratio = question.metrics[0].ratio.as_mut().unwrap();
    ratio.total = r#"errors_all{r!="{{ revision }}"}"#.into();
    let why = asked(&question, &Fake::default()).unwrap_err().to_string();
    assert!(why.starts_with("metric errors: label r rules a revision out"), "{why}");
    let none = BurnQuestion { metrics: Vec::new(), ..question };
    assert_eq!(asked(&none, &Fake::default()), Err(BurnError::NoMetric));
}
