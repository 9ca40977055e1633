//! placeholder until measure is merged
use super::Gathered;
use crate::{api::ResolvedAnalysis, engine::Refusal};
pub(super) fn resolve(_: &Gathered) -> Result<ResolvedAnalysis, Vec<Refusal>> {
    Ok(ResolvedAnalysis::default())
}
