//! Helm, in the versions that the chart supports.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use netprecursor_testbed::module;
use serde_json::Value;

use crate::objects;

/// The release and its namespace in every test.
pub(crate) const RELEASE: &str = "netprecursor";
/// By convention.
pub(crate) const NAMESPACE: &str = "netprecursor-system";

/// The checkout.
pub(crate) fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The chart.
pub(crate) fn chart() -> PathBuf {
    checkout().join("charts/netprecursor")
}

/// Values with everything on.
pub(crate) fn everything() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/everything.yaml")
}

/// A Helm with a home of its own.
pub(crate) struct Helm {
    program: PathBuf,
    home: tempfile::TempDir,
    kubeconfig: Option<PathBuf>,
}

impl Helm {
    /// The current major version.
    pub(crate) fn current() -> Self {
        Self::of(module::TOOLS)
    }

    /// The oldest that the chart supports.
    pub(crate) fn oldest() -> Self {
        Self::of(module::HELM_3)
    }

    fn of(module: module::Module) -> Self {
        let program = module.provide().unwrap().program("helm").unwrap();
        Self { program, home: tempfile::tempdir().unwrap(), kubeconfig: None }
    }

    /// The directory of the program.
    pub(crate) fn directory(&self) -> &Path {
        self.program.parent().unwrap()
    }

    /// On the cluster of `kubeconfig`.
    pub(crate) fn with(mut self, kubeconfig: PathBuf) -> Self {
        self.kubeconfig = Some(kubeconfig);
        self
    }

    /// Runs it to its end, whatever that is.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        for (variable, directory) in
            [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
        {
            command.env(variable, self.home.path().join(directory));
        }
        let nowhere = self.home.path().join("no-kubeconfig");
        command.env("KUBECONFIG", self.kubeconfig.as_ref().unwrap_or(&nowhere)).args(arguments);
        command.output().unwrap()
    }

    /// What it prints when all goes well.
    pub(crate) fn expect(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "helm {arguments:?}: {stdout}{stderr}");
        stdout.into_owned()
    }

    /// What it complains of when it refuses.
    pub(crate) fn refusal(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "helm {arguments:?} was content");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The objects of the chart with `arguments`.
    pub(crate) fn template(&self, arguments: &[&str]) -> Vec<Value> {
        self.release(RELEASE, NAMESPACE, &chart(), arguments)
    }

    /// The objects of a release.
    pub(crate) fn release(&self, name: &str, namespace: &str, chart: &Path, arguments: &[&str]) -> Vec<Value> {
        objects::read(&self.manifest(name, namespace, chart, arguments))
    }

    /// A release as text.
    pub(crate) fn manifest(&self, name: &str, namespace: &str, chart: &Path, arguments: &[&str]) -> String {
        let oldest = ["--kube-version", "1.32.0"];
        let release = ["template", name, chart.to_str().unwrap(), "--namespace", namespace];
        self.expect(&[&release[..], &oldest, arguments].concat())
    }

    /// The documents of a text as Helm and kubectl read them: by one library, which knows YAML 1.1.
    pub(crate) fn read(&self, text: &str) -> Vec<Value> {
        let template =
            "{{ range splitList \"\\n---\\n\" (.Files.Get \"text\") }}\n---\n{{ fromYaml . | toJson }}\n{{ end }}";
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("templates")).unwrap();
        for (file, content) in [
            ("Chart.yaml", "{apiVersion: v2, name: reader, version: 1.0.0}"),
            ("templates/read.yaml", template),
            ("text", text),
        ] {
            fs::write(directory.path().join(file), content).unwrap();
        }
        objects::read(&self.expect(&["template", "x", directory.path().to_str().unwrap()]))
    }

    /// The objects with everything on.
    pub(crate) fn everything(&self) -> Vec<Value> {
        self.template(&["--values", everything().to_str().unwrap()])
    }
}
