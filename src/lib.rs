//! Tidegate: progressive delivery for Kubernetes. Traffic moves step by step on evidence, and back by itself.
//!
//! The layers, lowest first: `api`; `engine` and `stats`; `workload`, `traffic`, `measure`, `plan`; `controller`; `sim`; `view`, `cli`.
//! Nothing low imports anything high; `tests/layers.rs` guards it.

pub mod api;
pub mod cli;
pub mod controller;
pub mod engine;
pub mod measure;
pub mod plan;
pub mod sim;
pub mod stats;
pub mod traffic;
pub mod view;
pub mod workload;
