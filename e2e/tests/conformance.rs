//! The simulator's API server answers as the real one does: the same sequences of requests are sent to both, and their answers
//! and the objects that they leave are compared.
//!
//! `make conformance` sends 1,000; `SEQUENCES=n` any number, `SEED=n` others, and `SEQUENCE=n` one of them, in full.

mod intruder;
mod sequence;
mod shown;
mod sides;

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tidegate::{
    controller::{Kind, NAMESPACE, Patch, WriteSite},
    sim::server::journal::{Asked, Deed},
    workload::release_ownership,
};

use crate::support::{Space, space::CONTROLLER};
use sequence::{At, Said, Sequence, Step, recorded, sequence};
use shown::{differences, shown};
use sides::{Answer, Model, Real};

const FEW: u64 = 60;
/// Random schedules that are recorded, besides the stories.
const SCHEDULES: u64 = 8;
const AT_ONCE: usize = 24;
/// A version that no object has had.
const NEVER: &str = "999999999";
/// Of one difference.
const MOST_PLACES: usize = 12;
/// The namespace that the simulator's documents name.
const SHOP: &str = "shop";

/// What one server has shown of the object so far.
#[derive(Default)]
struct Seen {
    live: Option<Value>,
    versions: Vec<String>,
}

impl Seen {
    fn look(&mut self, live: Option<Value>) {
        self.live = live;
        let version = self.version().map(str::to_owned);
        self.versions.extend(version.filter(|version| self.versions.last() != Some(version)));
    }

    fn version(&self) -> Option<&str> {
        self.live.as_ref()?.pointer("/metadata/resourceVersion")?.as_str()
    }

    /// The owners in the order of their entries.
    fn order(&self) -> Vec<String> {
        let entries = self.live.as_ref().map(|live| &live["metadata"]["managedFields"]).and_then(Value::as_array);
        let owner = |entry: &Value| format!("{} {} {}", entry["manager"], entry["operation"], entry["subresource"]);
        entries.into_iter().flatten().map(owner).collect()
    }

    /// The request as it is made to this server; None: here is nothing to ask for.
    fn request(&self, step: &Step) -> Option<Asked> {
        let mut asked = step.asked.clone();
        if asked.site == Some(WriteSite::Release) {
            asked.deed = Deed::Patch(Patch::Json(release_ownership(self.live.as_ref()?)?));
        }
        let version = match step.at {
            At::Present => self.version().or(self.versions.last().map(String::as_str)).unwrap_or(NEVER),
            At::Stale => self.versions.iter().rev().nth(1).map_or(NEVER, String::as_str),
            At::Unsaid => "",
        };
        match &mut asked.deed {
            Deed::Patch(Patch::Json(operations)) => at_version(operations, version),
            Deed::Replace(document) => self.as_read(document, version),
            Deed::Delete { uid: Some(uid) } => {
                // A uid that is stale is that of an object before.
                let own = self.live.as_ref().filter(|_| step.at != At::Stale).map(|live| &live["metadata"]["uid"]);
                own.and_then(Value::as_str).unwrap_or("another").clone_into(uid);
            }
            Deed::Delete { uid: None } => {}
            Deed::Create { document, .. } | Deed::Patch(Patch::Merge(document) | Patch::Apply { document, .. }) => {
                set_version(document, version, false);
            }
        }
        Some(asked)
    }

    /// Whoever replaces an object has read it: what the server itself writes comes back as it was.
    fn as_read(&self, document: &mut Value, version: &str) {
        set_version(document, version, true);
        let Some(live) = &self.live else { return };
        for field in ["uid", "creationTimestamp", "generation", "managedFields"] {
            document["metadata"][field] = live["metadata"][field].clone();
        }
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            if !document["spec"][field].is_null() {
                document["spec"][field] = live["spec"][field].clone();
            }
        }
    }
}

/// Only the requests of the controller that carried one carry one; a replacement always may.
fn set_version(document: &mut Value, version: &str, always: bool) {
    let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if version.is_empty() {
        metadata.remove("resourceVersion");
    } else if always || metadata.contains_key("resourceVersion") {
        metadata.insert("resourceVersion".into(), json!(version));
    }
}

fn at_version(operations: &mut Vec<Value>, version: &str) {
    let is_version = |operation: &Value| operation["path"] == "/metadata/resourceVersion";
    if version.is_empty() {
        operations.retain(|operation| !is_version(operation));
    }
    for operation in operations.iter_mut().filter(|operation| is_version(operation)) {
        operation["value"] = json!(version);
    }
}

/// A step at which the servers differ.
struct Difference {
    sequence: u64,
    what: String,
    how: Vec<String>,
}

/// How far two servers went together.
#[derive(Default)]
struct Went {
    steps: u64,
    words: BTreeMap<String, u64>,
    sites: BTreeSet<WriteSite>,
    difference: Option<Difference>,
}

