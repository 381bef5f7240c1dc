//! Kubeconfigs with paths of certificates in them: they live as long as the server.

use std::{fs, path::Path};

use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use netprecursor_testbed::TestbedError;
use serde_json::json;

use super::certificates::Identity;
use crate::Error;

/// Writes one for `identity`. JSON is YAML too.
pub(super) fn write(path: &Path, port: u16, authority: &Path, identity: &Identity) -> Result<(), Error> {
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority": authority,
        }}],
        "users": [{"name": "test", "user": {
            "client-certificate": identity.certificate,
            "client-key": identity.key,
        }}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    });
    fs::write(path, text.to_string()).map_err(TestbedError::file(path))?;
    Ok(())
}

/// The configuration of a client from the file at `path`.
///
/// # Errors
/// [`Error::Kubeconfig`].
pub(crate) async fn read(path: &Path) -> Result<Config, Error> {
    let wrap = |reason| Error::Kubeconfig { path: path.display().to_string(), reason: Box::new(reason) };
    let kubeconfig = Kubeconfig::read_from(path).map_err(wrap)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(wrap)
}
