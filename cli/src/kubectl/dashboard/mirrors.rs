//! What the watches have shown, and what is wrong with them. Pure: what came and when is a parameter.

use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher;
use netprecursor_crds::{ClusterPrecursorPolicy, PrecursorAlert, PrecursorNodeReport, PrecursorPolicy};
use netprecursor_kit::{Failure, Mirror, Sight};

use crate::kubectl::installed::Installed;

/// Objects of a kind; of one that this release cannot parse, why.
#[derive(Debug)]
pub(super) struct Watched<K> {
    pub(super) mirror: Mirror<Result<K, String>>,
    /// Why the watch does not work now.
    pub(super) trouble: Option<Trouble>,
    /// Why only one namespace is watched: the API server's words.
    pub(super) narrowed: Option<String>,
}

/// Why something is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) failure: Failure,
    pub(super) words: String,
    /// Since when, Unix s.
    pub(super) since: u64,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Mirrors {
    /// Whether the user asked for one namespace.
    pub(super) is_one_namespace: bool,
    pub(super) policies: Watched<PrecursorPolicy>,
    pub(super) cluster_policies: Watched<ClusterPrecursorPolicy>,
    pub(super) alerts: Watched<PrecursorAlert>,
    pub(super) reports: Watched<PrecursorNodeReport>,
    /// Pods of agents.
    pub(super) agents: Watched<Pod>,
    /// What is asked for now and then; none before it was answered.
    pub(super) installed: Option<Installed>,
    /// Why it could not be asked for.
    pub(super) unseen: Option<String>,
}

impl<K> Default for Watched<K> {
    fn default() -> Self {
        Self { mirror: Mirror::default(), trouble: None, narrowed: None }
    }
}

impl<K> Watched<K> {
    /// Takes in what the watch shows: it works again, unless a list is only about to be asked for.
    pub(super) fn take(&mut self, sight: Sight<Result<K, String>>) {
        if !matches!(sight, Sight::Listing) {
            self.trouble = None;
        }
        self.mirror.take(sight);
    }

    /// The watch failed.
    pub(super) fn fail(&mut self, trouble: Trouble) {
        let since = self.trouble.as_ref().map_or(trouble.since, |known| known.since);
        self.trouble = Some(Trouble { since, ..trouble });
    }

    /// Whether it is known what there is, or why not.
    pub(super) fn is_settled(&self) -> bool {
        self.mirror.is_synced() || self.trouble.is_some()
    }

    /// The objects; none where they may not be seen, or were not yet.
    pub(super) fn objects(&self) -> Option<impl Iterator<Item = &K>> {
        self.mirror.is_synced().then(|| self.mirror.iter().filter_map(|(_, object)| object.as_ref().ok()))
    }
}

impl Mirrors {
    /// Whether everything is settled: before, a page would show a part as the whole.
    pub(super) fn is_settled(&self) -> bool {
        let of_users = self.policies.is_settled() && self.cluster_policies.is_settled() && self.alerts.is_settled();
        // Where the installation is not known, nobody looks for its pods.
        let installed = self.unseen.is_some() || (self.installed.is_some() && self.agents.is_settled());
        of_users && self.reports.is_settled() && installed
    }
}

impl Trouble {
    /// Of a watch that failed at `unix`; `None` for what is a matter of course, and is followed by a new list.
    pub(super) fn of(error: &watcher::Error, unix: u64) -> Option<Self> {
        let (failure, words) = match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => (Failure::from(error), in_words(error)),
            watcher::Error::WatchError(status) if status.code == 410 => return None,
            watcher::Error::WatchError(status) => (Failure::of(status), status.message.clone()),
            watcher::Error::NoResourceVersion => (Failure::Garbled, error.to_string()),
        };
        Some(Self { failure, words, since: unix })
    }
}

fn in_words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 401 => format!(
            "the API server does not accept the credentials ({}): sign in again as for kubectl; `kubectl auth whoami` shows whether \
             that worked",
            status.message
        ),
        error => netprecursor_kit::failure::chain(error),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use netprecursor_kit::Key;

    use super::*;

    fn refused(code: u16) -> watcher::Error {
        let status = Status { code, message: "no".to_owned(), ..Status::default() };
        watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn a_watch_that_works_again_forgets_its_trouble_and_not_before() {
        let mut watched = Watched::<()>::default();
        watched.fail(Trouble::of(&refused(500), 10).unwrap());
        watched.fail(Trouble::of(&refused(500), 20).unwrap());
        watched.take(Sight::Listing);
        assert_eq!(watched.trouble.as_ref().map(|trouble| trouble.since), Some(10));
        watched.take(Sight::Listed(Key::new("", "a"), Ok(())));
        assert_eq!(watched.trouble, None);
        assert!(watched.objects().is_none(), "a list that is not complete is nothing");
        watched.take(Sight::Complete);
        assert_eq!(watched.objects().map(Iterator::count), Some(1));
    }

    #[test]
    fn credentials_that_ended_are_said_to_be_so_and_a_version_that_did_is_no_trouble() {
        assert!(Trouble::of(&refused(401), 0).unwrap().words.contains("sign in again"));
        let expired = watcher::Error::WatchError(Box::new(Status { code: 410, ..Status::default() }));
        assert_eq!(Trouble::of(&expired, 0), None);
    }
}
