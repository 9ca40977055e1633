//! The administrator's file of receivers: read once at the start, every problem said at once.
//!
//! Secrets stand in files of their own, which are read at each use: they may be replaced in place.

use std::{collections::BTreeSet, path::PathBuf};

use serde::Deserialize;

/// Receivers have a queue and a task each.
const MOST_RECEIVERS: usize = 8;
const LONGEST_NAME: usize = 40;

#[derive(Debug, thiserror::Error)]
pub enum NotificationsError {
    #[error("failed to read the notifications file {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("failed to understand the notifications file {}: {message}", path.display())]
    Form { path: PathBuf, message: String },
    #[error("failed to use the notifications file {}: {}", path.display(), problems.join("; "))]
    Invalid { path: PathBuf, problems: Vec<String> },
    #[error("failed to build the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// Where decisions are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// For metrics and messages.
    pub name: String,
    pub address: Address,
    pub format: Format,
    /// The key of the signature; None: it is not signed.
    pub secret_file: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Known(String),
    /// The address is a secret itself, as a chat's incoming webhook is.
    InFile(PathBuf),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Format {
    /// CloudEvents 1.0 in structured JSON.
    #[default]
    CloudEvents,
    /// `{"text": "..."}`, as Slack and others take it.
    Slack,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    receivers: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    name: String,
    url: Option<String>,
    url_file: Option<PathBuf>,
    #[serde(default)]
    format: Format,
    secret_file: Option<PathBuf>,
}

/// The receivers of a file.
pub fn read(path: &std::path::Path) -> Result<Vec<Receiver>, NotificationsError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| NotificationsError::Read { path: path.to_owned(), source })?;
    let form = |message: String| NotificationsError::Form { path: path.to_owned(), message };
    let file: File = serde_yaml_ng::from_str(&text).map_err(|error| form(error.to_string()))?;
    receivers(file.receivers).map_err(|problems| NotificationsError::Invalid { path: path.to_owned(), problems })
}

fn receivers(written: Vec<Written>) -> Result<Vec<Receiver>, Vec<String>> {
    let mut problems = Vec::new();
    if written.len() > MOST_RECEIVERS {
        problems.push(format!("it has {} receivers, {MOST_RECEIVERS} are possible", written.len()));
    }
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for (place, one) in written.into_iter().enumerate() {
        let is_word = |name: &str| name.chars().all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one));
        if one.name.is_empty() || one.name.len() > LONGEST_NAME || !is_word(&one.name) {
            problems.push(format!("receivers[{place}].name is {:?}: write a word of at most {LONGEST_NAME}", one.name));
        }
        if !names.insert(one.name.clone()) {
            problems.push(format!("receivers[{place}].name is {:?} again: each needs its own", one.name));
        }
        match address(one.url, one.url_file) {
            Ok(address) => {
                found.push(Receiver { name: one.name, address, format: one.format, secret_file: one.secret_file })
            }
            Err(problem) => problems.push(format!("receivers[{place}] ({}) {problem}", one.name)),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn address(url: Option<String>, file: Option<PathBuf>) -> Result<Address, String> {
    match (url, file) {
        (Some(url), None) if !is_address(&url) => {
            Err("has a url that is no http or https address with a host: write https://host/path".into())
        }
        (Some(url), None) if has_user(&url) => {
            Err("has a url with a user or a password, and this file is no place for secrets: \
             write the address into a file of its own and name that by urlFile"
                .into())
        }
        (Some(url), None) => Ok(Address::Known(url)),
        (None, Some(file)) => Ok(Address::InFile(file)),
        (Some(_), Some(_)) => Err("has url and urlFile: leave one out".into()),
        (None, None) => Err("has no address: write url, or urlFile if it is a secret".into()),
    }
}

fn has_user(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
}

/// http or https, with a host.
pub fn is_address(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Vec<Receiver>, Vec<String>> {
        receivers(serde_yaml_ng::from_str::<File>(text).unwrap().receivers)
    }

    #[test]
    fn a_file_of_receivers_is_read() {
        let found = of("receivers:\n- {name: audit, url: 'https://audit.example/hook', secretFile: /s}\n- {name: chat, urlFile: /u, format: Slack}\n").unwrap();
        assert_eq!(found[0].address, Address::Known("https://audit.example/hook".into()));
        assert_eq!((found[0].format, found[0].secret_file.as_deref()), (Format::CloudEvents, Some("/s".as_ref())));
        assert_eq!((found[1].format, &found[1].address), (Format::Slack, &Address::InFile("/u".into())));
    }

    #[test]
    fn every_problem_is_said_at_once() {
        let problems =
            of("receivers:\n- {name: a b, url: audit}\n- {name: c}\n- {name: c, url: 'http://x', urlFile: /u}\n\
             - {name: d, url: 'ftp://x/y'}\n- {name: e, url: 'https://user:secret@x/y'}\n")
            .unwrap_err();
        let said = [
            "receivers[0].name is \"a b\"",
            "receivers[0] (a b) has a url that is no http or https address with a host: write https://host/path",
            "receivers[1] (c) has no address: write url, or urlFile",
            "receivers[2].name is \"c\" again",
            "receivers[2] (c) has url and urlFile: leave one out",
            "receivers[3] (d) has a url that is no http or https address",
            "receivers[4] (e) has a url with a user or a password, and this file is no place for secrets: write the",
        ];
        assert_eq!(problems.len(), said.len(), "{problems:#?}");
        for (problem, said) in problems.iter().zip(said) {
            assert!(problem.starts_with(said), "{problem}");
        }
        assert!(!problems.concat().contains("secret@"), "an address may be a secret: {problems:?}");
        assert!(serde_yaml_ng::from_str::<File>("receivers: [{name: a, adress: x}]").is_err());
    }
}
