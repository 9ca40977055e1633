//! The admission policy that vouches for the authors of actions, as a user installs it. The model of the API server enforces
//! none: nobody in a simulation forges an author.

use serde_json::Value;

use crate::controller::{ADMISSION_BINDING, ADMISSION_POLICY, Kind, actions_documents};

/// The policy and its binding.
pub fn documents() -> Vec<(Kind, Value)> {
    [ADMISSION_POLICY, ADMISSION_BINDING].into_iter().zip(actions_documents().iter().cloned()).collect()
}
