//! What RolloutPolicies ask of a plan: each violation a sentence that names the policy, the field and the two values compared.
//!
//! Of several policies each is asked, so the strictest is said, and all of them if there are several problems. Time is not
//! looked at here.

use super::{Guardrails, Refusal, active::beside};
use crate::api::{
    AllowedRoute, ApprovalRules, Percent, Plan, PolicyLimits, Reason, RequiredAnalysis, RolloutPolicySpec,
    RolloutRunSpec, RunRoute, Span,
};

/// A pattern with a * at its end, or as its beginning before a dot, or none.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    match (pattern.strip_suffix('*'), pattern.strip_prefix("*.")) {
        (Some(beginning), _) => text.starts_with(beginning),
        (None, Some(_)) => text.len() >= pattern.len() && text.ends_with(&pattern[1..]),
        (None, None) => pattern == text,
    }
}

/// Everything in the plan that is against a policy, as one refusal. What a run has done already is not held against it: once it
/// has `begun`, its first step is no longer asked about.
pub(super) fn of_plan(rails: &Guardrails, frozen: &RolloutRunSpec, full: u32, begun: bool) -> Option<Refusal> {
    let ask = |policy: &RolloutPolicySpec| {
        let RolloutPolicySpec {
            namespaces: _,
            rollouts: _,
            freeze_windows: _,
            error_budget: _,
            analysis,
            approvals,
            limits,
            traffic,
        } = policy;
        let mut found: Vec<String> = Vec::new();
        found.extend(analysis.iter().flat_map(|required| metrics(required, frozen)));
        found.extend(approvals.iter().filter_map(|rules| consent(rules, &frozen.plan)));
        if let Some(limits) = limits {
            found.extend(first_step(limits, frozen, full).filter(|_| !begun));
            found.extend(total_bake(limits, &frozen.plan));
            found.extend(spend(limits, frozen));
        }
        if let Some(allowed) = traffic {
            found.extend(frozen.routes.iter().filter_map(|route| unlisted(&allowed.routes, route)));
            found.extend(frozen.routes.iter().flat_map(|route| hostnames(rails, &allowed.hostnames, route)));
        }
        found
    };
    refusal(rails, ask)
}

/// Templates that a policy requires and the spec's analysis does not use. What a run has frozen are metrics, so it is not asked.
pub(super) fn of_templates(rails: &Guardrails) -> Option<Refusal> {
    refusal(rails, |policy| {
        let required = policy.analysis.iter().flat_map(|required| &required.templates);
        let is_missing = |template: &&crate::api::RequiredTemplate| {
            !rails.templates.iter().any(|(kind, name)| *kind == template.kind && *name == template.name)
        };
        let sentence = |template: &crate::api::RequiredTemplate| {
            format!("spec.analysis.templates lacks {:?} {}", template.kind, template.name)
        };
        required.filter(is_missing).map(sentence).collect()
    })
}

fn refusal(rails: &Guardrails, ask: impl Fn(&RolloutPolicySpec) -> Vec<String>) -> Option<Refusal> {
    let of_policy = |(name, spec): &(String, RolloutPolicySpec)| {
        let found = ask(spec);
        (!found.is_empty()).then(|| format!("RolloutPolicy {name}: {}", found.join(", ")))
    };
    let sentences: Vec<String> = rails.policies.iter().filter_map(of_policy).collect();
    (!sentences.is_empty()).then(|| Refusal { reason: Reason::PolicyViolation, message: sentences.join("; ") })
}

fn metrics(required: &RequiredAnalysis, frozen: &RolloutRunSpec) -> Vec<String> {
    let has = |name: &&String| frozen.analysis.metrics.iter().any(|metric| metric.name == **name);
    let missing = required.metrics.iter().filter(|name| !has(name));
    missing.map(|name| format!("spec.analysis has no metric {name}")).collect()
}

fn consent(rules: &ApprovalRules, plan: &Plan) -> Option<String> {
    let required = rules.required?;
    let before = rules.before_weight.unwrap_or(Percent::FULL);
    let earlier = plan.steps.iter().take_while(|step| step.weight < before);
    let most = earlier.flat_map(|step| &step.gates).map(|gate| gate.approvals).max().unwrap_or(0);
    (most < required).then(|| {
        format!(
            "spec.strategy has no gate with {required} approvals before weight {before} (the largest there has {most})"
        )
    })
}

