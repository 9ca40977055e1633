//! A service as a whole in metrics: the selectors of a ratio metric over all of its revisions.
//!
//! Flow: what stands for a revision is filled in as a mark, the selector is parsed, and each matcher that holds a mark becomes a
//! regular expression for every revision.
//! Caveats: Services and pods are told by the form of a revision's name, also of revisions whose records are gone. Where only
//! `{{ revision }}` tells them apart, those that have records count, because other Rollouts' hashes look alike.

use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{VectorSelector, token::T_EQL_REGEX},
};

use super::{
    placeholder::Placeholder,
    promql::{QueryError, Value, escape_regex, fill, selector},
    selectors::{is_of_pods, up},
};
use crate::api::{HASH_ALPHABET, HASH_LENGTH, RatioMetric, baseline_of, revision_service_name};

/// Marks: letters for private use, which are in nobody's labels.
const SERVICE: char = '\u{e000}';
const REVISION: char = '\u{e001}';
const HASH: char = '\u{e002}';

/// How a service is named in metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    pub namespace: String,
    pub rollout: String,
    /// The application's Service.
    pub service: String,
    /// The Service's port that the routes name.
    pub port: u16,
    /// The revisions that have a record.
    pub revisions: Vec<String>,
}

/// What is asked of a metric for a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeSelectors {
    pub total: String,
    /// The counter beside total, and whether it counts good requests.
    pub counted: (String, bool),
    /// Of the service's targets, if the selector names them.
    pub up: Option<String>,
    /// How the names of the service's pods begin, where `up` finds other pods too.
    pub own_pods: Option<String>,
}

impl Whole {
    /// Err: the metric cannot be counted over all revisions.
    pub fn selectors(&self, ratio: &RatioMetric) -> Result<WholeSelectors, String> {
        let total = self.marked(&ratio.total)?;
        let own_pods = is_of_pods(&ratio.total, &total, is_marked).then(|| format!("{}-", self.rollout));
        let total = self.over_all(total)?;
        let up = up(&total);
        let (counter, is_good) = match (&ratio.bad, &ratio.good) {
            (Some(bad), _) => (bad, false),
            (None, Some(good)) => (good, true),
            (None, None) => (&ratio.total, true),
        };
        let counter = self.over_all(self.marked(counter)?)?.to_string();
        Ok(WholeSelectors { total: total.to_string(), counted: (counter, is_good), up, own_pods })
    }

    /// The selector with a mark for each name of a revision.
    fn marked(&self, template: &str) -> Result<VectorSelector, String> {
        let Self { namespace, rollout, port, .. } = self;
        let filled = fill(template, &|placeholder| match placeholder {
            Placeholder::Namespace => Value::Text(namespace.clone()),
            Placeholder::Service => Value::Text(SERVICE.into()),
            Placeholder::Revision => Value::Text(REVISION.into()),
            Placeholder::Pods => Value::Regex(format!("{}-{HASH}-.*", escape_regex(rollout))),
            Placeholder::RouteCluster => Value::Text(format!("{namespace}_{SERVICE}_{port}")),
            // Filled in when the analysis was resolved; one that is left selects nothing.
            Placeholder::Argument(_) => Value::Keep,
        });
        filled.and_then(|query| selector(&query)).map_err(|error: QueryError| error.to_string())
    }

    /// The marks made into expressions for all revisions.
    fn over_all(&self, mut selector: VectorSelector) -> Result<VectorSelector, String> {
        for matcher in selector.matchers.matchers.iter_mut().filter(|matcher| is_marked(matcher)) {
            let name = &matcher.name;
            let expression = match matcher.op {
                MatchOp::Equal => escape_regex(&matcher.value),
                MatchOp::Re(_) => matcher.value.clone(),
                MatchOp::NotEqual | MatchOp::NotRe(_) => {
                    return Err(format!(
                        "label {name} rules a revision out, so that it cannot be asked for all of them: use = or =~"
                    ));
                }
            };
            let expression = expression
                .replace(SERVICE, &self.services())
                .replace(HASH, &hashes())
                .replace(REVISION, &format!("({})(-baseline)?", self.revisions.join("|")));
            *matcher = Matcher::new_matcher(T_EQL_REGEX, name.clone(), expression)?;
        }
        Ok(selector)
    }

