//! The exposure curve: the canary's weight over time as stairs, with text only.
//!
//! Time is to scale as far as every bake can be seen; weights are evenly spaced, so that 1 and 5 % can be told apart. Waits,
//! gates and the end of a run are not in it.

use super::{age::length, paragraph::WIDTH};
use crate::{
    api::Percent,
    plan::{Forecast, Stage},
};

/// Rows at most: with more weights than this a row stands for a tenth of the traffic.
const MOST_ROWS: usize = 10;
/// Columns that a bake has at least, if there is room for all.
const LEAST_COLUMNS: usize = 2;

/// A time at one weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub weight: Percent,
    pub begins_millis: u64,
    pub millis: u64,
    pub is_soak: bool,
}

/// The curve of a plan and what has to be known to read it; nothing, if no stage takes any time.
pub fn curve(forecast: &Forecast) -> Vec<String> {
    let stretch = |stage: &Stage| Stretch {
        weight: stage.weight,
        begins_millis: stage.begins.as_millis(),
        millis: stage.bake.as_millis(),
        is_soak: stage.step.is_none(),
    };
    let all: Vec<Stretch> = forecast.stages.iter().map(stretch).collect();
    drawn(&all)
}

/// The same of any stretches, one after the other. Those that take no time only say where the curve ends.
pub fn drawn(all: &[Stretch]) -> Vec<String> {
    let stretches: Vec<&Stretch> = all.iter().filter(|stretch| stretch.millis > 0).collect();
    if stretches.is_empty() {
        return Vec::new();
    }
    let labels = labels(all);
    let label_width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let plot_width = WIDTH - label_width - 2;
    let widths = widths(&stretches, plot_width - 1);
    let mut canvas = vec![vec![' '; plot_width]; labels.len()];
    let mut ends = vec![0];
    let mut before = labels.len();
    for (stretch, width) in stretches.iter().zip(&widths) {
        let begin = ends.last().copied().unwrap_or(0);
        let row = row(stretch.weight, &labels);
        draw_stretch(&mut canvas, stretch, (begin, begin + width), (before, row));
        before = row;
        ends.push(begin + width);
    }
    if let Some(last) = all.last() {
        draw_edge(&mut canvas, plot_width - 1, (before, row(last.weight, &labels)), '┌');
    }
    let mut lines: Vec<String> = labels
        .iter()
        .zip(&canvas)
        .map(|(label, cells)| {
            let cells: String = cells.iter().collect();
            format!("{label:>label_width$} ┤{cells}").trim_end().to_owned()
        })
        .collect();
    lines.extend(axis(&stretches, &ends, label_width, plot_width));
    lines
}

/// The row of each label, highest weight first.
fn labels(stretches: &[Stretch]) -> Vec<String> {
    let mut weights: Vec<Percent> = stretches.iter().map(|stretch| stretch.weight).collect();
    weights.sort_unstable();
    weights.dedup();
    if weights.len() > MOST_ROWS {
        weights = (1..=10).map(|tenth| Percent::whole(10 * tenth)).collect();
    }
    weights.iter().rev().map(|weight| format!("{weight} %")).collect()
}

/// The lowest row that is not below the weight.
fn row(weight: Percent, labels: &[String]) -> usize {
    let of = |label: &String| label.trim_end_matches(" %").parse::<Percent>().unwrap_or(Percent::FULL);
    labels.iter().rposition(|label| of(label) >= weight).unwrap_or(0)
}

/// Columns of each stretch, `whole` in all: in proportion, but none invisible.
fn widths(stretches: &[&Stretch], whole: usize) -> Vec<usize> {
    let total: u64 = stretches.iter().map(|stretch| stretch.millis).sum();
    let least = if stretches.len() * LEAST_COLUMNS * 2 <= whole { LEAST_COLUMNS } else { 1 };
    let share = |stretch: &&Stretch| {
        let exact = stretch.millis as f64 / total as f64 * whole as f64;
        (exact.round() as usize).max(least)
    };
    let mut widths: Vec<usize> = stretches.iter().map(share).collect();
    // What rounding has given or taken, the widest one bears.
    loop {
        let sum: usize = widths.iter().sum();
        let Some(widest) = (0..widths.len()).max_by_key(|index| widths[*index]) else { return widths };
        match sum.cmp(&whole) {
            std::cmp::Ordering::Less => widths[widest] += whole - sum,
            std::cmp::Ordering::Greater if widths[widest] > least => widths[widest] -= 1,
            std::cmp::Ordering::Greater | std::cmp::Ordering::Equal => return widths,
        }
    }
}

/// From the row before to its own, then along to the end.
fn draw_stretch(canvas: &mut [Vec<char>], stretch: &Stretch, (begin, end): (usize, usize), rows: (usize, usize)) {
    let (along, corner) = if stretch.is_soak { ('═', '╒') } else { ('─', '┌') };
    let (_, row) = rows;
    for column in begin..=end {
        put(canvas, row, column, along);
    }
    if begin > 0 {
        draw_edge(canvas, begin, rows, corner);
    }
    let word = " soak ";
    if stretch.is_soak && end - begin > word.len() + 3 {
        let from = begin + (end - begin - word.len()) / 2;
        for (offset, letter) in word.chars().enumerate() {
            put(canvas, row, from + offset, letter);
        }
    }
}

