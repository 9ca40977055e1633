//! The arithmetic on the backends of one rule: splitting the application's share, and putting it together again.
//!
//! The application's Service stays in the rule as the stable arm; the canary's Service, and a baseline's, are appended after all
//! others. The weights are divided by their common divisor and multiplied by the run's total first, so that every share of the plan is
//! a whole number and the other backends keep their shares exactly. It does not know rules or routes.

use serde_json::{Value, json};

use crate::{
    api::{Percent, revision_service_name},
    workload::object::text,
};

/// The largest weight that the Gateway API allows.
pub const MOST_WEIGHT: u64 = 1_000_000;

/// The revisions whose backends a run adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tested<'a> {
    pub canary: &'a str,
    /// None: the run has none.
    pub baseline: Option<&'a str>,
}

impl<'a> Tested<'a> {
    /// In the order of their backends.
    pub fn revisions(self) -> impl Iterator<Item = &'a str> {
        std::iter::once(self.canary).chain(self.baseline)
    }
}

/// The backends that a rule gets for one revision.
pub struct Added<'a> {
    pub revision: &'a str,
    /// The application Services that they stand for.
    pub services: Vec<String>,
    /// Of each Service's traffic.
    pub share: Percent,
}

/// Which backends are whose.
#[derive(Clone, Copy, Debug)]
pub struct Arms<'a> {
    /// The route's namespace: a Service of another one is not the application's.
    pub namespace: &'a str,
    /// The application's Services.
    pub services: &'a [String],
    /// None: no run.
    pub tested: Option<Tested<'a>>,
}

impl<'a> Arms<'a> {
    /// The application Service that this backend is.
    pub fn application(&self, backend: &Value) -> Option<&'a str> {
        let name = local_service(backend, self.namespace)?;
        self.services.iter().find(|service| *service == name).map(String::as_str)
    }

    /// The revisions under test.
    pub fn revisions(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.tested.into_iter().flat_map(Tested::revisions)
    }

    /// The application Service that this backend of a revision under test stands for.
    pub fn stands_for(&self, backend: &Value) -> Option<&'a str> {
        self.revisions().find_map(|revision| self.stands_as(backend, revision))
    }

    /// The same of one revision.
    fn stands_as(&self, backend: &Value, revision: &str) -> Option<&'a str> {
        let name = local_service(backend, self.namespace)?;
        self.services.iter().find(|service| revision_service_name(service, revision) == name).map(String::as_str)
    }

    /// Application Services that get a part of this rule's traffic, in the order of its backends.
    pub fn served_by(&self, backends: &[Value]) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for service in backends.iter().filter(|backend| weight(backend) > 0).filter_map(|one| self.application(one)) {
            if !found.iter().any(|known| known == service) {
                found.push(service.to_owned());
            }
        }
        found
    }

    /// The backends hold one of a revision under test.
    pub fn are_named_in(&self, backends: &[Value]) -> bool {
        backends.iter().any(|backend| self.stands_for(backend).is_some())
    }

    /// Application Services for which the backends hold one of this revision.
    pub fn named_in(&self, backends: &[Value], revision: &str) -> Vec<String> {
        let named = |service: &&String| self.weight_of(backends, service, revision).is_some();
        self.services.iter().filter(named).cloned().collect()
    }

    fn index_of(&self, backends: &[Value], service: &str) -> Option<usize> {
        backends.iter().position(|backend| self.application(backend) == Some(service))
    }

    /// The weight of this revision's backend for a Service; None: there is none.
    fn weight_of(&self, backends: &[Value], service: &str, revision: &str) -> Option<u64> {
        backends.iter().find(|backend| self.stands_as(backend, revision) == Some(service)).map(weight)
    }

    /// The weights of the backends of all revisions under test for a Service.
    fn tested_weights(&self, backends: &[Value], service: &str) -> Vec<u64> {
        self.revisions().filter_map(|revision| self.weight_of(backends, service, revision)).collect()
    }
}

/// How a revision under test stands in for one application Service in one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    Absent,
    /// With this share of the application's.
    At(Percent),
    /// With a share that has more decimals than a plan can have, or without the application's Service beside it: rounded up.
    Odd(Percent),
}

/// The name of the Service that a backend is, if it is one of this namespace.
pub fn local_service<'v>(backend: &'v Value, namespace: &str) -> Option<&'v str> {
    let local = text(backend, "/namespace").is_none_or(|found| found == namespace);
    if local { service_name(backend) } else { None }
}

