//! The one binary: the command line, and with `tidegate controller` the operator itself.
//!
//! Everything is in the library.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    tidegate::cli::main().await
}
