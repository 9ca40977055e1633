//! The shell: observe, act, report, and the wiring. The only place with I/O on the cluster, and no policy.

mod act;
mod authority;
mod cluster;
mod documents;
mod duty;
mod evaluate;
mod events;
#[cfg(test)]
mod fake;
mod gather;
mod index;
mod key;
mod lease;
mod listed;
mod live;
mod memory;
mod metrics;
mod moment;
#[cfg(feature = "mutants")]
pub mod mutation;
mod notify;
mod observe;
mod pace;
mod pass;
mod permissions;
mod providers;
mod queue;
mod relist;
mod report;
mod retry;
mod run;
mod runtime;
mod serve;
mod settle;
mod shared;
mod shipped;
mod standstill;
#[cfg(test)]
mod tests;
mod triggers;
mod unserved;
mod worker;
mod write_site;

pub use cluster::*;
pub use duty::{alone_on_duty, on_duty};
pub use key::Key;
pub use lease::{Elector, Fenced, LEASE_REQUEST_LIMIT, Leadership, Lookout, Lost, Place, identity};
pub use live::Live;
pub use metrics::{Gauges, Metrics};
pub use moment::Moment;
pub use notify::{Address, Format, Notifications, NotificationsError, Receiver, read_receivers};
pub use pass::{Shell, reconcile};
pub use permissions::{Permission, Verb, is_granted, permissions, rules_yaml};
pub use providers::{Providers, Servers};
pub use queue::{DEBOUNCE, Queue};
pub use run::{Args, RunError, run};
pub use runtime::{Machine, Runtime};
pub use shipped::actions_documents;
pub use worker::{WORKERS, work};
pub use write_site::WriteSite;

use act::{ABORT_PATIENCE, Site, dry_run, refuse_orphans, status_patch};
use authority::may_act;
use documents::Documents;
pub use evaluate::{BudgetQuestion, Evaluators};
pub use events::{Events, Outbox};
use gather::{Gathered, gather, route_kind};
pub use index::{Index, SERVICE_NAME_LABEL};
use memory::{Memories, Memory};
use observe::{Evaluation, Observation, expired, observe, open_run, seconds, source_template, unconsumed};
use pace::Pace;
use serve::Health;
use settle::{Outcome, settle};
use triggers::Triggers;
use unserved::Unserved;
