//! The one binary: the command line, and with `tidegate controller` the operator itself.
//!
//! Everything is in the library.

use std::process::ExitCode;

// Passes wait for the API server most of the time: two threads carry hundreds of Rollouts, and memory does not grow with the
// node's processors.
#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    tidegate::cli::main().await
}
