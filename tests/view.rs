//! Stories of one Rollout as their readers see them: `tests/golden/STORY.yaml` changes `base.yaml`, `STORY.txt` is the page.
//!
//! `UPDATE_GOLDEN=1 cargo test --test view` writes the pages anew; review the difference.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;
use tidegate::{
    api::{ActionType, Asked, Rollout, RolloutRun},
    view::{self, Columns, Line, Pods, Scene},
};

const MOST_LINES: usize = 80;

#[derive(Deserialize)]
struct Story {
    now: String,
    rollout: Rollout,
    run: Option<RolloutRun>,
    #[serde(default)]
    pods: BTreeMap<String, Counts>,
}

#[derive(Deserialize)]
struct Counts {
    desired: u32,
    ready: u32,
}

impl Story {
    fn scene(&self, with_time: bool) -> Scene<'_> {
        let pods = self.pods.iter();
        Scene {
            rollout: &self.rollout,
            run: self.run.as_ref(),
            pods: pods.map(|(name, it)| (name.clone(), Pods { desired: it.desired, ready: it.ready })).collect(),
            now: with_time.then(|| self.now.parse().unwrap()),
        }
    }
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn read(name: &str) -> Value {
    let text = fs::read_to_string(golden(name)).unwrap();
    serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// RFC 7386.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else { return *target = patch };
    if !target.is_object() {
        *target = Value::Object(Default::default());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.remove(&key)),
            value => merge(target.entry(key).or_insert(Value::Null), value),
        }
    }
}

fn story(name: &str) -> Story {
    let mut document = read("base.yaml");
    merge(&mut document, read(&format!("{name}.yaml")));
    serde_json::from_value(document).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn stories() -> Vec<String> {
    let files = fs::read_dir(golden("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = files.filter_map(|file| Some(file.strip_suffix(".yaml")?.to_owned())).collect();
    names.retain(|name| name != "base");
    names.sort();
    names
}

fn text(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn compare(name: &str, shown: &str) {
    let path = golden(&format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, shown).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(shown, wanted, "{name} differs; UPDATE_GOLDEN=1 writes it anew");
    assert!(shown.lines().count() <= MOST_LINES, "{name} has more than {MOST_LINES} lines");
}

#[test]
fn each_story_is_shown_as_its_page() {
    for name in stories() {
        compare(&name, &text(&view::tree(&story(&name).scene(true))));
    }
}

#[test]
fn all_stories_fit_in_a_table() {
    let stories: Vec<(String, Story)> = stories().into_iter().map(|name| (name.clone(), story(&name))).collect();
    let renamed: Vec<Rollout> = stories
        .iter()
        .map(|(name, story)| {
            let mut rollout = story.rollout.clone();
            rollout.metadata.name = Some(name.clone());
            rollout
        })
        .collect();
    let (rollouts, now) = (renamed.iter().collect::<Vec<_>>(), stories[0].1.now.parse().ok());
    let narrow = text(&view::table(&rollouts, now, Columns::default()));
    let wide = text(&view::table(&rollouts, now, Columns { namespace: true, wide: true }));
    compare("table", &format!("{narrow}\n{wide}"));
}

#[test]
fn the_runs_of_a_rollout_are_told_with_their_decisions() {
    let mut runs: Vec<RolloutRun> =
        ["reverted-by-budget", "waiting-for-approval"].iter().filter_map(|name| story(name).run).collect();
    let asked = |action: &str, verified: bool| Asked {
        kind: ActionType::Approve,
        action: action.into(),
        uid: None,
        author: "ana".into(),
        verified,
        on_behalf_of: (!verified).then(|| "bob".into()),
    };
    runs[1].spec.requested_by = Some(asked("checkout-retry-x1", false));
    let log = &mut runs[1].status.as_mut().unwrap().decisions;
    log.entries.last_mut().unwrap().asked = Some(asked("checkout-approve-x1", true));
    compare("history", &text(&view::history(&runs)));
}

#[test]
fn without_a_time_nothing_that_ages_is_shown() {
    let mut later = story("in-a-step");
    later.now = "2026-11-22T10:11:55Z".into();
    let now = story("in-a-step");
    assert_ne!(text(&view::tree(&now.scene(true))), text(&view::tree(&later.scene(true))));
    assert_eq!(text(&view::tree(&now.scene(false))), text(&view::tree(&later.scene(false))));
}
