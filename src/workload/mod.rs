//! The objects of a workload, as pure functions: documents in, views out; intent in, a document or a patch out.
//!
//! No client is in here, and no policy: when to pin, scale or create is the engine's business.

pub mod backend_policy;
pub mod deployment;
pub mod endpoints;
pub mod object;
pub mod owners;
pub mod ownership;
pub mod patch;
pub mod pod;
pub mod record;
pub mod revision_service;
pub mod scale_source;
pub mod service;
pub mod source;

pub use crate::api::canonical;
pub use ownership::{last_manager, release_ownership};
