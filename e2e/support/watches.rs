//! What happens to the watches that go through the proxy.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures::{Stream, StreamExt, stream};
use tokio::{sync::watch, time::sleep};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watches {
    /// Events pass at once.
    Prompt,
    /// Each event, or batch of them, is held for a while.
    Delayed(Duration),
    /// Connections stay open and nothing comes any more, also on those that are made later.
    Silent,
    /// Connections break off, also those that are made later.
    Dropped,
}

/// The answer to a watch, under the rule that holds at the time of each event.
pub fn ruled(answer: Response, rule: watch::Receiver<Watches>) -> Response {
    let (head, body) = answer.into_parts();
    let events = body.into_data_stream().map(|event| event.map_err(std::io::Error::other));
    Response::from_parts(head, Body::from_stream(events_by(events.boxed(), rule)))
}

type Event = Result<Bytes, std::io::Error>;

fn events_by(
    events: impl Stream<Item = Event> + Send + Unpin + 'static,
    rule: watch::Receiver<Watches>,
) -> impl Stream<Item = Event> + Send + 'static {
    stream::unfold(Some((events, rule)), |state| async move {
        let (mut events, mut rule) = state?;
        // A rule that breaks connections off does so between two events too.
        let event = tokio::select! {
            event = events.next() => event?,
            _ = rule.wait_for(|rule| *rule == Watches::Dropped) => Err(std::io::Error::other("broken off")),
        };
        let now = *rule.borrow();
        match now {
            Watches::Prompt => Some((event, Some((events, rule)))),
            Watches::Delayed(by) => {
                sleep(by).await;
                Some((event, Some((events, rule))))
            }
            Watches::Silent => std::future::pending().await,
            Watches::Dropped => Some((Err(std::io::Error::other("broken off")), None)),
        }
    })
}
