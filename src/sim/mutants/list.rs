//! The list of all seeded bugs.

use super::{Mutant, decisions as decide, line::Lapse, worlds as see};

/// All of them, by row.
pub fn all() -> Vec<Mutant> {
    let mut all = [traffic(), state(), evidence()].concat();
    all.sort_by_key(|mutant| mutant.row);
    all
}

fn traffic() -> Vec<Mutant> {
    vec![
        Mutant::seeing(1, "every revision looks ready", see::all_ready),
        Mutant::seeing(1, "the pods behind a revision's Service look ready", see::served_ready),
        Mutant::seeing(2, "the Services look flipped before they are", see::flipped),
        Mutant::deciding(3, "an abort leaves the canary 5 %", decide::five_stay),
        Mutant::deciding(4, "the canary's pods go before its traffic", decide::canary_goes_first),
        Mutant::both(5, "the weight rises and the pods do not", see::canary_ready, decide::no_growth),
        Mutant::deciding(6, "the first step is followed by 100 %", decide::jump_to_full),
        Mutant::deciding(7, "the application's Service selects the canary while it has weight", decide::pin_early),
        Mutant::seeing(8, "only Services count as references when pods go", see::no_references),
        Mutant::deciding(9, "stable gives up the pods that the canary has", decide::stable_shrinks),
        Mutant::deciding(9, "the canary gets twenty times its pods", decide::surge),
        Mutant::seeing(10, "a baseline's pods look ready", see::baseline_ready),
        Mutant::writing(11, "a backend without a name is written", Lapse::NamelessBackend),
        Mutant::writing(12, "the wrong backend is taken out of a route", Lapse::WrongIndex),
        Mutant::deciding(13, "after the last step the weight is 0", decide::zero_after_last),
        Mutant::deciding(14, "scaling the canary resets its weight", decide::zero_while_scaling),
        Mutant::deciding(15, "a weight is written only in the pass that decides it", decide::edge_triggered),
        Mutant::seeing(16, "a run that is overtaken leaves its backends in the route", see::backends_forgotten),
        Mutant::seeing(17, "a route counts as accepted once it is written", see::always_accepted),
        Mutant::writing(18, "a weight is below 0", Lapse::NegativeWeight),
        Mutant::seeing(19, "a promoted run goes back when its pods are not ready", see::promoted_goes_back),
        Mutant::deciding(20, "stable's pods go when 100 % is granted", decide::stable_goes_early),
        Mutant::deciding(21, "the canary's pods go while the run is paused", decide::no_pods_while_paused),
        Mutant::seeing(22, "stable looks ready when traffic comes back", see::stable_ready),
        Mutant::deciding(23, "the finalizer goes before everything is restored", decide::finalizer_first),
        Mutant::seeing(24, "one missing stable pod keeps an abort waiting", see::all_of_stable_or_none),
        Mutant::deciding(25, "an aborted canary is scaled up again", decide::canary_returns),
        Mutant::deciding(26, "scaling during a run takes stable to 0", decide::stable_to_zero),
        Mutant::deciding(27, "stable is scaled to all pods that there are", decide::feedback),
        Mutant::deciding(28, "a restart ends all pods at once", decide::restart_at_once),
    ]
}

fn state() -> Vec<Mutant> {
    vec![
        Mutant::writing(29, "own writes are read back for ever", Lapse::OwnWrites),
        Mutant::deciding(30, "nothing is looked at without an event", decide::never_again),
        Mutant::writing(31, "what was just written is not found", Lapse::HidesWritten),
        Mutant::leading(32, "a process whose lease has run out writes on"),
        Mutant::seeing(33, "a run without a status is not seen", see::no_fresh_run),
        Mutant::writing(34, "a record loses its step", Lapse::LosesStep),
        Mutant::deciding(35, "a run that is overtaken gets stuck", decide::stuck_when_overtaken),
        Mutant::writing(36, "after a conflict it is written anyway", Lapse::Insists),
        Mutant::writing(37, "a revision's Service selects all pods", Lapse::SharedSelector),
        Mutant::writing(38, "the backends of another run on the same route are dropped", Lapse::StripsOthers),
        Mutant::writing(39, "fields that are not known are dropped from a route", Lapse::DropsFields),
        Mutant::seeing(40, "the number of pods is part of the revision", see::replicas_in_hash),
        Mutant::deciding(41, "promote adds a step to whatever the step is", decide::promote_adds),
        Mutant::deciding(42, "an abort is acted on and not recorded", decide::abort_unrecorded),
    ]
}

fn evidence() -> Vec<Mutant> {
    vec![
        Mutant::seeing(43, "an answer that cannot be read is a Pass", see::unavailable_passes),
        Mutant::seeing(44, "evidence that holds is a Pass", see::hold_passes),
        Mutant::seeing(46, "a Fail is a Pass", see::fail_passes),
        Mutant::seeing(47, "evidence of the step before counts", see::old_evidence),
        Mutant::seeing(48, "windows that are not full yet are a Pass", see::warmup_passes),
        Mutant::writing(49, "an answer with warnings counts as whole", Lapse::IgnoresWarnings),
        Mutant::seeing(50, "a metrics server that is away is a Fail", see::unavailable_fails),
        Mutant::seeing(51, "the progress deadline runs during a pause", see::deadline_runs),
        Mutant::writing(53, "another version of the controller reads another template", Lapse::AddsDefaults),
        Mutant::writing(54, "endpoints are those of a watch that has died", Lapse::DeadWatch),
        Mutant::seeing(55, "a freeze window that is open is not seen", see::no_freezes),
    ]
}
