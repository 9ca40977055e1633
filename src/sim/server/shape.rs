//! How the parts of a kind are owned: which lists are sets or kept by keys, and what is owned as a whole.
//!
//! Only what differs from the rule stands here: objects are owned field by field, lists as a whole.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use serde_json::{Map, Value, json};

use super::schema;
use crate::controller::{
    ACTION, ANALYSIS_TEMPLATE, BACKEND_TRAFFIC_POLICY, CLUSTER_ANALYSIS_TEMPLATE, DEPLOYMENT, EVENT, HPA, Kind,
    METRICS_PROVIDER, NAMESPACE, POD, ROLLOUT, ROLLOUT_POLICY, RUN, SERVICE,
};

/// The shape of one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    fields: BTreeMap<String, Shape>,
    item: Option<Box<Shape>>,
    pub form: Form,
    /// Its schema keeps what it does not know: such a member is owned by itself, besides what is in it.
    pub is_open: bool,
}

/// How a value is owned.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Form {
    /// Objects field by field, lists as a whole.
    #[default]
    Deduced,
    /// As a whole.
    Atomic,
    /// A list of scalars, each by itself.
    Set,
    /// A list of objects by these keys, each with the value that stands for an absent one.
    Keyed(Vec<(String, Option<String>)>),
}

static DEDUCED: Shape = Shape { fields: BTreeMap::new(), item: None, form: Form::Deduced, is_open: false };
static OPEN: Shape = Shape { fields: BTreeMap::new(), item: None, form: Form::Deduced, is_open: true };

impl Shape {
    pub fn field(&self, name: &str) -> &Self {
        self.fields.get(name).unwrap_or(if self.is_open { &OPEN } else { &DEDUCED })
    }

    /// The schema names this member.
    pub fn names(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    pub fn item(&self) -> &Self {
        self.item.as_deref().unwrap_or(&DEDUCED)
    }

    /// The list's items are owned each by itself.
    pub fn is_associative(&self) -> bool {
        matches!(self.form, Form::Set | Form::Keyed(_))
    }

    /// How a path names this item of the list.
    pub fn element(&self, item: &Value) -> Arc<str> {
        let Form::Keyed(keys) = &self.form else { return format!("v:{item}").into() };
        let pair = |(key, default): &(String, Option<String>)| {
            let value = item.get(key).cloned().or_else(|| default.as_ref().map(|default| json!(default)))?;
            Some((key.clone(), value))
        };
        format!("k:{}", Value::Object(keys.iter().filter_map(pair).collect::<Map<_, _>>())).into()
    }

    /// Takes over `spec.ports[port,protocol=TCP] atomic`: `[]` is a set, a following word is about the value itself.
    fn declare(&mut self, line: &str) {
        let (path, atomic) = line.strip_suffix(" atomic").map_or((line, false), |path| (path, true));
        let mut node = self;
        for segment in path.split('.') {
            let (name, keys) = segment.split_once('[').map_or((segment, None), |(name, keys)| (name, Some(keys)));
            node = node.fields.entry(name.to_owned()).or_default();
            if let Some(keys) = keys.map(|keys| keys.trim_end_matches(']')) {
                node.form = if keys.is_empty() { Form::Set } else { Form::Keyed(keys.split(',').map(key).collect()) };
                node = node.item.get_or_insert_default();
            }
        }
        if atomic {
            node.form = Form::Atomic;
        }
    }

    fn at(&mut self, path: &str) -> &mut Self {
        path.split('.')
            .filter(|name| !name.is_empty())
            .fold(self, |node, name| node.fields.entry(name.to_owned()).or_default())
    }
}

/// `protocol=TCP`: the name of a key, and what stands for an absent one.
fn key(text: &str) -> (String, Option<String>) {
    text.split_once('=').map_or((text.to_owned(), None), |(key, value)| (key.to_owned(), Some(value.to_owned())))
}

const METADATA: &[&str] = &["metadata.finalizers[]", "metadata.ownerReferences[uid] atomic"];
const CONDITIONS: &[&str] = &["status.conditions[type]"];
const POD_SPEC: &[&str] = &[
    "nodeSelector atomic",
    "hostAliases[ip]",
    "imagePullSecrets[name] atomic",
    "resourceClaims[name]",
    "schedulingGates[name]",
    "topologySpreadConstraints[topologyKey,whenUnsatisfiable]",
    "volumes[name]",
];
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];
const CONTAINER: &[&str] = &[
    "env[name]",
    "env[name].valueFrom.configMapKeyRef atomic",
    "env[name].valueFrom.fieldRef atomic",
    "env[name].valueFrom.resourceFieldRef atomic",
    "env[name].valueFrom.secretKeyRef atomic",
    "ports[containerPort,protocol=TCP]",
    "resources.claims[name]",
    "volumeDevices[devicePath]",
    "volumeMounts[mountPath]",
];

