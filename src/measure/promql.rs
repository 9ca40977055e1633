//! Query templates: values are put in as label values, and proven to have changed nothing else.
//!
//! Flow: the template is parsed with a plain word in place of each placeholder; each word must then stand in the value of
//! one label matcher. The values are escaped and put in, the result is parsed, and both trees must be equal but for the
//! values of those matchers, which must be exactly the ones asked for.
//! Guarantees: whatever an argument holds, the query selects by the same labels with the same operators and computes the same.
//! Caveats: it does not know whether a metric exists. The escaping alone should do; the comparison is there because a query
//! that an argument can bend judges every release that uses it.

use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{Expr, VectorSelector, parse},
    util::visitor::{ExprVisitorMut, walk_expr_mut},
};

use super::placeholder::{Piece, Placeholder, split};

/// Longest query, in bytes, before and after values are put in.
const LONGEST_QUERY: usize = 8_192;
/// Most signs and words that can make a tree deeper. Whoever walks, compares or drops a tree recurses, and with some thousands of
/// them a query would end the process by its stack.
const MOST_OPERATORS: usize = 512;
/// What makes a tree deeper, wherever it stands: whether it is in a string only the parser knows.
const OPERATORS: &[u8] = b"([-+*/%^<>=!";
const OPERATOR_WORDS: [&str; 4] = ["or", "and", "unless", "atan2"];

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum QueryError {
    #[error("failed to parse it as PromQL: {0}")]
    Syntax(String),
    #[error(
        "failed to read placeholder {{{{ {0} }}}}: it is none of namespace, service, revision, pods, route.cluster, args.NAME"
    )]
    Unknown(String),
    #[error("failed to place {0}: a placeholder stands for a label's value, as in {{label=\"{0}\"}}")]
    NotAValue(String),
    #[error("failed to place {0}: it is a regular expression, write {{label=~\"{0}\"}}")]
    NotARegex(String),
    #[error("failed to fill {0} in: its value has characters that cannot be written there")]
    Unwritable(String),
    #[error("failed to fill the values in without changing the query's meaning")]
    ChangedShape,
    #[error("failed to use a query of {0} bytes: at most {LONGEST_QUERY} are")]
    TooLong(usize),
    #[error("failed to use a query of {0} operators and parentheses: at most {MOST_OPERATORS} are")]
    TooDeep(usize),
    #[error(
        "failed to use it as a selector: write a metric with matchers only, such as requests_total{{code=\"500\"}}; Tidegate reads its raw samples"
    )]
    NotASelector,
}

/// What to put in for a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Leave it as it is written.
    Keep,
    /// This text, whatever it holds.
    Text(String),
    /// This regular expression.
    Regex(String),
}

/// Put values in.
pub fn fill(template: &str, value_of: &dyn Fn(&Placeholder) -> Value) -> Result<String, QueryError> {
    check_size(template)?;
    let pieces = split(template).map_err(QueryError::Unknown)?;
    let mark = unused_word(template);
    let skeleton = tree(&written(&pieces, |index, _, _| Ok(format!("{mark}{index}x")))?)?;
    let holes = pieces.iter().filter(|piece| matches!(piece, Piece::Hole { .. })).count();
    let mut values = Vec::with_capacity(holes);
    for piece in &pieces {
        if let Piece::Hole { placeholder, .. } = piece {
            let is_regex = skeleton.is_regex(&format!("{mark}{}x", values.len()));
            let is_regex = is_regex.ok_or_else(|| QueryError::NotAValue(placeholder.written()))?;
            values.push(matched_text(placeholder, value_of(placeholder), is_regex)?);
        }
    }
    let put = |index: usize, placeholder: &Placeholder, quote: Option<char>, kept: String| match &values[index] {
        Some(text) => quoted(text, quote).ok_or_else(|| QueryError::Unwritable(placeholder.written())),
        None => Ok(kept),
    };
    let marked = written(&pieces, |index, hole, quote| put(index, hole, quote, format!("{mark}{index}x")))?;
    check_size(&marked)?;
    if tree(&marked)? != skeleton.with(&mark, &values) {
        return Err(QueryError::ChangedShape);
    }
    written(&pieces, |index, hole, quote| put(index, hole, quote, hole.written()))
}

/// The selector that a filled query is, if it is a plain one: no function, range, offset or time.
pub fn selector(query: &str) -> Result<VectorSelector, QueryError> {
    match parse(query).map_err(QueryError::Syntax)? {
        Expr::VectorSelector(selector)
            if selector.offset.is_none() && selector.at.is_none() && selector.matchers.or_matchers.is_empty() =>
        {
            Ok(selector)
        }
        _ => Err(QueryError::NotASelector),
    }
}

/// Whether a template, filled in any way, is a plain selector.
pub fn check_selector(template: &str) -> Result<(), QueryError> {
    let filled = fill(template, &|placeholder| match placeholder {
        Placeholder::Pods => Value::Regex("x".into()),
        _ => Value::Text("x".into()),
    })?;
    selector(&filled).map(|_| ())
}

/// Whether a query may be parsed at all.
pub fn check_size(query: &str) -> Result<(), QueryError> {
    if query.len() > LONGEST_QUERY {
        return Err(QueryError::TooLong(query.len()));
    }
    let lower = query.to_ascii_lowercase();
    let words: usize = OPERATOR_WORDS.iter().map(|word| lower.matches(word).count()).sum();
    let operators = words + query.bytes().filter(|byte| OPERATORS.contains(byte)).count();
    if operators > MOST_OPERATORS { Err(QueryError::TooDeep(operators)) } else { Ok(()) }
}

