//! kubectl, which reads YAML by its own rules: what is written for users goes through it, not around it.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use netprecursor_crds::read;
use netprecursor_e2e::{ApiServer, Version};
use netprecursor_testbed::Module;
use serde_json::{Value, json};

use crate::{Cluster, VERSIONS, texts};

/// A kubectl with a cache of its own.
pub(crate) struct Kubectl {
    program: PathBuf,
    home: tempfile::TempDir,
    kubeconfig: Option<PathBuf>,
}

impl Kubectl {
    /// Without a server.
    pub(crate) fn alone() -> Self {
        let program = Module::kubernetes(Version::DEFAULT).provide().unwrap().program("kubectl").unwrap();
        Self { program, home: tempfile::tempdir().unwrap(), kubeconfig: None }
    }

    /// On the server that tests share.
    pub(crate) async fn on(version: Version) -> Self {
        let server = ApiServer::shared(version).await.unwrap();
        Self { kubeconfig: Some(server.kubeconfig()), ..Self::alone() }
    }

    /// What it prints, or what it complains of.
    pub(crate) fn run(&self, words: &[&str], input: &str) -> Result<String, String> {
        let nowhere = self.home.path().join("no-kubeconfig");
        let mut process = Command::new(&self.program)
            .args(words)
            .env("KUBECONFIG", self.kubeconfig.as_ref().unwrap_or(&nowhere))
            .env("HOME", self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = process.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The documents of a text as it reads them; no server is asked.
    fn documents(&self, yaml: &str) -> Vec<Value> {
        // Takes away a label that nothing has: of all commands the one that changes nothing but still prints.
        let printed = self.run(&["label", "--local", "-f", "-", "-o", "json", "netprecursor.io/none-"], yaml);
        let printed = printed.unwrap_or_else(|error| panic!("{error}\n{yaml}"));
        let mut documents: Vec<Value> =
            serde_json::Deserializer::from_str(&printed).into_iter().collect::<Result<_, _>>().unwrap();
        for document in &mut documents {
            if document["metadata"]["labels"] == json!({}) {
                document["metadata"].as_object_mut().unwrap().remove("labels");
            }
        }
        documents
    }
}

#[test]
fn kubectl_reads_every_policy_as_we_do() {
    let kubectl = Kubectl::alone();
    let texts = texts::policies(&crate::checkout());
    assert!(texts.len() >= 8, "{texts:?}");
    for texts::Text { origin, yaml } in &texts {
        assert_eq!(kubectl.documents(yaml), read::documents(yaml).unwrap(), "{origin}");
    }
}

#[test]
fn kubectl_takes_the_same_plain_words_for_texts_as_we_do() {
    let kubectl = Kubectl::alone();
    let words = [
        "yes",
        "No",
        "on",
        "OFF",
        "y",
        "n",
        "~",
        "null",
        "010",
        "08",
        "0o17",
        "0x1f",
        "0b11",
        "1_000",
        "1e5",
        "1E5",
        "1.5",
        ".5",
        "+1",
        "-1",
        "1:30",
        "190:20:30",
        "2026-01-01",
        "1e",
        "e5",
        "rtt",
        "24h",
        "200ms",
        "1.2.3",
        "0x",
        "_1",
        "=",
        "-",
        "yEs",
    ];
    for word in words {
        let yaml = format!(
            "apiVersion: netprecursor.io/v1alpha1\nkind: PrecursorPolicy\nmetadata: {{name: x}}\nspec:\n  word: {word}\n  quoted: \
             '{word}'\n"
        );
        let Ok(ours) = read::documents(&yaml) else {
            // What is no YAML for us may be some for nobody.
            let words = ["label", "--local", "-f", "-", "-o", "json", "netprecursor.io/none-"];
            assert!(kubectl.run(&words, &yaml).is_err(), "only we refuse `{word}`");
            continue;
        };
        let theirs = kubectl.documents(&yaml);
        let (ours, theirs) = (&ours[0]["spec"], &theirs[0]["spec"]);
        assert_eq!((&ours["quoted"], &theirs["quoted"]), (&json!(word), &json!(word)));
        let (ours, theirs) = (&ours["word"], &theirs["word"]);
        let is_same = match (ours.as_f64(), theirs.as_f64()) {
            (Some(ours), Some(theirs)) => ours.total_cmp(&theirs).is_eq(),
            // We take `yEs` for truth as well, and ask for quotes.
            _ => ours == theirs || ours.is_boolean() && theirs.is_string(),
        };
        assert!(is_same, "`{word}` is {ours} for us and {theirs} for kubectl");
    }
}

#[tokio::test]
async fn kubectl_applies_every_policy_that_is_for_clusters() {
    for version in VERSIONS {
        let (cluster, kubectl) = (Cluster::new(version).await, Kubectl::on(version).await);
        for namespace in ["shop", "default"] {
            cluster.namespace(namespace).await;
        }
        let mut applied = 0;
        for text in texts::policies(&crate::checkout()) {
            let words = ["apply", "--dry-run=server", "-f", "-"];
            match (kubectl.run(&words, &text.yaml), text.is_standalone()) {
                (Ok(_), false) => applied += 1,
                (Err(error), true) => {
                    assert!(error.contains("write configMapKeyRef: {name, key, sha256}"), "{}: {error}", text.origin);
                }
                (result, _) => panic!("{version}: {}: {result:?}", text.origin),
            }
        }
        assert!(applied >= 7, "{version}: only {applied}");
    }
}

/// Numbers in all notations of YAML, and what looks like one: what kubectl sends is what we read.
#[tokio::test]
async fn a_confidence_is_the_same_for_kubectl_and_for_us() {
    let kubectl = Kubectl::on(Version::DEFAULT).await;
    let cluster = Cluster::new(Version::DEFAULT).await;
    cluster.namespace("shop").await;
    let with =
        |percent: &str| crate::CHECKOUT.replace("severity: Warning", &format!("minConfidencePercent: {percent}"));
    let mut taken = Vec::new();
    for percent in [
        "60", "0x3c", "0b111100", "0o74", "6_0", "+60", "5", "99", "4", "100", "0", "-60", "1:00", "0.6", "60%",
        "'60'", "yes",
    ] {
        let theirs = kubectl.run(&["create", "--dry-run=server", "-f", "-"], &with(percent));
        let ours = netprecursor_crds::policies_from_yaml("test", &with(percent));
        assert_eq!(theirs.is_ok(), ours.is_ok(), "`{percent}`: {theirs:?}, {ours:?}");
        if let Ok(policies) = ours {
            let stored = kubectl.documents(&with(percent))[0]["spec"]["rules"][0]["minConfidencePercent"].as_i64();
            let read = policies[0].rules.iter().next().unwrap().confidence.get();
            assert_eq!(stored, Some(read.into()), "`{percent}`");
            taken.push(percent);
        }
    }
    assert_eq!(taken, ["60", "0x3c", "0b111100", "0o74", "6_0", "+60", "5", "99"]);
}
