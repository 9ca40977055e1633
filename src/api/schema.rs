//! The vocabulary of the fields' constraints: patterns, rules in CEL, and the schema of what is kept as written.
//!
//! Which field has which constraint stands beside the field, not here.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A DNS subdomain: what most objects may be called.
pub const DNS_SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A DNS-1035 label: Services and Rollouts, because a revision's Service is named after them.
pub const DNS_1035: &str = r"^[a-z]([-a-z0-9]*[a-z0-9])?$";
/// Names of metrics and gates, which stand in commands and in labels of our own metrics.
pub const WORD: &str = r"^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$";
/// Names of arguments, which stand in placeholders: no dot, it separates there.
pub const ARGUMENT: &str = r"^[A-Za-z0-9]([-_A-Za-z0-9]*[A-Za-z0-9])?$";
/// A comparison with a number, such as `>= 0.99`.
pub const COMPARISON: &str = r"^ *(<=|>=|<|>|==|!=) *[-+]?[0-9]{1,18}(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,3})? *$";

/// A validation rule of the API server, with the sentence people see when it does not hold.
pub fn rule(rule: &str, message: &str) -> Value {
    json!({"rule": rule, "message": message})
}

/// The rule of a duration that must not be written as zero. A text of the pattern is zero exactly if no digit is above 0;
/// `duration()` would fail on text that misses the pattern and say a second, darker sentence beside the pattern's.
pub fn not_zero() -> Value {
    rule("self.matches('[1-9]')", "must be longer than 0s; leave the field out to get its default")
}

/// A rule that `self` and another object's field stay as they were.
pub fn immutable(message: &str) -> Value {
    rule("self == oldSelf", message)
}

/// An object that is kept as it was written: nothing in it is pruned or checked here.
pub fn object_as_written(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Objects that are kept as they were written.
pub fn objects_as_written(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 64, "items": object_as_written(generator)})
}

/// A document of any shape that is kept as it was written.
pub fn any_as_written(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}
