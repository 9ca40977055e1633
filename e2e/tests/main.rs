//! The lab's tests: a real API server, gateway and Prometheus. Each test has a namespace and a controller of its own.

#[path = "../support/mod.rs"]
mod support;

mod baseline;
mod conformance;
mod crash;
mod crash_points;
mod evidence;
mod facts;
mod faults;
mod grpc;
mod guardrails;
mod history;
mod idle;
mod intents;
mod leader;
mod midrun;
mod notifications;
mod owners;
mod policies;
mod presets;
mod privileges;
mod promote;
mod refused;
mod reverts;
mod rights;
mod together;
mod verdicts;

/// The binary under test.
pub const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate");
