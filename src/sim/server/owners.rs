//! Who owns which fields of an object: `metadata.managedFields`, and what updates and applies make of it.
//!
//! The rules are those of the API server's field managers over structured-merge-diff. The server's limit of ten entries
//! for updates is not kept: fewer write here.

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use super::{
    compare::{Comparison, compare, fields_of},
    fields::Fields,
    merge::{merge, without},
    shape::Shape,
};
use crate::workload::object::{items, text};

/// Metadata that nobody owns.
static UNOWNED: LazyLock<Fields> = LazyLock::new(|| {
    Fields::of(&[
        "apiVersion",
        "kind",
        "metadata",
        "metadata.creationTimestamp",
        "metadata.generation",
        "metadata.managedFields",
        "metadata.name",
        "metadata.namespace",
        "metadata.resourceVersion",
        "metadata.selfLink",
        "metadata.uid",
    ])
});

/// Who writes: an entry is theirs if all of it is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub manager: Arc<str>,
    pub applies: bool,
    pub subresource: Arc<str>,
}

/// The fields of one owner.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    owner: Owner,
    api_version: Arc<str>,
    time: Arc<str>,
    fields: Arc<Fields>,
}

/// The owners of one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Owners {
    entries: Vec<Entry>,
}

/// A write as its ownership sees it.
pub struct Write<'w> {
    pub shape: &'static Shape,
    pub owner: Owner,
    pub api_version: Arc<str>,
    pub now: &'w str,
    /// What this way of writing cannot change: at and below these paths nobody wins or loses anything.
    pub ignored: &'w Fields,
}

impl Owners {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The owners that a request's document names; those that it leaves as they were are not read again.
    pub fn read(&self, live: Option<&Value>, proposed: &Value) -> Self {
        let asked = items(proposed, "/metadata/managedFields");
        if live.is_some_and(|live| items(live, "/metadata/managedFields") == asked) {
            return self.clone();
        }
        if asked == [json!({})] {
            return Self::default();
        }
        let read = Self { entries: asked.iter().filter_map(entry).collect() };
        if read.is_empty() { self.clone() } else { read }
    }

    /// Takes over an update from one document to the next. An object that nobody owns stays so.
    pub fn update(&mut self, write: &Write, live: &Value, next: &Value, is_new: bool) {
        if self.is_empty() && !is_new {
            return;
        }
        let found = compare(write.shape, Some(live), Some(next)).except(write.ignored);
        let mut own = found.written();
        own.subtract(&UNOWNED);
        self.take(&found, None);
        if own.is_empty() {
            return;
        }
        match self.entries.iter_mut().find(|entry| entry.owner == write.owner) {
            Some(entry) => {
                Arc::make_mut(&mut entry.fields).add(&own);
                entry.time = write.now.into();
            }
            None => self.entries.push(write.entry(own)),
        }
    }

    /// The document that an apply makes, or whom it conflicts with.
    pub fn apply(&mut self, write: &Write, live: &Value, applied: &Value, force: bool) -> Result<Value, Vec<Arc<str>>> {
        let entry = self.entries.iter().find(|entry| entry.owner == write.owner);
        let (last, last_time) = (entry.map(|entry| entry.fields.clone()), entry.map(|entry| entry.time.clone()));
        let mut own = fields_of(write.shape, applied);
        own.cut(write.ignored);
        let merged = merge(write.shape, Some(live), applied);
        self.entries.retain(|entry| entry.owner != write.owner);
        let next = match &last {
            Some(last) => self.pruned(write.shape, &merged, &own, last),
            None => merged,
        };
        let found = compare(write.shape, Some(live), Some(&next)).except(write.ignored);
        let written = found.written();
        let conflicts = |entry: &&Entry| !entry.fields.intersection(&written).is_empty();
        if !force {
            let managers: Vec<_> =
                self.entries.iter().filter(conflicts).map(|entry| entry.owner.manager.clone()).collect();
            if !managers.is_empty() {
                return Err(managers);
            }
        }
        self.take(&found, Some(&write.owner));
        own.subtract(&UNOWNED);
        if !own.is_empty() {
            let mut entry = write.entry(own);
            // An apply that changes nothing of the object is no news: its entry is as old as it was, or without a time.
            if next == *live {
                entry.time = last_time.unwrap_or_else(|| "".into());
            }
            self.entries.push(entry);
        }
        Ok(next)
    }

