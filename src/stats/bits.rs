//! Floats as text that loses no bit: the hexadecimal bits of a 64-bit float.
//!
//! JSON numbers are not used for the state of a fold: a parser may lose the last bit, and a restart must not change evidence.

use std::fmt::Write;

use serde_json::Value;

/// Hexadecimal digits of one float.
const DIGITS: usize = 16;

/// The 16 hexadecimal digits of a float's bits.
pub fn to_bits(value: f64) -> Value {
    Value::String(format!("{:016x}", value.to_bits()))
}

/// The float whose bits the text holds; None for anything else, and for what is no finite number.
pub fn from_bits(value: &Value) -> Option<f64> {
    from_digits(value.as_str().filter(|text| text.len() == DIGITS)?)
}

/// Many floats as one string, 16 digits each: a list of strings would need half as much room again in a record.
pub fn pack(values: &[f64]) -> Value {
    let mut text = String::with_capacity(values.len() * DIGITS);
    for value in values {
        // Writing to a String cannot fail.
        let _ = write!(text, "{:016x}", value.to_bits());
    }
    Value::String(text)
}

/// The floats of `pack`; None as in `from_bits`.
pub fn unpack(value: &Value) -> Option<Vec<f64>> {
    let text = value.as_str().filter(|text| text.is_ascii() && text.len() % DIGITS == 0)?;
    (0..text.len()).step_by(DIGITS).map(|at| from_digits(&text[at..at + DIGITS])).collect()
}

/// As many floats as asked for, and no more.
pub fn unpack_array<const N: usize>(value: &Value) -> Option<[f64; N]> {
    unpack(value)?.try_into().ok()
}

fn from_digits(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|one| one.is_ascii_hexdigit());
    let number = f64::from_bits(digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()?);
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

    #[test]
    fn many_floats_are_one_string() {
        let values = [0.1 + 0.2, -0.0, 1e200];
        let packed = pack(&values);
        assert_eq!(packed.as_str().map(str::len), Some(48));
        assert_eq!(unpack(&packed).unwrap().iter().map(|v| v.to_bits()).collect::<Vec<_>>(), values.map(f64::to_bits));
        assert_eq!(unpack_array::<3>(&packed), Some(values));
        assert_eq!(unpack_array::<2>(&packed), None);
        for broken in ["3ff", "+ff0000000000000", "\u{e9}ff00000000000", "7ff0000000000000"] {
            assert_eq!(unpack(&Value::from(broken)), None, "{broken}");
        }
    }
}
