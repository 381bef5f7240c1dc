//! Where objects come from: one table for watches in a cluster and for reading everything at once in tests.

use std::fmt::Debug;

use kube::{Api, Resource, api::ListParams, runtime::watcher};
use serde::de::DeserializeOwned;

use super::{
    Observed,
    mirror::{Key, Mirror, Seen, Sight},
};

/// A kind of object as it comes over the wire.
pub trait Wire: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static {}

impl<W: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static> Wire for W {}

/// Objects of one kind, and what becomes of them.
#[derive(Debug, Clone)]
pub struct Source<W, T> {
    /// Their kind, for logs and metrics.
    pub kind: &'static str,
    /// Where they are.
    pub api: Api<W>,
    /// Which of them, by label.
    pub labels: Option<&'static str>,
    /// Which of them, by field.
    pub fields: Option<String>,
    /// What is kept of one; `None` for nothing.
    pub reduce: fn(W) -> Option<T>,
    /// Where it is kept.
    pub mirror: fn(&mut Observed) -> &mut Mirror<T>,
}

/// Something that is done with every source.
pub trait Visitor {
    /// Does it with one.
    fn visit<W: Wire, T: Send + 'static>(&mut self, source: Source<W, T>);
}

/// Objects in one page of a list.
pub(super) const PAGE: u32 = 500;

impl<W: Wire, T> Source<W, T> {
    /// What a list of them is asked for.
    pub fn list_params(&self) -> ListParams {
        ListParams {
            label_selector: self.labels.map(str::to_owned),
            field_selector: self.fields.clone(),
            limit: Some(PAGE),
            ..ListParams::default()
        }
    }

    /// What a watch of them is asked for.
    pub fn watch_config(&self, seconds: u32) -> watcher::Config {
        watcher::Config {
            label_selector: self.labels.map(str::to_owned),
            field_selector: self.fields.clone(),
            page_size: Some(PAGE),
            ..watcher::Config::default().timeout(seconds)
        }
    }

    /// What an event of a watch means; `None` for an object of a list that is not kept.
    pub fn sight(&self, event: watcher::Event<W>) -> Option<Sight<T>> {
        Some(match event {
            watcher::Event::Init => Sight::Listing,
            watcher::Event::InitDone => Sight::Complete,
            watcher::Event::InitApply(object) => {
                let (key, seen) = self.seen(object);
                Sight::Listed(key, seen?)
            }
            watcher::Event::Apply(object) => match self.seen(object) {
                (key, Some(seen)) => Sight::Applied(key, seen),
                // It was kept before, perhaps.
                (key, None) => Sight::Deleted(key),
            },
            watcher::Event::Delete(object) => Sight::Deleted(key(object.meta())),
        })
    }

    /// What is kept of an object.
    pub fn seen(&self, object: W) -> (Key, Option<Seen<T>>) {
        seen(object, self.reduce)
    }
}

/// What is kept of an object.
pub(crate) fn seen<W: Resource<DynamicType = ()>, T>(object: W, reduce: fn(W) -> Option<T>) -> (Key, Option<Seen<T>>) {
    let meta = object.meta();
    let key = key(meta);
    let uid = meta.uid.clone().unwrap_or_default();
    let version = meta.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0);
    (key, reduce(object).map(|value| Seen { uid, version, value }))
}

fn key(meta: &kube::core::ObjectMeta) -> Key {
    Key::new(meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}
