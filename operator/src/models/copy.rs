//! The copy of a model in the operator's own namespace.

use k8s_openapi::{ByteString, api::core::v1::ConfigMap};
use kube::core::PartialObjectMeta;
use netprecursor_crds::model_copy;
use serde_json::{Value, json};

use super::Payload;
use crate::{config::Settings, owned};

/// Annotation with the model's digest, of which the name has only a part.
pub const DIGEST: &str = "netprecursor.io/sha256";

/// A copy that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCopy {
    /// The model's digest.
    pub sha256: String,
}

/// What is kept of a ConfigMap of ours; other ones than copies are not.
pub fn reduce(object: PartialObjectMeta<ConfigMap>) -> Option<ModelCopy> {
    let sha256 = object.metadata.annotations.as_ref()?.get(DIGEST)?;
    (object.metadata.name.as_deref()? == model_copy::name(sha256)).then(|| ModelCopy { sha256: sha256.clone() })
}

/// The copy as it is applied.
pub(crate) fn manifest(settings: &Settings, anchor: &str, sha256: &str, payload: &Payload) -> Value {
    let key = if payload.is_gzip { model_copy::COMPRESSED } else { model_copy::PLAIN };
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": model_copy::name(sha256),
            "namespace": settings.namespace,
            "labels": owned::labels(),
            "annotations": {DIGEST: sha256},
            "ownerReferences": [owned::reference(&settings.config.anchor, anchor)],
        },
        "immutable": true,
        "binaryData": {key: ByteString(payload.stored.clone())},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::settings;

    #[test]
    fn a_copy_is_immutable_named_by_digest_and_goes_with_the_release() {
        let payload = Payload { stored: vec![0x1f, 0x8b, 1], is_gzip: true };
        let copy = manifest(&settings(), "anchor-uid", &"ab".repeat(32), &payload);
        assert_eq!(copy["metadata"]["name"], format!("netprecursor-model-{}", "ab".repeat(20)));
        assert_eq!((&copy["immutable"], &copy["binaryData"]["model.onnx.gz"]), (&json!(true), &json!("H4sB")));
        assert_eq!(copy["metadata"]["ownerReferences"][0]["uid"], "anchor-uid");
        let read = reduce(serde_json::from_value(copy).unwrap());
        assert_eq!(read, Some(ModelCopy { sha256: "ab".repeat(32) }));
    }
}
