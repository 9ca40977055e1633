//! What people, their tools and bad luck do to a rollout while it is under way.

use serde_json::{Value, json};

use super::{clock::Millis, leaders::LeaderDeed, server::Writer, world::World};
use crate::{
    api::{ActionType, REVISION_LABEL, ROLLOUT_LABEL},
    controller::{ACTION, DEPLOYMENT, GRPC_ROUTE, HPA, HTTP_ROUTE, Kind, ROLLOUT, RUN, SERVICE},
    workload::object::{self, label, text},
};

/// One thing that somebody does, or that happens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Another image in the Rollout's template, or in that of the Deployment that it refers to.
    Deploy {
        rollout: String,
        image: String,
    },
    Scale {
        rollout: String,
        replicas: u32,
    },
    Pause {
        rollout: String,
        paused: bool,
    },
    Ask {
        rollout: String,
        kind: ActionType,
    },
    Approve {
        rollout: String,
        gate: String,
        person: String,
    },
    DeleteRollout {
        rollout: String,
    },
    DeleteRun {
        rollout: String,
    },
    /// The Deployment of some revision of the Rollout is deleted.
    DeleteDeployment {
        rollout: String,
        which: usize,
    },
    /// The pods of an image end, this many of a hundred.
    KillPods {
        image: String,
        percent: u64,
    },
    /// Readiness of an image's pods, this many of a hundred, is lost and comes back.
    Flap {
        image: String,
        percent: u64,
        millis: Millis,
    },
    /// A version's new pods take this long to get ready; None: for ever.
    Slow {
        image: String,
        ready: Option<Millis>,
    },
    /// A version fails this many of a million requests from now on.
    Fail {
        image: String,
        per_million: u64,
    },
    Prometheus {
        away: bool,
    },
    /// The metrics server has no bad requests to show, and warns that its answers may not be complete.
    Partial {
        now: bool,
    },
    Gateway {
        silent: bool,
    },
    /// A route is written back as its owner has it.
    ResetRoute {
        name: String,
    },
    ResetService {
        name: String,
    },
    /// So many customers come, of a hundred that usually do.
    Load {
        percent: u32,
    },
    /// The Rollout gets a HorizontalPodAutoscaler, which scales in after this long.
    Autoscale {
        rollout: String,
        most: u32,
        patience: Millis,
    },
    RemoveAutoscaler {
        rollout: String,
    },
    /// A process of the controller is killed.
    Kill,
    /// The election has trouble.
    Leader(LeaderDeed),
    /// Something else, as soon as the open run is in a phase; not at all if it is not for that many looks.
    When {
        phase: &'static str,
        looks: u32,
        then: Box<Deed>,
    },
}

/// Between two looks at the phase that somebody waits for.
const LOOK: Millis = 300;

impl Deed {
    /// The deed without its details.
    pub fn word(&self) -> String {
        let whole = match self {
            Self::Leader(deed) => deed.word().to_owned(),
            Self::Ask { kind, .. } => format!("{kind:?}"),
            Self::Prometheus { away: true } => "MetricsAway".to_owned(),
            Self::Prometheus { away: false } => "MetricsBack".to_owned(),
            Self::Gateway { silent: true } => "GatewaySilent".to_owned(),
            Self::Gateway { silent: false } => "GatewaySpeaks".to_owned(),
            Self::Pause { paused: true, .. } => "PauseInSpec".to_owned(),
            Self::Pause { paused: false, .. } => "ResumeInSpec".to_owned(),
            other => format!("{other:?}"),
        };
        whole.split([' ', '{']).next().unwrap_or_default().to_owned()
    }
}

/// What owners have in Git, by kind and name.
pub type Owned = Vec<(Kind, Value)>;

impl World {
    pub(super) fn person(&self, manager: &str) -> Writer {
        Writer::new(manager, &self.clock.text())
    }

