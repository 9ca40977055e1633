//! Routers: how a share of the traffic is written into a route, and read back from it.
//!
//! Pure: a document in, a view out; an intent in, a JSON patch out. When to write which share is the engine's business. A
//! new family of routers is one file, one line in [`ROUTERS`] and one variant in `api`.

mod gateway_api;
mod marks;
mod parents;
mod rules;
mod split;

use serde_json::Value;

use crate::{
    api::RunRoute,
    engine::{Refusal, RouteEdit, RouteState},
};

pub use marks::{add_mark, marks};
pub use rules::baseline_in;
pub use split::Tested;

/// One kind of route.
pub trait Router: Sync {
    /// The kind as people write it: "HTTPRoute".
    fn kind(&self) -> &'static str;

    /// A small route that can be managed for the Service "checkout".
    fn example(&self) -> Value;

    /// What a run freezes of the route: the rules that name one of `services` with a weight other than 0 (all of them, or
    /// those named in `rules`), their backends, and the parents that have accepted it. `total`: see [`crate::engine::weight_total`].
    /// `added`: revisions for which a run adds backends, one for each Service.
    ///
    /// # Errors
    /// Everything that stands against managing the route, all at once.
    fn freeze(
        &self,
        document: &Value,
        services: &[String],
        rules: &[String],
        total: u32,
        added: usize,
    ) -> Result<RunRoute, Vec<Refusal>>;

    /// The route without the backends of revisions that nothing is known of any more.
    fn without(&self, document: &Value, tested: Tested, total: u32) -> Value;

    /// How the route stands relative to what was frozen. `tested`: the revisions under test; None: no run.
    fn read(&self, document: &Value, frozen: &RunRoute, tested: Option<Tested>, total: u32) -> RouteState;

    /// The JSON patch that carries out an intent; empty if the document is already so.
    ///
    /// Rules are found by what they are, not by where they stood; one that is gone is left out. `Name` puts the
    /// backends of the revisions under test at weight 0 wherever they stood; `Weight` never names one. What others have changed since the freeze is
    /// kept. If nothing is frozen any more, `Drop` finds them by their names.
    fn edit(&self, document: &Value, frozen: &RunRoute, tested: Tested, total: u32, edit: &RouteEdit) -> Vec<Value>;

    /// Numbers of the ports of this Service that the managed rules name.
    fn ports(&self, frozen: &RunRoute, service: &str) -> Vec<i64>;
}

/// Every kind of route that Tidegate knows.
pub static ROUTERS: &[&dyn Router] = &[&gateway_api::HTTP_ROUTE, &gateway_api::GRPC_ROUTE];

/// The router for this kind.
pub fn router(kind: &str) -> Option<&'static dyn Router> {
    ROUTERS.iter().copied().find(|router| router.kind() == kind)
}

#[cfg(test)]
mod tests;
