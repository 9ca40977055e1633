//! What the demo and the lab's tests share: a namespace of one's own, the application's manifests, a controller process and
//! a load generator. They run inside `lab run`.
//!
//! It asserts nothing about Tidegate.

#![allow(dead_code, unused_imports)]

pub mod application;
pub mod audit;
pub mod controller;
pub mod denial;
pub mod fault;
pub mod ledger;
pub mod load;
pub mod partition;
pub mod person;
pub mod point;
pub mod proxy;
pub mod relay;
pub mod request;
pub mod rest;
pub mod space;
pub mod stage;
pub mod stood;
pub mod watches;

pub use application::Application;
pub use controller::Controller;
pub use denial::Denial;
pub use ledger::Ledger;
pub use load::{Load, Tally};
pub use person::Person;
pub use proxy::Proxy;
pub use relay::Relay;
pub use space::Space;
pub use stage::Stage;