    pub(super) fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Deploy { rollout, image } => self.deploy(&rollout, &image),
            Deed::Scale { rollout, replicas } => self.edit_rollout(&rollout, |spec| spec["replicas"] = json!(replicas)),
            Deed::Pause { rollout, paused } => self.edit_rollout(&rollout, |spec| spec["paused"] = json!(paused)),
            Deed::Ask { rollout, kind } => {
                self.ask(&rollout, json!({"type": kind, "author": "ada", "reason": "because"}));
            }
            Deed::Approve { rollout, gate, person } => {
                self.ask(&rollout, json!({"type": ActionType::Approve, "gate": gate, "author": person}));
            }
            Deed::DeleteRollout { rollout } => self.delete_one(ROLLOUT, &rollout),
            Deed::DeleteRun { rollout } => self.delete_labelled(RUN, &rollout, 0),
            Deed::DeleteDeployment { rollout, which } => self.delete_labelled(DEPLOYMENT, &rollout, which),
            Deed::KillPods { image, percent } => {
                for (namespace, pod) in self.some_pods(&image, percent) {
                    self.terminate(&namespace, &pod);
                    self.sync_deployment_of(&namespace, &pod);
                }
            }
            Deed::Flap { image, percent, millis } => {
                for (namespace, pod) in self.some_pods(&image, percent) {
                    self.set_ready(&namespace, &pod, false);
                    self.plan(millis, super::agenda::Event::PodReady { namespace, pod });
                }
            }
            Deed::Slow { image, ready } => self.behaviour(&image).ready = ready,
            Deed::Fail { image, per_million } => self.behaviour(&image).errors = per_million as f64 / 1e6,
            Deed::Prometheus { away } => self.prometheus_away = away,
            Deed::Partial { now } => self.prometheus_partial = now,
            Deed::Gateway { silent } => self.set_silent(silent),
            Deed::ResetRoute { name } => {
                for kind in [HTTP_ROUTE, GRPC_ROUTE] {
                    self.write_back(kind, &name, "kubectl-client-side-apply");
                }
            }
            Deed::ResetService { name } => self.write_back(SERVICE, &name, "kubectl-client-side-apply"),
            Deed::Load { percent } => self.load(percent),
            Deed::Autoscale { rollout, most, patience } => self.autoscale(&rollout, most, patience),
            Deed::RemoveAutoscaler { rollout } => self.delete_one(HPA, &rollout),
            Deed::Leader(deed) => self.lead(&deed),
            Deed::When { phase, looks, then } => self.act_when(phase, looks, *then),
            Deed::Kill => self.killed.extend(self.processes.iter().rposition(Option::is_some)),
        }
    }

    /// Does it now if the run is in the phase, else looks again a little later.
    fn act_when(&mut self, phase: &'static str, looks: u32, then: Deed) {
        if self.where_the_run_stands() == format!("while {phase}") {
            self.awaited -= 1;
            self.note_deed(&then);
            self.act(then);
        } else if looks > 0 {
            let deed = Deed::When { phase, looks: looks - 1, then: Box::new(then) };
            self.plan(LOOK, super::agenda::Event::Person { deed });
        } else {
            self.awaited -= 1;
        }
    }

    fn behaviour(&mut self, image: &str) -> &mut super::workloads::Behaviour {
        self.pods.behaviours.entry(image.to_owned()).or_default()
    }

    /// Another image in the template, wherever that is.
    fn deploy(&mut self, rollout: &str, image: &str) {
        let found = self.server.get(ROLLOUT, &self.namespace, rollout);
        let reference = found.as_ref().and_then(|found| text(found, "/spec/workload/deploymentRef/name"));
        let write = |template: &mut Value| template["spec"]["containers"][0]["image"] = json!(image);
        match reference {
            Some(name) => self.edit(DEPLOYMENT, name, |spec| write(&mut spec["template"])),
            None => self.edit_rollout(rollout, |spec| write(&mut spec["workload"]["template"])),
        }
    }

    fn edit_rollout(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        self.edit(ROLLOUT, name, change);
    }

    fn edit(&mut self, kind: Kind, name: &str, change: impl FnOnce(&mut Value)) {
        let Some(found) = self.server.get(kind, &self.namespace, name) else { return };
        let mut document = Value::clone(&found);
        change(&mut document["spec"]);
        let writer = self.person("kubectl-edit");
        // A refused edit leaves the object as it was: the API server said why.
        let _ = self.server.replace(&writer, kind, &self.namespace, name, "", &document);
    }

    fn ask(&mut self, rollout: &str, mut spec: Value) {
        self.actions_asked += 1;
        spec["rollout"] = json!(rollout);
        let document = json!({
            "apiVersion": "tidegate.io/v1alpha1",
            "kind": "RolloutAction",
            "metadata": {"name": format!("{rollout}-action-{}", self.actions_asked), "namespace": self.namespace},
            "spec": spec,
        });
        let writer = self.person("tidegate-cli");
        let _ = self.server.create(&writer, ACTION, &self.namespace, &document, false);
    }

    fn delete_one(&mut self, kind: Kind, name: &str) {
        let writer = self.person("kubectl");
        let _ = self.server.delete(&writer, kind, &self.namespace, name, None);
    }

    fn delete_labelled(&mut self, kind: Kind, rollout: &str, which: usize) {
        let found = self.server.list(kind, &self.namespace, &format!("{ROLLOUT_LABEL}={rollout}"));
        let ours: Vec<String> = found
            .iter()
            .filter(|document| kind == RUN || label(document, REVISION_LABEL).is_some())
            .map(|document| object::name(document).to_owned())
            .collect();
        if !ours.is_empty() {
            // The last run is the one under way.
            let index = if kind == RUN { ours.len() - 1 } else { which % ours.len() };
            self.delete_one(kind, &ours[index]);
        }
    }

    fn some_pods(&mut self, image: &str, percent: u64) -> Vec<(String, String)> {
        let all: Vec<(String, String)> = self
            .pods
            .by_name
            .iter()
            .filter(|(_, pod)| pod.image == image && !pod.terminating)
            .map(|(key, _)| key.clone())
            .collect();
        all.into_iter().filter(|_| self.chance.below(100) < percent).collect()
    }

    fn sync_deployment_of(&mut self, namespace: &str, pod: &str) {
        let key = (namespace.to_owned(), pod.to_owned());
        let Some(deployment) = self.pods.by_name.get(&key).map(|pod| pod.deployment.clone()) else { return };
        self.sync_deployment(namespace, &deployment);
    }

    /// A Gateway that was silent looks at every route when it speaks again.
    fn set_silent(&mut self, silent: bool) {
        self.gateway.silent = silent;
        if !silent {
            for route in self.server.list(HTTP_ROUTE, "", "") {
                self.see_route(HTTP_ROUTE, object::namespace(&route), object::name(&route));
            }
        }
    }

    /// The owner's spec replaces what stands there.
    fn write_back(&mut self, kind: Kind, name: &str, manager: &str) {
        let owned = self.owned.iter().find(|(of, document)| *of == kind && object::name(document) == name);
        let (Some((_, owned)), Some(found)) = (owned, self.server.get(kind, &self.namespace, name)) else { return };
        let mut document = Value::clone(&found);
        document["spec"] = owned["spec"].clone();
        let writer = self.person(manager);
        let _ = self.server.replace(&writer, kind, &self.namespace, name, "", &document);
    }

    /// A GitOps tool applies everything that its owner has in Git.
    pub(super) fn gitops_sync(&mut self) {
        let writer = self.person("argocd-controller");
        for (kind, document) in self.owned.clone() {
            let patch = crate::controller::Patch::Apply { document: document.clone(), force: false };
            let name = object::name(&document).to_owned();
            let namespace = text(&document, "/metadata/namespace").unwrap_or_default().to_owned();
            // A conflict is shown to its user; the tool tries again with its next sync.
            let _ = self.server.patch(&writer, kind, &namespace, &name, "", &patch);
            self.after_commits();
        }
    }
}