/// Up or down from a row to another one; `corner` is where a rise ends.
fn draw_edge(canvas: &mut [Vec<char>], column: usize, (from, to): (usize, usize), corner: char) {
    let (leaves, arrives) = match from.cmp(&to) {
        std::cmp::Ordering::Greater => ('┘', corner),
        std::cmp::Ordering::Less => ('┐', '└'),
        std::cmp::Ordering::Equal => return,
    };
    put(canvas, to, column, arrives);
    for between in from.min(to) + 1..from.max(to) {
        put(canvas, between, column, '│');
    }
    put(canvas, from, column, leaves);
}

fn put(canvas: &mut [Vec<char>], row: usize, column: usize, cell: char) {
    if let Some(place) = canvas.get_mut(row).and_then(|cells| cells.get_mut(column)) {
        *place = cell;
    }
}

/// The time axis with a tick at the end of each stretch, and the times where there is room, the last one always.
fn axis(stretches: &[&Stretch], ends: &[usize], label_width: usize, plot_width: usize) -> Vec<String> {
    let mut ticks = vec!['─'; plot_width];
    let mut times = vec![' '; plot_width + label_width + 2];
    let offset = label_width + 2;
    let begin = |index: usize| match stretches.get(index) {
        Some(stretch) => stretch.begins_millis,
        None => stretches.last().map_or(0, |last| last.begins_millis + last.millis),
    };
    let last = ends.len() - 1;
    let last_text = length(begin(last));
    let last_from = offset + ends[last] + 1 - last_text.chars().count();
    let mut free = 0;
    for (index, column) in ends.iter().enumerate() {
        if let Some(tick) = ticks.get_mut(*column) {
            *tick = if index == last { '┘' } else { '┬' };
        }
        let text = if index == last { last_text.clone() } else { length(begin(index)) };
        let from = if index == last { last_from } else { offset + column };
        let fits = index == last || (from >= free && from + text.chars().count() < last_from);
        if fits {
            times[from..from + text.chars().count()].iter_mut().zip(text.chars()).for_each(|(cell, one)| *cell = one);
            free = from + text.chars().count() + 1;
        }
    }
    let ticks: String = ticks.iter().take(ends[last] + 1).collect();
    let times: String = times.into_iter().collect();
    vec![format!("{:label_width$} └{ticks}", ""), times.trim_end().to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{OnInsufficientEvidence, Plan, PlanStep, Span},
        plan::{Load, Question, forecast},
    };

    fn drawn(steps: &[(u32, u64)], soak_seconds: u64) -> Vec<String> {
        let step = |&(weight, bake): &(u32, u64)| PlanStep {
            weight: Percent::from_thousandths(weight),
            bake: Span::seconds(bake),
            ..PlanStep::default()
        };
        let question = Question {
            plan: Plan { steps: steps.iter().map(step).collect(), soak: Span::seconds(soak_seconds), known: false },
            is_routed: true,
            has_baseline: false,
            warm: Span::seconds(5),
            drain: Span::seconds(15),
            is_compared: true,
            budget: None,
            on_insufficient_evidence: OnInsufficientEvidence::Promote,
            judging: Default::default(),
            load: Load { requests_per_second: 40.0, error_ratio: 0.001, overdispersion: 1.0 },
            scrape_interval: Span::seconds(15),
        };
        curve(&forecast(&question))
    }

    #[test]
    fn stairs_rise_to_scale_and_end_with_the_plan() {
        assert_eq!(
            drawn(&[(10_000, 60), (50_000, 180), (100_000, 0)], 240),
            [
                "100 % ┤                                   ╒════════════ soak ═══════════════",
                " 50 % ┤         ┌─────────────────────────┘",
                " 10 % ┤─────────┘",
                "      └┬────────┬─────────────────────────┬────────────────────────────────┘",
                "       0s       1m                        4m                              8m",
            ]
        );
        assert_eq!(drawn(&[(100_000, 0)], 0), Vec::<String>::new());
    }

    #[test]
    fn no_curve_is_too_wide_and_no_stage_invisible() {
        let many: Vec<(u32, u64)> = (1..=50).map(|step| (step * 1_999, 60)).chain([(100_000, 0)]).collect();
        let tiny = [(1, 60), (12, 60), (99_999, 60), (100_000, 1)];
        for (name, lines) in [
            ("many", drawn(&many, 86_400)),
            ("tiny", drawn(&tiny, 40_000_000)),
            ("equal", drawn(&[(10_000, 60), (10_000, 60), (100_000, 0)], 0)),
        ] {
            assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{name}: {lines:#?}");
            assert!(lines.len() <= MOST_ROWS + 2, "{name}: {lines:#?}");
        }
        let lines = drawn(&tiny, 40_000_000);
        assert_eq!(lines[4].chars().filter(|cell| "┬┘".contains(*cell)).count(), 6, "{lines:#?}");
    }
}
