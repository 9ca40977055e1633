//! placeholder until api is merged
use super::{Refusal, ValidRollout};
use crate::api::RolloutSpec;
pub fn validate(_: &RolloutSpec) -> Result<ValidRollout, Vec<Refusal>> {
    Err(Vec::new())
}
