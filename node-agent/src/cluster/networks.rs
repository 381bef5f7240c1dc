//! The networks of the cluster: a file that the operator deals by a ConfigMap and the kubelet keeps up to date.

use std::{path::PathBuf, sync::Arc};

use netprecursor_kit::{Networks, networks::MAX_TEXT};

use crate::{dealt, desired::ClusterNetworks};

/// The file, and what came of reading it.
#[derive(Debug)]
pub struct NetworksFile {
    path: Option<PathBuf>,
    networks: Arc<ClusterNetworks>,
}

impl NetworksFile {
    /// Of an agent without a file the networks stay unknown.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self { path, networks: Arc::default() }
    }

    /// Reads the file again. Returns whether that is news. What was read once stays in force where the file cannot be read
    /// any more: a ConfigMap that is replaced is no reason to stop counting.
    pub fn read(&mut self) -> bool {
        let Some(path) = self.path.as_deref() else { return false };
        let read = match dealt::read(path, MAX_TEXT, Networks::read) {
            Ok(networks) => ClusterNetworks { known: Some(networks), problem: None },
            Err(problem) => ClusterNetworks { known: self.networks.known.clone(), problem: Some(problem) },
        };
        if read == *self.networks {
            return false;
        }
        match (&read.known, &read.problem) {
            (_, Some(problem)) => tracing::warn!(problem, "cannot read the networks of the cluster"),
            (Some(Networks { from, reason, networks }), None) => {
                tracing::info!(?from, reason, count = networks.len(), "the networks of the cluster are known");
            }
            (None, None) => {}
        }
        self.networks = Arc::new(read);
        true
    }

    /// The networks as far as they are known.
    pub fn networks(&self) -> Arc<ClusterNetworks> {
        Arc::clone(&self.networks)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use netprecursor_kit::networks::Origin;

    use super::*;

    fn file() -> (tempfile::TempDir, PathBuf, NetworksFile) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("networks.json");
        let file = NetworksFile::new(Some(path.clone()));
        (directory, path, file)
    }

    fn dealt(network: &str) -> Networks {
        Networks { from: Origin::Nodes, reason: None, networks: vec![network.parse().unwrap()] }
    }

    #[test]
    fn networks_that_are_dealt_again_are_news_once() {
        let (_directory, path, mut file) = file();
        for network in ["10.0.0.0/8", "10.244.0.0/16"] {
            fs::write(&path, dealt(network).text()).unwrap();
            assert_eq!([file.read(), file.read()], [true, false]);
            let expected = ClusterNetworks { known: Some(dealt(network)), problem: None };
            assert_eq!(*file.networks(), expected);
        }
    }

    #[test]
    fn without_a_file_that_can_be_read_they_are_unknown_and_the_reason_names_it() {
        let (_directory, path, mut file) = file();
        assert_eq!([file.read(), file.read()], [true, false]);
        for (text, words) in [("{}".to_owned(), "expected JSON"), ("x".repeat(1 << 20), "65537 bytes")] {
            let unknown = file.networks();
            assert!(unknown.list().is_empty() && unknown.why_unknown().contains(path.to_str().unwrap()), "{unknown:?}");
            fs::write(&path, text).unwrap();
            assert!(file.read());
            assert!(file.networks().why_unknown().contains(words), "{:?}", file.networks());
        }
    }

    #[test]
    fn networks_that_were_read_stay_in_force_when_the_file_is_gone() {
        let (_directory, path, mut file) = file();
        fs::write(&path, dealt("10.0.0.0/8").text()).unwrap();
        file.read();
        fs::remove_file(&path).unwrap();
        assert_eq!([file.read(), file.read()], [true, false]);
        let networks = file.networks();
        assert_eq!(networks.known, Some(dealt("10.0.0.0/8")));
        assert!(networks.problem.as_ref().unwrap().contains("No such file"), "{networks:?}");
    }

    #[test]
    fn an_agent_that_is_dealt_nothing_says_that_it_has_no_file() {
        let mut file = NetworksFile::new(None);
        assert!(!file.read());
        assert!(file.networks().why_unknown().contains("--networks-file"), "{:?}", file.networks());
    }
}
