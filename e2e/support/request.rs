//! What a request to the API server asks for, told from its first line alone.

use axum::http::{Method, Uri};

/// A write as a crash or a fault is placed by it: what it does to which kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write {
    /// The method, in the API server's words.
    pub verb: &'static str,
    /// `rolloutruns`, or `rolloutruns/status`.
    pub resource: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    Read,
    Watch,
    Write(Write),
    /// A write of which nothing is stored.
    DryRun(Write),
}

impl Asks {
    pub fn of(method: &Method, uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let has = |parameter: &str| query.split('&').any(|found| found == parameter);
        let verb = match method.as_str() {
            "POST" => "create",
            "PATCH" => "patch",
            "PUT" => "update",
            "DELETE" => "delete",
            _ if has("watch=true") || has("watch=1") => return Self::Watch,
            _ => return Self::Read,
        };
        let write = Write { verb, resource: resource(uri.path()) };
        if has("dryRun=All") { Self::DryRun(write) } else { Self::Write(write) }
    }

    /// Sent with the intent to store something, or to see whether it would be.
    pub const fn write(&self) -> Option<&Write> {
        match self {
            Self::Write(write) | Self::DryRun(write) => Some(write),
            Self::Read | Self::Watch => None,
        }
    }
}

/// The kind's plural and the subresource: "deployments/scale" of /apis/apps/v1/namespaces/a/deployments/b/scale.
fn resource(path: &str) -> String {
    let mut parts = path.trim_matches('/').split('/').skip_while(|part| !is_version(part)).skip(1).peekable();
    if parts.next_if(|part| *part == "namespaces").is_some() {
        parts.next();
    }
    let (plural, _, subresource) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    subresource.map_or_else(|| plural.to_owned(), |subresource| format!("{plural}/{subresource}"))
}

/// "v1", "v1alpha1"; no group looks like this.
fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}
