//! How fast a service burns its error budget, over a long and a short time together as alerts that page people look at it, and what
//! is left of it.
//!
//! Accounting, no inference (verdicts, section 4): it says that the service is in trouble, and blames no revision.

use crate::api::{Percent, Span};

/// Bad requests below which nothing is held, as below the least allowance of a release: of a quiet service one or two unlucky
/// requests are a large part, and say little.
const LEAST_BAD: f64 = 10.0;

/// A speed at which somebody is paged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Page {
    /// As a multiple of the speed that spends the budget just in its window.
    pub speed: f64,
    /// It matters.
    pub long: Span,
    /// It still goes on.
    pub short: Span,
}

/// Those that page by "Alerting on SLOs" in the Site Reliability Workbook: 2 % of 30 days' budget in an hour, and 5 % in six. Its
/// third, 10 % in three days, makes a ticket, and would hold releases for days.
pub const PAGES: [Page; 2] = [
    Page { speed: 14.4, long: Span::minutes(60), short: Span::minutes(5) },
    Page { speed: 6.0, long: Span::minutes(360), short: Span::minutes(30) },
];

/// Requests of a time, and the bad ones among them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Requests {
    pub all: f64,
    pub bad: f64,
}

impl Requests {
    /// The bad part as a multiple of what the objective allows. Nobody's requests are not bad.
    fn speed(self, objective: Percent) -> f64 {
        if self.all > 0.0 { self.bad / self.all / objective.rest().ratio() } else { 0.0 }
    }
}

/// What was measured of a service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Burn {
    /// For each of `PAGES`: over its long time, and over its short one.
    pub pages: [[Requests; 2]; 2],
    /// Over the budget's window, of the requests that are expected in it; None: not asked.
    pub spent: Option<Requests>,
}

impl Burn {
    /// The page that fires, as a sentence about the service.
    pub fn page(&self, objective: Percent) -> Option<String> {
        PAGES.iter().zip(&self.pages).find_map(|(page, [long, short])| {
            let [of_long, of_short] = [long, short].map(|requests| requests.speed(objective));
            let fires = of_long >= page.speed && of_short >= page.speed && long.bad >= LEAST_BAD;
            fires.then(|| {
                format!(
                    "burns its error budget {} times as fast as the objective of {objective} % allows over {} and {} times \
                     over {}, which pages from {} on",
                    times(of_long),
                    page.long,
                    times(of_short),
                    page.short,
                    page.speed
                )
            })
        })
    }

    /// What is left, as a sentence about the service, if it is less than this part of the budget.
    pub fn shortage(&self, objective: Percent, least: Percent) -> Option<String> {
        let spent = self.spent.filter(|spent| spent.bad >= LEAST_BAD)?;
        let left = 1.0 - spent.speed(objective);
        (left < least.ratio()).then(|| {
            let left = if left > 0.0 { format!("{:.1} %", left * 100.0) } else { "nothing".to_owned() };
            format!("has {left} left of its error budget, {least} % at least is needed")
        })
    }
}

/// For people: 7.5, 500.
fn times(speed: f64) -> String {
    if speed < 100.0 { format!("{speed:.1}") } else { format!("{speed:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTIVE: Percent = Percent::whole(99);

    /// Of 10,000 requests each these speeds.
    fn burn(speeds: [f64; 4]) -> Burn {
        let [long, short, longer, less_short] = speeds.map(|speed| Requests { all: 10_000.0, bad: 100.0 * speed });
        Burn { pages: [[long, short], [longer, less_short]], spent: None }
    }

    #[test]
    fn a_page_fires_when_both_of_its_times_are_at_its_speed() {
        for (speeds, expected) in [
            (
                [14.41, 14.41, 0.0, 0.0],
                "14.4 times as fast as the objective of 99 % allows over 1h and 14.4 times over 5m, which pages from 14.4 on",
            ),
            ([20.0, 14.3, 5.9, 30.0], ""),
            (
                [14.3, 99.0, 6.01, 6.64],
                "6.0 times as fast as the objective of 99 % allows over 6h and 6.6 times over 30m, which pages from 6 on",
            ),
            ([0.0, 0.0, 7.0, 5.9], ""),
        ] {
            let said = burn(speeds).page(OBJECTIVE).unwrap_or_default();
            assert!(said.ends_with(expected) && said.is_empty() == expected.is_empty(), "{said}");
        }
    }

    #[test]
    fn no_request_and_a_handful_of_bad_ones_page_nobody() {
        assert_eq!(Burn::default().page(OBJECTIVE), None);
        for (bad, pages) in [(9.0, false), (10.0, true)] {
            let few = Requests { all: 20.0, bad };
            let burn = Burn { pages: [[few, few], [Requests::default(); 2]], spent: Some(few) };
            assert_eq!(burn.page(OBJECTIVE).is_some(), pages, "{bad}");
            assert_eq!(burn.shortage(OBJECTIVE, Percent::ZERO).is_some(), pages, "{bad}");
        }
    }

    #[test]
    fn what_is_left_is_compared_with_the_least_part() {
        let spent = |bad: f64| Burn { spent: Some(Requests { all: 100_000.0, bad }), ..Burn::default() };
        for (bad, least, expected) in [
            (900.0, 10, None),
            (901.0, 10, Some("has 9.9 % left of its error budget, 10 % at least is needed")),
            (1_000.0, 0, None),
            (1_001.0, 0, Some("has nothing left of its error budget, 0 % at least is needed")),
        ] {
            assert_eq!(spent(bad).shortage(OBJECTIVE, Percent::whole(least)).as_deref(), expected, "{bad}");
        }
        assert_eq!(Burn::default().shortage(OBJECTIVE, Percent::whole(50)), None, "it was not asked");
    }
}
