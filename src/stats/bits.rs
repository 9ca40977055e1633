//! Floats as text that loses no bit: the hexadecimal bits of a 64-bit float.
//!
//! JSON numbers are not used for the state of a fold: a parser may lose the last bit, and a restart must not change evidence.

use serde_json::Value;

/// The 16 hexadecimal digits of a float's bits.
pub fn to_bits(value: f64) -> Value {
    Value::String(format!("{:016x}", value.to_bits()))
}

/// The float whose bits the text holds; None for anything else, and for what is no finite number.
pub fn from_bits(value: &Value) -> Option<f64> {
    let text = value.as_str().filter(|text| text.len() == 16)?;
    let number = f64::from_bits(u64::from_str_radix(text, 16).ok()?);
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_survives() {
        for value in [0.0, -0.0, 0.1 + 0.2, f64::MAX, f64::MIN_POSITIVE, 23.580_114_14] {
            assert_eq!(from_bits(&to_bits(value)).unwrap().to_bits(), value.to_bits());
        }
    }

    #[test]
    fn what_is_no_float_is_refused() {
        for value in [Value::Null, Value::from(1.5), Value::from("3ff"), to_bits(f64::NAN), to_bits(f64::INFINITY)] {
            assert_eq!(from_bits(&value), None, "{value}");
        }
    }
}
