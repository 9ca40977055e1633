//! Where requests go: spellings of addresses, names that resolve to what is refused, redirects, proxies.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    process::Command,
};

use reqwest::dns::{Addrs, Name, Resolving};

use super::*;
use AddressRefused::{LinkLocal, Loopback, Metadata, Nowhere};

#[test]
fn an_address_is_refused_in_every_spelling_of_its_number() {
    for (host, refused) in [
        ("127.0.0.1", Loopback),
        ("127.1", Loopback),
        ("127.0.1", Loopback),
        ("0x7f.1", Loopback),
        ("0x7f000001", Loopback),
        ("0177.0.0.1", Loopback),
        ("0177.0x0.1", Loopback),
        ("2130706433", Loopback),
        ("017700000001", Loopback),
        ("127.0.0.1.", Loopback),
        ("127%2e0.0.1", Loopback),
        ("%31%32%37.0.0.1", Loopback),
        ("１２７.0.0.1", Loopback),
        ("127。0。0。1", Loopback),
        ("[::1]", Loopback),
        ("[0:0:0:0:0:0:0:1]", Loopback),
        ("[::ffff:127.0.0.1]", Loopback),
        ("[::ffff:7f00:1]", Loopback),
        ("[0:0:0:0:0:ffff:127.0.0.1]", Loopback),
        ("[64:ff9b::127.0.0.1]", Loopback),
        ("[2002:7f00:1::]", Loopback),
        ("169.254.1.1", LinkLocal),
        ("[fe80::1]", LinkLocal),
        ("[::ffff:169.254.1.1]", LinkLocal),
        ("169.254.169.254", Metadata),
        ("2852039166", Metadata),
        ("0xa9fea9fe", Metadata),
        ("0251.0376.0251.0376", Metadata),
        ("[::ffff:a9fe:a9fe]", Metadata),
        ("[fd00:ec2::254]", Metadata),
        ("100.100.100.200", Metadata),
        ("0.0.0.0", Nowhere),
        ("0", Nowhere),
        ("[::]", Nowhere),
        ("255.255.255.255", Nowhere),
        ("224.0.0.1", Nowhere),
        ("[ff02::1]", Nowhere),
    ] {
        for address in [format!("http://{host}"), format!("https://{host}:9090/prom"), format!("HTTP://{host}:80/")] {
            let spec = MetricsProviderSpec { address: address.clone(), ..MetricsProviderSpec::default() };
            assert_eq!(open(&spec).err(), Some(PrometheusError::Refused(refused)), "{address}");
        }
    }
}

#[test]
fn ordinary_addresses_are_not_refused() {
    for address in [
        "http://prometheus.monitoring.svc:9090",
        "https://prometheus.example.com/a/b",
        "http://10.96.0.10:9090",
        "http://[2001:db8::1]:9090",
        "http://100.64.0.7",
        "http://127.0.0.1.example.com",
    ] {
        let spec = MetricsProviderSpec { address: address.into(), ..MetricsProviderSpec::default() };
        assert_eq!(open(&spec).err(), None, "{address}");
    }
}

