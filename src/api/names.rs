//! Labels, annotations and names that stand in the cluster. They are for good: others read them.

/// The API group of all kinds.
pub const GROUP: &str = "tidegate.io";
/// The one version.
pub const VERSION: &str = "v1alpha1";
/// The field manager of every write.
pub const FIELD_MANAGER: &str = "tidegate";

/// Label: the Rollout an object belongs to.
pub const ROLLOUT_LABEL: &str = "tidegate.io/rollout";
/// Label on objects and pods, and the key of the pin in a Service's selector: the revision's hash.
pub const REVISION_LABEL: &str = "tidegate.io/revision";
/// Label on a revision's Services: the application Service that they stand for.
pub const SERVICE_LABEL: &str = "tidegate.io/service";
/// Annotation on Services and routes while a run uses them: the run's mark, which is its name and the epoch of the leader
/// that wrote it. A route whose rules several runs use bears all their marks, with commas between them.
pub const RUN_ANNOTATION: &str = "tidegate.io/run";
/// Annotation on a ControllerRevision: an ordinal that rises with each promotion; the largest is the last proven.
pub const PROVEN_ANNOTATION: &str = "tidegate.io/last-proven";
/// Annotation on a ControllerRevision that was deleted and made again from its Deployment, with the server's defaults.
pub const REMADE_ANNOTATION: &str = "tidegate.io/remade";
/// Annotation on a revision's Deployment: digest of the source it was made from.
pub const SOURCE_ANNOTATION: &str = "tidegate.io/source-generation";
/// Annotation on a Rollout: let go of everything at once when it is deleted.
pub const ORPHAN_ANNOTATION: &str = "tidegate.io/orphan";
/// Name of the ValidatingAdmissionPolicy that compares an action's author with the user that creates it, and of its binding.
pub const ACTIONS_POLICY: &str = "tidegate-actions";
/// Finalizer on a Rollout: routes, Services and the referenced Deployment get their owners' form first.
pub const FINALIZER: &str = "tidegate.io/restore";

/// What a revision's hash is made of: letters and digits that a DNS label may hold, without vowels (no words) and without 0, 1 and 3
/// (o, l, e).
pub const HASH_ALPHABET: &str = "bcdfghjklmnpqrstvwxz2456789";
pub const HASH_LENGTH: usize = 10;

/// Name of a revision's ControllerRevision, Deployment: `<rollout>-<hash>`.
pub fn revision_name(rollout: &str, revision: &str) -> String {
    format!("{rollout}-{revision}")
}

/// What the revision label of a baseline's pods ends in.
const BASELINE: &str = "-baseline";

/// The revision label of a baseline: pods of the stable revision that count as another one.
pub fn baseline_of(stable: &str) -> String {
    format!("{stable}{BASELINE}")
}

/// Whether this is a baseline's label; a hash has no hyphen.
pub fn is_baseline(revision: &str) -> bool {
    revision.ends_with(BASELINE)
}

/// The revision that has the pod template: its own, or stable for a baseline.
pub fn recorded_as(revision: &str) -> &str {
    revision.strip_suffix(BASELINE).unwrap_or(revision)
}

/// Name of a revision's Service for one application Service: cut so that it is a DNS label.
pub fn revision_service_name(service: &str, revision: &str) -> String {
    let room = 63 - 1 - revision.len();
    let stem: String = service.chars().take(room).collect();
    format!("{}-{revision}", stem.trim_end_matches('-'))
}

/// The baseline whose Service for one application Service has this name.
pub fn baseline_of_service(service: &str, name: &str) -> Option<String> {
    let (_, stable) = name.strip_suffix(BASELINE)?.rsplit_once('-')?;
    let baseline = baseline_of(stable);
    (revision_service_name(service, &baseline) == name).then_some(baseline)
}

/// The revision under test in a run's name, `<rollout>-<hash>-<number>`: a hash has no hyphen.
pub fn revision_of_run(run: &str) -> Option<&str> {
    let (revision_name, _number) = run.rsplit_once('-')?;
    revision_name.rsplit_once('-').map(|(_rollout, revision)| revision)
}

/// Between a run's name and an epoch: no name has it.
const IN_EPOCH: char = '@';

/// A run's mark: its name in the first epoch, `<name>@<epoch>` in later ones.
pub fn mark_of_run(run: &str, epoch: i64) -> String {
    if epoch > 1 { format!("{run}{IN_EPOCH}{epoch}") } else { run.to_owned() }
}

/// The run's name in its mark, and the epoch. What cannot be read as one is the first: it is written over.
pub fn run_of_mark(mark: &str) -> (&str, i64) {
    match mark.split_once(IN_EPOCH) {
        Some((run, epoch)) => (run, epoch.parse().ok().filter(|epoch| *epoch > 1).unwrap_or(1)),
        None => (mark, 1),
    }
}

/// Whether a run of this name is one of the Rollout's: the runs of checkout-api are none of checkout.
pub fn is_run_of(run: &str, rollout: &str) -> bool {
    let rest = run.strip_prefix(rollout).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| rest.matches('-').count() == 1)
}
