//! The flags of `tidegate verdict` and what they may be.
//!
//! Their doc comments are the help and the reference.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{
    api::Percent,
    cli::Failure,
    stats::{Margin, ReplayTerms, Restarts},
};

/// Parts of what the objective allows, for the absolute margins that are not given.
const FAIL_PART: f64 = 0.1;
const PASS_PART: f64 = 0.5;
const FAIL_RATIO: f64 = 1.1;
const PASS_RATIO: f64 = 1.5;

#[derive(Clone, Debug, Args)]
pub struct VerdictArguments {
    /// File of windows, one a line: {"xc":0,"nc":48,"xs":1,"ns":950} (canary bad, canary total, control bad, control total;
    /// null: missing); - is standard input
    #[arg(value_name = "FILE")]
    pub windows: PathBuf,
    /// Name of the metric in the answer
    #[arg(long, value_parser = one_line)]
    pub metric: Option<String>,
    /// Probability of a false Fail over the whole rollout, however often it is looked at
    #[arg(long, default_value = "0.01", value_parser = probability)]
    pub alpha: f64,
    /// The metric's part of alpha
    #[arg(long, default_value = "1", value_parser = part)]
    pub metric_weight: f64,
    /// Probability of a false Pass
    #[arg(long, default_value = "0.05", value_parser = probability)]
    pub beta: f64,
    /// Objective in percent of good requests, for the margins that are not given
    #[arg(long, default_value = "99.9", value_name = "PERCENT")]
    pub slo: Percent,
    /// A Fail proves that the canary's bad ratio is above RATIO times the control's plus ABS; default: 1.1 and a tenth of what
    /// the objective allows
    #[arg(long, value_name = "RATIO,ABS", value_parser = margin)]
    pub fail_margin: Option<Margin>,
    /// A Pass proves that it is below RATIO times the control's plus ABS; default: 1.5 and half of what the objective allows
    #[arg(long, value_name = "RATIO,ABS", value_parser = margin)]
    pub pass_margin: Option<Margin>,
    /// Windows over which three quarters of the reserve for late regressions are spread
    #[arg(long, default_value = "720", value_parser = clap::value_parser!(u32).range(1..))]
    pub horizon_windows: u32,
    /// Windows that a Fail needs at least
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub confirm: u32,
    /// Part of the prior that is kept for late regressions
    #[arg(long, default_value = "0.5", value_parser = probability)]
    pub reserve: f64,
    /// What evidence is divided by, because bad events come in clusters
    #[arg(long, default_value = "1", value_parser = at_least_one)]
    pub phi: f64,
    /// Form of the answer; default: a table of some windows, and the verdict in a sentence
    #[arg(short, long, value_enum)]
    pub output: Option<VerdictOutput>,
    /// The last line only
    #[arg(long)]
    pub summary: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VerdictOutput {
    /// One object for each window
    Json,
}

impl VerdictArguments {
    pub fn terms(&self) -> Result<ReplayTerms, Failure> {
        let allowed = self.slo.rest().ratio();
        let fail = self.fail_margin.unwrap_or(Margin { ratio: FAIL_RATIO, absolute: FAIL_PART * allowed });
        let pass = self.pass_margin.unwrap_or(Margin { ratio: PASS_RATIO, absolute: PASS_PART * allowed });
        if pass.ratio < fail.ratio || pass.absolute < fail.absolute {
            return Err(Failure::Margins { fail, pass });
        }
        let restarts = Restarts {
            horizon_windows: self.horizon_windows.into(),
            confirm_windows: self.confirm,
            reserve: self.reserve,
        };
        let Self { alpha, metric_weight: share, beta, phi, .. } = *self;
        Ok(ReplayTerms { alpha, share, beta, fail, pass, restarts, phi })
    }
}

fn number(text: &str, allowed: impl Fn(f64) -> bool, range: &str) -> Result<f64, String> {
    let number = text.trim().parse().ok().filter(|number: &f64| allowed(*number));
    number.ok_or_else(|| format!("must be a number {range}"))
}

/// A name that may be printed: a terminal obeys control characters.
fn one_line(text: &str) -> Result<String, String> {
    match text.chars().any(char::is_control) {
        true => Err("it has control characters: a name is one line of text".into()),
        false => Ok(text.to_owned()),
    }
}

fn probability(text: &str) -> Result<f64, String> {
    number(text, |it| it > 0.0 && it < 1.0, "between 0 and 1, both excluded")
}

fn part(text: &str) -> Result<f64, String> {
    number(text, |it| it > 0.0 && it <= 1.0, "above 0 and at most 1")
}

fn at_least_one(text: &str) -> Result<f64, String> {
    number(text, |it| it >= 1.0 && it.is_finite(), "of at least 1")
}

fn margin(text: &str) -> Result<Margin, String> {
    let (ratio, absolute) = text.split_once(',').ok_or("must be two numbers with a comma between: 1.1,0.0001")?;
    let ratio = number(ratio, |it| it >= 1.0 && it.is_finite(), "of at least 1 before the comma")?;
    let absolute = number(absolute, |it| (0.0..1.0).contains(&it), "from 0 to below 1 after the comma")?;
    Ok(Margin { ratio, absolute })
}
