//! What a watch has shown, cut down to what the plan needs. A relist replaces all of it at once.

use std::collections::{BTreeMap, btree_map};

/// An object by namespace and name; the namespace is empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// An object as it was last seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen<T> {
    /// Never reused, unlike the name.
    pub uid: String,
    /// Its resource version, 0 where that is no number: of two sights of one object the higher one is newer.
    pub version: u64,
    /// What is kept of it.
    pub value: T,
}

/// All objects of one source.
#[derive(Debug)]
pub struct Mirror<T> {
    items: BTreeMap<Key, Seen<T>>,
    listing: Option<BTreeMap<Key, Seen<T>>>,
    is_synced: bool,
}

/// What a watch shows.
#[derive(Debug)]
pub enum Sight<T> {
    /// A list begins.
    Listing,
    /// An object of the list.
    Listed(Key, Seen<T>),
    /// The list is complete.
    Complete,
    /// An object is new or changed.
    Applied(Key, Seen<T>),
    /// An object is gone.
    Deleted(Key),
}

impl<T> Default for Mirror<T> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), listing: None, is_synced: false }
    }
}

impl Key {
    /// A key.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

impl<T> Mirror<T> {
    /// Takes in what a watch shows, or what a write of our own returned.
    pub fn take(&mut self, sight: Sight<T>) {
        match sight {
            Sight::Listing => self.listing = Some(BTreeMap::new()),
            Sight::Listed(key, seen) => {
                self.listing.get_or_insert_default().insert(key, seen);
            }
            Sight::Complete => {
                let listed = self.listing.take().unwrap_or_default();
                let before = std::mem::replace(&mut self.items, listed);
                // What we wrote after the list was made is newer than the list.
                for (key, seen) in before {
                    if let Some(listed) = self.items.get_mut(&key).filter(|listed| seen.is_newer_than(listed)) {
                        *listed = seen;
                    }
                }
                self.is_synced = true;
            }
            Sight::Applied(key, seen) => match self.items.entry(key) {
                btree_map::Entry::Occupied(mut known) => {
                    if !known.get().is_newer_than(&seen) {
                        known.insert(seen);
                    }
                }
                btree_map::Entry::Vacant(free) => {
                    free.insert(seen);
                }
            },
            Sight::Deleted(key) => {
                self.items.remove(&key);
            }
        }
    }

    /// Whether a whole list was seen.
    pub const fn is_synced(&self) -> bool {
        self.is_synced
    }

    /// All objects, by key.
    pub fn iter(&self) -> btree_map::Iter<'_, Key, Seen<T>> {
        self.items.iter()
    }

    /// All objects, to take something out of them.
    pub fn iter_mut(&mut self) -> btree_map::IterMut<'_, Key, Seen<T>> {
        self.items.iter_mut()
    }

    /// One object.
    pub fn find(&self, key: &Key) -> Option<&Seen<T>> {
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

impl<T> Seen<T> {
    /// Whether this is surely a later sight of the same object.
    fn is_newer_than(&self, other: &Self) -> bool {
        self.uid == other.uid && self.version > other.version && other.version > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(uid: &str, version: u64) -> (Key, Seen<u64>) {
        (Key::new("", "a"), Seen { uid: uid.to_owned(), version, value: version })
    }

    fn applied((key, seen): (Key, Seen<u64>)) -> Sight<u64> {
        Sight::Applied(key, seen)
    }

    fn listed((key, seen): (Key, Seen<u64>)) -> Sight<u64> {
        Sight::Listed(key, seen)
    }

    fn values(mirror: &Mirror<u64>) -> Vec<u64> {
        mirror.iter().map(|(_, seen)| seen.value).collect()
    }

    #[test]
    fn a_relist_replaces_all_at_its_end_and_not_before() {
        let mut mirror = Mirror::default();
        for sight in [Sight::Listing, listed(seen("u", 1)), Sight::Complete, Sight::Listing] {
            mirror.take(sight);
        }
        assert_eq!(values(&mirror), [1]);
        mirror.take(Sight::Complete);
        assert!(mirror.is_synced() && mirror.is_empty());
    }

    #[test]
    fn an_older_sight_of_the_same_object_changes_nothing() {
        let mut mirror = Mirror::default();
        for sight in
            [applied(seen("u", 5)), applied(seen("u", 4)), Sight::Listing, listed(seen("u", 3)), Sight::Complete]
        {
            mirror.take(sight);
        }
        assert_eq!(values(&mirror), [5]);
        mirror.take(applied(seen("another", 2)));
        assert_eq!(values(&mirror), [2]);
    }

    #[test]
    fn before_the_first_whole_list_nothing_is_known() {
        let mut mirror = Mirror::default();
        mirror.take(applied(seen("u", 1)));
        assert!(!mirror.is_synced());
    }
}
