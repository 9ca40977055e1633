//! The length that a plan promises is the one that the engine takes on a model of a cluster.

mod model;

use model::{Model, step};
use tidegate::{
    api::Span,
    plan::{Load, Question, forecast},
};

/// The model's pods need 2 s to come up, its routes and endpoints a second or two for each change; a pass is 1 s at most.
const MOST_ON_TOP_SECONDS: f64 = 30.0;

#[test]
fn a_run_that_nothing_holds_takes_the_time_of_its_plan() {
    let load = Load { requests_per_second: 40.0, error_ratio: 0.001, overdispersion: 1.0 };
    for (routes, soak, drain) in [(1, 60, 15), (0, 60, 15), (1, 5, 15), (1, 60, 40), (2, 60, 15)] {
        let mut model = Model::adopted(vec![step(10, 20), step(50, 40), step(100, 0)], routes);
        model.spec().soak = Span::seconds(soak);
        model.spec().drain = Span::seconds(drain);
        let lengths = forecast(&Question::new(model.spec(), load, Span::seconds(5), None)).lengths;
        let begin = model.millis;
        model.template("v2");
        model.until("end", 900, Model::ended);
        let taken = (model.millis - begin) as f64 / 1_000.0;
        let promised = lengths.total.as_seconds();
        assert!(
            taken >= promised && taken <= promised + MOST_ON_TOP_SECONDS,
            "{routes} routes, soak {soak}, drain {drain}: {taken} s, {promised} s promised\n{}",
            model.timeline.join("\n")
        );
    }
}
