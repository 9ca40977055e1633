//! A change of the leader as the engine sees it: an active run is sealed before anything is done, a Rollout at rest is left alone.

mod model;

use model::{Model, step};
use tidegate::{
    api::{Percent, RunOutcome, RunPhase},
    engine::{Action, RouteEdit, RunWrite, decide, laws},
};

fn at_ten() -> Model {
    let mut model = Model::adopted(vec![step(10, 20), step(100, 0)], 2);
    model.template("v2");
    model.until("weight 10", 60, |model| model.run().settled_at.is_some() && model.share() == Percent::whole(10));
    model
}

#[test]
fn an_active_run_is_sealed_before_anything_is_done_to_it() {
    let mut model = at_ten();
    model.world.epoch = 7;
    model.forget();
    let decision = decide(&model.world);
    let Some(RunWrite::Status { status, transition: true, .. }) = &decision.run else { panic!("{:?}", decision.run) };
    assert_eq!(status.epoch, 7);
    let seals = |action: &&Action| matches!(action, Action::Seal { .. });
    assert_eq!(decision.actions.iter().take_while(seals).count(), 3, "{:?}", decision.actions);
    model.pass();
    assert_eq!((model.run().epoch, model.world.newest_mark()), (7, 7));
    model.until("the end", 300, Model::ended);
    assert_eq!(model.run().outcome, Some(RunOutcome::Promoted));
}

#[test]
fn a_rollout_at_rest_gets_no_write_from_a_new_leader() {
    let mut model = Model::adopted(vec![step(10, 5), step(100, 0)], 1);
    model.template("v2");
    model.until("the end", 300, |model| model.ended() && model.reason("Ready") == "Stable");
    model.during(10, |_| true);
    let writes = model.writes;
    model.world.epoch = 9;
    model.forget();
    model.during(400, |model| model.writes == writes);
}

#[test]
fn a_run_that_goes_back_is_sealed_and_lowered_in_one_pass() {
    let mut model = at_ten();
    model.world.epoch = 2;
    model.ask(tidegate::api::ActionType::Abort, |_| {});
    let decision = decide(&model.world);
    let lowers =
        |action: &&Action| matches!(action, Action::Route { edit: RouteEdit::Weight { share: Percent::ZERO, .. }, .. });
    assert_eq!(decision.actions.iter().filter(lowers).count(), 2, "{:?}", decision.actions);
    model.pass();
    assert_eq!((model.share(), model.run().phase), (Percent::ZERO, RunPhase::Aborting));
}

#[test]
fn acting_without_the_seal_or_on_newer_records_breaks_a_law() {
    let mut model = at_ten();
    model.world.epoch = 7;
    model.ask(tidegate::api::ActionType::Abort, |_| {});
    let whole = decide(&model.world);
    assert_eq!(laws(&model.world, &whole), []);
    let broken = |decision| laws(&model.world, decision).into_iter().map(|broken| broken.law).collect::<Vec<_>>();

    let mut unsealed = whole.clone();
    unsealed.actions.retain(|action| !matches!(action, Action::Seal { .. }));
    assert_eq!(broken(&unsealed), ["S9"]);
    let mut late = whole.clone();
    late.actions.rotate_left(3);
    assert_eq!(broken(&late), ["S9"]);
    let mut unrecorded = whole.clone();
    if let Some(RunWrite::Status { status, .. }) = &mut unrecorded.run {
        status.epoch = 1;
    }
    assert_eq!(broken(&unrecorded), ["S9"]);
    let mut world = model.world.clone();
    world.epoch = 0;
    assert!(laws(&world, &whole).iter().any(|broken| broken.law == "S9"));
}
