//! The admission policy that vouches for the authors of actions, as far as a controller looks at it. The model of the API
//! server enforces none: nobody in a simulation forges an author.

use serde_json::{Value, json};

use crate::{
    api::ACTIONS_POLICY,
    controller::{ADMISSION_BINDING, ADMISSION_POLICY, Kind},
};

/// The policy and its binding.
pub fn documents() -> [(Kind, Value); 2] {
    let document = |kind: Kind, spec: Value| {
        let metadata = json!({"name": ACTIONS_POLICY});
        (kind, json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": metadata, "spec": spec}))
    };
    [
        document(ADMISSION_POLICY, json!({"failurePolicy": "Fail"})),
        document(ADMISSION_BINDING, json!({"policyName": ACTIONS_POLICY, "validationActions": ["Deny"]})),
    ]
}