async fn go(real: &Real, sequence: &Sequence, is_told: bool) -> Went {
    let (mut model, mut went) = (Model::new(SHOP), Went::default());
    let (mut seen_model, mut seen_real) = (Seen::default(), Seen::default());
    for (number, step) in sequence.steps.iter().enumerate() {
        let (ours, theirs) = (seen_model.request(step), seen_real.request(step));
        let what = format!("step {number}, {} with {:?} version", step.asked.said(), step.at);
        let (said_model, said_real) = match (&ours, &theirs) {
            (Some(ours), Some(theirs)) => (model.ask(ours), real.ask(theirs).await),
            (None, None) => continue,
            _ => {
                went.difference = Some(Difference {
                    sequence: sequence.number,
                    what,
                    how: vec!["one has nothing to release".into()],
                });
                return went;
            }
        };
        let before = (seen_model.version().map(str::to_owned), seen_real.version().map(str::to_owned));
        let order = seen_real.order();
        seen_model.look(model.get(sequence.kind, &sequence.name));
        seen_real.look(real.get(sequence.kind, &sequence.name).await);
        went.steps += 1;
        went.sites.extend(step.asked.site);
        *went.words.entry(word(&said_real)).or_default() += 1;
        let mut how = compared(&said_model, &said_real);
        let moved =
            (seen_model.version().map(str::to_owned) != before.0, seen_real.version().map(str::to_owned) != before.1);
        // An apply that changes nothing but the time of its entry is stored if the entry changes its place by it. In the model
        // time stands still.
        let is_reordered = !moved.0 && order != seen_real.order();
        if moved.0 != moved.1 && !is_reordered {
            how.push(format!("resourceVersion changes: {} in the model, {} in the lab", moved.0, moved.1));
        }
        how.extend(differences("", &shown(seen_model.live.as_ref()), &shown(seen_real.live.as_ref())));
        if is_told {
            let metadata = seen_real.live.as_ref().map(|live| &live["metadata"]);
            println!("{}", metadata.map(Value::to_string).unwrap_or_default());
            println!(
                "{what}: {}\n  {}",
                word(&said_real),
                serde_json::to_string(&theirs.map(|asked| asked.deed.document().cloned())).unwrap_or_default()
            );
        }
        if !how.is_empty() {
            went.difference = Some(Difference { sequence: sequence.number, what, how });
            return went;
        }
    }
    went
}

fn word(answer: &Answer) -> String {
    answer.as_ref().map_or_else(|(word, _)| format!("{word:?}"), |_| "Ok".into())
}

fn compared(model: &Answer, real: &Answer) -> Vec<String> {
    match (model, real) {
        (Ok(model), Ok(real)) => differences("answer", &shown(Some(model)), &shown(Some(real))),
        (Err((model, _)), Err((real, _))) if model == real => Vec::new(),
        (model, real) => {
            let why = |answer: &Answer| answer.as_ref().map_or_else(|(_, why)| why.clone(), |_| "Ok".into());
            vec![format!("the model says {} ({}), the lab {} ({})", word(model), why(model), word(real), why(real))]
        }
    }
}

/// The lab's controllers are kept out of a namespace: they all are the user admin.
async fn closed_to_controllers(space: &Space) {
    let kind = |kind, plural| Kind {
        group: "admissionregistration.k8s.io",
        version: "v1",
        kind,
        plural,
        namespaced: false,
        optional: false,
    };
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "people-only"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"people": "only"}},
                "resourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE", "DELETE"],
                    "resources": ["*/*"], "scope": "Namespaced"}],
            },
            "validations": [{"expression": format!("request.userInfo.username in ['{CONTROLLER}', 'owner']")}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "people-only"},
        "spec": {"policyName": "people-only", "validationActions": ["Deny"]},
    });
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space.namespace, "labels": {"people": "only"}}});
    let policies = kind("ValidatingAdmissionPolicy", "validatingadmissionpolicies");
    let bindings = kind("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings");
    for (kind, document) in [(policies, policy), (bindings, binding), (NAMESPACE, namespace)] {
        space.apply_as("lab", true, kind, document).await.expect("the lab's own object");
    }
    let probe = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "probe"}, "spec": {"ports": [{"port": 80}]}});
    let is_closed = async || space.apply_as("lab", true, tidegate::controller::SERVICE, probe.clone()).await.is_err();
    space.until("the policy to hold", 60, is_closed).await;
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[tokio::test]
async fn the_simulated_api_server_answers_as_the_real_one() {
    let count = number("SEQUENCES").unwrap_or(FEW);
    let seed = number("SEED").unwrap_or(1);
    let only = number("SEQUENCE");
    let recording = tokio::task::spawn_blocking(move || recorded(SCHEDULES));
    let space = Space::new(SHOP).await;
    closed_to_controllers(&space).await;
    let real = Real::new(SHOP).await;
    let pool = recording.await.expect("the simulator does not panic");
    let numbers = (0..count).filter(|number| only.is_none_or(|only| only == *number));
    let went: Vec<Went> = stream::iter(numbers)
        .map(async |number| go(&real, &sequence(seed, number, &pool), only.is_some()).await)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let (mut steps, mut words, mut sites) = (0, BTreeMap::<String, u64>::new(), BTreeSet::new());
    let mut found = Vec::new();
    for went in went {
        steps += went.steps;
        sites.extend(went.sites);
        found.extend(went.difference);
        for (word, times) in went.words {
            *words.entry(word).or_default() += times;
        }
    }
    println!("{count} sequences of SEED={seed}, {steps} requests at {} write sites: {words:?}", sites.len());
    // Of differences of one sort the first.
    let mut sorts = BTreeMap::<(&str, &str), (u64, &Difference)>::new();
    for one in &found {
        let place = one.how.first().and_then(|first| first.split(": ").next()).unwrap_or_default();
        let request = one.what.split(", ").nth(1).unwrap_or_default();
        sorts.entry((request, place)).or_insert((0, one)).0 += 1;
    }
    for (times, Difference { sequence, what, how }) in sorts.into_values() {
        println!(
            "{times} times: SEED={seed} SEQUENCE={sequence}, {what}\n    {}",
            how[..how.len().min(MOST_PLACES)].join("\n    ")
        );
    }
    assert!(found.is_empty(), "{} of {count} sequences are answered otherwise by the simulator", found.len());
}
