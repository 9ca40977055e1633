//! The chart as Helm renders it: linted, compared with golden files, refused with a sentence where values are wrong.
//! `make chart` runs it with the lab's Helm; `UPDATE_GOLDEN=1` writes the golden files and the plain manifests
//! (`deploy/tidegate.yaml`, `deploy/admission`, `deploy/roles`) anew.
//!
//! No cluster; a real installation is in `e2e/install`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tidegate::controller::{Address, Format, read_receivers};

const NAMESPACE: &str = "tidegate-system";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn helm(arguments: &[&str]) -> Output {
    let lab = root().join("target/lab");
    let run = Command::new(&lab).arg("helm").args(arguments).current_dir(root()).output();
    run.unwrap_or_else(|error| panic!("{}: {error}: run this by make chart", lab.display()))
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn template(more: &[&str]) -> String {
    template_of("tidegate", NAMESPACE, more)
}

fn template_of(release: &str, namespace: &str, more: &[&str]) -> String {
    let fixed = ["template", release, "charts/tidegate", "--namespace", namespace];
    let output = helm(&[&fixed, more].concat());
    assert!(output.status.success(), "{}", errors(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The documents of a rendering by kind and name, without Helm's remarks.
fn documents(rendered: &str) -> BTreeMap<String, String> {
    let documents = rendered.split("\n---\n").map(|text| text.trim_start_matches("---\n"));
    let tidy = documents.map(|text| {
        let lines = text.lines().filter(|line| !line.starts_with("# Source:") && !line.trim().is_empty());
        lines.map(|line| format!("{line}\n")).collect::<String>()
    });
    tidy.filter(|text| !text.is_empty()).map(|text| (title(&text), text)).collect()
}

/// The same in Helm's order: what others need comes first.
fn in_order(rendered: &str) -> Vec<String> {
    let documents = documents(rendered);
    let ordered = rendered.split("\n---\n").filter(|text| text.contains("kind:"));
    ordered.map(|text| documents[&title(text.trim_start_matches("---\n"))].clone()).collect()
}

fn title(document: &str) -> String {
    let parsed: serde_json::Value =
        serde_yaml_ng::from_str(document).unwrap_or_else(|error| panic!("{error}\n{document}"));
    let text = |pointer: &str| parsed.pointer(pointer).and_then(|it| it.as_str()).unwrap_or_default().to_owned();
    format!("{} {} {}", text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

/// Lines that went and came, in their order, by the longest common subsequence.
fn changes(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for (row, line) in old.iter().enumerate().rev() {
        for (column, other) in new.iter().enumerate().rev() {
            let longer = common[row + 1][column].max(common[row][column + 1]);
            common[row][column] = if line == other { common[row + 1][column + 1] + 1 } else { longer };
        }
    }
    let (mut row, mut column, mut text) = (0, 0, String::new());
    while row < old.len() || column < new.len() {
        if row < old.len() && column < new.len() && old[row] == new[column] {
            (row, column) = (row + 1, column + 1);
        } else if column == new.len() || (row < old.len() && common[row + 1][column] >= common[row][column + 1]) {
            text.push_str(&format!("-{}\n", old[row]));
            row += 1;
        } else {
            text.push_str(&format!("+{}\n", new[column]));
            column += 1;
        }
    }
    text
}

fn compare(path: PathBuf, printed: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, printed).expect("the golden file is written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == printed, "{} is not what Helm prints: make generate\n{printed}", path.display());
}

#[test]
fn helm_has_nothing_against_the_chart() {
    for values in ["everything", "one-namespace", "own-rbac"] {
        let values = format!("e2e/chart/values/{values}.yaml");
        let output = helm(&["lint", "--strict", "charts/tidegate", "--values", &values]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &errors(&output);
        assert!(output.status.success() && !said.contains("WARNING"), "{values}: {said}");
    }
}

#[test]
fn the_plain_manifests_are_the_default_release() {
    let mut text = format!(
        "# Generated from charts/tidegate: make generate. Before it: kubectl apply --server-side -f crds/\n\
         apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n  labels:\n    pod-security.kubernetes.io/enforce: restricted\n"
    );
    let documents = in_order(&template(&["--set", "crds.install=false,uninstall.force=true"]));
    // Policies before the roles whose limits are theirs: Helm puts kinds that it does not know last.
    let (policies, others): (Vec<_>, Vec<_>) =
        documents.iter().partition(|document| document.contains("apiVersion: admissionregistration.k8s.io/"));
    assert_eq!(policies.len(), 4, "{policies:?}");
    for document in policies.into_iter().chain(others) {
        text.push_str(&format!("---\n{document}"));
    }
    compare(root().join("deploy/tidegate.yaml"), &text);
}

/// For who installs the controller otherwise, or what is the cluster's apart from it.
#[test]
fn the_plain_policies_and_roles_are_the_charts() {
    let account = ". Change the controller's user below if yours is another one";
    for (shown, file, remark) in [
        ("admission/actions", "admission/actions", ""),
        ("admission/author", "admission/author", ""),
        ("admission/records", "admission/records", account),
        ("roles", "roles/roles", ""),
    ] {
        let shown = format!("templates/{shown}.yaml");
        let documents = in_order(&template(&["--show-only", &shown, "--set", "admission.author=always"]));
        let text = format!("# Generated from charts/tidegate: make generate{remark}\n#\n{}", documents.join("---\n"));
        compare(root().join(format!("deploy/{file}.yaml")), &text);
    }
}

/// Only a server that knows the kind is sent one.
#[test]
fn authors_are_stamped_where_the_server_can_do_it() {
    const KIND: &str = "MutatingAdmissionPolicy  tidegate-author";
    let known = ["--api-versions", "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"];
    for (more, is_there) in [
        (&[][..], false),
        (&known, true),
        (&["--set", "admission.author=always"], true),
        (&[known[0], known[1], "--set", "admission.author=never"], false),
        (&[known[0], known[1], "--set", "admission.actions=false"], false),
        (&[known[0], known[1], "--set", "admission.enabled=false"], false),
    ] {
        assert_eq!(documents(&template(more)).contains_key(KIND), is_there, "{more:?}");
    }
}

/// What the controller reads is what it can read, and every file in it is one that the pod has.
#[test]
fn the_file_of_receivers_is_one_that_the_controller_takes() {
    let release = documents(&template(&["--values", "e2e/chart/values/everything.yaml"]));
    let parsed = |title: &str| -> serde_json::Value { serde_yaml_ng::from_str(&release[title]).expect("YAML") };
    let config = parsed("ConfigMap tidegate-system tidegate-notifications");
    let file = std::env::temp_dir().join(format!("tidegate-receivers-{}.yaml", std::process::id()));
    fs::write(&file, config["data"]["receivers.yaml"].as_str().expect("a file")).expect("the file is written");
    let receivers = read_receivers(&file).expect("receivers");
    fs::remove_file(&file).expect("the file goes");
    let pod = parsed("Deployment tidegate-system tidegate")["spec"]["template"]["spec"].clone();
    let folder = pod["containers"][0]["volumeMounts"][0]["mountPath"].as_str().expect("a folder");
    let volume = pod["volumes"][0].to_string();
    let has = |path: &Path| {
        let name = path.strip_prefix(folder).expect("a file in the folder").display().to_string();
        assert!(volume.contains(&format!("\"path\":\"{name}\"")), "{name}: {volume}");
    };
    let [audit, chat] = receivers.as_slice() else { panic!("{receivers:?}") };
    assert_eq!(audit.address, Address::Known("https://audit.example.com/tidegate".into()));
    assert_eq!((audit.name.as_str(), audit.format, chat.format), ("audit", Format::CloudEvents, Format::Slack));
    has(audit.secret_file.as_deref().expect("a key"));
    let Address::InFile(address) = &chat.address else { panic!("{chat:?}") };
    has(address);
    let arguments = pod["containers"][0]["args"].to_string();
    assert!(arguments.contains(&format!("--notifications-file={folder}/receivers.yaml")), "{arguments}");
}

/// A name of a Job, and what is a label's value, has 63 characters.
#[test]
fn a_release_with_the_longest_name_has_names_that_fit() {
    let release = "a".repeat(53);
    let output = helm(&["template", &release, "charts/tidegate", "--namespace", NAMESPACE]);
    assert!(output.status.success(), "{}", errors(&output));
    let release = documents(std::str::from_utf8(&output.stdout).expect("UTF-8"));
    let mut kinds = Vec::new();
    for (title, document) in &release {
        let parsed: serde_json::Value = serde_yaml_ng::from_str(document).expect("YAML");
        let name = parsed["metadata"]["name"].as_str().expect("a name");
        let is_short = ["Job", "Deployment", "Service"].iter().any(|kind| parsed["kind"] == *kind);
        assert!(!is_short || name.len() <= 63, "{title}");
        kinds.push(parsed["kind"].as_str().expect("a kind").to_owned());
        for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
            for (key, value) in parsed.pointer(labels).and_then(|it| it.as_object()).into_iter().flatten() {
                assert!(value.as_str().is_some_and(|value| value.len() <= 63), "{title} {key}");
            }
        }
    }
    assert!(kinds.iter().any(|kind| kind == "Job"), "{kinds:?}");
}

/// Releases for one namespace each must not meet in what has no namespace.
#[test]
fn two_releases_have_two_names_in_the_cluster() {
    let names = |release: &str, namespace: &str| -> Vec<String> {
        let rendered = template_of(release, namespace, &["--values", "e2e/chart/values/one-namespace.yaml"]);
        documents(&rendered).into_keys().filter(|title| title.contains("  ")).collect()
    };
    let (one, other) = (names("tidegate", "team-a"), names("a-tidegate", "team"));
    assert!(one.contains(&"ClusterRole  team-a.tidegate".to_owned()) && one.len() == 4, "{one:?}");
    assert!(other.iter().all(|title| !one.contains(title)), "{one:?} {other:?}");
}

/// Helm takes names with a dot and with a digit first, a cluster takes them for no Service.
#[test]
fn every_name_of_a_release_gives_names_of_services() {
    for (release, name) in [
        ("shop.eu", "shop-eu-tidegate"),
        ("tidegate.eu", "tidegate-eu"),
        ("2nd", "tidegate-2nd"),
        ("2nd-tidegate", "tidegate-2nd-tidegate"),
        ("gate", "gate-tidegate"),
    ] {
        let release = documents(&template_of(release, NAMESPACE, &[]));
        assert!(release.contains_key(&format!("Service {NAMESPACE} {name}-metrics")), "{name}: {:?}", release.keys());
        assert!(release.contains_key(&format!("Deployment {NAMESPACE} {name}")), "{name}: {:?}", release.keys());
    }
}

/// One of several releases that has gone has no series that could be counted with the others'.
#[test]
fn alerts_on_absence_ask_for_the_releases_own_controllers() {
    let release = documents(&template_of("tidegate", "team-a", &["--set", "prometheusRule.enabled=true"]));
    assert!(release.contains_key("Service team-a tidegate-metrics"), "{:?}", release.keys());
    let rules: serde_json::Value = serde_yaml_ng::from_str(&release["PrometheusRule team-a tidegate"]).expect("YAML");
    let rules = rules["spec"]["groups"][0]["rules"].as_array().expect("rules");
    for (alert, query) in [
        ("TidegateAbsent", "absent(tidegate_reconcile_duration_seconds_count{OWN})"),
        ("TidegateNoLeader", "sum by (namespace, job) (tidegate_leader{OWN}) != 1"),
    ] {
        let rule = rules.iter().find(|rule| rule["alert"] == alert).expect("the alert");
        let own = "namespace=\"team-a\", job=\"tidegate-metrics\"";
        assert_eq!(rule["expr"], query.replace("OWN", own));
    }
}

/// A tool that archives sources may drop what it does not know; a release without CRDs would be silent.
#[test]
fn a_chart_that_has_lost_its_crds_says_so() {
    let folder = std::env::temp_dir().join(format!("tidegate-chart-{}", std::process::id()));
    let copied = Command::new("cp").arg("-r").arg(root().join("charts/tidegate")).arg(&folder).status();
    assert!(copied.expect("cp").success());
    fs::remove_dir_all(folder.join("files/crds")).expect("a folder of regular files");
    let chart = folder.display().to_string();
    let without = helm(&["template", "tidegate", &chart]);
    let left_out = helm(&["template", "tidegate", &chart, "--set", "crds.install=false"]);
    fs::remove_dir_all(&folder).expect("the copy goes");
    let words = "crds.install: the chart has lost its folder files/crds: package all of charts/tidegate";
    assert!(!without.status.success() && errors(&without).contains(words), "{}", errors(&without));
    assert!(left_out.status.success(), "{}", errors(&left_out));
}

/// Where its namespace denies everything else, too.
#[test]
fn the_check_before_an_uninstallation_reaches_the_api_server_and_names() {
    let release = documents(&template(&[]));
    let parsed = |title: &str| -> serde_json::Value { serde_yaml_ng::from_str(&release[title]).expect("YAML") };
    let policy = parsed("NetworkPolicy tidegate-system tidegate-uninstall-check")["spec"].clone();
    let pod = parsed("Job tidegate-system tidegate-uninstall-check")["spec"]["template"]["metadata"].clone();
    assert_eq!(policy["podSelector"]["matchLabels"], pod["labels"]);
    let controllers = parsed("NetworkPolicy tidegate-system tidegate")["spec"]["egress"].clone();
    assert_eq!(policy["egress"].as_array().expect("rules").as_slice(), &controllers.as_array().expect("rules")[..2]);
    assert_eq!(policy["ingress"], serde_json::json!([]));
}

/// Behind the Service of the cluster's DNS may be pods with another port.
#[test]
fn names_are_asked_for_at_the_ports_of_the_values() {
    let release = documents(&template(&["--set", "networkPolicy.dns.ports={53,5353}"]));
    for name in ["tidegate", "tidegate-uninstall-check"] {
        let policy: serde_json::Value =
            serde_yaml_ng::from_str(&release[&format!("NetworkPolicy {NAMESPACE} {name}")]).expect("YAML");
        let ports = [(53, "UDP"), (53, "TCP"), (5353, "UDP"), (5353, "TCP")];
        let ports = ports.map(|(port, protocol)| serde_json::json!({"port": port, "protocol": protocol}));
        assert_eq!(policy["spec"]["egress"][1]["ports"], serde_json::json!(ports), "{name}");
    }
}

/// `condition: tidegate.enabled` of a chart that has this one below it; Helm hands the value down.
#[test]
fn a_chart_above_may_switch_this_one_by_enabled() {
    assert_eq!(template(&["--set", "enabled=true"]), template(&[]));
}

/// Their rights are asked for by the policy on actions alone.
#[test]
fn without_the_policy_on_actions_no_role_of_the_cluster_may_create_one() {
    for (set, is_added) in
        [("admission.actions=true", true), ("admission.actions=false", false), ("admission.enabled=false", false)]
    {
        let release = documents(&template(&["--set", set]));
        let role = &release["ClusterRole  tidegate-operator"];
        assert_eq!(role.contains("aggregate-to-edit: \"true\""), is_added, "{set}");
        for (title, role) in release.iter().filter(|(title, _)| title.starts_with("ClusterRole  tidegate-")) {
            let may_create = role.contains("resources: [rolloutactions]");
            assert!(is_added || !may_create || !role.contains("aggregate-to-"), "{set} {title}");
        }
        let output = helm(&["install", "tidegate", "charts/tidegate", "--dry-run=client", "--set", set]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            said.contains("may approve until you bind tidegate-approver"),
            is_added,
            "{said}{}",
            errors(&output)
        );
        assert_eq!(said.contains("has no policy on RolloutActions"), !is_added, "{said}");
    }
}

/// The release that has what is the cluster's may go while others lean on it.
#[test]
fn what_releases_for_one_namespace_share_stays_when_its_owner_goes() {
    let roles = ["viewer", "editor", "operator", "approver", "admin"].map(|it| format!("ClusterRole  tidegate-{it}"));
    for (set, stays) in [("admission.author=always,watchNamespace=team-a", true), ("admission.author=always", false)] {
        let release = documents(&template(&["--set", set]));
        let mut shared = 0;
        for (title, document) in release.iter().filter(|(title, _)| !title.starts_with("CustomResourceDefinition")) {
            let is_policy = title.ends_with("  tidegate-actions") || title.ends_with("  tidegate-author");
            let is_shared = is_policy || roles.contains(title);
            shared += usize::from(is_shared);
            let kept = document.contains("helm.sh/resource-policy: keep");
            assert_eq!(kept, is_shared && stays, "{set}: {title}\n{document}");
        }
        assert_eq!(shared, 9, "{set}: {:?}", release.keys());
    }
}

/// It gives way to a controller that leads, which it must be able to see, and no more than that.
#[test]
fn a_controller_without_an_election_looks_at_the_lease_and_never_writes_it() {
    for (set, strategy, verbs) in [
        ("replicas=1,leaderElection.enabled=false", "Recreate", &["get"][..]),
        ("replicas=1", "", &["create", "get", "patch"]),
    ] {
        let release = documents(&template(&["--set", set]));
        let parsed = |title: &str| -> serde_json::Value { serde_yaml_ng::from_str(&release[title]).expect("YAML") };
        let deployment = parsed("Deployment tidegate-system tidegate")["spec"].clone();
        assert_eq!(deployment["strategy"]["type"].as_str().unwrap_or_default(), strategy, "{set}");
        let arguments = deployment["template"]["spec"]["containers"][0]["args"].to_string();
        assert!(arguments.contains("\"--lease-name=tidegate\""), "{set}: {arguments}");
        let rules = parsed("Role tidegate-system tidegate-lease")["rules"].clone();
        let rules = rules.as_array().expect("rules").iter();
        let granted: Vec<_> = rules.flat_map(|rule| rule["verbs"].as_array().expect("verbs").clone()).collect();
        assert_eq!(granted, verbs, "{set}");
    }
}

/// A golden file has what a release with these values has besides the default one, and what it lacks.
#[test]
fn releases_differ_from_the_default_one_as_recorded() {
    let default = documents(&template(&[]));
    for values in ["everything", "one-namespace", "own-rbac"] {
        let file = format!("e2e/chart/values/{values}.yaml");
        let release = documents(&template(&["--values", &file]));
        let mut text = String::new();
        for title in default.keys().filter(|title| !release.contains_key(*title)) {
            text.push_str(&format!("# without {title}\n"));
        }
        for (title, document) in &release {
            match default.get(title) {
                Some(before) if before == document => {}
                Some(before) => text.push_str(&format!("--- # changed: {title}\n{}", changes(before, document))),
                // The first lines of what is a file of the chart: more of it is no news.
                None if title.starts_with("PrometheusRule") || title.starts_with("ConfigMap") => {
                    text.push_str(&format!(
                        "---\n{}...\n",
                        document.split_inclusive('\n').take(20).collect::<String>()
                    ));
                }
                None => text.push_str(&format!("---\n{document}")),
            }
        }
        compare(root().join(format!("e2e/chart/golden/{values}.diff")), &text);
    }
}

/// The address is put in by the kubelet, from the pod's own environment.
#[test]
fn a_pod_that_listens_on_its_own_address_knows_it() {
    for (address, is_there) in [("$(POD_IP)", true), ("[::]", false), ("127.0.0.1", false)] {
        let release = documents(&template(&["--set", &format!("listenAddress={address}")]));
        let pod = &release["Deployment tidegate-system tidegate"];
        assert!(pod.contains(&format!("- --listen={address}:8080\n")), "{pod}");
        assert_eq!(pod.contains("fieldRef: {fieldPath: status.podIP}"), is_there, "{pod}");
    }
}

#[test]
fn wrong_values_are_refused_with_a_sentence() {
    for (set, words) in [
        ("replicas=2,leaderElection.enabled=false", "replicas: more than 1 needs leaderElection.enabled"),
        ("serviceAccount.create=false", "serviceAccount.name: name the ServiceAccount"),
        ("watchNamespaces=shop", "additional properties 'watchNamespaces' not allowed"),
        ("networkPolicy.prometheus.port=1", "additional properties 'port' not allowed"),
        ("watchNamespace=Shop", "watchNamespace"),
        ("image.digest=latest", "image/digest"),
        ("log.format=yaml", "log/format"),
        ("log.level=warning", "log/level"),
        ("log.level=info\\,kube=wran", "log/level"),
        ("listenAddress=localhost", "listenAddress"),
        ("listenAddress=0.0.0.0:9090", "listenAddress"),
        ("admission.author=sometimes", "admission/author"),
        ("admission.actions=false,admission.excludedApprovers={flux}", "admission.excludedApprovers: tidegate-actions"),
        ("admission.excludedApprovers={system:*:flux}", "admission/excludedApprovers/0"),
        ("admission.excludedApprovers={flux**}", "admission/excludedApprovers/0"),
        ("networkPolicy.dns.ports={0}", "networkPolicy/dns/ports/0"),
        ("enabled=maybe", "'/enabled': got string, want boolean"),
        ("notifications.receivers[0].name=audit", "audit needs its address, by url or by urlSecret"),
        (
            "notifications.receivers[0].name=a,notifications.receivers[0].url=http://a,\
             notifications.receivers[1].name=a,notifications.receivers[1].url=http://b",
            "a is there twice",
        ),
        ("notifications.receivers[0].name=a,notifications.receivers[0].url=audit.example", "receivers/0/url"),
        ("notifications.receivers[0].name=a,notifications.receivers[0].url=ftp://audit.example/a", "receivers/0/url"),
        ("notifications.receivers[0].name=a,notifications.receivers[0].url=https://", "receivers/0/url"),
        (
            "notifications.receivers[0].name=a,notifications.receivers[0].url=https://me:key@audit.example",
            "receivers/0/url",
        ),
        (
            "notifications.receivers[0].name=chat,notifications.receivers[0].url=https://hooks.slack.com/services/T0/B0/x",
            "chat has a webhook of Slack as its url, whose path is a secret",
        ),
        ("notifications.receivers[0].name=a,notifications.receivers[0].adress=x", "'adress' not allowed"),
    ] {
        let output = helm(&["template", "tidegate", "charts/tidegate", "--set", set]);
        assert!(!output.status.success() && errors(&output).contains(words), "{set}: {}", errors(&output));
    }
}

/// Helm takes out what is null: without its default a template would leave a limit out.
#[test]
fn a_value_that_is_null_is_refused_by_its_name() {
    fn paths(prefix: &str, value: &serde_json::Value, into: &mut Vec<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            // Below these every key is the user's to take away.
            if !["resources", "dashboard.labels"].contains(&path.as_str()) {
                paths(&path, value, into);
            }
            into.push(path);
        }
    }
    let values = fs::read_to_string(root().join("charts/tidegate/values.yaml")).expect("values");
    let mut all = Vec::new();
    paths("", &serde_yaml_ng::from_str(&values).expect("YAML"), &mut all);
    assert!(all.len() > 50, "{all:?}");
    for path in all {
        let output = helm(&["template", "tidegate", "charts/tidegate", "--set", &format!("{path}=null")]);
        let words = format!("missing property '{}'", path.rsplit('.').next().unwrap_or_default());
        assert!(!output.status.success() && errors(&output).contains(&words), "{path}: {}", errors(&output));
    }
}

#[test]
fn every_crd_is_kept_and_all_but_that_is_the_printed_one() {
    let release = documents(&template(&[]));
    for (file, printed) in tidegate::api::crds::crd_files() {
        let name = file.trim_end_matches(".yaml");
        let rendered = &release[&format!("CustomResourceDefinition  {name}")];
        let kept = "  annotations:\n    helm.sh/resource-policy: keep\n";
        assert_eq!(rendered.matches(kept).count(), 1, "{name}");
        let lines = printed.lines().filter(|line| !line.trim().is_empty()).map(|line| format!("{line}\n"));
        assert_eq!(rendered.replace(kept, ""), lines.collect::<String>(), "{name}");
    }
    assert_eq!(release.keys().filter(|title| title.starts_with("CustomResource")).count(), tidegate::api::crds().len());
}