/// The share that the canary gets first.
fn first_step(limits: &PolicyLimits, frozen: &RolloutRunSpec, full: u32) -> Option<String> {
    let most = limits.max_first_step?;
    let weight = frozen.plan.steps.iter().map(|step| step.weight).find(|weight| *weight > Percent::ZERO)?;
    if !frozen.routes.is_empty() || weight == Percent::FULL {
        return (weight > most).then(|| format!("spec.strategy has a first step to weight {weight}, {most} at most"));
    }
    let pods = beside(full, weight);
    let share = Percent::from_thousandths(100_000 * pods / (full + pods).max(1));
    (share > most).then(|| {
        format!("spec.strategy has a first step to weight {weight}, which {pods} pods beside {full} make {share}, {most} at most")
    })
}

fn total_bake(limits: &PolicyLimits, plan: &Plan) -> Option<String> {
    let least = limits.min_total_bake?;
    let sum = Span::millis(plan.steps.iter().map(|step| step.bake.as_millis()).sum());
    (sum < least).then(|| format!("the bakes of spec.strategy add up to {sum}, {least} at least"))
}

fn spend(limits: &PolicyLimits, frozen: &RolloutRunSpec) -> Option<String> {
    let most = limits.max_spend?;
    let Some(budget) = &frozen.error_budget else {
        return Some(format!("spec.errorBudget is missing, a maxSpend of {most} at most is asked for"));
    };
    let spend = budget.max_spend.unwrap_or(Percent::FULL);
    (spend > most).then(|| format!("spec.errorBudget.maxSpend is {spend}, {most} at most"))
}

fn unlisted(allowed: &[AllowedRoute], route: &RunRoute) -> Option<String> {
    let is_it = |AllowedRoute { kind, name }: &AllowedRoute| {
        kind.is_none_or(|kind| kind.word() == route.kind) && name.as_ref().is_none_or(|name| fits(name, &route.name))
    };
    (!allowed.is_empty() && !allowed.iter().any(is_it))
        .then(|| format!("spec.traffic.routes names {} {}, which is not allowed", route.kind, route.name))
}

