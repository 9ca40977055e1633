//! The shell: observe, act, report, and the wiring. The only place with I/O on the cluster, and no policy.

mod cluster;

pub use cluster::*;
