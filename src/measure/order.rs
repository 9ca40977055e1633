//! Everything that one evaluation of one run rests on.
//!
//! Plain values: the shell fills it from the run's spec, its record and the cluster. It reads nothing.

use super::{
    placeholder::Placeholder,
    promql::{QueryError, Value, escape_regex, fill},
};
use crate::{
    api::{ErrorBudget, EvidenceRecord, Metric, Percent, Span, revision_name},
    stats::{Expected, Timing},
};

/// How an arm is named in metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArmNames {
    /// Its Service: the application's for control, the revision's for the canary.
    pub service: String,
    /// Its revision's hash.
    pub revision: String,
}

/// One of the two arms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    Canary,
    Control,
}

/// What to evaluate.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// The run's seq: the answer carries it.
    pub seq: i64,
    pub namespace: String,
    pub rollout: String,
    /// Resolved: arguments are filled in.
    pub metrics: Vec<Metric>,
    pub budget: Option<ErrorBudget>,
    pub canary: ArmNames,
    pub control: ArmNames,
    /// The Services' port that the routes name.
    pub port: u16,
    /// The canary's share.
    pub weight: Percent,
    /// When this share was accepted on every route; while it is being changed: now. Seconds since the epoch, as below.
    pub settled_at: i64,
    pub run_started_at: i64,
    /// When the youngest pod of the canary started, if its warm-up is not to be judged.
    pub pods_started_at: Option<i64>,
    pub scrape_interval: Span,
    /// Excess of this revision's earlier runs, in hundredths of a request: a retry does not refill the allowance.
    pub spent_earlier_hundredths: i64,
    /// What the run's record holds.
    pub previous: Option<EvidenceRecord>,
}

impl Order {
    pub const DEFAULT_SCRAPE_INTERVAL: Span = Span::seconds(15);

    pub(super) fn timing(&self) -> Timing {
        let given = self.scrape_interval > Span::ZERO;
        Timing::of(if given { self.scrape_interval } else { Self::DEFAULT_SCRAPE_INTERVAL })
    }

    /// Which arms have traffic by the weight.
    pub(super) fn expected(&self) -> Expected {
        Expected { canary: self.weight > Percent::ZERO, control: self.weight < Percent::FULL }
    }

    /// The `ratio` metric whose requests the budget counts.
    pub(super) fn is_budget_metric(&self, metric: &Metric) -> bool {
        let Some(budget) = &self.budget else { return false };
        let first = self.metrics.iter().find(|metric| metric.ratio.is_some());
        let named = budget.metric.as_ref().or(first.map(|metric| &metric.name));
        metric.ratio.is_some() && named == Some(&metric.name)
    }

    /// How the names of a revision's pods begin.
    pub(super) fn pod_prefix(&self, arm: Arm) -> String {
        format!("{}-", revision_name(&self.rollout, &self.names(arm).revision))
    }

    fn names(&self, arm: Arm) -> &ArmNames {
        match arm {
            Arm::Canary => &self.canary,
            Arm::Control => &self.control,
        }
    }

    /// A query for one arm.
    pub(super) fn query(&self, template: &str, arm: Arm) -> Result<String, QueryError> {
        let names = self.names(arm);
        fill(template, &|placeholder| match placeholder {
            Placeholder::Namespace => Value::Text(self.namespace.clone()),
            Placeholder::Service => Value::Text(names.service.clone()),
            Placeholder::Revision => Value::Text(names.revision.clone()),
            Placeholder::Pods => Value::Regex(format!("{}.*", escape_regex(&self.pod_prefix(arm)))),
            Placeholder::RouteCluster => Value::Text(format!("{}_{}_{}", self.namespace, names.service, self.port)),
            // Filled in when the run began; one that is left selects nothing.
            Placeholder::Argument(_) => Value::Keep,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_arm_has_its_own_names() {
        let names = |service: &str, revision: &str| ArmNames { service: service.into(), revision: revision.into() };
        let order = Order {
            namespace: "shop".into(),
            rollout: "checkout".into(),
            canary: names("checkout-abc", "abc"),
            control: names("checkout", "def"),
            port: 80,
            ..Order::default()
        };
        for (template, canary, control) in [
            (r#"a{c="{{ route.cluster }}"}"#, r#"a{c="shop_checkout-abc_80"}"#, r#"a{c="shop_checkout_80"}"#),
            (r#"a{pod=~"{{ pods }}"}"#, r#"a{pod=~"checkout-abc-.*"}"#, r#"a{pod=~"checkout-def-.*"}"#),
            (
                r#"a{n="{{ namespace }}",s="{{ service }}",r="{{ revision }}"}"#,
                r#"a{n="shop",s="checkout-abc",r="abc"}"#,
                r#"a{n="shop",s="checkout",r="def"}"#,
            ),
        ] {
            assert_eq!(order.query(template, Arm::Canary).as_deref(), Ok(canary));
            assert_eq!(order.query(template, Arm::Control).as_deref(), Ok(control));
        }
    }
}