fn hostnames(rails: &Guardrails, allowed: &[String], route: &RunRoute) -> Vec<String> {
    if allowed.is_empty() || allowed.iter().any(|allowed| allowed == "*") {
        return Vec::new();
    }
    let (kind, name) = (&route.kind, &route.name);
    match rails.hostnames.get(&(kind.clone(), name.clone())).map(Vec::as_slice) {
        // A route that is not there is said elsewhere.
        None => Vec::new(),
        Some([]) => vec![format!("{kind} {name} has no hostnames, so it takes requests for any")],
        Some(found) => {
            let other = found.iter().filter(|host| !allowed.iter().any(|allowed| fits(allowed, host)));
            other.map(|host| format!("{kind} {name} has the hostname {host}, which is not allowed")).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ErrorBudget, Gate, Metric, PlanStep, ResolvedAnalysis, TemplateKind};

    fn step(weight: &str, bake: &str, approvals: u32) -> PlanStep {
        let gates = (approvals > 0).then(|| Gate { name: "qa".into(), approvals });
        PlanStep {
            weight: weight.parse().unwrap(),
            bake: bake.parse().unwrap(),
            gates: gates.into_iter().collect(),
            ..PlanStep::default()
        }
    }

    /// 5 % for 10 min with two approvals, 50 % for 5 min, 100 %; metric `errors`; spends 2 %; one route.
    fn frozen() -> RolloutRunSpec {
        let spec = serde_json::json!({
            "rollout": "app", "rolloutUID": "u", "stable": "a", "canary": "b", "plan": {"steps": []},
            "progressDeadline": "10m", "services": ["app"], "warm": "5s", "drain": "15s",
            "routes": [{"kind": "HTTPRoute", "name": "shop-web", "rules": []}],
        });
        RolloutRunSpec {
            plan: Plan {
                steps: vec![step("5", "10m", 2), step("50", "5m", 0), step("100", "0s", 0)],
                ..Plan::default()
            },
            analysis: ResolvedAnalysis {
                metrics: vec![Metric { name: "errors".into(), ..Metric::default() }],
                ..ResolvedAnalysis::default()
            },
            error_budget: Some(ErrorBudget { max_spend: Some(Percent::whole(2)), ..ErrorBudget::default() }),
            ..serde_json::from_value(spec).unwrap()
        }
    }

    fn rails(policies: &[&str], hostnames: &[&str]) -> Guardrails {
        let policy = |(index, text): (usize, &&str)| (format!("p{index}"), serde_yaml_ng::from_str(text).unwrap());
        let hostnames = hostnames.iter().map(|name| (*name).to_owned()).collect();
        Guardrails {
            policies: policies.iter().enumerate().map(policy).collect(),
            hostnames: [(("HTTPRoute".into(), "shop-web".into()), hostnames)].into(),
            templates: vec![(TemplateKind::AnalysisTemplate, "golden".into())],
            ..Guardrails::default()
        }
    }

    fn said(policies: &[&str], hostnames: &[&str], frozen: &RolloutRunSpec) -> String {
        let rails = rails(policies, hostnames);
        let all = of_plan(&rails, frozen, 3, false).into_iter().chain(of_templates(&rails));
        all.map(|refusal| refusal.message).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn each_limit_is_compared_and_named() {
        for (policy, expected) in [
            ("{analysis: {metrics: [errors]}}", ""),
            ("{analysis: {metrics: [errors, latency]}}", "spec.analysis has no metric latency"),
            ("{analysis: {templates: [{kind: AnalysisTemplate, name: golden}]}}", ""),
            (
                "{analysis: {templates: [{name: golden}]}}",
                "spec.analysis.templates lacks ClusterAnalysisTemplate golden",
            ),
            ("{approvals: {required: 2}}", ""),
            ("{approvals: {required: 2, beforeWeight: 50}}", ""),
            (
                "{approvals: {required: 2, beforeWeight: 5}}",
                "spec.strategy has no gate with 2 approvals before weight 5 (the largest there has 0)",
            ),
            (
                "{approvals: {required: 3}}",
                "spec.strategy has no gate with 3 approvals before weight 100 (the largest there has 2)",
            ),
            ("{limits: {maxFirstStep: 5}}", ""),
            ("{limits: {maxFirstStep: '4.999'}}", "spec.strategy has a first step to weight 5, 4.999 at most"),
            ("{limits: {minTotalBake: 15m}}", ""),
            ("{limits: {minTotalBake: 15m1s}}", "the bakes of spec.strategy add up to 15m, 15m1s at least"),
            ("{limits: {maxSpend: 2}}", ""),
            ("{limits: {maxSpend: 1}}", "spec.errorBudget.maxSpend is 2, 1 at most"),
            ("{traffic: {routes: [{kind: GRPCRoute}, {name: 'shop-*'}]}}", ""),
            (
                "{traffic: {routes: [{kind: GRPCRoute}, {name: shop}]}}",
                "spec.traffic.routes names HTTPRoute shop-web, which is not allowed",
            ),
            ("{traffic: {hostnames: ['*.example.com', shop.org]}}", ""),
            ("{traffic: {hostnames: ['*']}}", ""),
            (
                "{traffic: {hostnames: ['example.com']}}",
                "HTTPRoute shop-web has the hostname a.example.com, which is not allowed",
            ),
        ] {
            let expected = if expected.is_empty() { String::new() } else { format!("RolloutPolicy p0: {expected}") };
            assert_eq!(said(&[policy], &["a.example.com"], &frozen()), expected, "{policy}");
        }
    }

    #[test]
    fn several_policies_and_problems_are_one_message() {
        let policies = ["{limits: {maxSpend: 1, minTotalBake: 1h}}", "{}", "{limits: {maxSpend: '0.5'}}"];
        assert_eq!(
            said(&policies, &[], &frozen()),
            "RolloutPolicy p0: the bakes of spec.strategy add up to 15m, 1h at least, spec.errorBudget.maxSpend is 2, 1 at \
             most; RolloutPolicy p2: spec.errorBudget.maxSpend is 2, 0.5 at most"
        );
        let without = RolloutRunSpec { error_budget: None, ..frozen() };
        assert!(said(&["{limits: {maxSpend: 1}}"], &[], &without).contains("spec.errorBudget is missing"));
        assert!(said(&["{traffic: {hostnames: [a.org]}}"], &[], &frozen()).contains("has no hostnames"));
    }

    #[test]
    fn without_a_route_the_first_step_is_the_share_that_the_pods_make() {
        let without = RolloutRunSpec { routes: Vec::new(), ..frozen() };
        assert_eq!(
            said(&["{limits: {maxFirstStep: 10}}"], &[], &without),
            "RolloutPolicy p0: spec.strategy has a first step to weight 5, which 1 pods beside 3 make 25, 10 at most"
        );
        assert_eq!(said(&["{limits: {maxFirstStep: 25}}"], &[], &without), "");
    }
}