/// The name of the Service that a backend is, in whatever namespace.
pub fn service_name(backend: &Value) -> Option<&str> {
    let kind = text(backend, "/kind").unwrap_or("Service");
    let group = text(backend, "/group").unwrap_or_default();
    if kind == "Service" && group.is_empty() { text(backend, "/name") } else { None }
}

/// Absent is 1.
pub fn weight(backend: &Value) -> u64 {
    backend.get("weight").and_then(Value::as_u64).unwrap_or(1)
}

/// The backends with the application's shares split as `added` says. Services that are in none of them keep theirs whole.
///
/// `owners` is the owners' form, without what is added.
pub fn divide(owners: &[Value], arms: &Arms, added: &[Added], total: u32) -> Vec<Value> {
    let (divisor, total) = (common_divisor(owners).max(1), fitting_total(owners, total));
    let scaled = |backend: &Value| weight(backend) / divisor * total;
    let mut result: Vec<_> = owners.iter().map(|backend| with_weight(backend, scaled(backend))).collect();
    for Added { revision, services, share } in added {
        for service in services {
            let Some(index) = arms.index_of(owners, service) else { continue };
            let whole = scaled(&owners[index]);
            // Rounded down: a share that the total cannot hold (never one of the plan's) is too small rather than too large.
            let part = u64::try_from(u128::from(whole) * u128::from(share.thousandths()) / 100_000).unwrap_or(0);
            result[index] = with_weight(&owners[index], weight(&result[index]).saturating_sub(part));
            let mut named = with_weight(&owners[index], part);
            named["name"] = json!(revision_service_name(service, revision));
            result.push(named);
        }
    }
    result
}

/// How a revision stands in these backends for each of `services`; where no arm has any weight, nothing is said.
pub fn shares(backends: &[Value], arms: &Arms, services: &[String], revision: &str) -> Vec<Share> {
    services.iter().filter_map(|service| share_of(backends, arms, service, revision)).collect()
}

fn share_of(backends: &[Value], arms: &Arms, service: &str, revision: &str) -> Option<Share> {
    let stable = arms.index_of(backends, service).map(|index| weight(&backends[index]));
    let tested: u64 = arms.tested_weights(backends, service).into_iter().fold(0, u64::saturating_add);
    let whole = tested.saturating_add(stable.unwrap_or(0));
    match (stable, arms.weight_of(backends, service, revision)) {
        (None, None) => None,
        (Some(_), None) => Some(Share::Absent),
        (Some(_), Some(_)) if whole == 0 => None,
        (stable, Some(own)) => {
            let (part, whole) = (u128::from(own) * 100_000, u128::from(whole.max(1)));
            let rounded = Percent::from_thousandths(u32::try_from(part.div_ceil(whole)).unwrap_or(u32::MAX));
            let is_exact = stable.is_some() && part.is_multiple_of(whole);
            Some(if is_exact { Share::At(rounded) } else { Share::Odd(rounded) })
        }
    }
}

/// The owners' form of these backends. `frozen` are the backends that the rule had when the run began.
///
/// If the shares are the frozen ones, it is what was frozen, byte for byte. If somebody has written something else beside
/// our backends, it is that, with the application's share put together and the numbers brought back to the owners' scale
/// where they divide.
pub fn owners_form(now: &[Value], frozen: Option<&[Value]>, arms: &Arms, total: u32) -> Vec<Value> {
    let together = put_together(now, arms);
    let named = arms.are_named_in(now);
    // Nobody knows the owners' scale any more: the smallest numbers with their shares.
    let Some(frozen) = frozen else { return if named { reduced(&together) } else { together } };
    if !alike_but_for_weights(&together, frozen) {
        return if named { owners_scale(together, frozen, total) } else { together };
    }
    let restored = if named { same_shares(&together, frozen) } else { is_left_over(&together, frozen, arms, total) };
    match (restored, named) {
        (true, _) => frozen.to_vec(),
        (false, true) => owners_scale(together, frozen, total),
        (false, false) => together,
    }
}

