//! What receivers know of alerts, and what has to be published of what a watch shows. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use netprecursor_core::alert::AlertState;
use netprecursor_kit::{Key, Sight};
use netprecursor_sinks::notice::Notice;

/// The alerts that were published.
#[derive(Debug, Default)]
pub(super) struct Published {
    known: BTreeMap<Key, Arc<Notice>>,
    /// Those of a list that is not complete yet.
    listed: BTreeSet<Key>,
}

impl Published {
    /// Takes in what the watch shows at `unix`, and returns what is new. An object that says nothing (a newer release's, or one
    /// without a report) is there all the same: what is known of it holds.
    pub(super) fn take(&mut self, sight: Sight<Option<Notice>>, unix: u64) -> Vec<Arc<Notice>> {
        match sight {
            Sight::Listing => self.listed.clear(),
            Sight::Listed(key, notice) => {
                self.listed.insert(key.clone());
                return self.update(key, notice);
            }
            Sight::Complete => {
                let listed = std::mem::take(&mut self.listed);
                let gone: Vec<Key> = self.known.keys().filter(|key| !listed.contains(*key)).cloned().collect();
                return gone.iter().filter_map(|key| self.end(key, unix)).collect();
            }
            Sight::Applied(key, notice) => return self.update(key, notice),
            Sight::Deleted(key) => return self.end(&key, unix).into_iter().collect(),
        }
        Vec::new()
    }

    fn update(&mut self, key: Key, notice: Option<Notice>) -> Vec<Arc<Notice>> {
        let Some(notice) = notice.filter(|notice| self.known.get(&key).is_none_or(|known| **known != *notice)) else {
            return Vec::new();
        };
        let notice = Arc::new(notice);
        self.known.insert(key, Arc::clone(&notice));
        vec![notice]
    }

    /// The object is gone. If its alert was firing, nobody else says that it is over.
    fn end(&mut self, key: &Key, unix: u64) -> Option<Arc<Notice>> {
        let last = self.known.remove(key).filter(|last| last.is_firing())?;
        let description = format!("Resolved: the alert's object was deleted. Before: {}", last.description);
        let over = Notice {
            state: AlertState::Resolved,
            resolved_unix: Some(unix.max(last.fired_unix)),
            description,
            ..Notice::clone(&last)
        };
        Some(Arc::new(over))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::notice::{notice, tests::alert},
        *,
    };

    const LATER: u64 = 1_700_000_100;

    fn key(name: &str) -> Key {
        Key::new("shop", name)
    }

    fn firing(name: &str) -> Notice {
        notice(&alert(name, false)).unwrap()
    }

    fn over(name: &str) -> Notice {
        notice(&alert(name, true)).unwrap()
    }

    /// What is published of these, by name and state.
    fn published(published: &mut Published, sights: Vec<Sight<Option<Notice>>>) -> Vec<(String, bool)> {
        let notices = sights.into_iter().flat_map(|sight| published.take(sight, LATER)).collect::<Vec<_>>();
        notices.iter().map(|notice| (notice.id.clone(), notice.is_firing())).collect()
    }

    fn list(notices: &[Notice]) -> Vec<Sight<Option<Notice>>> {
        let listed = notices.iter().map(|notice| Sight::Listed(key(&notice.id["shop/".len()..]), Some(notice.clone())));
        [Sight::Listing].into_iter().chain(listed).chain([Sight::Complete]).collect()
    }

    #[test]
    fn an_alert_is_published_when_it_changes_and_not_when_it_is_shown_again() {
        let mut all = Published::default();
        assert_eq!(
            published(&mut all, list(&[firing("a"), over("b")])),
            [("shop/a".to_owned(), true), ("shop/b".to_owned(), false)]
        );
        assert!(published(&mut all, list(&[firing("a"), over("b")])).is_empty());
        let changes = vec![Sight::Applied(key("a"), Some(firing("a"))), Sight::Applied(key("a"), Some(over("a")))];
        assert_eq!(published(&mut all, changes), [("shop/a".to_owned(), false)]);
    }

    #[test]
    fn an_alert_whose_object_goes_while_it_fires_is_over() {
        let mut all = Published::default();
        published(&mut all, list(&[firing("a"), firing("b"), over("c")]));
        let ends = all.take(Sight::Deleted(key("a")), LATER);
        assert_eq!((ends.len(), ends[0].resolved_unix), (1, Some(LATER)));
        assert!(ends[0].description.contains("object was deleted"), "{}", ends[0].description);
        // Missed while the watch was interrupted.
        assert_eq!(published(&mut all, list(&[over("c")])), [("shop/b".to_owned(), false)]);
        assert!(published(&mut all, vec![Sight::Deleted(key("c"))]).is_empty());
        assert!(all.known.is_empty());
    }

    #[test]
    fn a_list_that_is_interrupted_ends_nothing() {
        let mut all = Published::default();
        published(&mut all, list(&[firing("a"), firing("b")]));
        let interrupted = vec![Sight::Listing, Sight::Listed(key("a"), Some(firing("a"))), Sight::Listing];
        assert!(published(&mut all, interrupted).is_empty());
        let rest = list(&[firing("a"), firing("b")]).into_iter().skip(1).collect();
        assert!(published(&mut all, rest).is_empty());
    }

    #[test]
    fn an_object_that_cannot_be_read_ends_nothing() {
        let mut all = Published::default();
        published(&mut all, list(&[firing("a"), firing("b")]));
        let unread = vec![
            Sight::Applied(key("a"), None),
            Sight::Listing,
            Sight::Listed(key("a"), None),
            Sight::Listed(key("b"), None),
            Sight::Complete,
        ];
        assert!(published(&mut all, unread).is_empty());
        assert_eq!(
            published(&mut all, vec![Sight::Applied(key("a"), Some(over("a")))]),
            [("shop/a".to_owned(), false)]
        );
        assert_eq!(published(&mut all, vec![Sight::Deleted(key("b"))]), [("shop/b".to_owned(), false)]);
    }
}
