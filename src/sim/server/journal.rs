//! What was asked of the server, so that it can be asked again of another one.
//!
//! Kept only if somebody wants to read it.

use serde_json::Value;

use super::{ApiServer, Writer};
use crate::controller::{Kind, Patch, WriteSite};

/// What a request is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    Create {
        document: Value,
        dry_run: bool,
    },
    Patch(Patch),
    /// PUT.
    Replace(Value),
    /// Only if the uid is still this one.
    Delete {
        uid: Option<String>,
    },
}

impl Deed {
    /// The document, or the part of one, that is sent.
    pub const fn document(&self) -> Option<&Value> {
        match self {
            Self::Create { document, .. } | Self::Replace(document) => Some(document),
            Self::Patch(Patch::Merge(document) | Patch::Apply { document, .. }) => Some(document),
            Self::Patch(Patch::Json(_)) | Self::Delete { .. } => None,
        }
    }

    pub const fn document_mut(&mut self) -> Option<&mut Value> {
        match self {
            Self::Create { document, .. } | Self::Replace(document) => Some(document),
            Self::Patch(Patch::Merge(document) | Patch::Apply { document, .. }) => Some(document),
            Self::Patch(Patch::Json(_)) | Self::Delete { .. } => None,
        }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// None: somebody else's.
    pub site: Option<WriteSite>,
    pub manager: String,
    pub kind: Kind,
    pub name: String,
    pub subresource: String,
    pub deed: Deed,
    /// The object's resourceVersion before it; None: there was no such object.
    pub version: Option<String>,
}

/// The requests so far.
#[derive(Debug, Default)]
pub struct Journal {
    site: Option<WriteSite>,
    asked: Vec<Asked>,
}

impl ApiServer {
    /// Keeps a journal from now on.
    pub fn keep_journal(&mut self) {
        self.journal = Some(Journal::default());
    }

    /// The requests since then.
    pub fn take_journal(&mut self) -> Vec<Asked> {
        self.journal.take().map(|journal| journal.asked).unwrap_or_default()
    }

    /// Requests are made at this site from now on.
    pub fn at_site(&mut self, site: Option<WriteSite>) {
        if let Some(journal) = &mut self.journal {
            journal.site = site;
        }
    }

    /// `deed` is asked for only if there is a journal.
    pub(super) fn note(
        &mut self,
        writer: &Writer,
        (kind, namespace, name): (Kind, &str, &str),
        subresource: &str,
        deed: impl FnOnce() -> Deed,
    ) {
        if self.journal.is_none() {
            return;
        }
        let live = self.get(kind, namespace, name);
        let version = live.and_then(|live| live["metadata"]["resourceVersion"].as_str().map(str::to_owned));
        if let Some(journal) = &mut self.journal {
            journal.asked.push(Asked {
                site: journal.site,
                manager: writer.manager.to_string(),
                kind,
                name: name.to_owned(),
                subresource: subresource.to_owned(),
                deed: deed(),
                version,
            });
        }
    }
}
