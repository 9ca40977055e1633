//! A metrics server for tests: it holds counters and values, and answers at once.
//!
//! It parses no queries: they are found by their text.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;

use crate::measure::{Labels, Provider, Sample, Series, WhyNot};

/// Counters by selector; a selector that it does not hold has no series.
#[derive(Default)]
pub struct Fake {
    pub series: BTreeMap<String, Vec<Series>>,
    pub values: BTreeMap<String, Vec<f64>>,
    /// Answers of queries that contain a text.
    pub faults: Vec<(&'static str, WhyNot)>,
    /// Pods that `count_over_time` finds.
    pub seen_pods: Vec<&'static str>,
    pub asked: Mutex<Vec<String>>,
    /// The longest time of which it gives raw samples in one answer, in seconds.
    pub longest: Option<i64>,
}

impl Fake {
    fn fault(&self, query: &str) -> Result<(), WhyNot> {
        self.asked.lock().unwrap().push(query.to_owned());
        let hit = self.faults.iter().find(|(text, _)| query.contains(text));
        hit.map_or(Ok(()), |(_, why)| Err(why.clone()))
    }
}

#[async_trait]
impl Provider for Fake {
    async fn instant(&self, query: &str, at: i64) -> Result<Vec<Sample>, WhyNot> {
        self.fault(query)?;
        if query.starts_with("count_over_time") {
            let labels = |pod: &&str| Labels::from([("pod".to_owned(), (*pod).to_owned())]);
            return Ok(self.seen_pods.iter().map(|pod| Sample { labels: labels(pod), ..Sample::default() }).collect());
        }
        let values = self.values.iter().find(|(text, _)| query.contains(text.as_str())).map(|(_, values)| values);
        let sample = |value: &f64| Sample { labels: Labels::new(), timestamp_ms: at * 1_000, value: *value };
        Ok(values.into_iter().flatten().map(sample).collect())
    }

    async fn raw(&self, selector: &str, from: i64, to: i64) -> Result<Vec<Series>, WhyNot> {
        self.fault(selector)?;
        if self.longest.is_some_and(|longest| to - from > longest) {
            return Err(WhyNot::TooMany { what: "samples", limit: 0 });
        }
        let cut = |series: &Series| {
            let within = |(at_ms, _): &&(i64, f64)| from * 1_000 < *at_ms && *at_ms <= to * 1_000;
            let samples: Vec<_> = series.samples.iter().filter(within).copied().collect();
            let mut histograms = series.histograms.clone();
            histograms.retain(|one| from * 1_000 < one.at_ms && one.at_ms <= to * 1_000);
            // What is told apart by its selector has labels that differ.
            let mut labels = series.labels.clone();
            labels.entry("selector".into()).or_insert(selector.to_owned());
            Series { labels, samples, histograms }
        };
        let found = self.series.get(selector).into_iter().flatten().map(cut);
        Ok(found.filter(|series| series.first_ms().is_some()).collect())
    }

    async fn over(&self, query: &str, from: i64, to: i64, step: i64) -> Result<Vec<Series>, WhyNot> {
        let mut found = self.raw(query, from, to).await?;
        found.iter_mut().for_each(|series| series.samples.retain(|(at_ms, _)| at_ms % (step * 1_000) == 0));
        Ok(found)
    }
}
