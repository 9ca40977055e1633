//! The runs that a route is marked with: each has its own rules in it, and knows its own mark.
//!
//! A mark is a run's name and an epoch; what the epoch means is not known here.

use serde_json::Value;

use crate::{
    api::{RUN_ANNOTATION, revision_of_run, run_of_mark},
    workload::{object::annotation, patch},
};

const BETWEEN: char = ',';

/// The names of the runs that use the route.
pub fn marks(document: &Value) -> impl Iterator<Item = &str> {
    whole(document).map(|mark| run_of_mark(mark).0)
}

fn whole(document: &Value) -> impl Iterator<Item = &str> {
    annotation(document, RUN_ANNOTATION)
        .into_iter()
        .flat_map(|marks| marks.split(BETWEEN))
        .filter(|mark| !mark.is_empty())
}

/// The run that tests this revision, and the epoch in its mark.
pub(super) fn of_revision<'d>(document: &'d Value, revision: &str) -> Option<(&'d str, i64)> {
    whole(document).map(run_of_mark).find(|(run, _)| revision_of_run(run) == Some(revision))
}

/// Adds the run's mark to those of others, or writes it over its older one.
pub fn add_mark(document: &Value, mark: &str) -> Vec<Value> {
    let run = run_of_mark(mark).0;
    let mut all: Vec<&str> = whole(document).filter(|other| run_of_mark(other).0 != run).chain([mark]).collect();
    all.sort_unstable();
    patch::set_annotation(document, RUN_ANNOTATION, &all.join(","))
}

/// Takes the run's mark out; the annotation goes with the last one.
pub(super) fn remove(document: &Value, run: &str) -> Vec<Value> {
    let rest: Vec<&str> = whole(document).filter(|mark| run_of_mark(mark).0 != run).collect();
    if rest.is_empty() {
        patch::remove_annotation(document, RUN_ANNOTATION)
    } else {
        patch::set_annotation(document, RUN_ANNOTATION, &rest.join(","))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workload::patch::applied;

    #[test]
    fn each_run_adds_and_takes_its_own_mark() {
        let plain = json!({"metadata": {"name": "edge"}});
        let one = applied(&plain, &add_mark(&plain, "cart-abc-1"));
        let both = applied(&one, &add_mark(&one, "app-bcd-2"));
        assert_eq!(both["metadata"]["annotations"][RUN_ANNOTATION], "app-bcd-2,cart-abc-1");
        assert_eq!(add_mark(&both, "cart-abc-1"), Vec::<Value>::new());
        assert_eq!((of_revision(&both, "bcd"), of_revision(&both, "cde")), (Some(("app-bcd-2", 1)), None));
        let left = applied(&both, &remove(&both, "app-bcd-2"));
        assert_eq!(left, one);
        assert_eq!(remove(&left, "app-bcd-2"), Vec::<Value>::new());
        assert_eq!(applied(&left, &remove(&left, "cart-abc-1")), plain);
    }
    #[test]
    fn a_mark_of_a_later_epoch_takes_the_place_of_the_run_s_older_one() {
        let plain = json!({"metadata": {"name": "edge"}});
        let both = applied(&plain, &add_mark(&plain, "app-bcd-2"));
        let both = applied(&both, &add_mark(&both, "cart-abc-1@3"));
        let sealed = applied(&both, &add_mark(&both, "app-bcd-2@4"));
        assert_eq!(sealed["metadata"]["annotations"][RUN_ANNOTATION], "app-bcd-2@4,cart-abc-1@3");
        assert_eq!(marks(&sealed).collect::<Vec<_>>(), ["app-bcd-2", "cart-abc-1"]);
        assert_eq!(of_revision(&sealed, "bcd"), Some(("app-bcd-2", 4)));
        let left = applied(&sealed, &remove(&sealed, "app-bcd-2"));
        assert_eq!(left["metadata"]["annotations"][RUN_ANNOTATION], "cart-abc-1@3");
    }
}
