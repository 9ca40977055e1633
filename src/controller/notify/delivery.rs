//! One receiver's task: sends what waits, in order, tries again a few times, and goes on.
//!
//! It follows no redirect and reads no answer but its status: what a receiver says goes nowhere.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::{
    header::{CONTENT_TYPE, HeaderValue},
    redirect,
};
use tokio::sync::mpsc;

use super::{
    Address, Decided, Metrics, NotificationsError, Receiver, Runtime,
    config::is_address,
    letter::{content_type, signature},
};
use crate::controller::Key;

/// One answer takes no longer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Tries for one decision: with the waits between them about a minute, and the queue behind it waits as long.
const TRIES: u32 = 7;
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// By which a receiver tells who has written and when.
const SIGNATURE_HEADER: &str = "tidegate-signature";
/// The same as the event's id: for receivers of other forms.
const ID_HEADER: &str = "tidegate-id";

/// One decision on its way to one receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Parcel {
    pub key: Key,
    pub decided: Decided,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub address: String,
    pub id: String,
    pub content_type: &'static str,
    pub signature: Option<String>,
    pub body: Vec<u8>,
}

/// The way to receivers.
#[async_trait]
pub trait Post: Send + Sync {
    /// The status of the answer; Err: there was none, and why.
    async fn post(&self, letter: Letter) -> Result<u16, String>;
}

/// HTTP.
pub struct Courier {
    http: reqwest::Client,
}

impl Courier {
    pub fn new() -> Result<Self, NotificationsError> {
        let builder = reqwest::Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none());
        Ok(Self { http: builder.build().map_err(NotificationsError::Client)? })
    }
}

#[async_trait]
impl Post for Courier {
    async fn post(&self, letter: Letter) -> Result<u16, String> {
        let mut request = self.http.post(&letter.address).header(CONTENT_TYPE, letter.content_type);
        request = request.header(ID_HEADER, letter.id);
        if let Some(signature) = letter.signature.and_then(|text| HeaderValue::try_from(text).ok()) {
            request = request.header(SIGNATURE_HEADER, signature);
        }
        let answer = request.body(letter.body).send().await;
        // The address may be a secret, and the client's error would repeat it.
        answer.map(|answer| answer.status().as_u16()).map_err(|error| error.without_url().to_string())
    }
}

/// What one try came to.
enum Try {
    Done,
    /// Another try could end otherwise.
    Again(String),
    /// The receiver does not want it.
    Never(String),
}

/// Sends until nobody offers any more.
pub async fn deliver(
    receiver: Receiver,
    mut waiting: mpsc::Receiver<Parcel>,
    post: Arc<dyn Post>,
    runtime: Arc<dyn Runtime>,
    metrics: Arc<Metrics>,
    done: impl Fn(&Parcel) + Send,
) {
    while let Some(parcel) = waiting.recv().await {
        let mut wait = FIRST_WAIT;
        for attempt in 1..=TRIES {
            let why = match send(&receiver, &parcel.decided, &*post, &*runtime).await {
                Try::Done => {
                    metrics.notification(&receiver.name, "ok");
                    break;
                }
                Try::Again(why) if attempt < TRIES => {
                    metrics.notification(&receiver.name, "failed");
                    tracing::debug!(receiver = receiver.name, why, "a notification is tried again");
                    runtime.sleep(wait).await;
                    wait *= 2;
                    continue;
                }
                Try::Again(why) | Try::Never(why) => why,
            };
            metrics.notification(&receiver.name, "lost");
            let id = parcel.decided.id();
            tracing::warn!(rollout = %parcel.key, receiver = receiver.name, id, why, "a notification was given up");
            break;
        }
        done(&parcel);
    }
}

async fn send(receiver: &Receiver, decided: &Decided, post: &dyn Post, runtime: &dyn Runtime) -> Try {
    let letter = match write(receiver, decided, runtime).await {
        Ok(letter) => letter,
        Err(why) => return Try::Again(why),
    };
    match post.post(letter).await {
        Ok(200..=299) => Try::Done,
        Ok(status @ (408 | 425 | 429 | 500..)) => Try::Again(format!("status {status}")),
        Ok(status) => Try::Never(format!("status {status}")),
        Err(why) => Try::Again(why),
    }
}

/// The request as it is sent now: secrets are read each time, the signature has the time of the try.
async fn write(receiver: &Receiver, decided: &Decided, runtime: &dyn Runtime) -> Result<Letter, String> {
    let address = match &receiver.address {
        Address::Known(address) => address.clone(),
        Address::InFile(path) => {
            let text = tokio::fs::read_to_string(path).await;
            let text = text.map_err(|error| format!("urlFile {}: {error}", path.display()))?;
            let address = text.trim();
            if !is_address(address) {
                let path = path.display();
                return Err(format!("urlFile {path} holds no http or https address: write https://host/path into it"));
            }
            address.to_owned()
        }
    };
    let body = decided.body(receiver.format);
    let signature = match &receiver.secret_file {
        Some(path) => {
            let secret = tokio::fs::read(path).await;
            let secret = secret.map_err(|error| format!("secretFile {}: {error}", path.display()))?;
            let secret = secret.trim_ascii();
            if secret.is_empty() {
                return Err(format!("secretFile {} is empty", path.display()));
            }
            signature(secret, runtime.now().as_second(), &body)
        }
        None => None,
    };
    Ok(Letter { address, id: decided.id(), content_type: content_type(receiver.format), signature, body })
}
