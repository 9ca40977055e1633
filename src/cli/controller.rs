//! `tidegate controller`: the operator's start from the command line.
//!
//! The operator itself is in `controller`.

use super::{
    Failure,
    arguments::{ConnectionArguments, ControllerArguments},
};

pub async fn run(_connection: &ConnectionArguments, _arguments: &ControllerArguments) -> Result<(), Failure> {
    Err(Failure::Controller("this build has none".into()))
}
