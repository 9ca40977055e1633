//! `RolloutPolicy`: guardrails that administrators set for the namespaces it selects. Who is held by it, and how, is in `engine`.
//!
//! It holds no defaults for Rollouts: what a policy asks for, a Rollout writes.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::schema::{DNS_SUBDOMAIN, WORD, not_zero, rule};
use super::{GatewayRouteKind, Percent, Span, TemplateKind};

/// Guardrails for the Rollouts that it selects. Several policies that select the same Rollout combine to the strictest.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(group = "tidegate.io", version = "v1alpha1", kind = "RolloutPolicy", shortname = "tgp", category = "tidegate")]
#[kube(
    doc = "A RolloutPolicy is what administrators ask of the Rollouts that it selects: when nothing may move, and what each must have or may not exceed. It is live: runs under way follow it too, and going back is always allowed."
)]
#[kube(printcolumn(name = "Windows", type_ = "string", json_path = ".spec.freezeWindows[*].name"))]
#[kube(printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"))]
#[serde(rename_all = "camelCase")]
pub struct RolloutPolicySpec {
    /// Namespaces whose Rollouts it selects. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceSelector>,
    /// Rollouts of these namespaces that it selects. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollouts: Option<RolloutSelector>,
    /// Times at which nothing starts and nothing advances, at most 16. Going back, finishing after the promotion, and the return to a revision that was promoted before go through. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub freeze_windows: Vec<FreezeWindow>,
    /// The evidence that each Rollout must ask for. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<RequiredAnalysis>,
    /// People's consent that each Rollout must ask for, and whose does not count. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<ApprovalRules>,
    /// What no Rollout may exceed. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<PolicyLimits>,
    /// What the service's error budget must look like before a run starts; for Rollouts with an `errorBudget`. Runs under way are judged by their own evidence, and the return to a revision that was promoted before goes through. Default: it is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [asks_something()]))]
    pub error_budget: Option<BudgetGuard>,
    /// The routes that Rollouts may move. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<AllowedTraffic>,
}

/// Namespaces by name and by label; both must hold if both are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Names, at most 256; one must be the namespace's. Default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub names: Vec<String>,
    /// Labels, at most 16; the namespace must have all of them. Default: any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    pub match_labels: BTreeMap<String, String>,
}

/// Rollouts by label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutSelector {
    /// Labels, at most 16; the Rollout must have all of them. Default: any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    pub match_labels: BTreeMap<String, String>,
}

/// A time at which nothing moves, again and again: it opens by a schedule and stays open for its duration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FreezeWindow {
    /// The window's name, unique in its policy; messages name it.
    #[schemars(length(max = 40), regex(pattern = WORD))]
    pub name: String,
    /// When it opens: five fields of cron (minute, hour, day of month, month, day of week), for example "0 18 * * FRI".
    #[schemars(length(max = 128), regex(pattern = r"^[0-9A-Za-z*,/#?-]{1,40}( [0-9A-Za-z*,/#?-]{1,40}){4}$"))]
    pub schedule: String,
    /// The IANA time zone of the schedule, for example Europe/Berlin. Default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^[A-Za-z][-+_A-Za-z0-9]*(/[A-Za-z0-9][-+_A-Za-z0-9]*){0,2}$"))]
    pub time_zone: Option<String>,
    /// How long it stays open, at most 2160h.
    #[schemars(extend("x-kubernetes-validations" = [not_zero(), at_most_90_days()]))]
    pub duration: Span,
}

/// `duration()` fails on text that misses the pattern, which has a sentence of its own.
fn at_most_90_days() -> serde_json::Value {
    rule(
        "!self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || duration(self) <= duration('2160h')",
        "a freeze window is open for 2160h (90 days) at most",
    )
}

/// Metrics that a Rollout must be judged by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequiredAnalysis {
    /// Names of metrics, at most 12: written in the Rollout or in a template that it uses. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12), inner(length(max = 63), regex(pattern = WORD)))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub metrics: Vec<String>,
    /// Templates that the Rollout must use, at most 8. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kind", "name"]))]
    pub templates: Vec<RequiredTemplate>,
}

/// A template that must be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequiredTemplate {
    /// The template's kind. A ClusterAnalysisTemplate is the administrators' own; an AnalysisTemplate is the namespace's. Default ClusterAnalysisTemplate.
    #[serde(default = "of_cluster")]
    pub kind: TemplateKind,
    /// The template's name.
    #[schemars(length(max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
}

fn of_cluster() -> TemplateKind {
    TemplateKind::ClusterAnalysisTemplate
}

/// Whose consent counts, and how much of it is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRules {
    /// Approvals that one gate of the Rollout must ask for, from 1 to 20. Promote and PromoteFull pass gates: who may ask for these is for RBAC. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 20))]
    pub required: Option<u32>,
    /// The gate must stand in a step before the first with this weight or more: a whole number or a quoted decimal. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_weight: Option<Percent>,
    /// Accounts whose approvals do not count, at most 64, for example those of GitOps controllers; a * at the end stands for any text. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253), regex(pattern = r"^[^*]*[*]?$")))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub excluded_authors: Vec<String>,
}

