//! Where objects come from: one table for watches in a cluster and for reading everything at once in tests.

use kube::{Api, api::ListParams, runtime::watcher};
use netprecursor_kit::{Key, Wire};

use super::{
    Observed,
    mirror::{Mirror, Seen},
};

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

    /// What is kept of an object.
    pub fn seen(&self, object: W) -> (Key, Option<Seen<T>>) {
        seen(object, self.reduce)
    }
}

/// What is kept of an object.
pub(crate) fn seen<W: Wire, T>(object: W, reduce: fn(W) -> Option<T>) -> (Key, Option<Seen<T>>) {
    (object.meta().into(), Seen::of(object, reduce))
}