/// A word that the template does not hold, to stand for its placeholders.
fn unused_word(template: &str) -> String {
    let mut mark = "hole".to_owned();
    while template.contains(&mark) {
        mark.push('e');
    }
    mark
}

/// The template with something in place of each placeholder.
fn written(
    pieces: &[Piece],
    put: impl Fn(usize, &Placeholder, Option<char>) -> Result<String, QueryError>,
) -> Result<String, QueryError> {
    let (mut text, mut index) = (String::new(), 0);
    for piece in pieces {
        match piece {
            Piece::Text(part) => text.push_str(part),
            Piece::Hole { placeholder, quote } => {
                text.push_str(&put(index, placeholder, *quote)?);
                index += 1;
            }
        }
    }
    Ok(text)
}

/// The text that the matcher is to hold; None: the placeholder stays.
fn matched_text(placeholder: &Placeholder, value: Value, is_regex: bool) -> Result<Option<String>, QueryError> {
    match value {
        Value::Keep | Value::Regex(_) if *placeholder == Placeholder::Pods && !is_regex => {
            Err(QueryError::NotARegex(placeholder.written()))
        }
        Value::Keep => Ok(None),
        // A value that looks like a placeholder would be taken for one when the rest is filled in.
        Value::Text(text) if text.contains("{{") => Err(QueryError::Unwritable(placeholder.written())),
        Value::Text(text) => Ok(Some(if is_regex { escape_regex(&text) } else { text })),
        Value::Regex(text) if is_regex => Ok(Some(text)),
        Value::Regex(_) => Err(QueryError::NotARegex(placeholder.written())),
    }
}

/// A text as a regular expression that matches it and nothing else (RE2).
pub fn escape_regex(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// A text as it is written inside a string with this quote; None if it cannot be.
fn quoted(text: &str, quote: Option<char>) -> Option<String> {
    let quote = quote?;
    // Between backticks nothing can be escaped, and the parser, unlike servers, reads a backslash there as an escape.
    if quote == '`' {
        return (!text.contains(['`', '\\', '\n', '\r'])).then(|| text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str(r"\\"),
            '\n' => out.push_str(r"\n"),
            '\r' => out.push_str(r"\r"),
            '\t' => out.push_str(r"\t"),
            letter if letter == quote => out.extend(['\\', letter]),
            letter if letter.is_control() && letter.is_ascii() => {
                out.push_str(&format!("\\x{:02x}", u32::from(letter)))
            }
            letter => out.push(letter),
        }
    }
    Some(out)
}

/// A query's tree apart from its matchers, and these in order.
#[derive(Clone, Debug, PartialEq)]
struct Tree {
    shape: Expr,
    matchers: Vec<(String, &'static str, String)>,
}

fn tree(query: &str) -> Result<Tree, QueryError> {
    let mut shape = parse(query).map_err(QueryError::Syntax)?;
    let mut blank = Blank { matchers: Vec::new() };
    let Ok(_) = walk_expr_mut(&mut blank, &mut shape);
    Ok(Tree { shape, matchers: blank.matchers })
}

impl Tree {
    /// Whether the matcher that holds the mark is a regular expression; None: no matcher holds it.
    fn is_regex(&self, mark: &str) -> Option<bool> {
        let holder = self.matchers.iter().find(|(_, _, value)| value.contains(mark));
        holder.map(|(_, operator, _)| operator.contains('~'))
    }

    /// The tree that filling in must give.
    fn with(&self, mark: &str, values: &[Option<String>]) -> Self {
        let mut expected = self.clone();
        for (_, _, value) in &mut expected.matchers {
            *value = replace_marks(value, mark, values);
        }
        expected
    }
}

/// Put values in for the marks of one matcher in one pass, so that a value that looks like a mark stays what it is.
fn replace_marks(text: &str, mark: &str, values: &[Option<String>]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(mark) {
        out.push_str(before);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let value = after[..digits].parse().ok().and_then(|index: usize| values.get(index)).and_then(Option::as_ref);
        match value {
            Some(value) => {
                out.push_str(value);
                rest = &after[(digits + 1).min(after.len())..];
            }
            None => {
                out.push_str(mark);
                rest = after;
            }
        }
    }
    out + rest
}

/// Takes the matchers out of a tree.
struct Blank {
    matchers: Vec<(String, &'static str, String)>,
}

impl Blank {
    fn take(&mut self, selector: &mut VectorSelector) {
        let groups = &mut selector.matchers;
        for matcher in groups.matchers.iter_mut().chain(groups.or_matchers.iter_mut().flatten()) {
            let operator = match &matcher.op {
                MatchOp::Equal => "=",
                MatchOp::NotEqual => "!=",
                MatchOp::Re(_) => "=~",
                MatchOp::NotRe(_) => "!~",
            };
            let blank = Matcher::new(MatchOp::Equal, "", "");
            let Matcher { name, value, .. } = std::mem::replace(matcher, blank);
            self.matchers.push((name, operator, value));
        }
    }
}

impl ExprVisitorMut for Blank {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &mut Expr) -> Result<bool, Self::Error> {
        match expr {
            Expr::VectorSelector(selector) => self.take(selector),
            Expr::MatrixSelector(matrix) => self.take(&mut matrix.vs),
            _ => {}
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
