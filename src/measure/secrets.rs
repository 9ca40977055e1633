//! The seam to Secrets: those of the controller's own namespace, one at a time and by name.
//!
//! There is deliberately no way to list them, and none to reach another namespace.

use std::collections::BTreeMap;

use async_trait::async_trait;

/// A Secret's values by key.
pub type Content = BTreeMap<String, Vec<u8>>;

#[async_trait]
pub trait Secrets: Send + Sync {
    /// How a message names a Secret.
    fn named(&self, name: &str) -> String;
    /// None: there is none of this name. Err: why that is not known, in a few words.
    async fn read(&self, name: &str) -> Result<Option<Content>, String>;
}

/// For programs that a person starts: they have the person's rights, and the controller's Secrets are not theirs.
pub struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    fn named(&self, name: &str) -> String {
        format!("Secret {name}")
    }

    async fn read(&self, _: &str) -> Result<Option<Content>, String> {
        Err("only the controller reads it; ask an address that needs none with --prometheus".into())
    }
}