    /// The application's Service and those of revisions. There is no `|` in it: by the rules of tenancy a set and a choice together
    /// are no plain text behind a prefix.
    fn services(&self) -> String {
        let (service, hash, hashes) = (&self.service, "b".repeat(HASH_LENGTH), hashes());
        let stem = |revision: &str| {
            let name = revision_service_name(service, revision);
            name.strip_suffix(revision).map(|stem| stem.trim_end_matches('-').to_owned()).unwrap_or(name)
        };
        let (of_revision, of_baseline) = (stem(&hash), stem(&baseline_of(&hash)));
        if of_baseline == *service {
            return format!("{service}(-{hashes}(-baseline)?)?");
        }
        // The names of a long one's revisions are cut; all begin with the shortest.
        let rest = |name: &str| name.strip_prefix(of_baseline.as_str()).unwrap_or_default().to_owned();
        format!("{of_baseline}({})?({}-{hashes})?(-{hashes}-baseline)?", rest(service), rest(&of_revision))
    }
}

fn hashes() -> String {
    format!("[{HASH_ALPHABET}]{{{HASH_LENGTH}}}")
}

fn is_marked(matcher: &Matcher) -> bool {
    matcher.value.contains([SERVICE, REVISION, HASH])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::TenancyRule, measure::Tenancy};

    const H: &str = "[bcdfghjklmnpqrstvwxz2456789]{10}";

    fn whole(service: &str) -> Whole {
        Whole {
            namespace: "shop".into(),
            rollout: "checkout".into(),
            service: service.into(),
            port: 80,
            revisions: vec!["bbbbbbbbbb".into(), "cccccccccc".into()],
        }
    }

    fn total(service: &str, template: &str) -> Result<String, String> {
        let ratio = RatioMetric { total: template.to_owned(), bad: Some(template.to_owned()), good: None };
        whole(service).selectors(&ratio).map(|selectors| selectors.total)
    }

    #[test]
    fn every_revision_is_selected_by_what_told_them_apart() {
        for (template, expected) in [
            (
                r#"a{c="{{ route.cluster }}",code="5"}"#,
                format!(r#"a{{c=~"shop_checkout(-{H}(-baseline)?)?_80",code="5"}}"#),
            ),
            (
                r#"a{s="{{ namespace }}-{{ service }}-80@x.y"}"#,
                format!(r#"a{{s=~"shop-checkout(-{H}(-baseline)?)?-80@x\\.y"}}"#),
            ),
            (r#"a{pod=~"{{ pods }}"}"#, format!(r#"a{{pod=~"checkout-{H}-.*"}}"#)),
            (r#"a{r="{{ revision }}"}"#, r#"a{r=~"(bbbbbbbbbb|cccccccccc)(-baseline)?"}"#.to_owned()),
            (r#"a{r=~"x-{{ revision }}|y"}"#, r#"a{r=~"x-(bbbbbbbbbb|cccccccccc)(-baseline)?|y"}"#.to_owned()),
            (r#"a{n="{{ namespace }}"}"#, r#"a{n="shop"}"#.to_owned()),
        ] {
            assert_eq!(total("checkout", template), Ok(expected), "{template}");
        }
        let why = total("checkout", r#"a{r!="{{ revision }}"}"#).unwrap_err();
        assert!(why.starts_with("label r rules a revision out"), "{why}");
    }

    #[test]
    fn the_expression_matches_the_services_of_revisions_and_no_other() {
        let long = "a-service-whose-name-is-as-long-as-the-names-of-services-may-be";
        for service in ["checkout", long] {
            let query = total(service, r#"a{s="{{ service }}"}"#).unwrap();
            let parsed = selector(&query).unwrap();
            let matches = |name: &str| parsed.matchers.matchers[0].is_match(name);
            let hash = "b2c4d5f6g7";
            for name in [service.to_owned(), revision_service_name(service, hash)] {
                assert!(matches(&name), "{name} {query}");
            }
            assert!(matches(&revision_service_name(service, &baseline_of(hash))), "{query}");
            for name in
                [format!("{service}-api"), format!("{service}-recommends"), format!("x{service}"), String::new()]
            {
                assert!(!matches(&name), "{name} {query}");
            }
        }
    }

    #[test]
    fn the_rules_of_tenancy_let_it_through_where_they_let_one_revision_through() {
        let rules = [TenancyRule { label: "c".into(), prefix: Some("{{ namespace }}_".into()) }];
        let query = total("checkout", r#"a{c="{{ route.cluster }}"}"#).unwrap();
        assert!(Tenancy::new(&rules, "shop").limit(&query).is_ok(), "{query}");
        assert!(Tenancy::new(&rules, "bank").limit(&query).is_err(), "{query}");
    }
}
