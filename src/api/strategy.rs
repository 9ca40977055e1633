//! How a new revision gets the traffic, as people write it. Both strategies compile to the same plan in `engine::validate`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::schema::{WORD, not_zero, rule};
use super::{Percent, Span};

/// How a new revision gets the traffic: exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule("has(self.canary) != has(self.blueGreen)", "exactly one of canary and blueGreen is needed"),
]))]
pub struct Strategy {
    /// Traffic moves in steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// All replicas beside the stable ones, then all traffic at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreen>,
}

/// Traffic moves in steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// The steps, from 1 to 50, in rising order of weight: weights may repeat, they may not fall. 100 is always the last step and may be written with its own bake.
    #[schemars(length(min = 1, max = 50))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic", "x-kubernetes-validations" = [rising()]))]
    pub steps: Vec<Step>,
    /// Time after 100 % in which the old revision is kept ready and a breach still reverts. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [not_zero()]))]
    pub soak: Option<Span>,
    /// The canary is compared with fresh pods of the stable revision, as many as the canary has and with as much traffic (above 50, what is left), in place of the long-running ones. Needs `traffic.routes`. Default false: stable itself is the control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<bool>,
    /// How a template that was promoted before comes back. Default Fast.
    #[serde(default)]
    pub known_revision: KnownRevision,
    /// Capacity of the stable revision during a run. Default Full.
    #[serde(default)]
    pub stable_replicas: StableReplicas,
}

/// A pattern error does not stop the rules, and double() of such text would fail: this one is for well-formed weights only. The message
/// cannot name the weights: a text made of them is beyond the API server's budget for rules. `engine::validate` names them.
fn rising() -> Value {
    rule(
        "!self.all(s, string(s.weight).matches('^[0-9]{1,3}([.][0-9]{1,3})?$')) || self.map(s, double(s.weight)).isSorted()",
        "the weights of steps must rise: they may repeat, they may not fall",
    )
}

/// One step of a canary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The canary's share of the traffic in percent, from 0 to 100: a whole number (5) or a quoted decimal of up to three places ("0.1").
    pub weight: Percent,
    /// Time that the step stays at its weight. Default: none; the step ends as soon as its weight is accepted and nothing holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [not_zero()]))]
    pub bake: Option<Span>,
    /// A floor for the canary's pods: a number, or a percentage of `spec.replicas` such as "50%". Default: as many as the weight needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// People's consent, asked for while the step bakes, at most 4; the step ends only when all are given. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub gates: Vec<Gate>,
}

/// A number of pods, or a percentage of N.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Replicas {
    Count(u32),
    Share(String),
}

/// Consent that a person gives with a RolloutAction of type Approve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// The gate's name, unique in its step; `tidegate approve --gate` asks for it.
    #[schemars(length(max = 40), regex(pattern = WORD))]
    pub name: String,
    /// Approvals needed, from 1 to 20, each by another author. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 20))]
    pub approvals: u32,
}

fn one() -> u32 {
    1
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KnownRevision {
    /// One step, no bake, no gate, no soak.
    #[default]
    Fast,
    /// The same steps as any other revision.
    Steps,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StableReplicas {
    /// All of `spec.replicas`, whatever its weight: going back never waits for pods.
    #[default]
    Full,
}

/// All replicas at weight 0 (reachable by the preview Service), then 100, then the soak.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreen {
    /// Time that all replicas are up at weight 0 before the switch. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [not_zero()]))]
    pub bake: Option<Span>,
    /// People's consent to the switch, at most 4. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub gates: Vec<Gate>,
    /// Time after the switch in which the old revision is kept ready and a breach still reverts. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [not_zero()]))]
    pub soak: Option<Span>,
    /// How a template that was promoted before comes back. Default Fast.
    #[serde(default)]
    pub known_revision: KnownRevision,
}

impl Replicas {
    /// The number of pods for a full capacity of `full`; text that is no percentage counts as 0 (the schema refuses it).
    pub fn of(&self, full: u32) -> u32 {
        match self {
            Self::Count(count) => *count,
            Self::Share(text) => text
                .strip_suffix('%')
                .and_then(|share| share.parse::<Percent>().ok())
                .map_or(0, |share| share.of_ceil(full)),
        }
    }
}

impl JsonSchema for Replicas {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Replicas".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": r"^(100|[0-9]{1,2})%$",
            "maxLength": 4,
            "minimum": 0,
            "maximum": 100_000,
        })
    }
}
