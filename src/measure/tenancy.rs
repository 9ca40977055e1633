//! Tenancy: what a namespace's query may select, as the provider's administrator says.
//!
//! Flow: the query, with all placeholders filled in, is parsed; each of its selectors must satisfy a rule or gets the matcher that
//! makes it do so; what is sent is the tree written out again, which must parse to the same tree.
//! Guarantees: no selector of what the server gets is without the matchers of a rule, wherever it stands: in operands,
//! arguments, parameters of aggregations, subqueries, ranges. Text that the server could read in another way than the parser
//! here (backticks, comments, escapes) is never sent.
//! Caveats: with a prefix nothing can be added, so a selector without it is refused. What a series' labels say is the
//! scraper's to vouch for.

mod pinned;

use std::sync::Arc;

use async_trait::async_trait;
use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{Expr, VectorSelector, parse},
};

use super::{
    promql::{QueryError, check_size},
    provider::{Provider, Sample, Series, WhyNot},
};
use crate::api::TenancyRule;
use pinned::{Pinned, is_pinned};

/// Bytes of a selector that a message shows.
const SHOWN: usize = 160;
/// Reads other series than its selectors name.
const IMPLICIT: &str = "info";

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TenancyError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("selector {selector} is not limited to the Rollout's namespace: its MetricsProvider wants {wanted}")]
    Unlimited { selector: String, wanted: String },
    #[error(
        "selector {selector} cannot be limited to the Rollout's namespace: it has an `or` between matchers, write two selectors"
    )]
    Or { selector: String },
    #[error("function {IMPLICIT} cannot be limited to the Rollout's namespace: it reads series that no selector names")]
    Implicit,
    #[error(
        "the query cannot be written again as it was read, which its MetricsProvider's tenancy needs: write it more simply"
    )]
    Unwritable,
}

/// The rules of one provider for one namespace.
#[derive(Clone, Debug)]
pub struct Tenancy {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    label: String,
    pinned: Pinned,
}

impl Tenancy {
    pub fn new(rules: &[TenancyRule], namespace: &str) -> Self {
        let pinned = |rule: &TenancyRule| match &rule.prefix {
            Some(prefix) => Pinned::Begin(prefix.replace("{{ namespace }}", namespace)),
            None => Pinned::Whole(namespace.to_owned()),
        };
        let rules = rules.iter().map(|rule| Rule { label: rule.label.clone(), pinned: pinned(rule) });
        Self { rules: rules.collect() }
    }

    /// The query as it may be sent.
    pub fn limit(&self, query: &str) -> Result<String, TenancyError> {
        if self.rules.is_empty() {
            return Ok(query.to_owned());
        }
        check_size(query)?;
        let mut tree = parse(query).map_err(QueryError::Syntax)?;
        self.limit_tree(&mut tree)?;
        let written = tree.to_string();
        check_size(&written)?;
        if parse(&written).as_ref() != Ok(&tree) {
            return Err(TenancyError::Unwritable);
        }
        Ok(written)
    }

    fn limit_tree(&self, tree: &mut Expr) -> Result<(), TenancyError> {
        match tree {
            Expr::Aggregate(aggregate) => {
                aggregate.param.as_mut().map_or(Ok(()), |param| self.limit_tree(param))?;
                self.limit_tree(&mut aggregate.expr)
            }
            Expr::Unary(unary) => self.limit_tree(&mut unary.expr),
            Expr::Binary(binary) => {
                self.limit_tree(&mut binary.lhs)?;
                self.limit_tree(&mut binary.rhs)
            }
            Expr::Paren(paren) => self.limit_tree(&mut paren.expr),
            Expr::Subquery(subquery) => self.limit_tree(&mut subquery.expr),
            Expr::Call(call) if call.func.name == IMPLICIT => Err(TenancyError::Implicit),
            Expr::Call(call) => call.args.args.iter_mut().try_for_each(|argument| self.limit_tree(argument)),
            Expr::VectorSelector(selector) => self.limit_selector(selector),
            Expr::MatrixSelector(matrix) => self.limit_selector(&mut matrix.vs),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
            // The parser makes none.
            Expr::Extension(_) => Err(TenancyError::Unwritable),
        }
    }

    fn limit_selector(&self, selector: &mut VectorSelector) -> Result<(), TenancyError> {
        if !selector.matchers.or_matchers.is_empty() {
            return Err(TenancyError::Or { selector: shown(selector) });
        }
        let matchers = &mut selector.matchers.matchers;
        // As they are written out, so that the tree can be compared with what it says.
        matchers.sort_by_key(Matcher::to_string);
        if self.rules.iter().any(|rule| matchers.iter().any(|matcher| rule.holds(matcher))) {
            return Ok(());
        }
        let names_another = |rule: &Rule| {
            let whole = matches!(rule.pinned, Pinned::Whole(_));
            whole && matchers.iter().any(|matcher| matcher.name == rule.label && matcher.op == MatchOp::Equal)
        };
        let addable = self.rules.iter().find_map(Rule::matcher);
        match addable.filter(|_| !self.rules.iter().any(names_another)) {
            Some(matcher) => {
                matchers.push(matcher);
                matchers.sort_by_key(Matcher::to_string);
            }
            None => return Err(TenancyError::Unlimited { selector: shown(selector), wanted: self.wanted() }),
        }
        Ok(())
    }

    fn wanted(&self) -> String {
        let rules = self.rules.iter().map(|Rule { label, pinned }| match pinned {
            Pinned::Whole(value) => format!("{label}=\"{value}\""),
            Pinned::Begin(prefix) => format!("{label} that begins with \"{prefix}\""),
        });
        rules.collect::<Vec<_>>().join(", or ")
    }
}

impl Rule {
    fn holds(&self, matcher: &Matcher) -> bool {
        matcher.name == self.label && is_pinned(matcher, &self.pinned)
    }

    /// What a selector lacks, where it can be added without changing anything else.
    fn matcher(&self) -> Option<Matcher> {
        match &self.pinned {
            Pinned::Whole(namespace) => Some(Matcher::new(MatchOp::Equal, &self.label, namespace)),
            Pinned::Begin(_) => None,
        }
    }
}

fn shown(selector: &VectorSelector) -> String {
    selector.to_string().chars().take(SHOWN).collect()
}

/// A provider as one namespace may use it.
pub struct Tenant {
    pub server: Arc<dyn Provider>,
    pub tenancy: Tenancy,
}

#[async_trait]
impl Provider for Tenant {
    async fn instant(&self, query: &str, at: i64) -> Result<Vec<Sample>, WhyNot> {
        self.server.instant(&self.tenancy.limit(query)?, at).await
    }

    async fn raw(&self, selector: &str, from: i64, to: i64) -> Result<Vec<Series>, WhyNot> {
        self.server.raw(&self.tenancy.limit(selector)?, from, to).await
    }

    async fn over(&self, query: &str, from: i64, to: i64, step: i64) -> Result<Vec<Series>, WhyNot> {
        self.server.over(&self.tenancy.limit(query)?, from, to, step).await
    }
}

#[cfg(test)]
mod tests;
