//! S9 on somebody else's objects: the epoch in a run's mark never falls.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Change, Verdicts, broken};
use crate::{
    api::RUN_ANNOTATION,
    workload::object::{annotation, name},
};

/// Runs and the epochs of their marks, as they are written; a mark without a number is of the first.
pub fn marks(document: &Value) -> impl Iterator<Item = (&str, &str)> {
    let marks = annotation(document, RUN_ANNOTATION).unwrap_or_default().split(',');
    marks.map(|mark| mark.rsplit_once('@').unwrap_or((mark, "1")))
}

fn epochs(document: &Value) -> BTreeMap<&str, u32> {
    marks(document).filter_map(|(run, epoch)| Some((run, epoch.parse().ok()?))).collect()
}

pub fn judge(change: &Change) -> Verdicts {
    let (Some(before), Some(after)) = (change.before, change.after) else { return Verdicts::new() };
    let now = epochs(after);
    let fell =
        epochs(before).into_iter().find_map(|(run, then)| Some((run, then, *now.get(run)?)).filter(|it| it.2 < it.1));
    let Some((run, then, now)) = fell else { return Verdicts::new() };
    vec![broken(
        "S9",
        format!("the mark of {run} on {} {} goes from epoch {then} to {now}", change.kind.kind, name(after)),
    )]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::HTTP_ROUTE;

    #[test]
    fn an_older_leader_s_mark_after_a_newer_one_s_breaks_a_law() {
        let marked = |marks: &str| json!({"metadata": {"name": "edge", "annotations": {RUN_ANNOTATION: marks}}});
        for (before, after, falls) in [
            ("shop-a-1", "shop-a-1@2", false),
            ("shop-a-1@3", "shop-a-1@3,shop-b-1", false),
            ("shop-a-1@3", "shop-b-1", false),
            ("shop-a-1@3,shop-b-1@4", "shop-a-1@3,shop-b-1", true),
            ("shop-a-1@10", "shop-a-1@9", true),
        ] {
            let (before, after) = (marked(before), marked(after));
            let change = Change { at: 0, ours: true, kind: HTTP_ROUTE, before: Some(&before), after: Some(&after) };
            assert_eq!(judge(&change).iter().flatten().count(), usize::from(falls), "{before} {after}");
        }
    }
}