#[test]
fn a_user_in_the_address_is_refused_and_not_repeated() {
    for address in [
        "http://u:hunter2@prometheus",
        "http://hunter2@10.0.0.1",
        "http://prometheus.svc@127.0.0.1",
        "http://:hunter2@a",
    ] {
        let spec = MetricsProviderSpec { address: address.into(), ..MetricsProviderSpec::default() };
        let error = open(&spec).err().unwrap();
        assert_eq!(error, PrometheusError::UserInAddress, "{address}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    // A browser reads the backslash as a slash, another parser as a part of the user's name.
    let spec = MetricsProviderSpec { address: r"http://127.0.0.1\@prometheus.svc".into(), ..Default::default() };
    assert_eq!(open(&spec).err(), Some(PrometheusError::Refused(Loopback)));
}

/// Resolves every name to the next of these answers, and counts.
#[derive(Default)]
struct Names(Mutex<(VecDeque<Vec<IpAddr>>, usize)>);

impl Names {
    fn answering(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers.iter().map(|answer| answer.iter().map(|ip| ip.parse().unwrap()).collect());
        Arc::new(Self(Mutex::new((answers.collect(), 0))))
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

impl Resolve for Names {
    fn resolve(&self, _: Name) -> Resolving {
        let mut state = self.0.lock().unwrap();
        state.1 += 1;
        let found = state.0.pop_front().unwrap_or_default();
        Box::pin(async move { Ok(Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs) })
    }
}

/// A provider whose name these answers resolve, at the port of a server on this host.
async fn named(names: &Arc<Names>, allowed: &[AddressKind]) -> (Prometheus, Arc<Mutex<Vec<String>>>) {
    let (spec, requests) = serve(JSON, MATRIX.into()).await;
    let spec = MetricsProviderSpec {
        address: spec.address.replace("127.0.0.1", "metrics.example"),
        allow_addresses: allowed.to_vec(),
        timeout: Some(Span::millis(500)),
        ..spec
    };
    (Prometheus::with_names("prometheus", &spec, Arc::new(NoSecrets), names.clone()).unwrap(), requests)
}

#[tokio::test]
async fn a_name_is_refused_for_what_it_resolves_to() {
    for (ip, refused) in [
        ("127.0.0.1", Loopback),
        ("::1", Loopback),
        ("::ffff:127.0.0.1", Loopback),
        ("64:ff9b::7f00:1", Loopback),
        ("169.254.3.4", LinkLocal),
        ("169.254.169.254", Metadata),
        ("fd00:ec2::254", Metadata),
        ("0.0.0.0", Nowhere),
        ("::", Nowhere),
    ] {
        let names = Names::answering(&[&[ip]]);
        let (provider, requests) = named(&names, &[]).await;
        assert_eq!(provider.raw("a", 0, 60).await, Err(WhyNot::Address(refused)), "{ip}");
        assert!(requests.lock().unwrap().is_empty(), "{ip}");
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_checked_for_each_connection() {
    // 192.0.2.0/24 is for documentation: nobody answers there.
    let names = Names::answering(&[&["192.0.2.1"], &["127.0.0.1"], &["127.0.0.1"]]);
    let (provider, requests) = named(&names, &[]).await;
    assert!(matches!(provider.raw("a", 0, 60).await, Err(WhyNot::Unreachable | WhyNot::TimedOut)));
    for asked in [2, 3] {
        assert_eq!(provider.raw("a", 0, 60).await, Err(WhyNot::Address(Loopback)));
        assert_eq!(names.asked(), asked, "once for each connection: what was checked is what is connected to");
    }
    assert!(requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn of_several_addresses_only_allowed_ones_are_tried() {
    let names = Names::answering(&[&["169.254.169.254", "0.0.0.0", "127.0.0.1"]]);
    let (provider, requests) = named(&names, &[AddressKind::Loopback]).await;
    assert!(provider.raw("a", 0, 60).await.is_ok());
    assert_eq!((requests.lock().unwrap().len(), names.asked()), (1, 1));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_nobody_goes_there() {
    let (target, visits) = serve(JSON, MATRIX.into()).await;
    for status in [301, 302, 303, 307, 308] {
        let head =
            format!("{status} Moved\r\nlocation: {}/api/v1/query\r\ncontent-type: application/json", target.address);
        let (spec, requests) = serve(&head, MATRIX.into()).await;
        assert_eq!(open(&spec).unwrap().raw("a", 0, 60).await, Err(WhyNot::Status(status)));
        assert_eq!(requests.lock().unwrap().len(), 1);
    }
    assert!(visits.lock().unwrap().is_empty());
}

/// The environment belongs to the process: another one runs a test that passes only if nothing asks the proxy.
#[test]
fn a_proxy_of_the_environment_is_not_asked() {
    let mut test = Command::new(std::env::current_exe().unwrap());
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        test.env(name, "http://127.0.0.1:1");
    }
    test.env_remove("NO_PROXY").env_remove("no_proxy");
    let name = "measure::prometheus::tests::a_range_selector_is_asked_for_at_its_end";
    let output = test.args([name, "--exact"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
