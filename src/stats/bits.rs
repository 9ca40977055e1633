//! Floats as text that loses no bit: the bits of a 64-bit float in hexadecimal digits, and those of many in base64.
//!
//! JSON numbers are not used for the state of a fold: a parser may lose the last bit, and a restart must not change evidence.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
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

/// What begins the text of many floats; without it they are 16 hexadecimal digits each, as older records have them.
const PACKED: char = '.';

/// Many floats as one string, their bits in base64 without padding: a record is small, and digits would need half as much again.
pub fn pack(values: &[f64]) -> Value {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_bits().to_be_bytes()).collect();
    let mut text = String::from(PACKED);
    STANDARD_NO_PAD.encode_string(bytes, &mut text);
    Value::String(text)
}

/// The floats of `pack`; None as in `from_bits`.
pub fn unpack(value: &Value) -> Option<Vec<f64>> {
    let text = value.as_str()?;
    let Some(packed) = text.strip_prefix(PACKED) else { return from_hexadecimal(text) };
    let bytes = STANDARD_NO_PAD.decode(packed).ok()?;
    let (floats, rest) = bytes.as_chunks::<8>();
    let numbers = floats.iter().map(|bytes| finite(u64::from_be_bytes(*bytes)));
    rest.is_empty().then(|| numbers.collect()).flatten()
}

fn from_hexadecimal(text: &str) -> Option<Vec<f64>> {
    let whole = text.is_ascii() && text.len().is_multiple_of(DIGITS);
    whole.then(|| (0..text.len()).step_by(DIGITS).map(|at| from_digits(&text[at..at + DIGITS])).collect()).flatten()
}

/// As many floats as asked for, and no more.
pub fn unpack_array<const N: usize>(value: &Value) -> Option<[f64; N]> {
    unpack(value)?.try_into().ok()
}

fn from_digits(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|one| one.is_ascii_hexdigit());
    finite(digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()?)
}

fn finite(bits: u64) -> Option<f64> {
    Some(f64::from_bits(bits)).filter(|number| number.is_finite())
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
        let bits = |values: Vec<f64>| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let packed = pack(&values);
        assert_eq!(packed.as_str().map(str::len), Some(33));
        assert_eq!(bits(unpack(&packed).unwrap()), values.map(f64::to_bits));
        assert_eq!(unpack_array::<3>(&packed), Some(values));
        assert_eq!(unpack_array::<2>(&packed), None);
        let older: String = values.iter().map(|value| format!("{:016x}", value.to_bits())).collect();
        assert_eq!(bits(unpack(&older.into()).unwrap()), values.map(f64::to_bits));
    }

    #[test]
    fn what_is_no_list_of_floats_is_refused() {
        let infinite = pack(&[1.0, f64::INFINITY]);
        assert_eq!(unpack(&infinite), None);
        for broken in
            ["3ff", "+ff0000000000000", "\u{e9}ff00000000000", "7ff0000000000000", ".AAAA", ".AAAAAAAAAAA=", ".\u{e9}"]
        {
            assert_eq!(unpack(&Value::from(broken)), None, "{broken}");
        }
    }
}
