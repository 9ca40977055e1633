//! Sequences of requests about one object: recorded in the simulator, where the whole controller works among people and tools,
//! and then disturbed by chance.

use std::collections::BTreeMap;

use serde_json::Value;
use tidegate::{
    controller::{
        ACTION, BACKEND_TLS_POLICY, BACKEND_TLS_POLICY_V1ALPHA3, CONTROLLER_REVISION, DEPLOYMENT, EVENT, HTTP_ROUTE,
        Kind, Patch, ROLLOUT, RUN, SERVICE, WriteSite,
    },
    sim::{
        chance::Chance,
        schedule::Schedule,
        server::journal::{Asked, Deed},
        story::Story,
    },
};

use super::intruder;

/// What the controller writes, and how often of all: Events say little. Pods and what belongs to them are others'.
const KINDS: [(Kind, u64); 9] = [
    (ROLLOUT, 4),
    (RUN, 3),
    (ACTION, 2),
    (DEPLOYMENT, 5),
    (CONTROLLER_REVISION, 2),
    (SERVICE, 5),
    (EVENT, 1),
    (HTTP_ROUTE, 4),
    // The lab's Gateway API has no newer version of it.
    (BACKEND_TLS_POLICY_V1ALPHA3, 2),
];
/// Longer ones lose some of their status writes.
const MOST_STEPS: usize = 30;

/// The resourceVersion that a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The object's own, as it stands on the server that is asked.
    Present,
    /// One that the object had before, or never.
    Stale,
    Unsaid,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub asked: Asked,
    pub at: At,
}

#[derive(Clone, Debug)]
pub struct Sequence {
    pub number: u64,
    pub kind: Kind,
    pub name: String,
    pub steps: Vec<Step>,
}

/// The requests about each object of the stories, and of this many random schedules.
pub fn recorded(schedules: u64) -> Vec<Vec<Asked>> {
    let stories = Story::all().into_iter().map(|story| story.schedule().clone());
    let all: Vec<Schedule> = stories.chain((0..schedules).map(Schedule::drawn)).collect();
    let journals: Vec<Vec<Asked>> = std::thread::scope(|scope| {
        let halves = all.chunks(all.len().div_ceil(2));
        let half = |half: &[Schedule]| half.iter().map(Schedule::asked).collect::<Vec<_>>();
        let running: Vec<_> = halves.map(|schedules| scope.spawn(move || half(schedules))).collect();
        running.into_iter().flat_map(|half| half.join().expect("a schedule runs")).collect()
    });
    journals.into_iter().flat_map(by_object).collect()
}

fn by_object(journal: Vec<Asked>) -> Vec<Vec<Asked>> {
    let mut objects = BTreeMap::<(Kind, String), Vec<Asked>>::new();
    for mut asked in journal {
        if asked.kind == BACKEND_TLS_POLICY {
            asked.kind = BACKEND_TLS_POLICY_V1ALPHA3;
            if let Some(document) = asked.deed.document_mut().filter(|document| !document["apiVersion"].is_null()) {
                document["apiVersion"] = BACKEND_TLS_POLICY_V1ALPHA3.api_version().into();
            }
        }
        if KINDS.iter().any(|(kind, _)| *kind == asked.kind) {
            objects.entry((asked.kind, asked.name.clone())).or_default().push(asked);
        }
    }
    objects.into_values().collect()
}

/// The sequence of this number: one of the recorded ones, disturbed.
pub fn sequence(seed: u64, number: u64, pool: &[Vec<Asked>]) -> Sequence {
    let mut chance = Chance::new(seed.wrapping_mul(1_000_003).wrapping_add(number));
    let kind = drawn_kind(&mut chance);
    let of_kind: Vec<&Vec<Asked>> = pool.iter().filter(|of| of[0].kind == kind).collect();
    let of = of_kind[chance.below(of_kind.len() as u64) as usize];
    let name = format!("{}-{number}", of[0].name);
    let mut steps = Vec::new();
    for step in thinned(&mut chance, of) {
        match chance.below(100) {
            0..=4 => {}
            5..=9 => steps.extend([step.clone(), step]),
            10..=14 => steps.push(Step { at: At::Stale, ..step }),
            15..=17 => steps.push(Step { at: At::Unsaid, ..step }),
            18..=37 => {
                steps.extend(intruder::steps(&mut chance, of));
                steps.push(step);
            }
            _ => steps.push(step),
        }
    }
    steps.extend(intruder::steps(&mut chance, of));
    for step in &mut steps {
        step.asked.rename(&name);
    }
    Sequence { number, kind, name, steps }
}

fn drawn_kind(chance: &mut Chance) -> Kind {
    let mut left = chance.below(KINDS.iter().map(|(_, share)| share).sum());
    for (kind, share) in KINDS {
        if left < share {
            return kind;
        }
        left -= share;
    }
    unreachable!("it is below the sum")
}

/// The recorded requests; of many status writes only some.
fn thinned(chance: &mut Chance, of: &[Asked]) -> Vec<Step> {
    let spare = of.iter().filter(|asked| asked.subresource == "status").count() as u64;
    let excess = of.len().saturating_sub(MOST_STEPS) as u64;
    let mut steps = Vec::new();
    for asked in of {
        let is_spare = asked.subresource == "status" && chance.below(spare.max(1)) < excess;
        if !is_spare {
            steps.push(Step { at: asked.at(), asked: asked.clone() });
        }
    }
    steps
}

/// What a request says, as far as a sequence is about it.
pub trait Said {
    fn at(&self) -> At;
    fn rename(&mut self, name: &str);
    /// How a difference names it.
    fn said(&self) -> String;
}

impl Said for Asked {
    fn at(&self) -> At {
        let carried = match &self.deed {
            Deed::Patch(Patch::Json(operations)) => {
                let at = operations.iter().find(|operation| operation["path"] == "/metadata/resourceVersion");
                at.map(|operation| &operation["value"])
            }
            deed => deed.document().and_then(|document| document.pointer("/metadata/resourceVersion")),
        };
        match carried.and_then(Value::as_str) {
            None => At::Unsaid,
            Some(carried) if Some(carried) == self.version.as_deref() => At::Present,
            Some(_) => At::Stale,
        }
    }

    fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.name);
        if let Some(document) = self.deed.document_mut()
            && !document["metadata"]["name"].is_null()
        {
            document["metadata"]["name"] = name.into();
        }
    }

    fn said(&self) -> String {
        let what = match &self.deed {
            Deed::Create { dry_run: true, .. } => "dry-run",
            Deed::Create { .. } => "create",
            Deed::Patch(Patch::Json(_)) => "json patch",
            Deed::Patch(Patch::Merge(_)) => "merge patch",
            Deed::Patch(Patch::Apply { force: true, .. }) => "forced apply",
            Deed::Patch(Patch::Apply { .. }) => "apply",
            Deed::Replace(_) => "replace",
            Deed::Delete { .. } => "delete",
        };
        let site = self.site.map(|site: WriteSite| format!(" at {site:?}")).unwrap_or_default();
        format!("{what} {} {} by {}{site}", self.kind.kind, self.subresource, self.manager)
    }
}
