//! A watch that breaks off again and again before it says anything is begun anew, with a list.
//!
//! kube's watcher takes a broken watch up where it stood, which loses nothing as long as watches work at all. Behind
//! something that cuts every watch and lets lists pass it would never say anything again. What was deleted in between is
//! not told by a list: polling finds it.

use futures::{Stream, StreamExt, stream};
use kube::runtime::watcher;

/// Breaks without an event in between after which a watch is begun anew. One is the end of a connection, which is everyday.
const MOST_BREAKS: u32 = 2;

/// Events of the streams that `begin` makes, one after the other. It does not wait between them: the back-off comes on top.
pub fn relisting<K, S>(begin: impl FnMut() -> S) -> impl Stream<Item = watcher::Result<watcher::Event<K>>>
where
    S: Stream<Item = watcher::Result<watcher::Event<K>>>,
{
    stream::unfold((begin, None, 0), |(mut begin, open, breaks)| async move {
        let mut events = open.unwrap_or_else(|| Box::pin(begin()));
        let event = events.next().await?;
        let breaks = if event.is_err() { breaks + 1 } else { 0 };
        let open = (breaks < MOST_BREAKS).then_some(events);
        Some((event, (begin, open, breaks % MOST_BREAKS)))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use axum::{
        Router,
        body::Body,
        http::{Request, Response},
    };
    use k8s_openapi::api::core::v1::Service;
    use kube::{Api, Client, ResourceExt};
    use serde_json::json;

    use super::*;

    /// Every list has one Service more, and every watch breaks off at once; how many watches there were.
    fn cutting() -> (Client, Arc<AtomicUsize>) {
        let (lists, watches) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let cut = watches.clone();
        let answer = move |request: Request<Body>| {
            let body = if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
                cut.fetch_add(1, Ordering::SeqCst);
                Body::from_stream(stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("cut"))]))
            } else {
                let count = lists.fetch_add(1, Ordering::SeqCst) + 1;
                let items: Vec<_> = (1..=count).map(|at| json!({"metadata": {"name": format!("s{at}")}})).collect();
                let metadata = json!({"resourceVersion": "7"});
                let list = json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": metadata, "items": items});
                Body::from(list.to_string())
            };
            async move { Response::new(body) }
        };
        (Client::new(Router::new().fallback(answer), "shop"), watches)
    }

    #[tokio::test]
    async fn what_comes_while_every_watch_breaks_off_is_found_by_listing_again() {
        let (client, watches) = cutting();
        let api: Api<Service> = Api::namespaced(client, "shop");
        let events = relisting(|| watcher(api.clone(), watcher::Config::default()));
        let third = |event: &watcher::Result<watcher::Event<Service>>| match event {
            Ok(watcher::Event::InitApply(service)) => service.name_any() == "s3",
            Ok(_) | Err(_) => false,
        };
        // Bounded: without a list nothing but breaks comes.
        let seen: Vec<bool> = events.take(60).map(|event| third(&event)).collect().await;
        assert!(seen.contains(&true));
        assert!(watches.load(Ordering::SeqCst) > 4, "each is taken up once before it is begun anew");
    }

    #[tokio::test]
    async fn a_watch_that_breaks_off_between_events_is_not_begun_anew() {
        let mut begun = 0;
        let broken = || Err(watcher::Error::NoResourceVersion);
        let events = relisting(|| {
            begun += 1;
            stream::iter((0..10).flat_map(move |_| [broken(), Ok(watcher::Event::<Service>::InitDone)]))
        });
        assert_eq!(events.take(20).filter(|event| futures::future::ready(event.is_err())).count().await, 10);
        assert_eq!(begun, 1);
    }
}
