//! One list for all who ask for it at the same time.
//!
//! Each pass reads all Rollouts of its namespace, hundreds of them in eight passes at once. Those that ask while a list is
//! on its way wait for its end; then one of them reads for all: what began after somebody asked is as fresh as their own.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    sync::Mutex,
    time::{error::Elapsed, timeout},
};

/// Lists by namespace, each as long as somebody waits for one.
#[derive(Default)]
pub struct Shared {
    /// Counts who asked and what began: which of two was first.
    order: AtomicU64,
    namespaces: std::sync::Mutex<Namespaces>,
}

type Namespaces = BTreeMap<String, Arc<Mutex<Option<Last>>>>;

/// The last list that was read.
struct Last {
    began: u64,
    documents: Arc<[Value]>,
}

impl Shared {
    /// The documents of this namespace: of a list that somebody else began after this call, else of `list`. Nobody waits
    /// longer than `patience` for others' lists to end.
    pub async fn list<E: From<Elapsed>>(
        &self,
        namespace: &str,
        patience: Duration,
        list: impl Future<Output = Result<Vec<Value>, E>>,
    ) -> Result<Arc<[Value]>, E> {
        let asked = self.next();
        let last = self.with_namespaces(|all| all.entry(namespace.into()).or_default().clone());
        let documents = self.after(asked, &last, patience, list).await;
        drop(last);
        self.with_namespaces(|all| {
            if all.get(namespace).is_some_and(|last| Arc::strong_count(last) == 1) {
                all.remove(namespace);
            }
        });
        documents
    }

    async fn after<E: From<Elapsed>>(
        &self,
        asked: u64,
        last: &Mutex<Option<Last>>,
        patience: Duration,
        list: impl Future<Output = Result<Vec<Value>, E>>,
    ) -> Result<Arc<[Value]>, E> {
        let mut last = timeout(patience, last.lock()).await?;
        if let Some(last) = last.as_ref().filter(|last| last.began > asked) {
            return Ok(last.documents.clone());
        }
        let began = self.next();
        let documents: Arc<[Value]> = list.await?.into();
        *last = Some(Last { began, documents: documents.clone() });
        Ok(documents)
    }

    fn next(&self) -> u64 {
        self.order.fetch_add(1, Ordering::Relaxed)
    }

    fn with_namespaces<T>(&self, work: impl FnOnce(&mut Namespaces) -> T) -> T {
        work(&mut self.namespaces.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use futures::future::Either;
    use serde_json::json;
    use tokio::task::yield_now;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[derive(Clone, Debug, PartialEq)]
    enum No {
        Late,
        Lost,
    }

    impl From<Elapsed> for No {
        fn from(_: Elapsed) -> Self {
            Self::Late
        }
    }

    /// Asks for a list that does not end at once.
    async fn ask(shared: &Shared, namespace: &str, patience: Duration, answer: Result<&str, No>) -> Result<String, No> {
        let list = async {
            yield_now().await;
            answer.map(|text| vec![json!(text)])
        };
        let documents = shared.list(namespace, patience, list).await?;
        Ok(documents[0].as_str().unwrap_or_default().to_owned())
    }

    #[tokio::test]
    async fn those_who_ask_while_a_list_is_on_its_way_share_the_next_and_never_that_one() {
        let shared = Shared::default();
        let asks = ["first", "second", "third", "fourth"].map(|text| ask(&shared, "shop", MINUTE, Ok(text)));
        let answers = futures::future::join_all(asks).await;
        assert_eq!(answers, ["first", "second", "second", "second"].map(|text| Ok(text.to_owned())));
        assert_eq!(ask(&shared, "shop", MINUTE, Ok("later")).await, Ok("later".into()));
    }

    #[tokio::test]
    async fn a_list_of_another_namespace_and_one_that_failed_are_nobody_elses() {
        let shared = Shared::default();
        let answers = futures::join!(
            ask(&shared, "a", MINUTE, Ok("of a")),
            ask(&shared, "b", MINUTE, Ok("of b")),
            ask(&shared, "a", MINUTE, Err(No::Lost)),
            ask(&shared, "a", MINUTE, Ok("of a again")),
        );
        let said = |text: &str| Ok(text.to_owned());
        assert_eq!(answers, (said("of a"), said("of b"), Err(No::Lost), said("of a again")));
    }

    #[tokio::test]
    async fn nobody_waits_for_others_beyond_his_patience() {
        let shared = Shared::default();
        let never = shared.list("shop", MINUTE, futures::future::pending::<Result<_, No>>());
        let late = ask(&shared, "shop", Duration::ZERO, Ok("mine"));
        let elsewhere = ask(&shared, "elsewhere", Duration::ZERO, Ok("theirs"));
        let others = futures::future::join(late, elsewhere);
        let answers = match futures::future::select(std::pin::pin!(never), std::pin::pin!(others)).await {
            Either::Left((never, _)) => panic!("{never:?}"),
            Either::Right((answers, _)) => answers,
        };
        assert_eq!(answers, (Err(No::Late), Ok("theirs".into())));
        assert_eq!(ask(&shared, "shop", Duration::ZERO, Ok("mine")).await, Ok("mine".into()));
        assert!(shared.namespaces.lock().unwrap().is_empty(), "nobody waits any more");
    }
}
