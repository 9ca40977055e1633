//! One line of recorded data as a window, or what is wrong with it.
//!
//! It does not judge, and repairs nothing.

use serde::{Deserialize, Deserializer};

use crate::stats::{Arms, Flaw};

/// Every key has to be there: null is missing, no key is a mistake. Other keys are not looked at.
#[derive(Deserialize)]
struct Recorded {
    #[serde(deserialize_with = "given")]
    xc: Option<f64>,
    #[serde(deserialize_with = "given")]
    nc: Option<f64>,
    #[serde(deserialize_with = "given")]
    xs: Option<f64>,
    #[serde(deserialize_with = "given")]
    ns: Option<f64>,
}

fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<f64>, D::Error> {
    Option::deserialize(value)
}

pub fn read(line: &[u8]) -> Result<Arms, Flaw> {
    match serde_json::from_slice(line) {
        Ok(Recorded { xc, nc, xs, ns }) => Arms::of([xc, nc], [xs, ns]),
        Err(error) => Err(flaw(line, &error)),
    }
}

/// JSON has no NaN and no infinity, but programs write them, bare or in quotes, and numbers beyond the range of a float.
fn flaw(line: &[u8], error: &serde_json::Error) -> Flaw {
    let no_number = |value: &[u8]| {
        let value: Vec<u8> = value.iter().copied().filter(|byte| !b" \t\"+-".contains(byte)).take(3).collect();
        value.eq_ignore_ascii_case(b"nan") || value.eq_ignore_ascii_case(b"inf")
    };
    let values = line.split(|byte| *byte == b':').skip(1);
    let out_of_range = error.to_string().starts_with("number out of range");
    if out_of_range || values.into_iter().any(no_number) { Flaw::NotFinite } else { Flaw::BrokenLine }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Counts;

    #[test]
    fn a_line_is_a_window_or_has_a_flaw() {
        let arm = |bad, total| Some(Counts { bad, total });
        let window = |canary, control| Ok(Arms { canary, control });
        for (line, wanted) in [
            (r#"{"xc":0,"nc":48,"xs":1,"ns":950}"#, window(arm(0.0, 48.0), arm(1.0, 950.0))),
            (r#" {"ns":950, "xs":1.5, "t":"x", "nc":48, "xc":0}"#, window(arm(0.0, 48.0), arm(1.5, 950.0))),
            (r#"{"xc":null,"nc":null,"xs":1,"ns":950}"#, window(None, arm(1.0, 950.0))),
            (r#"{"xc":0,"nc":48,"xs":null,"ns":950}"#, window(arm(0.0, 48.0), None)),
            (r#"{"xc":NaN,"nc":48,"xs":1,"ns":950}"#, Err(Flaw::NotFinite)),
            (r#"{"xc": -Infinity,"nc":48,"xs":1,"ns":950}"#, Err(Flaw::NotFinite)),
            (r#"{"xc":0,"nc":48,"xs":1,"ns":"+Inf"}"#, Err(Flaw::NotFinite)),
            (r#"{"xc":0,"nc":1e999,"xs":1,"ns":950}"#, Err(Flaw::NotFinite)),
            (r#"{"xc":0,"nc":-48,"xs":1,"ns":950}"#, Err(Flaw::NegativeCount)),
            (r#"{"xc":49,"nc":48,"xs":1,"ns":950}"#, Err(Flaw::BadAboveTotal)),
            (r#"{"xc":0,"nc":48,"xs":1}"#, Err(Flaw::BrokenLine)),
            (r#"{"xc":0,"nc":48,"xs":1,"ns":950"#, Err(Flaw::BrokenLine)),
            (r#"{"xc":0,"nc":"48","xs":1,"ns":950}"#, Err(Flaw::BrokenLine)),
            (r#"{"xc":0,"xc":1,"nc":48,"xs":1,"ns":950}"#, Err(Flaw::BrokenLine)),
            (r#"{"xc":0,"nc":48,"xs":1,"ns":950}{}"#, Err(Flaw::BrokenLine)),
            ("0,48,1,950", Err(Flaw::BrokenLine)),
            ("[0,48,1,950]", window(arm(0.0, 48.0), arm(1.0, 950.0))),
        ] {
            assert_eq!(read(line.as_bytes()), wanted, "{line}");
        }
        assert_eq!(read(b"\xff\xfe{"), Err(Flaw::BrokenLine));
    }
}
