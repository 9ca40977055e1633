//! Tokens, passwords and certificates from Secrets and files: used, rotated, missing.

use std::collections::BTreeMap;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{RootCertStore, ServerConfig, pki_types::PrivateKeyDer, server::WebPkiClientVerifier},
};

use super::*;
use crate::{
    api::{ProviderAuth, SecretKey, SecretRef},
    measure::secrets::Content,
};

/// Secrets that a test may change, and how often they were read.
#[derive(Default)]
struct Held {
    secrets: Mutex<BTreeMap<String, Content>>,
    away: Mutex<bool>,
    reads: Mutex<usize>,
}

impl Held {
    fn put(&self, name: &str, pairs: &[(&str, &str)]) {
        let content = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        self.secrets.lock().unwrap().insert(name.into(), content);
    }
}

#[async_trait]
impl Secrets for Held {
    fn named(&self, name: &str) -> String {
        format!("Secret system/{name}")
    }

    async fn read(&self, name: &str) -> Result<Option<Content>, String> {
        *self.reads.lock().unwrap() += 1;
        if *self.away.lock().unwrap() {
            Err("away".into())
        } else {
            Ok(self.secrets.lock().unwrap().get(name).cloned())
        }
    }
}

fn secret(name: &str) -> Option<SecretRef> {
    Some(SecretRef { secret_name: name.into() })
}

fn key(name: &str, key: Option<&str>) -> Option<SecretKey> {
    Some(SecretKey { secret_name: name.into(), key: key.map(str::to_owned) })
}

/// As if what was read had been read this much earlier.
async fn grow_older(provider: &Prometheus, by: Duration) {
    if let Some(ready) = provider.ready.lock().await.as_mut() {
        ready.read_at = ready.read_at.checked_sub(by).expect("the machine is up for longer");
    }
}

#[tokio::test]
async fn a_token_of_a_secret_is_read_again_after_a_minute_and_not_before() {
    let (spec, requests) = serve(JSON, MATRIX.into()).await;
    let bearer = key("login", None);
    let spec = MetricsProviderSpec { auth: Some(ProviderAuth { bearer, ..Default::default() }), ..spec };
    let held = Arc::new(Held::default());
    held.put("login", &[("token", "one\n")]);
    let provider = Prometheus::new("prometheus", &spec, held.clone()).unwrap();
    for (rotated, age, sent, reads) in
        [("one", 0, "one", 1), ("two", 59, "one", 1), ("two", 1, "two", 2), ("two", 60, "two", 3)]
    {
        held.put("login", &[("token", rotated)]);
        grow_older(&provider, Duration::from_secs(age)).await;
        provider.raw("a", 0, 60).await.unwrap();
        let request = requests.lock().unwrap().pop().unwrap();
        assert!(request.contains(&format!("authorization: Bearer {sent}\r\n")), "{rotated} {age}: {request}");
        assert_eq!(*held.reads.lock().unwrap(), reads, "{rotated} {age}");
    }
}

#[tokio::test]
async fn a_login_is_sent_as_basic_authentication() {
    let (spec, requests) = serve(JSON, MATRIX.into()).await;
    let spec =
        MetricsProviderSpec { auth: Some(ProviderAuth { basic: secret("login"), ..Default::default() }), ..spec };
    let held = Arc::new(Held::default());
    held.put("login", &[("username", "user"), ("password", "pa:ss wörd\n")]);
    Prometheus::new("prometheus", &spec, held).unwrap().raw("a", 0, 60).await.unwrap();
    let request = requests.lock().unwrap()[0].clone();
    assert!(request.contains("authorization: Basic dXNlcjpwYTpzcyB3w7ZyZA==\r\n"), "{request}");
}

