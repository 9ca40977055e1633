//! What is said of a route that its controller does not accept, in the steps and at the end of a run.

mod model;

use model::{Model, route, step};
use tidegate::api::{Percent, RunOutcome, Span};

/// A Rollout with an HTTPRoute and a GRPCRoute of these names.
fn two_kinds(names: [&str; 2]) -> Model {
    let mut model = Model::new(vec![step(10, 20), step(100, 0)], 0);
    let routes = ["HTTPRoute", "GRPCRoute"].into_iter().zip(names);
    model.world.routes = routes.clone().map(|(kind, name)| route(kind, name)).collect();
    model.spec().routes = routes.map(|(kind, name)| (kind.into(), name.into())).collect();
    model.spec().soak = Span::seconds(5);
    model.until("adopted", 60, |model| model.reason("Ready") == "Stable");
    model
}

fn message(model: &Model) -> String {
    model.world.rollout.status.message.clone().unwrap_or_default()
}

#[test]
fn a_route_that_is_never_reported_on_is_named_with_the_one_of_the_same_name() {
    for (names, advice) in [
        (
            ["app", "app"],
            "; GRPCRoute app has the same name, and some controllers then report on one of the two only: give one of them \
             another name",
        ),
        (["app", "calls"], ""),
    ] {
        let mut model = two_kinds(names);
        model.silent = vec!["HTTPRoute"];
        model.template("v2");
        model.until("a wait for the route", 60, |model| model.reason("Ready") == "WaitingForRoute");
        let waits = format!("HTTPRoute app waits for Gateway edge: Accepted is for generation 1{advice}");
        assert_eq!(message(&model), waits);
        // The deadline is over; the controller comes back for the end of the run.
        model.until("the deadline", 60, |model| model.run().outcome.is_some() || model.run().ending.is_some());
        assert_eq!(model.run().message, format!("{waits}; the progress deadline of 45s is over"));
        model.silent.clear();
        model.until("the end", 120, Model::ended);
        assert_eq!(
            (model.run().outcome, model.reason("Ready")),
            (Some(RunOutcome::Reverted), "RouteNotAccepted".into())
        );
    }
}

#[test]
fn a_weight_that_is_not_accepted_is_waited_for_by_the_parents_name() {
    let mut model = two_kinds(["app", "calls"]);
    model.template("v2");
    model.until("a weight", 60, |model| model.run().weight == Percent::whole(10));
    model.silent = vec!["GRPCRoute"];
    model.until("a wait for the route", 60, |model| model.reason("Ready") == "WaitingForRoute");
    let waits = "GRPCRoute calls waits for Gateway edge: Accepted is for generation 1";
    assert_eq!(message(&model), waits);
    model.until("the deadline", 60, |model| model.run().ending.is_some());
    assert_eq!(model.run().message, format!("{waits}; the progress deadline of 45s is over"));
}

#[test]
fn the_end_of_a_run_that_waits_for_a_silent_parent_says_so_after_half_a_minute() {
    let mut model = two_kinds(["app", "calls"]);
    model.template("v2");
    model.until("100", 120, |model| model.share() == Percent::FULL);
    model.until("the promotion", 60, |model| model.phase() == "Finishing");
    model.silent = vec!["HTTPRoute"];
    model.until("weight 0", 60, |model| model.share() == Percent::ZERO);
    model.during(25, |model| model.status("RouteNotAccepted").is_empty());
    model.until("a sentence", 10, |model| model.status("RouteNotAccepted") == "True");
    let conditions = &model.world.rollout.status.conditions;
    let said = conditions.iter().find(|condition| condition.kind == "RouteNotAccepted").unwrap();
    assert_eq!(said.message, "HTTPRoute app waits for Gateway edge: Accepted is for generation 1");
    model.silent.clear();
    model.until("the end", 120, Model::ended);
    model.until("rest", 10, |model| model.phase() == "Healthy");
    assert!(model.status("RouteNotAccepted").is_empty());
    model.assert_at_rest();
}
