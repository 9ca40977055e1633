//! Canonical JSON: one text for one meaning, whatever order or library wrote the document.
//!
//! Keys are sorted, members that are null are left out, whole floats are written as integers. It does not fill in
//! defaults: two documents of which one spells a default out are different.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Floats up to here are whole numbers without loss.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The canonical text. It is written here rather than by the library, because names in the cluster depend on every byte.
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// SHA-256 of the canonical text.
pub fn digest(value: &Value) -> [u8; 32] {
    Sha256::digest(canonical(value).as_bytes()).into()
}

/// The first 20 hexadecimal digits of the digest.
pub fn short_digest(value: &Value) -> String {
    digest(value).iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT => {
                out.push_str(&format!("{float:.0}"));
            }
            Some(_) | None => out.push_str(&number.to_string()),
        },
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.iter().filter(|(_, member)| !member.is_null()).collect();
            out.push('{');
            for (index, (key, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write(member, out);
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn order_nulls_and_whole_floats_make_no_difference() {
        let text = r#"{"a":[1,null,"x\"é"],"b":{"c":2.5,"d":-3}}"#;
        let one: Value = serde_json::from_str(r#"{"b":{"d":-3.0,"c":2.5,"e":null},"a":[1.0,null,"x\"é"]}"#).unwrap();
        assert_eq!(canonical(&one), text);
        assert_eq!(canonical(&json!({"a": [1, null, "x\"é"], "b": {"c": 2.5, "d": -3}})), text);
        assert_ne!(canonical(&json!({"a": {}})), canonical(&json!({})));
    }
}
