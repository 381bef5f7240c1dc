//! Objects with their versions, and the history that watches and continued lists read.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use serde_json::Value;
use tokio::time::Instant;

/// The key of an object: its kind's resource, its namespace and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) resource: Arc<str>,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// A change of one object.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) at: Instant,
    pub(crate) key: Key,
    pub(crate) old: Option<Arc<Value>>,
    /// The new state. A deletion keeps the last state, with the version of the deletion, in `last`.
    pub(crate) new: Option<Arc<Value>>,
    pub(crate) last: Arc<Value>,
}

/// Changes that the history keeps; older ones are dropped as by a compaction.
const MAX_HISTORY: usize = 100_000;

/// The first version: versions below are never given, so that "0" keeps its meaning.
const FIRST: u64 = 1;

/// All objects.
#[derive(Debug)]
pub(crate) struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    /// The dependents of an owner, by the owner's UID.
    dependents: BTreeMap<String, BTreeSet<Key>>,
    history: VecDeque<Change>,
    version: u64,
    compacted: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            dependents: BTreeMap::new(),
            history: VecDeque::new(),
            version: FIRST,
            compacted: 0,
        }
    }
}

impl Store {
    /// The same objects without the history, whose instants belong to the old runtime.
    pub(crate) fn fork(&self) -> Self {
        Self {
            objects: self.objects.clone(),
            dependents: self.dependents.clone(),
            history: VecDeque::new(),
            version: self.version,
            compacted: self.version,
        }
    }

    /// The version of the last change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Versions up to this one are forgotten.
    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(crate) fn object(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    pub(crate) fn objects(&self) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.objects.iter()
    }

    /// Stores an object under a new version, which is written into it.
    pub(crate) fn put(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = Value::from(self.version.to_string());
        let new = Arc::new(object);
        let old = self.objects.insert(key.clone(), Arc::clone(&new));
        if let Some(old) = &old {
            self.forget_owners(&key, old);
        }
        for owner in owners(&new) {
            self.dependents.entry(owner.to_owned()).or_default().insert(key.clone());
        }
        self.record(key, old, Some(Arc::clone(&new)), Arc::clone(&new));
        new
    }

    /// Removes an object.
    pub(crate) fn delete(&mut self, key: &Key) -> Option<Arc<Value>> {
        let old = self.objects.remove(key)?;
        self.forget_owners(key, &old);
        self.version += 1;
        let mut last = (*old).clone();
        last["metadata"]["resourceVersion"] = Value::from(self.version.to_string());
        let last = Arc::new(last);
        self.record(key.clone(), Some(old), None, Arc::clone(&last));
        Some(last)
    }

    fn forget_owners(&mut self, key: &Key, object: &Value) {
        for owner in owners(object) {
            if let Some(keys) = self.dependents.get_mut(owner) {
                keys.remove(key);
                if keys.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }

    /// The dependents of the owner with this UID.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<Key> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    fn record(&mut self, key: Key, old: Option<Arc<Value>>, new: Option<Arc<Value>>, last: Arc<Value>) {
        self.history.push_back(Change { version: self.version, at: Instant::now(), key, old, new, last });
        if self.history.len() > MAX_HISTORY
            && let Some(forgotten) = self.history.pop_front()
        {
            self.compacted = forgotten.version;
        }
    }

    /// Forgets history up to a version.
    pub(crate) fn compact(&mut self, version: u64) {
        while self.history.front().is_some_and(|change| change.version <= version) {
            self.history.pop_front();
        }
        self.compacted = self.compacted.max(version.min(self.version));
    }

    /// Changes after a version, oldest first.
    pub(crate) fn since(&self, version: u64) -> impl Iterator<Item = &Change> {
        let start = self.history.partition_point(|change| change.version <= version);
        self.history.range(start..)
    }

    /// The version that was the last one at an instant.
    pub(crate) fn version_at(&self, instant: Instant) -> u64 {
        let count = self.history.partition_point(|change| change.at <= instant);
        match count.checked_sub(1).and_then(|index| self.history.get(index)) {
            Some(change) => change.version,
            None => self.history.front().map_or(self.version, |change| change.version - 1),
        }
    }

    /// The objects of a resource as they were at a version.
    pub(crate) fn snapshot(&self, resource: &str, version: u64) -> BTreeMap<Key, Arc<Value>> {
        let is_ours = |key: &Key| &*key.resource == resource;
        let first = Key { resource: resource.into(), namespace: String::new(), name: String::new() };
        let now = self.objects.range(first..).take_while(|(key, _)| is_ours(key));
        let mut objects: BTreeMap<Key, Arc<Value>> =
            now.map(|(key, object)| (key.clone(), Arc::clone(object))).collect();
        let later: Vec<&Change> = self.since(version).filter(|change| is_ours(&change.key)).collect();
        for change in later.into_iter().rev() {
            match &change.old {
                Some(old) => objects.insert(change.key.clone(), Arc::clone(old)),
                None => objects.remove(&change.key),
            };
        }
        objects
    }
}

/// The UIDs of an object's owners.
pub(crate) fn owners(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["ownerReferences"].as_array().into_iter().flatten().filter_map(|owner| owner["uid"].as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(name: &str) -> Key {
        Key { resource: "pods".into(), namespace: "a".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn a_snapshot_is_what_was_there_at_its_version() {
        let mut store = Store::default();
        store.put(key("x"), json!({"metadata": {}, "n": 1}));
        let then = store.version();
        store.put(key("x"), json!({"metadata": {}, "n": 2}));
        store.put(key("y"), json!({"metadata": {}}));
        store.delete(&key("x"));
        let old = store.snapshot("pods", then);
        assert_eq!(old.len(), 1);
        assert_eq!(old[&key("x")]["n"], 1);
        assert_eq!(store.snapshot("pods", store.version()).keys().collect::<Vec<_>>(), [&key("y")]);
    }

    #[test]
    fn a_compaction_forgets_and_says_up_to_where() {
        let mut store = Store::default();
        store.put(key("x"), json!({"metadata": {}}));
        let first = store.version();
        store.put(key("y"), json!({"metadata": {}}));
        store.compact(first);
        assert_eq!((store.compacted(), store.since(0).count()), (first, 1));
    }
}
