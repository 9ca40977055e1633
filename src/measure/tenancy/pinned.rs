//! Whether a matcher lets through only values of one namespace.
//!
//! Regular expressions are read as text and hardly understood: the server's dialect is RE2's, no parser here is, and where two
//! parsers differ a tenant could say one thing to each. What is not plain is taken for something that matches more.

use promql_parser::label::{MatchOp, Matcher};

use crate::measure::promql::escape_regex;

/// What the values of a namespace's label are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// Exactly this.
    Whole(String),
    /// They begin with this.
    Begin(String),
}

/// The matcher lets through nothing else.
pub fn is_pinned(matcher: &Matcher, pinned: &Pinned) -> bool {
    match (&matcher.op, pinned) {
        (MatchOp::Equal, Pinned::Whole(namespace)) => matcher.value == *namespace,
        (MatchOp::Equal, Pinned::Begin(prefix)) => matcher.value.starts_with(prefix),
        (MatchOp::Re(_), Pinned::Begin(prefix)) => begins_with(&matcher.value, prefix),
        (MatchOp::Re(_), Pinned::Whole(_)) | (MatchOp::NotEqual | MatchOp::NotRe(_), _) => false,
    }
}

/// Whether everything that the expression matches begins with the prefix. It is anchored at both ends by the server.
fn begins_with(expression: &str, prefix: &str) -> bool {
    let expression = expression.strip_prefix('^').unwrap_or(expression);
    // Escaped, it matches itself and nothing else.
    let rest = expression.strip_prefix(escape_regex(prefix).as_str());
    // A quantifier would be about the last character of the prefix.
    rest.is_some_and(|rest| !rest.starts_with(['?', '*', '+', '{']) && alternates_inside_groups_only(rest))
}

/// Whether every `|` stands between the parentheses of a group, so that none makes the prefix one choice of several.
fn alternates_inside_groups_only(rest: &str) -> bool {
    if !rest.contains('|') {
        return true;
    }
    // Sets, and escapes of letters such as \Q, are where dialects differ on what a parenthesis is.
    let mut letters = rest.chars();
    let mut depth = 0_usize;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.next().is_none_or(|next| next.is_alphanumeric()) => return false,
            '[' | ']' => return false,
            '(' => depth += 1,
            ')' if depth == 0 => return false,
            ')' => depth -= 1,
            '|' if depth == 0 => return false,
            _ => {}
        }
    }
    depth == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_expressions_that_plainly_begin_with_the_prefix_are_pinned() {
        for (expression, expected) in [
            ("shop_.*", true),
            ("^shop_.*", true),
            ("shop_", true),
            ("shop_(a|b)_80", true),
            (r"shop_(a|b)\.x", true),
            ("shop_[a-z]+_80", true),
            ("shop_a.*$", true),
            ("shop_((a|b)|c)", true),
            (".*", false),
            ("shop.*", false),
            ("shop_?other", false),
            ("shop_*other", false),
            ("shop_+", false),
            ("shop_{0}other", false),
            ("shop_a|other_b", false),
            ("shop_|other_b", false),
            ("(shop_a|other_b)", false),
            ("shop_(a)|(b)", false),
            ("shop_(a))|((b)", false),
            ("shop_[a[b]|other_.*[]x]?", false),
            (r"shop_\Q(\E|other_.*", false),
            (r"shop_(\)|other)", true),
            (r"shop_\(|other_.*", false),
            (r"shop_(a|b\", false),
            ("(?i)shop_.*", false),
            ("[s]hop_.*", false),
            ("^^shop_.*", false),
            ("", false),
        ] {
            assert_eq!(begins_with(expression, "shop_"), expected, "{expression}");
        }
        assert!(begins_with(r"a\.shop/.*", "a.shop/"));
        assert!(!begins_with("a.shop/.*", "a.shop/"), "a dot matches every letter");
        assert!(!begins_with("axshop/.*", "a.shop/"));
    }
}