static SHAPES: LazyLock<BTreeMap<Kind, Shape>> = LazyLock::new(|| {
    let pods = |at: &str| {
        let mut shape = shape(CONDITIONS);
        pod_spec(shape.at(at));
        shape
    };
    let mut pod = pods("spec");
    for line in ["status.podIPs[ip]", "status.hostIPs atomic"] {
        pod.declare(line);
    }
    let mut deployment = pods("spec.template.spec");
    deployment.declare("spec.selector atomic");
    for line in METADATA {
        deployment.at("spec.template").declare(line);
    }
    BTreeMap::from([
        (DEPLOYMENT, deployment),
        (POD, pod),
        (SERVICE, shape(&["spec.selector atomic", "spec.ports[port,protocol=TCP]", "status.conditions[type]"])),
        (HPA, shape(&["spec.scaleTargetRef atomic", "status.conditions[type]"])),
        (NAMESPACE, shape(CONDITIONS)),
        (BACKEND_TRAFFIC_POLICY, shape(&["spec.targetRefs[group,kind,name]"])),
        (EVENT, shape(&["regarding atomic", "related atomic"])),
        (ROLLOUT, own(ROLLOUT)),
        (RUN, own(RUN)),
        (ACTION, own(ACTION)),
        (METRICS_PROVIDER, own(METRICS_PROVIDER)),
        (ROLLOUT_POLICY, own(ROLLOUT_POLICY)),
        (ANALYSIS_TEMPLATE, own(ANALYSIS_TEMPLATE)),
        (CLUSTER_ANALYSIS_TEMPLATE, own(CLUSTER_ANALYSIS_TEMPLATE)),
    ])
});

static OTHERS: LazyLock<Shape> = LazyLock::new(|| shape(&["data atomic"]));

/// The shape of a kind's documents.
pub fn of(kind: Kind) -> &'static Shape {
    SHAPES.get(&kind).unwrap_or(&OTHERS)
}

fn shape(lines: &[&str]) -> Shape {
    let mut shape = Shape::default();
    for line in METADATA.iter().chain(lines) {
        shape.declare(line);
    }
    shape
}

/// The shape of a kind of ours: its schema says it.
fn own(kind: Kind) -> Shape {
    let mut all = shape(&[]);
    let schema = schema::of(kind).cloned().unwrap_or_default();
    for (name, below) in schema["properties"].as_object().into_iter().flatten().filter(|(name, _)| *name != "metadata")
    {
        all.fields.insert(name.clone(), of_schema(below));
    }
    all
}

fn of_schema(schema: &Value) -> Shape {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let mut shape = Shape {
        fields: properties.map(|(name, below)| (name.clone(), of_schema(below))).collect(),
        item: schema.get("items").map(|items| Box::new(of_schema(items))),
        form: Form::Deduced,
        is_open: schema["x-kubernetes-preserve-unknown-fields"] == true,
    };
    let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
    match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => shape.form = Form::Set,
        Some("map") => shape.form = Form::Keyed(keys.filter_map(Value::as_str).map(key).collect()),
        Some(_) | None => {}
    }
    if schema["x-kubernetes-map-type"] == "atomic" {
        shape.form = Form::Atomic;
    }
    shape
}

fn pod_spec(node: &mut Shape) {
    for line in POD_SPEC {
        node.declare(line);
    }
    for list in CONTAINERS {
        let list = node.fields.entry(list.to_owned()).or_default();
        list.form = Form::Keyed(vec![key("name")]);
        let item = list.item.get_or_insert_default();
        for line in CONTAINER {
            item.declare(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_named_by_their_keys_and_an_absent_key_by_its_default() {
        let ports = of(SERVICE).field("spec").field("ports");
        assert_eq!(&*ports.element(&json!({"port": 80, "name": "http"})), r#"k:{"port":80,"protocol":"TCP"}"#);
        let finalizers = of(DEPLOYMENT).field("metadata").field("finalizers");
        assert_eq!(&*finalizers.element(&json!("a/b")), r#"v:"a/b""#);
        let containers = of(DEPLOYMENT).field("spec").field("template").field("spec").field("containers");
        assert!(containers.item().field("env").is_associative());
        assert_eq!(containers.item().field("args").form, Form::Deduced);
    }
}
