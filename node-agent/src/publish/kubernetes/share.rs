//! This agent's share of the writes to the API server: a file that the operator deals by a ConfigMap and the kubelet keeps up
//! to date, so that no agent watches anything for it.

use std::path::PathBuf;

use netprecursor_kit::{Share, share::MAX_TEXT};

use crate::dealt;

/// The file, and what was last read from it.
#[derive(Debug)]
pub(super) struct ShareFile {
    path: Option<PathBuf>,
    share: Share,
    problem: Option<String>,
}

impl ShareFile {
    /// Of an agent without a file the share never changes.
    pub(super) const fn new(path: Option<PathBuf>) -> Self {
        Self { path, share: Share::UNKNOWN, problem: None }
    }

    /// Reads the file again. Returns the share when it is another one than before; one that cannot be read is the least.
    pub(super) fn read(&mut self) -> Option<Share> {
        let path = self.path.as_deref()?;
        let (share, problem) = match dealt::read(path, MAX_TEXT, Share::read) {
            Ok(share) => (share, None),
            Err(problem) => (Share::UNKNOWN, Some(problem)),
        };
        if problem != self.problem {
            match &problem {
                Some(problem) => tracing::warn!(problem, "publishing at one write each 20 s"),
                None => tracing::info!("the share of the writes to the API server is known"),
            }
        }
        self.problem = problem;
        let before = std::mem::replace(&mut self.share, share);
        (before != share).then(|| {
            tracing::info!(every = ?share.refill(), burst = share.burst(), "new share of the writes to the API server");
            share
        })
    }

    /// Why there is none.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file() -> (tempfile::TempDir, PathBuf, ShareFile) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("share.json");
        let share = ShareFile::new(Some(path.clone()));
        (directory, path, share)
    }

    #[test]
    fn a_share_that_is_dealt_again_is_news_once() {
        let (_directory, path, mut file) = file();
        for nodes in [3, 500, 5_000] {
            fs::write(&path, Share::of(nodes).text()).unwrap();
            assert_eq!([file.read(), file.read()], [Some(Share::of(nodes)), None]);
            assert_eq!(file.problem(), None);
        }
    }

    #[test]
    fn without_a_share_or_with_one_that_is_none_an_agent_is_careful_and_says_why() {
        let (_directory, path, mut file) = file();
        assert_eq!(file.read(), None);
        assert!(file.problem().unwrap().contains("No such file"), "{:?}", file.problem());
        fs::write(&path, Share::of(3).text()).unwrap();
        assert_eq!(file.read(), Some(Share::of(3)));
        for (text, words) in [("{}".to_owned(), "expected JSON"), ("x".repeat(1 << 20), "4097 bytes")] {
            fs::write(&path, text).unwrap();
            file.read();
            assert_eq!(file.share, Share::UNKNOWN);
            assert!(file.problem().unwrap().contains(words), "{:?}", file.problem());
        }
        fs::write(&path, [0xff; 9]).unwrap();
        file.read();
        assert!(file.problem().unwrap().contains("UTF-8"), "{:?}", file.problem());
    }

    #[test]
    fn an_agent_that_is_dealt_nothing_has_nothing_to_report() {
        let mut file = ShareFile::new(None);
        assert_eq!((file.read(), file.problem()), (None, None));
    }
}
