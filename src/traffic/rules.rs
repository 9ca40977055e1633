//! Which rules of a route are managed, and which of the frozen ones each of them is.
//!
//! A rule is found by its identity (everything but its backends); if its owner has changed that too, by its place. It does
//! not decide what is written into a rule.

use serde_json::Value;

use super::split::{Arms, Tested, local_service, owners_form};
use crate::{
    api::{RunRoute, RunRule, baseline_of_service, revision_service_name},
    workload::{
        canonical::short_digest,
        object::{items, namespace, text},
    },
};

/// A rule of the route as it stands.
#[derive(Debug)]
pub struct ManagedRule<'a> {
    pub index: usize,
    pub now: &'a [Value],
    /// What the run has frozen of it; None: it is new.
    pub frozen: Option<&'a RunRule>,
    /// Its backends without ours, in the owners' scale.
    pub owners: Vec<Value>,
    /// The application Services that get traffic from it.
    pub services: Vec<String>,
    pub identity: String,
}

impl ManagedRule<'_> {
    /// What a run that began now would freeze.
    pub fn to_freeze(&self) -> RunRule {
        RunRule {
            index: u32::try_from(self.index).unwrap_or(u32::MAX),
            identity: self.identity.clone(),
            services: self.services.clone(),
            backend_refs: self.owners.clone(),
        }
    }

    /// Its backends are what was frozen, ours aside.
    pub fn is_as_frozen(&self) -> bool {
        self.frozen.is_some_and(|frozen| frozen.services == self.services && frozen.backend_refs == self.owners)
    }
}

/// Digest of the rule without its backends.
pub fn identity(rule: &Value) -> String {
    let mut rest = rule.clone();
    if let Some(members) = rest.as_object_mut() {
        members.remove("backendRefs");
    }
    short_digest(&rest)
}

/// The rules that a run has to look at: those frozen, new ones that name a Service, and any that holds a backend of ours.
pub fn managed<'a>(document: &'a Value, frozen: &'a RunRoute, arms: &Arms, total: u32) -> Vec<ManagedRule<'a>> {
    let candidates: Vec<_> = items(document, "/spec/rules")
        .iter()
        .enumerate()
        .filter(|(_, rule)| is_candidate(rule, frozen, arms))
        .map(|(index, rule)| (index, items(rule, "/backendRefs"), identity(rule)))
        .collect();
    let matched = matches(&candidates, &frozen.rules, arms);
    let rules = candidates.into_iter().zip(matched).map(|((index, now, identity), frozen)| {
        let owners = owners_form(now, frozen.map(|rule| rule.backend_refs.as_slice()), arms, total);
        let services = arms.served_by(&owners);
        ManagedRule { index, now, frozen, owners, services, identity }
    });
    rules.filter(|rule| rule.frozen.is_some() || !rule.services.is_empty() || arms.are_named_in(rule.now)).collect()
}

fn is_candidate(rule: &Value, frozen: &RunRoute, arms: &Arms) -> bool {
    let backends = items(rule, "/backendRefs");
    let selected = || {
        frozen.selected.is_empty()
            || text(rule, "/name").is_some_and(|name| frozen.selected.iter().any(|selected| selected == name))
    };
    arms.are_named_in(backends) || (backends.iter().any(|one| arms.application(one).is_some()) && selected())
}

/// For each candidate the frozen rule that it is. Each frozen rule is given away once, to the best claim first.
fn matches<'a>(
    candidates: &[(usize, &'a [Value], String)],
    frozen: &'a [RunRule],
    arms: &Arms,
) -> Vec<Option<&'a RunRule>> {
    let mut result: Vec<Option<&RunRule>> = vec![None; candidates.len()];
    let mut free: Vec<&RunRule> = frozen.iter().collect();
    let same = |(_, _, identity): &(usize, &[Value], String), rule: &RunRule| *identity == rule.identity;
    let in_place = |(index, _, _): &(usize, &[Value], String), rule: &RunRule| u32::try_from(*index) == Ok(rule.index);
    let serves = |(_, now, _): &(usize, &[Value], String)| arms.are_named_in(now) || !arms.served_by(now).is_empty();
    for pass in 0..4 {
        for (candidate, place) in candidates.iter().zip(&mut result).filter(|(_, place)| place.is_none()) {
            let claim = free.iter().position(|rule| match pass {
                0 => same(candidate, rule) && in_place(candidate, rule),
                1 => same(candidate, rule),
                2 => in_place(candidate, rule) && serves(candidate),
                // Changed and moved: it names the Service, so it is managed in any case.
                _ => serves(candidate),
            });
            if let Some(claim) = claim {
                *place = Some(free.remove(claim));
            }
        }
    }
    result
}

/// The application's Services. If nothing is frozen any more: those beside which the route has a backend of a revision under test.
pub fn services(document: &Value, frozen: &RunRoute, tested: Option<Tested>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut keep = |service: &str| {
        if !found.iter().any(|known| known == service) {
            found.push(service.to_owned());
        }
    };
    frozen.rules.iter().flat_map(|rule| &rule.services).for_each(|service| keep(service));
    if let (true, Some(tested)) = (frozen.rules.is_empty(), tested) {
        for rule in items(document, "/spec/rules") {
            let names = || items(rule, "/backendRefs").iter().filter_map(|backend| text(backend, "/name"));
            let is_named = |name: &str| names().any(|found| found == name);
            let named =
                |service: &&str| tested.revisions().any(|revision| is_named(&revision_service_name(service, revision)));
            names().filter(named).for_each(&mut keep);
        }
    }
    found
}

/// The baseline beside one of these Services that the route names, whatever run it was of.
pub fn baseline_in(document: &Value, services: &[String]) -> Option<String> {
    let backends = items(document, "/spec/rules").iter().flat_map(|rule| items(rule, "/backendRefs"));
    let mut names = backends.filter_map(|backend| local_service(backend, namespace(document)));
    names.find_map(|name| services.iter().find_map(|service| baseline_of_service(service, name)))
}
