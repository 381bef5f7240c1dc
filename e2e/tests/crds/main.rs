//! The custom resources before a real API server, the oldest that is supported and the newest: what it accepts, what it
//! refuses in which words, and what kubectl shows.

#![recursion_limit = "256"]
#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod accepted;
mod agreement;
mod followed;
mod kubectl;
mod refused;
mod shown;
#[path = "../../../crds/tests/documented/texts.rs"]
mod texts;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams},
    core::GroupVersionKind,
    runtime::wait::{await_condition, conditions},
};
use netprecursor_e2e::{ApiServer, Version};
use serde_json::Value;
use tokio::sync::OnceCell;

/// The versions between which everything is supported.
const VERSIONS: [Version; 2] = [Version::V1_32, Version::V1_36];

const CHECKOUT: &str = include_str!("../../../examples/policies/checkout.yaml");

/// The checkout.
fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A server that knows the definitions.
struct Cluster {
    version: Version,
    client: Client,
}

/// A kind as the server calls it.
fn resource(kind: &str) -> ApiResource {
    let plural = format!("{}s", kind.to_lowercase()).replace("policys", "policies");
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("netprecursor.io", "v1alpha1", kind), &plural)
}

impl Cluster {
    async fn new(version: Version) -> Self {
        static DEFINED: [OnceCell<()>; Version::ALL.len()] = [const { OnceCell::const_new() }; Version::ALL.len()];
        let server = ApiServer::shared(version).await.unwrap();
        let cluster = Self { version, client: server.client().await.unwrap() };
        DEFINED[version as usize].get_or_init(|| cluster.define()).await;
        cluster
    }

    /// Applies the definitions as they are committed, and waits until every kind is served and explained.
    async fn define(&self) {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/yaml")).unwrap() {
            let yaml = fs::read_to_string(file.unwrap().path()).unwrap();
            let definition: CustomResourceDefinition = serde_saphyr::from_str(&yaml).unwrap();
            let name = definition.metadata.name.clone().unwrap();
            let parameters = PatchParams::apply("test").force().validation_strict();
            definitions.patch(&name, &parameters, &Patch::Apply(&definition)).await.unwrap();
            await_condition(definitions.clone(), &name, conditions::is_crd_established()).await.unwrap();
            // A kind is served and its schema published a moment after Established is true; neither can be watched.
            let kind = definition.spec.names.kind;
            let objects: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource(&kind));
            let begun = Instant::now();
            while objects.list(&ListParams::default()).await.is_err() || !self.published().await.contains(&kind) {
                assert!(begun.elapsed() < Duration::from_secs(120), "{}: {kind} is not served", self.version);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// The published schemas, as text; empty before there are any.
    async fn published(&self) -> String {
        let request = http::Request::get("/openapi/v3/apis/netprecursor.io/v1alpha1").body(Vec::new()).unwrap();
        self.client.request_text(request).await.unwrap_or_default()
    }

    /// An API for the kind of `object`, in its namespace, which is made if it is not there.
    async fn api_of(&self, object: &Value) -> Api<DynamicObject> {
        let resource = resource(object["kind"].as_str().unwrap());
        match object["metadata"]["namespace"].as_str() {
            Some(namespace) => {
                self.namespace(namespace).await;
                Api::namespaced_with(self.client.clone(), namespace, &resource)
            }
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    async fn namespace(&self, name: &str) {
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.patch(name, &PatchParams::apply("test"), &Patch::Apply(&namespace)).await.unwrap();
    }

    /// Creates `object` as the first `kubectl apply` does, without storing it, in a namespace where nothing is.
    async fn try_out(&self, object: &Value) -> kube::Result<Value> {
        let mut object = object.clone();
        if object["metadata"]["namespace"].is_string() {
            object["metadata"]["namespace"] = "nothing".into();
        }
        let api = self.api_of(&object).await;
        let path = format!("{}?dryRun=All&fieldValidation=Strict", api.resource_url());
        let request = http::Request::post(path).header("content-type", "application/json");
        self.client.request(request.body(serde_json::to_vec(&object).unwrap()).unwrap()).await
    }

    /// Applies `object` on the server's side, strictly.
    async fn apply(&self, object: &Value) -> DynamicObject {
        let applied = self.patch(object, &PatchParams::apply("test").force().validation_strict()).await;
        applied.unwrap_or_else(|error| panic!("{}: {error}\n{object:#}", self.version))
    }

    async fn patch(&self, object: &Value, parameters: &PatchParams) -> kube::Result<DynamicObject> {
        let name = object["metadata"]["name"].as_str().unwrap();
        self.api_of(object).await.patch(name, parameters, &Patch::Apply(object)).await
    }

    /// Writes the object and its status.
    async fn write(&self, object: &Value) {
        self.apply(object).await;
        // An alert is one write.
        if object["kind"] == "PrecursorAlert" {
            return;
        }
        let mut status = object.clone();
        // Of the object itself only its identity belongs to a write of the status.
        status.as_object_mut().unwrap().remove("spec");
        let parameters = PatchParams::apply("test").force().validation_strict();
        let name = object["metadata"]["name"].as_str().unwrap();
        let written = self.api_of(object).await.patch_status(name, &parameters, &Patch::Apply(&status)).await;
        written.unwrap_or_else(|error| panic!("{}: {error}\n{status:#}", self.version));
    }
}

/// The documents of a file.
fn documents(yaml: &str) -> Vec<Value> {
    netprecursor_crds::read::documents(yaml).unwrap()
}

/// The first document of a file.
fn document(yaml: &str) -> Value {
    documents(yaml).remove(0)
}

/// The server's message about an object.
fn words(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => panic!("not an answer: {other}"),
    }
}
