//! A list of what is wrong in a spec: each entry a sentence that names the field path and the fix.
//!
//! It knows shapes of mistakes (two of one, a zero, a duplicate), not fields.

use std::collections::BTreeSet;

use super::Refusal;
use crate::api::{Reason, Span};

/// What is wrong, in the order in which it was found.
#[derive(Default)]
pub struct Problems(Vec<Refusal>);

impl Problems {
    pub fn add(&mut self, message: impl Into<String>) {
        self.0.push(Refusal { reason: Reason::InvalidSpec, message: message.into() });
    }

    pub fn into_refusals(self) -> Vec<Refusal> {
        self.0
    }

    /// The value, if nothing is wrong.
    pub fn or<T>(self, value: T) -> Result<T, Vec<Refusal>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }

    pub fn exactly_one(&mut self, path: &str, keys: &[(&str, bool)]) {
        let written: Vec<&str> = keys.iter().filter(|(_, written)| *written).map(|(key, _)| *key).collect();
        if written.len() != 1 {
            let names = keys.iter().map(|(key, _)| *key).collect::<Vec<_>>().join(", ");
            let found = if written.is_empty() { "none".to_owned() } else { written.join(" and ") };
            self.add(format!("{path} has {found}: write exactly one of {names}"));
        }
    }

    pub fn not_zero(&mut self, path: &str, span: Option<Span>) {
        if span == Some(Span::ZERO) {
            self.add(format!("{path} is 0s: write a longer time, or leave it out"));
        }
    }

    pub fn present(&mut self, path: &str, text: &str) {
        if text.is_empty() {
            self.add(format!("{path} is empty: write a name"));
        }
    }

    pub fn at_most(&mut self, path: &str, found: usize, most: usize) {
        if found > most {
            self.add(format!("{path} has {found} entries, {most} at most"));
        }
    }

    /// Names that must be written, and only once.
    pub fn unique<'a>(&mut self, path: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for (index, name) in names.enumerate() {
            self.present(&format!("{path}[{index}].name"), name);
            if !seen.insert(name) {
                self.add(format!(
                    "{path}[{index}].name {name:?} stands there twice: choose another name, or delete one"
                ));
            }
        }
    }

    /// A whole number that may be left out.
    pub fn whole(&mut self, path: &str, number: Option<i32>, least: u32) -> Option<u32> {
        let number = number?;
        let whole = u32::try_from(number).ok().filter(|whole| *whole >= least);
        if whole.is_none() {
            self.add(format!("{path} is {number}, at least {least} is needed"));
        }
        whole
    }
}
