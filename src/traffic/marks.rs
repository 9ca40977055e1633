//! The runs that a route is marked with: each has its own rules in it, and knows its own mark.

use serde_json::Value;

use crate::{
    api::{RUN_ANNOTATION, revision_of_run},
    workload::{object::annotation, patch},
};

const BETWEEN: char = ',';

/// The names of the runs that use the route.
pub fn marks(document: &Value) -> impl Iterator<Item = &str> {
    annotation(document, RUN_ANNOTATION)
        .into_iter()
        .flat_map(|marks| marks.split(BETWEEN))
        .filter(|mark| !mark.is_empty())
}

/// The mark of the run that tests this revision.
pub(super) fn of_revision<'d>(document: &'d Value, revision: &str) -> Option<&'d str> {
    marks(document).find(|mark| revision_of_run(mark) == Some(revision))
}

/// Adds the run's mark to those of others.
pub(super) fn add(document: &Value, run: &str) -> Vec<Value> {
    let mut all: Vec<&str> = marks(document).filter(|mark| *mark != run).chain([run]).collect();
    all.sort_unstable();
    patch::set_annotation(document, RUN_ANNOTATION, &all.join(","))
}

/// Takes the run's mark out; the annotation goes with the last one.
pub(super) fn remove(document: &Value, run: &str) -> Vec<Value> {
    let rest: Vec<&str> = marks(document).filter(|mark| *mark != run).collect();
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
        let one = applied(&plain, &add(&plain, "cart-abc-1"));
        let both = applied(&one, &add(&one, "app-bcd-2"));
        assert_eq!(both["metadata"]["annotations"][RUN_ANNOTATION], "app-bcd-2,cart-abc-1");
        assert_eq!(add(&both, "cart-abc-1"), Vec::<Value>::new());
        assert_eq!((of_revision(&both, "bcd"), of_revision(&both, "cde")), (Some("app-bcd-2"), None));
        let left = applied(&both, &remove(&both, "app-bcd-2"));
        assert_eq!(left, one);
        assert_eq!(remove(&left, "app-bcd-2"), Vec::<Value>::new());
        assert_eq!(applied(&left, &remove(&left, "cart-abc-1")), plain);
    }
}
