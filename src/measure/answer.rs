//! The JSON that a Prometheus-compatible server answers with, read into series and samples.
//!
//! Everything is bounded, and what is not understood is refused: half an answer would be evidence for the wrong thing.

use serde::Deserialize;
use serde_json::Value;

use super::provider::{Labels, NativeBucket, NativeSample, Sample, Series, WhyNot};

pub const MOST_SERIES: usize = 2_000;
pub const MOST_SAMPLES: usize = 250_000;

#[derive(Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Value,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    metric: Labels,
    value: Option<Point>,
    values: Option<Vec<Point>>,
    histogram: Option<Value>,
    #[serde(default)]
    histograms: Vec<(f64, Native)>,
}

/// A native histogram, as the HTTP API writes it: numbers as text, empty buckets left out, and neither schema nor zero
/// threshold but in the buckets' bounds.
#[derive(Deserialize)]
struct Native {
    count: String,
    #[serde(default)]
    buckets: Vec<(u8, String, String, String)>,
}

/// How a bucket is bounded: with its lower bound or without, and the same for the upper one.
const WITH_UPPER: [u8; 2] = [0, 3];

impl Native {
    fn read(&self, at: f64) -> Result<NativeSample, WhyNot> {
        let number = |text: &String| text.parse::<f64>().map_err(|_| WhyNot::Malformed);
        let bucket = |(bounds, lower, upper, count): &(u8, String, String, String)| {
            let found = NativeBucket { lower: number(lower)?, upper: number(upper)?, count: number(count)? };
            // A bound above 0 that is not part of its bucket would make "not slower than" something else.
            let known = WITH_UPPER.contains(bounds) || found.upper <= 0.0;
            if known && found.lower <= found.upper { Ok(found) } else { Err(WhyNot::Malformed) }
        };
        let buckets = self.buckets.iter().map(bucket).collect::<Result<_, _>>()?;
        Ok(NativeSample { at_ms: milliseconds(at), count: number(&self.count)?, buckets })
    }
}

fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1_000.0).round() as i64
}

/// Seconds with decimals, and the value as text.
#[derive(Deserialize)]
struct Point(f64, String);

impl Point {
    fn read(&self) -> Result<(i64, f64), WhyNot> {
        let value = self.1.parse().map_err(|_| WhyNot::Malformed)?;
        Ok((milliseconds(self.0), value))
    }
}

fn data(body: &[u8]) -> Result<Data, WhyNot> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => WhyNot::Malformed,
        _ => WhyNot::NotJson,
    })?;
    if answer.status != "success" {
        return Err(WhyNot::Refused);
    }
    // Servers before 3.0 put remarks on the query's style among the warnings.
    if answer.warnings.iter().any(|text| !text.starts_with("PromQL info")) {
        return Err(WhyNot::Warnings);
    }
    answer.data.ok_or(WhyNot::Malformed)
}

fn rows(result: Value) -> Result<Vec<Row>, WhyNot> {
    let count = result.as_array().ok_or(WhyNot::Malformed)?.len();
    if count > MOST_SERIES {
        return Err(WhyNot::TooMany { what: "series", limit: MOST_SERIES });
    }
    serde_json::from_value(result).map_err(|_| WhyNot::Malformed)
}

/// The answer to an instant query: a vector or a scalar.
pub fn read_samples(body: &[u8]) -> Result<Vec<Sample>, WhyNot> {
    let Data { kind, result } = data(body)?;
    let plain = |row: Row| if row.histogram.is_some() { Err(WhyNot::Histograms) } else { Ok(row) };
    let sample = |labels: Labels, point: Option<Point>| {
        let (timestamp_ms, value) = point.ok_or(WhyNot::Malformed)?.read()?;
        Ok(Sample { labels, timestamp_ms, value })
    };
    match kind.as_str() {
        "vector" => {
            rows(result)?.into_iter().map(|row| plain(row).and_then(|row| sample(row.metric, row.value))).collect()
        }
        "scalar" => {
            let point = serde_json::from_value(result).map_err(|_| WhyNot::Malformed)?;
            Ok(vec![sample(Labels::new(), Some(point))?])
        }
        _ => Err(WhyNot::Malformed),
    }
}

