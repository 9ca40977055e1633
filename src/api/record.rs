//! What a run's status keeps for readers and for replay: the decisions with their numbers, and the evidence.
//!
//! No decision is made here; how much is kept is the engine's to say.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schema::any_as_written;
use super::{ActionType, Percent, Reason, RunPhase};

/// The decisions of a run with the numbers they rest on, each chained to the one before; older ones fall into the digest.
/// `tidegate audit verify` says whether the chain holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionLog {
    /// How many older decisions were dropped.
    #[serde(default)]
    pub dropped: u32,
    /// Hash of the last decision that was dropped: it chains over all before it. Absent: none was dropped.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Hash of the latest decision.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub head: String,
    /// The latest decisions, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<DecisionEntry>,
}

/// One decision. Its hash is the SHA-256, in hexadecimal digits, of the entry as JSON with sorted keys and without blanks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionEntry {
    /// The run's `seq` that the decision made.
    pub seq: i64,
    /// The leader's epoch.
    #[serde(default)]
    pub epoch: i64,
    /// RFC 3339 time of the decision.
    pub at: String,
    /// Where the run stood after the decision before. Absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Standing>,
    /// The phase after it.
    #[serde(default)]
    pub phase: RunPhase,
    /// The step after it, counted from 0.
    pub step: u32,
    /// The canary's share in percent after it.
    pub weight: Percent,
    /// Why, as a word.
    pub reason: Reason,
    /// One sentence with the numbers.
    pub message: String,
    /// The action that it carries out. Absent: nobody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Hash of the evidence that it rests on, which is `status.evidence` at that moment. Absent: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// The tests that it rests on. For each metric that compares the revisions, in the order of their names: how many windows were judged, and the first 12 hexadecimal digits of the SHA-256 of the tests of a Fail and of a Pass after them, as in "12:0123456789ab 0". `tidegate replay` folds them again and compares. Absent: no metric compares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<String>,
    /// Hash of the decision before. Absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// The phase.
    pub phase: RunPhase,
    /// The step, counted from 0.
    pub step: u32,
    /// The canary's share in percent.
    pub weight: Percent,
}

/// A RolloutAction as it is remembered once it has taken effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// What was asked.
    #[serde(rename = "type")]
    pub kind: ActionType,
    /// The RolloutAction's name.
    pub action: String,
    /// The RolloutAction's uid: another one may have its name later. Absent: not recorded, the name tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub uid: Option<String>,
    /// Who asked, as the action says.
    pub author: String,
    /// The API server has compared the author with the user that it knew: an admission policy held when the action was created.
    /// False: the author is what the creator wrote.
    #[serde(default)]
    pub verified: bool,
    /// For whom the author's tool asked, as it says: nobody has verified that. Absent: for nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
}

impl Asked {
    /// Who asked, with what is not known about them.
    pub fn who(&self) -> String {
        let author = named(&self.author, self.verified);
        match &self.on_behalf_of {
            Some(other) => format!("{author} on behalf of {other} (unverified)"),
            None => author,
        }
    }
}

/// An author as messages and pages name them.
pub fn named(author: &str, verified: bool) -> String {
    if verified { author.to_owned() } else { format!("{author} (author: unverified)") }
}

/// What the record keeps of the evidence: per metric the fold's state and what a reader wants to see.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceRecord {
    /// End of the last folded window in seconds since the epoch.
    #[serde(default)]
    pub watermark: i64,
    /// "Pass", "Fail" or "Undecided".
    #[serde(default)]
    pub verdict: String,
    /// Why, as a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Why, in one sentence with the numbers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Per metric, by name: counts, windows and the fold's own state.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, MetricRecord>,
    /// The times that were judged, one for each weight that had settled, oldest first; the last 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stretches: Vec<StretchRecord>,
    /// What the release has cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend: Option<SpendRecord>,
    /// With this traffic a Pass is out of reach; the sentence says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_insufficient: Option<String>,
}

/// A time in which the canary stood at one weight: with it the metrics can be read again as they were read then. Times are
/// seconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StretchRecord {
    /// End of the last window before it.
    pub from: i64,
    /// End of its last window; absent while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// The canary's share in percent.
    pub weight: Percent,
    /// When that share had settled.
    pub settled_at: i64,
    /// When the youngest pod of the canary had started, if its warm-up was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods_started_at: Option<i64>,
}

/// What one metric has counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricRecord {
    /// Bad requests of the canary.
    pub canary_bad: u64,
    /// All requests of the canary.
    pub canary_total: u64,
    /// Bad requests of the control.
    pub control_bad: u64,
    /// All requests of the control.
    pub control_total: u64,
    /// Latency: above what requests are bad, for example "300ms, snapped up to 0.5 s" where that is the next bucket boundary. Threshold: how its measurements at the present weight stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<String>,
    /// Windows that were judged; of a gauge, blocks that were compared.
    pub windows_used: u64,
    /// Windows not used, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub windows_dropped: BTreeMap<String, u64>,
    /// What its tests amount to. Numbers are text, because JSON's may lose digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<TestsRecord>,
    /// What a gauge shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gauge: Option<GaugeRecord>,
    /// The fold's state; a float as its bits in hexadecimal digits, many as theirs in base64 after a dot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_as_written")]
    pub fold: Option<Value>,
}

/// A gauge of both arms: a sign for people, on which nothing is decided. Numbers are text, because JSON's may lose digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GaugeRecord {
    /// The canary's mean over the last block in which both have a value; empty, as the next three, until there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub canary: String,
    /// The control's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub control: String,
    /// The canary's as a multiple of the control's, the geometric mean of all blocks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ratio: String,
    /// Evidence that it is more than `tolerated` times the control's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub evidence: String,
    /// The multiple that counts as usual.
    pub tolerated: String,
    /// Seconds of a block: 60, or 120 where stable's minutes are too much like each other.
    pub block_seconds: u32,
}

/// What the sequential tests of one metric amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestsRecord {
    /// Evidence that the canary is worse than failMargin.
    pub fail_evidence: String,
    /// What it has to reach for a Fail.
    pub fail_threshold: String,
    /// Evidence that the canary is within passMargin.
    pub pass_evidence: String,
    /// What it has to reach for a Pass.
    pub pass_threshold: String,
    /// The canary's bad ratio above stable's in percentage points, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference_lower: Option<String>,
    /// The same, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference_upper: Option<String>,
    /// Latency without a threshold: the bucket boundary that speaks most against the canary, and how many are compared. Bad requests are those above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundary: Option<String>,
    /// The canary's bad ratio as a multiple of stable's, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_lower: Option<String>,
    /// The same, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_upper: Option<String>,
    /// How many bad requests come together: evidence is divided by it.
    pub overdispersion: String,
    /// Evidence that the canary breaks the objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective_evidence: Option<String>,
    /// What it has to reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective_threshold: Option<String>,
    /// The smallest rise of the bad ratio that the present step finds in its bake with a probability of 80 %, in percentage points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detectable_rise: Option<String>,
}

/// Spending of the error budget, in requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpendRecord {
    /// Bad requests of the canary.
    pub gross: u64,
    /// Bad requests above stable's ratio, as hundredths of a request.
    pub excess_hundredths: i64,
    /// What the release may spend, in requests.
    pub allowance: u64,
    /// Requests expected in the window.
    pub expected_requests: u64,
    /// Measured over less than a day and scaled.
    #[serde(default)]
    pub extrapolated: bool,
}