/// The backends without those of the revisions under test, whose weight goes to the application's Service.
fn put_together(now: &[Value], arms: &Arms) -> Vec<Value> {
    let mut result: Vec<Value> = Vec::new();
    for backend in now {
        match arms.stands_for(backend) {
            None => result.push(backend.clone()),
            // The application's Service was taken out beside it: it gets its place back.
            Some(service) if arms.index_of(now, service).is_none() && arms.index_of(&result, service).is_none() => {
                let mut back = backend.clone();
                back["name"] = json!(service);
                result.push(back);
            }
            Some(_) => {}
        }
    }
    for service in arms.services {
        let (tested, own) = (arms.tested_weights(now, service), arms.index_of(now, service));
        if let (Some(index), false) = (arms.index_of(&result, service), tested.is_empty())
            && (own.is_some() || tested.len() > 1)
        {
            let own = own.map_or(0, |index| weight(&now[index]));
            let whole = tested.into_iter().fold(own, u64::saturating_add);
            result[index] = with_weight(&result[index], whole);
        }
    }
    result
}

/// Somebody has taken our backends out and left our numbers in the others.
///
/// The other backends then stand at our scale. A whole share of 0 is taken for ours too: at 100 it would else leave the
/// application without traffic.
fn is_left_over(now: &[Value], frozen: &[Value], arms: &Arms, total: u32) -> bool {
    let (divisor, total) = (common_divisor(frozen).max(1), fitting_total(frozen, total));
    let ours = |backend: &Value| weight(backend) / divisor * total;
    let pairs = || now.iter().zip(frozen);
    let consistent = pairs().all(|(now, frozen)| match arms.application(frozen) {
        Some(_) => weight(now) <= ours(frozen),
        None => weight(now) == ours(frozen),
    });
    let other_moved = pairs().any(|(now, frozen)| arms.application(frozen).is_none() && weight(now) != weight(frozen));
    let emptied =
        pairs().any(|(now, frozen)| arms.application(frozen).is_some() && weight(now) == 0 && weight(frozen) > 0);
    consistent && (other_moved || emptied)
}

/// The smallest weights with the same shares.
fn reduced(backends: &[Value]) -> Vec<Value> {
    let divisor = common_divisor(backends).max(1);
    backends.iter().map(|backend| with_weight(backend, weight(backend) / divisor)).collect()
}

fn same_shares(now: &[Value], frozen: &[Value]) -> bool {
    let weights = |backends: &[Value]| -> Vec<u64> { reduced(backends).iter().map(weight).collect() };
    weights(now) == weights(frozen)
}

/// Weights at our scale brought back to the owners', if all of them divide.
fn owners_scale(mut now: Vec<Value>, frozen: &[Value], total: u32) -> Vec<Value> {
    let (divisor, total) = (common_divisor(frozen).max(1), fitting_total(frozen, total));
    let product = |backend: &Value| weight(backend).checked_mul(divisor);
    if now.iter().all(|backend| product(backend).is_some_and(|product| product.is_multiple_of(total))) {
        now = now.iter().map(|one| with_weight(one, product(one).unwrap_or(0) / total)).collect();
    }
    // As its owner wrote it, an absent weight included, where it means the same.
    let written = |backend: &Value| {
        frozen
            .iter()
            .find(|frozen| without_weight(frozen) == without_weight(backend) && weight(frozen) == weight(backend))
    };
    now.into_iter().map(|backend| written(&backend).cloned().unwrap_or(backend)).collect()
}

fn alike_but_for_weights(now: &[Value], frozen: &[Value]) -> bool {
    now.len() == frozen.len()
        && now.iter().zip(frozen).all(|(now, frozen)| without_weight(now) == without_weight(frozen))
}

/// The largest weight that the split needs in this total.
pub fn largest_weight(owners: &[Value], total: u32) -> u64 {
    let largest = owners.iter().map(weight).max().unwrap_or(0);
    (largest / common_divisor(owners).max(1)).saturating_mul(u64::from(total))
}

/// The run's total. A foreign write in mid-run may have made it too large: then the largest smaller one that fits, so that
/// going back (exact in any total) is never refused.
fn fitting_total(owners: &[Value], total: u32) -> u64 {
    let mut fitting = total.max(1);
    while fitting > 1 && largest_weight(owners, fitting) > MOST_WEIGHT {
        fitting /= 10;
    }
    u64::from(fitting.max(1))
}

fn common_divisor(backends: &[Value]) -> u64 {
    fn of_two(one: u64, other: u64) -> u64 {
        if other == 0 { one } else { of_two(other, one % other) }
    }
    backends.iter().map(weight).fold(0, of_two)
}

fn with_weight(backend: &Value, weight: u64) -> Value {
    let mut changed = backend.clone();
    changed["weight"] = json!(weight);
    changed
}

fn without_weight(backend: &Value) -> Value {
    let mut rest = backend.clone();
    if let Some(members) = rest.as_object_mut() {
        members.remove("weight");
    }
    rest
}
