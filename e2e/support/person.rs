//! A user of the API server: what they ask for by RolloutActions, as themselves, and the roles that they are given.

use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use tidegate::controller::{ACTION, Kind};

use super::{Space, space::config_of};

const ROLE_BINDING: Kind = Kind {
    group: "rbac.authorization.k8s.io",
    version: "v1",
    kind: "RoleBinding",
    plural: "rolebindings",
    namespaced: true,
    optional: false,
};

/// A user's name in one namespace.
#[derive(Clone, Copy)]
pub struct Person<'s> {
    space: &'s Space,
    name: &'s str,
}

impl Space {
    pub fn person<'s>(&'s self, name: &'s str) -> Person<'s> {
        Person { space: self, name }
    }
}

impl Person<'_> {
    /// A ClusterRole for this namespace.
    pub async fn is_given(&self, role: &str) {
        let Self { space, name } = self;
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": format!("{name}-{role}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
        });
        space.apply_as("lab", true, ROLE_BINDING, binding).await.expect("a binding");
    }

    /// Objects of a kind, as this user sees and writes them.
    pub async fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let mut config = config_of("admin").await;
        config.auth_info.impersonate = Some(self.name.into());
        let client = Client::try_from(config).expect("a client");
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(kind.group, kind.version, kind.kind), kind.plural);
        match kind.namespaced {
            true => Api::namespaced_with(client, &self.space.namespace, &resource),
            false => Api::all_with(client, &resource),
        }
    }

    /// What the API server says to an action of this user: the object, or why not.
    pub async fn ask(&self, spec: Value, dry_run: bool) -> Result<DynamicObject, String> {
        let document = json!({
            "apiVersion": "tidegate.io/v1alpha1", "kind": "RolloutAction", "metadata": {"generateName": "asked-"}, "spec": spec,
        });
        let action: DynamicObject = serde_json::from_value(document).expect("an action");
        let params = PostParams { dry_run, ..PostParams::default() };
        self.api(ACTION).await.create(&params, &action).await.map_err(|error| error.to_string())
    }
}
