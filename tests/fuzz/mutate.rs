//! Mutations: of the tree of a JSON document, or of bytes.
//!
//! It knows no target. A mutated document is still JSON most of the time, or no mutation would get past a parser.

use rand::{Rng, RngExt};
use serde_json::{Map, Value, json};

/// Text that has a meaning to some parser.
const WORDS: [&str; 40] = [
    "",
    " ",
    "0",
    "-1",
    "1e999",
    "NaN",
    "+Inf",
    "0x1f",
    "99999999999999999999",
    "4294967296",
    "100%",
    "101",
    "1h30m",
    "99999h",
    "0s",
    "\"",
    "'",
    "`",
    "\\",
    "\\\"",
    "\n",
    "\r\n",
    "\u{0}",
    "\u{202e}",
    "é",
    "𝒳",
    "{",
    "}",
    "{{",
    "}}",
    "{{ namespace }}",
    "{{ args.x }}",
    "{{ pods }}",
    "[5m]",
    " or vector(0)",
    "#",
    "=~\".*\"",
    ")",
    "((((((((",
    "null",
];

/// One of the corpus, changed in one to four places.
pub fn mutate(corpus: &[Vec<u8>], chance: &mut impl Rng) -> Vec<u8> {
    let mut input = corpus[chance.random_range(0..corpus.len())].clone();
    let other = &corpus[chance.random_range(0..corpus.len())];
    let tree: Option<Value> =
        serde_json::from_slice(&input).ok().filter(|tree: &Value| tree.is_object() || tree.is_array());
    match tree {
        Some(mut tree) if chance.random_ratio(3, 4) => {
            let donor = serde_json::from_slice(other).unwrap_or(Value::Null);
            for _ in 0..chance.random_range(1..=4) {
                change(&mut tree, &donor, chance);
            }
            tree.to_string().into_bytes()
        }
        _ => {
            for _ in 0..chance.random_range(1..=4) {
                change_bytes(&mut input, other, chance);
            }
            input
        }
    }
}

/// Walks down at random, and changes what is there.
fn change(tree: &mut Value, donor: &Value, chance: &mut impl Rng) {
    let ends = chance.random_ratio(1, 6);
    match tree {
        Value::Object(fields) if !ends && !fields.is_empty() => change_object(fields, donor, chance),
        Value::Array(items) if !ends && !items.is_empty() => {
            let index = chance.random_range(0..items.len());
            match chance.random_range(0..8) {
                0 => drop(items.remove(index)),
                1 => items.push(items[index].clone()),
                2 => items.insert(0, part(donor, chance)),
                3 if items.len() < 64 => items.extend(items.clone()),
                _ => change(&mut items[index], donor, chance),
            }
        }
        Value::String(text) if !ends => {
            let mut bytes = std::mem::take(text).into_bytes();
            change_bytes(&mut bytes, b"", chance);
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        _ => *tree = value(donor, chance),
    }
}

fn change_object(fields: &mut Map<String, Value>, donor: &Value, chance: &mut impl Rng) {
    let key = fields.keys().nth(chance.random_range(0..fields.len())).cloned().unwrap_or_default();
    match chance.random_range(0..10) {
        0 => drop(fields.remove(&key)),
        1 => drop(fields.insert(word(chance).into(), value(donor, chance))),
        2 => drop(fields.insert(format!("{key}x"), fields[&key].clone())),
        _ => change(fields.entry(key).or_insert(Value::Null), donor, chance),
    }
}

fn value(donor: &Value, chance: &mut impl Rng) -> Value {
    match chance.random_range(0..12) {
        0 => Value::Null,
        1 => json!(chance.random_bool(0.5)),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(i64::MIN),
        5 => json!(u64::MAX),
        6 => json!(1e308),
        7 => json!(chance.random::<i16>()),
        8 => json!([]),
        9 => json!({}),
        10 => json!(word(chance)),
        _ => part(donor, chance),
    }
}

/// Some subtree.
fn part(tree: &Value, chance: &mut impl Rng) -> Value {
    let children: Vec<&Value> = match tree {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    if children.is_empty() || chance.random_ratio(1, 4) {
        return tree.clone();
    }
    part(children[chance.random_range(0..children.len())], chance)
}

fn change_bytes(bytes: &mut Vec<u8>, other: &[u8], chance: &mut impl Rng) {
    let at = chance.random_range(0..=bytes.len());
    let to = (at + chance.random_range(0..=16)).min(bytes.len());
    match chance.random_range(0..7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << chance.random_range(0..8),
        1 => drop(bytes.drain(at..to)),
        2 => drop(bytes.splice(at..at, bytes[at..to].to_vec())),
        3 => bytes.insert(at, chance.random()),
        4 if !other.is_empty() => {
            let from = chance.random_range(0..other.len());
            let until = (from + chance.random_range(1..=64)).min(other.len());
            drop(bytes.splice(at..to, other[from..until].iter().copied()));
        }
        5 => bytes.truncate(at),
        _ => drop(bytes.splice(at..to, word(chance).bytes())),
    }
}

fn word(chance: &mut impl Rng) -> &'static str {
    WORDS[chance.random_range(0..WORDS.len())]
}
