//! Deterministic simulation: the other side of the cluster seam, in one process, from a seed.
//!
//! No thread, no clock and no chance of its own: the time is given, and the same calls give the same cluster.

pub mod server;