    /// The merged document without what its applier has left out and nobody else owns.
    fn pruned(&self, shape: &Shape, merged: &Value, own: &Fields, last: &Fields) -> Value {
        let mut owned = own.clone();
        for entry in &self.entries {
            owned.add(&entry.fields);
        }
        let (last, owned) = (last.with_ancestors(), owned.with_ancestors());
        let all = fields_of(shape, merged).with_ancestors();
        let left = |value: &Value| fields_of(shape, value).with_ancestors();
        let mut gone = all.clone();
        let mut kept = without(shape, merged, &last).map_or_else(Fields::default, |pruned| left(&pruned));
        kept.add(&owned);
        gone.subtract(&kept);
        let mut back = without(shape, merged, &gone).map_or_else(Fields::default, |pruned| left(&pruned));
        // An object that somebody owns as such stays, also if nothing of it is left.
        back.add(&owned);
        let mut removed = all;
        removed.subtract(&back);
        without(shape, merged, &removed.intersection(&last)).unwrap_or_else(|| json!({}))
    }

    /// Takes what was written or removed from everybody but this one.
    fn take(&mut self, found: &Comparison, but: Option<&Owner>) {
        let mut touched = found.written();
        touched.add(&found.removed);
        if touched.is_empty() {
            return;
        }
        for entry in self.entries.iter_mut().filter(|entry| Some(&entry.owner) != but) {
            if !entry.fields.intersection(&touched).is_empty() {
                Arc::make_mut(&mut entry.fields).subtract(&touched);
            }
        }
        self.entries.retain(|entry| !entry.fields.is_empty());
    }

    /// Takes over a change of the replicas by the scale subresource. Of an object whose replicas nobody owns none is kept. A
    /// Scale leaves a zero away: what is not there belongs to nobody. The server gives a new entry no time, and leaves one that
    /// is there as it was.
    pub fn scale(&mut self, write: &Write, replicas: i64) {
        let field = Fields::of(&["spec.replicas"]);
        if self.entries.iter().all(|entry| entry.fields.intersection(&field).is_empty()) {
            return;
        }
        if replicas == 0 {
            self.take(&Comparison { removed: field, ..Comparison::default() }, None);
            return;
        }
        self.take(&Comparison { modified: field.clone(), ..Comparison::default() }, Some(&write.owner));
        if !self.entries.iter().any(|entry| entry.owner == write.owner) {
            self.entries.push(Entry { time: "".into(), ..write.entry(field) });
        }
    }

    /// The same owners of the same fields, whenever they wrote.
    pub fn is_as(&self, other: &Self) -> bool {
        let has = |entry: &Entry| {
            other.entries.iter().any(|found| found.owner == entry.owner && found.fields == entry.fields)
        };
        self.entries.len() == other.entries.len() && self.entries.iter().all(has)
    }

    /// As `metadata.managedFields`, in the server's order.
    pub fn render(&mut self) -> Value {
        self.entries.sort_by(|a, b| a.rank().cmp(&b.rank()));
        self.entries.iter().map(Entry::render).collect()
    }
}

impl Write<'_> {
    fn entry(&self, fields: Fields) -> Entry {
        Entry {
            owner: self.owner.clone(),
            api_version: self.api_version.clone(),
            time: self.now.into(),
            fields: Arc::new(fields),
        }
    }
}

impl Entry {
    fn rank(&self) -> (bool, &str, &str, &str) {
        (!self.owner.applies, &self.time, &self.owner.manager, &self.owner.subresource)
    }

    fn render(&self) -> Value {
        let mut entry = json!({
            "apiVersion": &*self.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.render(),
            "manager": &*self.owner.manager,
            "operation": if self.owner.applies { "Apply" } else { "Update" },
        });
        if !self.time.is_empty() {
            entry["time"] = json!(&*self.time);
        }
        if !self.owner.subresource.is_empty() {
            entry["subresource"] = json!(&*self.owner.subresource);
        }
        entry
    }
}

