//! What a watch has shown, cut down to what is needed of it. A relist replaces all of it at once.

use std::{
    collections::{BTreeMap, btree_map},
    fmt,
};

use kube::core::ObjectMeta;

/// An object by namespace and name; the namespace is empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// All objects of one kind.
#[derive(Debug)]
pub struct Mirror<V> {
    items: BTreeMap<Key, V>,
    listing: Option<BTreeMap<Key, V>>,
    is_synced: bool,
}

/// What a watch shows.
#[derive(Debug)]
pub enum Sight<V> {
    /// A list begins.
    Listing,
    /// An object of the list.
    Listed(Key, V),
    /// The list is complete.
    Complete,
    /// An object is new or changed.
    Applied(Key, V),
    /// An object is gone.
    Deleted(Key),
}

impl Key {
    /// A key.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl From<&ObjectMeta> for Key {
    fn from(meta: &ObjectMeta) -> Self {
        Self::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

impl<V> Default for Mirror<V> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), listing: None, is_synced: false }
    }
}

impl<V> Mirror<V> {
    /// Takes in what a watch shows. A list that is interrupted takes nothing away.
    pub fn take(&mut self, sight: Sight<V>) {
        self.take_unless(sight, |_, _| false);
    }

    /// As [`Mirror::take`], but keeps what is known where that is newer than what is shown.
    pub fn take_unless(&mut self, sight: Sight<V>, is_newer: impl Fn(&V, &V) -> bool) {
        match sight {
            Sight::Listing => self.listing = Some(BTreeMap::new()),
            Sight::Listed(key, value) => {
                self.listing.get_or_insert_default().insert(key, value);
            }
            Sight::Complete => {
                let listed = self.listing.take().unwrap_or_default();
                for (key, known) in std::mem::replace(&mut self.items, listed) {
                    if let Some(listed) = self.items.get_mut(&key).filter(|listed| is_newer(&known, listed)) {
                        *listed = known;
                    }
                }
                self.is_synced = true;
            }
            Sight::Applied(key, value) => {
                if !self.items.get(&key).is_some_and(|known| is_newer(known, &value)) {
                    self.items.insert(key, value);
                }
            }
            Sight::Deleted(key) => {
                self.items.remove(&key);
            }
        }
    }

    /// Whether a whole list was seen. Before that nothing is known to be gone.
    pub const fn is_synced(&self) -> bool {
        self.is_synced
    }

    /// All objects, by key.
    pub fn iter(&self) -> btree_map::Iter<'_, Key, V> {
        self.items.iter()
    }

    /// All objects, to take something out of them.
    pub fn iter_mut(&mut self) -> btree_map::IterMut<'_, Key, V> {
        self.items.iter_mut()
    }

    /// One object.
    pub fn find(&self, key: &Key) -> Option<&V> {
        self.items.get(key)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::new("", "a")
    }

    fn values(mirror: &Mirror<u64>) -> Vec<u64> {
        mirror.iter().map(|(_, value)| *value).collect()
    }

    #[test]
    fn a_relist_replaces_all_at_its_end_and_not_before() {
        let mut mirror = Mirror::default();
        for sight in [Sight::Listing, Sight::Listed(key(), 1), Sight::Complete, Sight::Listing] {
            mirror.take(sight);
        }
        assert_eq!(values(&mirror), [1]);
        mirror.take(Sight::Complete);
        assert!(mirror.is_synced() && mirror.is_empty());
    }

    #[test]
    fn before_the_first_whole_list_nothing_is_known() {
        let mut mirror = Mirror::default();
        mirror.take(Sight::Applied(key(), 1));
        assert!(!mirror.is_synced());
    }

    #[test]
    fn what_is_newer_than_what_is_shown_stays() {
        let mut mirror = Mirror::default();
        for sight in [
            Sight::Applied(key(), 5),
            Sight::Applied(key(), 4),
            Sight::Listing,
            Sight::Listed(key(), 3),
            Sight::Complete,
        ] {
            mirror.take_unless(sight, |known, shown| known > shown);
        }
        assert_eq!(values(&mirror), [5]);
    }
}
