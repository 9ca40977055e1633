//! When a run stood at which weight, as its decisions say: the seconds in which the gateway's split can be judged.

use serde_json::Value;

use super::space::percent;

/// A weight that stood for less is not judged: the last step hands over to the soak at once.
const SHORTEST_SECONDS: i64 = 5;

/// Weight in percent and the seconds (since the epoch) between which it stood, margins cut. A weight stands from
/// "accepted everywhere" to the next decision.
pub fn stood(run: &Value) -> Vec<(f64, i64, i64)> {
    let entries = run["status"]["decisions"]["entries"].as_array().cloned().unwrap_or_default();
    let pairs = entries.windows(2).filter(|pair| pair[0]["reason"] == "Baking" || pair[0]["reason"] == "Soaking");
    let stood = pairs.map(|pair| (percent(&pair[0]["weight"]), second(&pair[0]) + 2, second(&pair[1]) - 1));
    stood.filter(|(_, from, to)| to - from >= SHORTEST_SECONDS).collect()
}

/// Second (since the epoch) of the last decision.
pub fn decided(run: &Value) -> i64 {
    run["status"]["decisions"]["entries"].as_array().and_then(|entries| entries.last()).map_or(0, second)
}

fn second(entry: &Value) -> i64 {
    let text = entry["at"].as_str().unwrap_or_default();
    text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_second).unwrap_or_default()
}