fn entry(rendered: &Value) -> Option<Entry> {
    let part = |pointer: &str| Arc::<str>::from(text(rendered, pointer).unwrap_or_default());
    Some(Entry {
        owner: Owner {
            manager: part("/manager"),
            applies: text(rendered, "/operation")? == "Apply",
            subresource: part("/subresource"),
        },
        api_version: part("/apiVersion"),
        time: part("/time"),
        fields: Arc::new(Fields::parse(rendered.get("fieldsV1")?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{controller::SERVICE, sim::server::shape};

    fn write<'w>(manager: &str, applies: bool, ignored: &'w Fields) -> Write<'w> {
        let owner = Owner { manager: manager.into(), applies, subresource: "".into() };
        Write { shape: shape::of(SERVICE), owner, api_version: "v1".into(), now: "2026-01-01T00:00:00Z", ignored }
    }

    fn owned(owners: &mut Owners) -> Vec<(String, Vec<String>)> {
        let entries = owners.render();
        let one = |entry: &Value| {
            let manager = text(entry, "/manager").unwrap_or_default().to_owned();
            (manager, Fields::parse(&entry["fieldsV1"]).paths())
        };
        entries.as_array().into_iter().flatten().map(one).collect()
    }

    #[test]
    fn an_update_takes_what_it_changes() {
        let none = Fields::default();
        let mut owners = Owners::default();
        let first = json!({"spec": {"type": "ClusterIP", "selector": {"app": "x"}}});
        owners.update(&write("helm", false, &none), &json!({"spec": {}}), &first, true);
        let pinned = json!({"spec": {"type": "ClusterIP", "selector": {"app": "x", "pin": "y"}}});
        owners.update(&write("tidegate", false, &none), &first, &pinned, false);
        assert_eq!(
            owned(&mut owners),
            [
                ("helm".to_owned(), vec!["f:spec/f:type".to_owned()]),
                ("tidegate".to_owned(), vec!["f:spec/f:selector".to_owned()]),
            ]
        );
        owners.update(&write("helm", false, &none), &pinned, &pinned, false);
        assert_eq!(owned(&mut owners).len(), 2, "a write that changes nothing takes nothing");
    }

    #[test]
    fn an_apply_conflicts_takes_by_force_and_lets_go_what_it_no_longer_names() {
        let none = Fields::default();
        let (flux, human) = (write("flux", true, &none), write("kubectl-edit", false, &none));
        let mut owners = Owners::default();
        let one = json!({"spec": {"type": "ClusterIP", "selector": {"app": "x"}}});
        let live = owners.apply(&flux, &json!({"spec": {}}), &one, false).unwrap();
        let edited = json!({"spec": {"type": "ClusterIP", "selector": {"app": "y"}}});
        owners.update(&human, &live, &edited, false);
        let conflict = owners.clone().apply(&flux, &edited, &one, false).unwrap_err();
        assert_eq!(conflict, [Arc::from("kubectl-edit")]);
        let forced = owners.apply(&flux, &edited, &one, true).unwrap();
        assert_eq!((&forced, owned(&mut owners).len()), (&one, 1));
        let fewer = owners.apply(&flux, &forced, &json!({"spec": {"selector": {"app": "x"}}}), false).unwrap();
        assert_eq!(fewer, json!({"spec": {"selector": {"app": "x"}}}));
    }

    #[test]
    fn what_another_owns_too_stays_when_its_applier_lets_go() {
        let none = Fields::default();
        let mut owners = Owners::default();
        let both = json!({"metadata": {"labels": {"a": "1", "b": "2"}}});
        let live = owners.apply(&write("flux", true, &none), &json!({}), &both, false).unwrap();
        let one = json!({"metadata": {"labels": {"b": "2"}}});
        let live = owners.apply(&write("argo", true, &none), &live, &one, false).unwrap();
        let live = owners.apply(&write("flux", true, &none), &live, &json!({"metadata": {}}), false).unwrap();
        assert_eq!(live, one);
    }
}
