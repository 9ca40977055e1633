//! Label selectors of lists.

use serde_json::Value;

use crate::workload::object::label;

/// One requirement on the labels.
enum Term<'s> {
    Is(&'s str, &'s str),
    IsNot(&'s str, &'s str),
    In(&'s str, Vec<&'s str>),
    NotIn(&'s str, Vec<&'s str>),
    Exists(&'s str),
    Absent(&'s str),
}

/// A parsed selector; an empty one selects all.
pub struct Selector<'s>(Vec<Term<'s>>);

impl<'s> Selector<'s> {
    pub fn parse(selector: &'s str) -> Self {
        let mut terms = Vec::new();
        let mut rest = selector.trim();
        while !rest.is_empty() {
            // A comma between parentheses does not end a term.
            let mut depth = 0;
            let is_end = |one: char| {
                depth += i32::from(one == '(') - i32::from(one == ')');
                one == ',' && depth == 0
            };
            let (first, others) = rest.find(is_end).map_or((rest, ""), |at| (&rest[..at], &rest[at + 1..]));
            terms.push(term(first.trim()));
            rest = others.trim();
        }
        Self(terms)
    }

    pub fn selects(&self, document: &Value) -> bool {
        self.0.iter().all(|term| match term {
            Term::Is(key, value) => label(document, key) == Some(value),
            Term::IsNot(key, value) => label(document, key) != Some(value),
            Term::In(key, values) => label(document, key).is_some_and(|found| values.contains(&found)),
            Term::NotIn(key, values) => label(document, key).is_none_or(|found| !values.contains(&found)),
            Term::Exists(key) => label(document, key).is_some(),
            Term::Absent(key) => label(document, key).is_none(),
        })
    }
}

fn term(text: &str) -> Term<'_> {
    if let Some((key, list)) = text.split_once(" notin (") {
        return Term::NotIn(key.trim(), listed(list));
    }
    if let Some((key, list)) = text.split_once(" in (") {
        return Term::In(key.trim(), listed(list));
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Term::IsNot(key.trim(), value.trim());
    }
    if let Some((key, value)) = text.split_once('=') {
        return Term::Is(key.trim(), value.trim_start_matches('=').trim());
    }
    text.strip_prefix('!').map_or(Term::Exists(text), |key| Term::Absent(key.trim()))
}

fn listed(list: &str) -> Vec<&str> {
    list.trim_end_matches(')').split(',').map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_are_read_as_the_server_reads_them() {
        let document = json!({"metadata": {"labels": {"app": "x", "tier/y": "b"}}});
        for (selector, expected) in [
            ("", true),
            ("app=x", true),
            ("app==x,tier/y=b", true),
            ("app=x,tier/y=c", false),
            ("tier/y in (a,b),app=x", true),
            ("tier/y in (a, c)", false),
            ("tier/y notin (a,c)", true),
            ("none notin (a)", true),
            ("app!=y", true),
            ("app", true),
            ("!app", false),
            ("!none", true),
        ] {
            assert_eq!(Selector::parse(selector).selects(&document), expected, "{selector}");
        }
    }
}