/// What no Rollout may exceed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyLimits {
    /// The largest share of the traffic at once after none, in percent; without a route it is compared with the share that the pods make. Blue-green goes from 0 to 100 at once. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_first_step: Option<Percent>,
    /// The shortest time that the bakes of all steps may add up to; the soak does not count. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [not_zero()]))]
    pub min_total_bake: Option<Span>,
    /// The largest `errorBudget.maxSpend`, in percent of the budget; a Rollout without an error budget exceeds it. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_spend: Option<Percent>,
}

/// No run starts while the service has trouble of its own. What cannot be measured lets none start either, and is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BudgetGuard {
    /// While the service burns its budget at a speed that pages people: 14.4 times as fast as its objective allows over 1h and over 5m, or 6 times over 6h and over 30m. Default Hold.
    #[serde(default)]
    pub on_burn: OnBurn,
    /// The least part of the budget that must be left over the budget's window, in percent, from 0 and below 100: a whole number or a quoted decimal. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [rule(
        "!string(self).matches('^100([.]0{1,3})?$')",
        "must be below 100: with all of the budget as the least, ten bad requests would hold every run for the budget's window",
    )]))]
    pub min_remaining: Option<Percent>,
}

fn asks_something() -> serde_json::Value {
    rule(
        "!has(self.onBurn) || self.onBurn != 'Ignore' || has(self.minRemaining)",
        "asks for nothing with onBurn Ignore alone: add minRemaining, or delete errorBudget",
    )
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnBurn {
    /// A new run waits until the service burns slower.
    #[default]
    Hold,
    /// The speed is not looked at.
    Ignore,
}

/// Routes and hostnames that may be moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AllowedTraffic {
    /// Routes, at most 64; each route of a Rollout must be one of them. Default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub routes: Vec<AllowedRoute>,
    /// Hostnames, at most 64; each hostname of a Rollout's routes must be one of them or below one that begins with "*."; "*" is any, and a route without hostnames has any. Default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(length(max = 253), regex(pattern = r"^(\*|(\*\.)?[a-z0-9]([-.a-z0-9]*[a-z0-9])?)$"))
    )]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub hostnames: Vec<String>,
}

/// Routes by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AllowedRoute {
    /// The route's kind. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<GatewayRouteKind>,
    /// The route's name; a * at the end stands for any text. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?[-.]?\*?$"))]
    pub name: Option<String>,
}

/// Labels and their values, as objects have them.
fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 63},
    })
}

impl RolloutPolicySpec {
    /// Whether it asks for the labels of namespaces.
    pub fn asks_for_namespace_labels(&self) -> bool {
        self.namespaces.as_ref().is_some_and(|selector| !selector.match_labels.is_empty())
    }

    /// Whether it selects a Rollout with these labels, in a namespace with this name and these labels.
    pub fn selects(
        &self,
        namespace: &str,
        of_namespace: &BTreeMap<String, String>,
        of_rollout: &BTreeMap<String, String>,
    ) -> bool {
        let has = |wanted: &BTreeMap<String, String>, found: &BTreeMap<String, String>| {
            wanted.iter().all(|(key, value)| found.get(key) == Some(value))
        };
        let by_namespace = self.namespaces.as_ref().is_none_or(|NamespaceSelector { names, match_labels }| {
            (names.is_empty() || names.iter().any(|name| name == namespace)) && has(match_labels, of_namespace)
        });
        by_namespace && self.rollouts.as_ref().is_none_or(|selector| has(&selector.match_labels, of_rollout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_policy_selects_by_names_and_labels_and_without_a_selector_everything() {
        for (policy, expected) in [
            ("{}", true),
            ("{namespaces: {}, rollouts: {}}", true),
            ("{namespaces: {names: [shop, bank]}}", true),
            ("{namespaces: {names: [bank]}}", false),
            ("{namespaces: {matchLabels: {env: production}}}", true),
            ("{namespaces: {names: [bank], matchLabels: {env: production}}}", false),
            ("{namespaces: {names: [shop], matchLabels: {env: staging}}}", false),
            ("{namespaces: {matchLabels: {env: production, team: a}}}", false),
            ("{rollouts: {matchLabels: {tier: critical}}}", true),
            ("{namespaces: {names: [shop]}, rollouts: {matchLabels: {tier: other}}}", false),
        ] {
            let spec: RolloutPolicySpec = serde_yaml_ng::from_str(policy).unwrap();
            let (space, rollout) = (labels(&[("env", "production")]), labels(&[("tier", "critical"), ("app", "x")]));
            assert_eq!(spec.selects("shop", &space, &rollout), expected, "{policy}");
        }
    }
}
