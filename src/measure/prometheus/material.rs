//! What a connection needs besides the address: an Authorization header, certificates to trust, and its own certificate.
//!
//! It is read from the files and Secrets that the provider names, and is nowhere printed. When it is read again is not decided here.

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Certificate, ClientBuilder, Identity, header::HeaderValue};

use crate::{
    api::{MetricsProviderSpec, SecretKey},
    measure::secrets::{Content, Secrets},
};

/// Why there is nothing to connect with; each names the Secret or the file, and none what is in it.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum MaterialError {
    #[error("{secret} does not exist")]
    NoSecret { secret: String },
    #[error("{secret} has no key {key}")]
    NoKey { secret: String, key: String },
    #[error("{secret} cannot be read: {why}")]
    NotRead { secret: String, why: String },
    #[error("what {secret} holds under {key} is not one line of text, as a header needs")]
    NoHeader { secret: String, key: String },
    #[error("{secret} holds no certificate with its key under tls.crt and tls.key: write them as PEM")]
    NoIdentity { secret: String },
    #[error("file {path} cannot be read")]
    NoFile { path: String },
    #[error("{origin} holds no certificate: write them as PEM")]
    NoCertificate { origin: String },
    #[error("the HTTP client cannot be built with the certificates that it names")]
    NoClient,
}

impl MaterialError {
    /// It says nothing of what the administrator wants: what was read before holds.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::NotRead { .. })
    }
}

/// Two that are equal make the same connection.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Material {
    pub authorization: Option<HeaderValue>,
    /// Where certificates to trust are from, and their PEM.
    trusted: Option<(String, Vec<u8>)>,
    /// Which Secret, and the PEM of certificate and key.
    identity: Option<(String, Vec<u8>)>,
}

impl Material {
    /// Whether there is anything that can change without the provider's spec.
    pub fn rotates(spec: &MetricsProviderSpec) -> bool {
        spec.auth.is_some() || spec.ca_bundle_secret.is_some() || spec.ca_bundle_file.is_some()
    }

    pub async fn read(spec: &MetricsProviderSpec, secrets: &dyn Secrets) -> Result<Self, MaterialError> {
        let auth = spec.auth.clone().unwrap_or_default();
        let authorization = match (&auth.bearer, &auth.basic) {
            (Some(bearer), _) => Some(bearer_header(bearer, secrets).await?),
            (None, Some(basic)) => Some(basic_header(&basic.secret_name, secrets).await?),
            (None, None) => None,
        };
        let identity = match &auth.client_certificate {
            Some(secret) => Some(client_pem(&secret.secret_name, secrets).await?),
            None => None,
        };
        Ok(Self { authorization, trusted: trusted(spec, secrets).await?, identity })
    }

    /// A client's certificates.
    pub fn equip(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, MaterialError> {
        if let Some((origin, pem)) = &self.trusted {
            let certificates = Certificate::from_pem_bundle(pem).unwrap_or_default();
            // Without a certificate every server would be refused, and the reason would look like an outage.
            if certificates.is_empty() {
                return Err(MaterialError::NoCertificate { origin: origin.clone() });
            }
            builder = builder.tls_certs_only(certificates);
        }
        if let Some((secret, pem)) = &self.identity {
            let no_identity = |_| MaterialError::NoIdentity { secret: secret.clone() };
            builder = builder.identity(Identity::from_pem(pem).map_err(no_identity)?);
        }
        Ok(builder)
    }
}

async fn trusted(
    spec: &MetricsProviderSpec,
    secrets: &dyn Secrets,
) -> Result<Option<(String, Vec<u8>)>, MaterialError> {
    if let Some(bundle) = &spec.ca_bundle {
        return Ok(Some(("caBundle".into(), bundle.clone().into_bytes())));
    }
    if let Some(path) = &spec.ca_bundle_file {
        let read = tokio::fs::read(path).await;
        let pem = read.map_err(|_| MaterialError::NoFile { path: path.clone() })?;
        return Ok(Some((format!("file {path}"), pem)));
    }
    let Some(SecretKey { secret_name, key }) = &spec.ca_bundle_secret else { return Ok(None) };
    let key = key.as_deref().unwrap_or("ca.crt");
    let (secret, content) = content(secret_name, secrets).await?;
    let pem = value(&secret, &content, key)?.to_vec();
    Ok(Some((format!("{key} of {secret}"), pem)))
}

async fn bearer_header(bearer: &SecretKey, secrets: &dyn Secrets) -> Result<HeaderValue, MaterialError> {
    let key = bearer.key.as_deref().unwrap_or("token");
    let (secret, content) = content(&bearer.secret_name, secrets).await?;
    let token = text(value(&secret, &content, key)?);
    token.and_then(|token| header(format!("Bearer {token}"))).ok_or(MaterialError::NoHeader { secret, key: key.into() })
}

async fn basic_header(name: &str, secrets: &dyn Secrets) -> Result<HeaderValue, MaterialError> {
    let (secret, content) = content(name, secrets).await?;
    let (user, password) = (value(&secret, &content, "username")?, value(&secret, &content, "password")?);
    // A colon ends the name.
    let user = text(user).filter(|user| !user.contains(':'));
    let Some(user) = user else { return Err(MaterialError::NoHeader { secret, key: "username".into() }) };
    let pair = [user.as_bytes(), b":", password.strip_suffix(b"\n").unwrap_or(password)].concat();
    let header = header(format!("Basic {}", BASE64_STANDARD.encode(pair)));
    header.ok_or(MaterialError::NoHeader { secret, key: "password".into() })
}

async fn client_pem(name: &str, secrets: &dyn Secrets) -> Result<(String, Vec<u8>), MaterialError> {
    let (secret, content) = content(name, secrets).await?;
    let pem = [value(&secret, &content, "tls.crt")?, b"\n", value(&secret, &content, "tls.key")?].concat();
    Ok((secret, pem))
}

/// A Secret as messages name it, and its values.
async fn content(name: &str, secrets: &dyn Secrets) -> Result<(String, Content), MaterialError> {
    let secret = secrets.named(name);
    match secrets.read(name).await {
        Ok(Some(content)) => Ok((secret, content)),
        Ok(None) => Err(MaterialError::NoSecret { secret }),
        Err(why) => Err(MaterialError::NotRead { secret, why }),
    }
}

fn value<'c>(secret: &str, content: &'c Content, key: &str) -> Result<&'c [u8], MaterialError> {
    let found = content.get(key).map(Vec::as_slice).filter(|value| !value.is_empty());
    found.ok_or_else(|| MaterialError::NoKey { secret: secret.to_owned(), key: key.to_owned() })
}

/// Text without the white space that editors leave around it.
fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().map(str::trim).filter(|text| !text.is_empty())
}

fn header(text: String) -> Option<HeaderValue> {
    let mut header = HeaderValue::try_from(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}