#[tokio::test]
async fn what_is_missing_is_named_and_nothing_is_sent() {
    let (spec, requests) = serve(JSON, MATRIX.into()).await;
    let held = Arc::new(Held::default());
    held.put("empty", &[]);
    held.put(
        "odd",
        &[
            ("token", "two\nlines"),
            ("username", "a:b"),
            ("password", "x"),
            ("tls.crt", "hunter2"),
            ("tls.key", "hunter2"),
            ("ca.crt", "hunter2"),
        ],
    );
    let none = ProviderAuth::default;
    for (auth, ca, said) in [
        (ProviderAuth { bearer: key("none", None), ..none() }, None, "Secret system/none does not exist"),
        (ProviderAuth { bearer: key("empty", None), ..none() }, None, "Secret system/empty has no key token"),
        (ProviderAuth { bearer: key("odd", Some("jwt")), ..none() }, None, "Secret system/odd has no key jwt"),
        (
            ProviderAuth { bearer: key("odd", None), ..none() },
            None,
            "what Secret system/odd holds under token is not one line",
        ),
        (ProviderAuth { basic: secret("empty"), ..none() }, None, "Secret system/empty has no key username"),
        (ProviderAuth { basic: secret("odd"), ..none() }, None, "what Secret system/odd holds under username"),
        (
            ProviderAuth { client_certificate: secret("empty"), ..none() },
            None,
            "Secret system/empty has no key tls.crt",
        ),
        (
            ProviderAuth { client_certificate: secret("odd"), ..none() },
            None,
            "Secret system/odd holds no certificate with its key",
        ),
        (none(), key("empty", None), "Secret system/empty has no key ca.crt"),
        (none(), key("odd", None), "ca.crt of Secret system/odd holds no certificate"),
    ] {
        let spec = MetricsProviderSpec { auth: Some(auth), ca_bundle_secret: ca, ..spec.clone() };
        let error =
            Prometheus::new("prom", &spec, held.clone()).unwrap().raw("a", 0, 60).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("failed to use MetricsProvider prom: {said}")), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("two\nlines"), "{error}");
    }
    let spec = MetricsProviderSpec { ca_bundle_file: Some("/does/not/exist".into()), ..spec };
    let error = Prometheus::new("prom", &spec, held).unwrap().raw("a", 0, 60).await.unwrap_err();
    assert_eq!(error.to_string(), "failed to use MetricsProvider prom: file /does/not/exist cannot be read");
    assert!(requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_api_server_that_is_away_takes_no_credential_and_a_deleted_secret_does() {
    let (spec, _requests) = serve(JSON, MATRIX.into()).await;
    let spec =
        MetricsProviderSpec { auth: Some(ProviderAuth { bearer: key("login", None), ..Default::default() }), ..spec };
    let held = Arc::new(Held::default());
    *held.away.lock().unwrap() = true;
    let provider = Prometheus::new("prom", &spec, held.clone()).unwrap();
    let error = provider.raw("a", 0, 60).await.unwrap_err().to_string();
    assert_eq!(error, "failed to use MetricsProvider prom: Secret system/login cannot be read: away");
    *held.away.lock().unwrap() = false;
    held.put("login", &[("token", "one")]);
    assert!(provider.raw("a", 0, 60).await.is_err(), "it was looked for a moment ago");
    grow_older(&provider, LOOK_AGAIN).await;
    assert!(provider.raw("a", 0, 60).await.is_ok());
    *held.away.lock().unwrap() = true;
    grow_older(&provider, REREAD).await;
    assert!(provider.raw("a", 0, 60).await.is_ok());
    *held.away.lock().unwrap() = false;
    held.secrets.lock().unwrap().clear();
    grow_older(&provider, REREAD).await;
    assert!(provider.raw("a", 0, 60).await.unwrap_err().to_string().ends_with("Secret system/login does not exist"));
}

/// An authority, and how its certificates are written.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a name, and its key.
    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let pair = KeyPair::generate().unwrap();
        (CertificateParams::new(vec![name.into()]).unwrap().signed_by(&pair, &self.0).unwrap(), pair)
    }
}

/// A server with this certificate that wants one of the client by `clients`.
async fn serve_tls((certificate, pair): (rcgen::Certificate, KeyPair), clients: &Authority) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(clients.0.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let key = PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_client_cert_verifier(verifier);
    let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            request(&mut stream).await;
            let answer =
                format!("HTTP/1.1 {JSON}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{MATRIX}", MATRIX.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_both_sides_rotate() {
    let (clients, servers, others) = (Authority::new(), Authority::new(), Authority::new());
    let address = serve_tls(servers.sign("127.0.0.1"), &clients).await;
    let auth = ProviderAuth { client_certificate: secret("client"), ..Default::default() };
    let spec = MetricsProviderSpec {
        address,
        allow_addresses: vec![AddressKind::Loopback],
        auth: Some(auth),
        ca_bundle_secret: key("trust", None),
        ..MetricsProviderSpec::default()
    };
    let held = Arc::new(Held::default());
    let show = |authority: &Authority| {
        let (certificate, pair) = authority.sign("tidegate");
        held.put("client", &[("tls.crt", &certificate.pem()), ("tls.key", &pair.serialize_pem())]);
    };
    let trust = |authority: &Authority| held.put("trust", &[("ca.crt", &authority.pem())]);
    let provider = Prometheus::new("prom", &spec, held.clone()).unwrap();
    for (shown, trusted, expected) in
        [(&clients, &servers, true), (&others, &servers, false), (&clients, &others, false), (&clients, &servers, true)]
    {
        show(shown);
        trust(trusted);
        grow_older(&provider, REREAD).await;
        let answer = provider.raw("a", 0, 60).await;
        assert_eq!(answer.is_ok(), expected, "{answer:?}");
        assert!(answer.is_ok() || answer == Err(WhyNot::Unreachable), "{answer:?}");
    }
    let without = MetricsProviderSpec { auth: None, ..spec };
    assert_eq!(Prometheus::new("prom", &without, held).unwrap().raw("a", 0, 60).await, Err(WhyNot::Unreachable));
}

#[tokio::test]
async fn certificates_to_trust_come_from_a_file_too() {
    let (clients, servers) = (Authority::new(), Authority::new());
    let address = serve_tls(servers.sign("127.0.0.1"), &clients).await;
    let file = std::env::temp_dir().join(format!("tidegate-trusted-{}", std::process::id()));
    std::fs::write(&file, Authority::new().pem()).unwrap();
    let (certificate, pair) = clients.sign("tidegate");
    let held = Arc::new(Held::default());
    held.put("client", &[("tls.crt", &certificate.pem()), ("tls.key", &pair.serialize_pem())]);
    let spec = MetricsProviderSpec {
        address,
        allow_addresses: vec![AddressKind::Loopback],
        auth: Some(ProviderAuth { client_certificate: secret("client"), ..Default::default() }),
        ca_bundle_file: Some(file.display().to_string()),
        ..MetricsProviderSpec::default()
    };
    let provider = Prometheus::new("prom", &spec, held).unwrap();
    assert_eq!(provider.raw("a", 0, 60).await, Err(WhyNot::Unreachable));
    std::fs::write(&file, servers.pem()).unwrap();
    grow_older(&provider, REREAD).await;
    assert!(provider.raw("a", 0, 60).await.is_ok());
    std::fs::remove_file(&file).unwrap();
}
