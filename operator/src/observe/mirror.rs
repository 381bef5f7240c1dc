//! What is known of objects: what a watch has shown, and what writes of our own have returned since.

use std::ops::Deref;

use kube::Resource;
use netprecursor_kit::{Key, Sight};

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
pub struct Mirror<T>(netprecursor_kit::Mirror<Seen<T>>);

impl<T> Default for Mirror<T> {
    fn default() -> Self {
        Self(netprecursor_kit::Mirror::default())
    }
}

impl<T> Deref for Mirror<T> {
    type Target = netprecursor_kit::Mirror<Seen<T>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> Mirror<T> {
    /// Takes in what a watch shows, or what a write of our own returned: that is newer than a list made before it.
    pub fn take(&mut self, sight: Sight<Seen<T>>) {
        self.0.take_unless(sight, Seen::is_newer_than);
    }

    /// All objects, to take something out of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Key, &mut Seen<T>)> {
        self.0.iter_mut()
    }
}

impl<T> Seen<T> {
    /// What is kept of an object.
    pub(super) fn of<W: Resource>(object: W, reduce: fn(W) -> Option<T>) -> Option<Self> {
        let meta = object.meta();
        let uid = meta.uid.clone().unwrap_or_default();
        let version = meta.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0);
        reduce(object).map(|value| Self { uid, version, value })
    }

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

    fn applied((key, seen): (Key, Seen<u64>)) -> Sight<Seen<u64>> {
        Sight::Applied(key, seen)
    }

    fn listed((key, seen): (Key, Seen<u64>)) -> Sight<Seen<u64>> {
        Sight::Listed(key, seen)
    }

    fn values(mirror: &Mirror<u64>) -> Vec<u64> {
        mirror.iter().map(|(_, seen)| seen.value).collect()
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
}
