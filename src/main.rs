//! The one binary: the command line, and with `tidegate controller` the operator itself.
//!
//! Everything is in the library.

use std::process::ExitCode;

/// Gives back what a restart with hundreds of Rollouts has used; musl's own allocator has one lock for all threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    tidegate::cli::main().await
}