/// The answer to a range selector: raw samples, of counters or of native histograms.
pub fn read_series(body: &[u8]) -> Result<Vec<Series>, WhyNot> {
    let Data { kind, result } = data(body)?;
    if kind != "matrix" {
        return Err(WhyNot::Malformed);
    }
    let rows = rows(result)?;
    if rows.iter().filter_map(|row| row.values.as_ref()).map(Vec::len).sum::<usize>() > MOST_SAMPLES {
        return Err(WhyNot::TooMany { what: "samples", limit: MOST_SAMPLES });
    }
    let natives = rows.iter().flat_map(|row| &row.histograms);
    if natives.map(|(_, native)| native.buckets.len().max(1)).sum::<usize>() > MOST_SAMPLES {
        return Err(WhyNot::TooMany { what: "buckets of native histograms", limit: MOST_SAMPLES });
    }
    let series = |row: Row| {
        let points = match row.values {
            None if row.histograms.is_empty() => return Err(WhyNot::Malformed),
            points => points.unwrap_or_default(),
        };
        let mut samples = points.iter().map(Point::read).collect::<Result<Vec<_>, _>>()?;
        samples.sort_by_key(|(at_ms, _)| *at_ms);
        let natives = row.histograms.iter().map(|(at, native)| native.read(*at));
        let mut histograms = natives.collect::<Result<Vec<_>, _>>()?;
        histograms.sort_by_key(|one| one.at_ms);
        Ok(Series { labels: row.metric, samples, histograms })
    };
    rows.into_iter().map(series).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_becomes_series_with_every_value_a_server_writes() {
        let body = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"pod":"a"},"values":[[1700000000.123,"5"],[1700000015.123,"NaN"],[1700000030,"+Inf"]]}]}}"#;
        let series = read_series(body.as_bytes()).unwrap();
        assert_eq!(series[0].labels["pod"], "a");
        let samples = &series[0].samples;
        assert_eq!(samples[0], (1_700_000_000_123, 5.0));
        assert!(samples[1].1.is_nan() && samples[2].1.is_infinite());
    }

    #[test]
    fn vectors_and_scalars_become_samples() {
        let vector =
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"0.5"]}]}}"#;
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]},"warnings":[]}"#;
        assert_eq!(read_samples(vector.as_bytes()).unwrap()[0].value, 0.5);
        assert_eq!(read_samples(scalar.as_bytes()).unwrap()[0].value, 2.0);
    }

    #[test]
    fn native_histograms_are_read_with_their_buckets() {
        let body = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"pod":"a"},"histograms":[
            [20.5,{"count":"0","sum":"0"}],
            [5.5,{"count":"42","sum":"34593.34","buckets":[[1,"-1","-0.5","6"],[3,"-0.25","0.25","3"],[0,"0.5","+Inf","33"]]}]]}]}}"#;
        let series = read_series(body.as_bytes()).unwrap();
        let [first, second] = &series[0].histograms[..] else { panic!("{series:?}") };
        assert_eq!((first.at_ms, first.count, first.buckets.len(), second.at_ms), (5_500, 42.0, 3, 20_500));
        assert_eq!(first.buckets[2], NativeBucket { lower: 0.5, upper: f64::INFINITY, count: 33.0 });
        assert_eq!((series[0].first_ms(), series[0].samples.len(), second.buckets.len()), (Some(5_500), 0, 0));
        let value =
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#;
        assert_eq!(read_samples(value.as_bytes()), Err(WhyNot::Histograms));
    }

    #[test]
    fn what_is_no_full_answer_is_refused_with_its_reason() {
        let success = |rest: &str| format!(r#"{{"status":"success",{rest}}}"#);
        let histogram = r#""data":{"resultType":"matrix","result":[{"metric":{},"histograms":[[1,{}]]}]}"#;
        let open = histogram.replace("{}]]", r#"{"count":"1","buckets":[[1,"1","2","1"]]}]]"#);
        let empty = r#""data":{"resultType":"matrix","result":[]}"#;
        let many = format!(r#""data":{{"resultType":"matrix","result":[{}0]}}"#, "0,".repeat(MOST_SERIES));
        for (body, expected) in [
            ("<html>sign in</html>".to_owned(), WhyNot::NotJson),
            (String::new(), WhyNot::NotJson),
            (r#"{"status":"success","data":{"resu"#.to_owned(), WhyNot::NotJson),
            (r#"{"hello":1}"#.to_owned(), WhyNot::Malformed),
            (r#"{"status":"error","error":"secret"}"#.to_owned(), WhyNot::Refused),
            (success(r#""data":{"resultType":"vector","result":[]}"#), WhyNot::Malformed),
            (success(&format!(r#"{empty},"warnings":["store unreachable"]"#)), WhyNot::Warnings),
            (success(histogram), WhyNot::Malformed),
            (success(&open), WhyNot::Malformed),
            (success(&many), WhyNot::TooMany { what: "series", limit: MOST_SERIES }),
        ] {
            assert_eq!(read_series(body.as_bytes()), Err(expected), "{body:.60}");
        }
        assert_eq!(read_series(success(&format!(r#"{empty},"warnings":["PromQL info: x"]"#)).as_bytes()), Ok(vec![]));
    }
}
