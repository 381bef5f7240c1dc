//! Waiting for conditions by watches, with a limit. Errors show the last state.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    pin::pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::TryStreamExt as _;
use kube::{
    Api, Resource, ResourceExt as _,
    runtime::{
        wait::await_condition,
        watcher::{self, Event, watcher},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use crate::Error;

/// Characters of an object that an error shows.
const SHOWN: usize = 2000;

/// Waits until `condition` holds for the object `name`, which may be absent, and returns the object.
///
/// # Errors
/// [`Error::Timeout`] with the last state.
pub async fn wait_for<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    limit: Duration,
    condition: impl Fn(Option<&K>) -> bool + Send,
) -> Result<Option<K>, Error>
where
    K: Clone + Debug + Send + DeserializeOwned + Serialize + Resource + 'static,
{
    let seen = Mutex::new("nothing was seen".to_owned());
    let note = |object: Option<&K>| {
        *seen.lock().unwrap_or_else(PoisonError::into_inner) =
            object.map_or_else(|| "no such object".to_owned(), shown);
        condition(object)
    };
    match timeout(limit, await_condition(api.clone(), name, note)).await {
        Ok(Ok(object)) => Ok(object),
        Ok(Err(error)) => Err(late(what, limit, error.to_string())),
        Err(_) => Err(late(what, limit, seen.into_inner().unwrap_or_else(PoisonError::into_inner))),
    }
}

/// Waits until `find` finds something among the objects that `config` selects, whose names need not be known.
///
/// # Errors
/// As [`wait_for`].
pub async fn wait_for_list<K, T>(
    api: &Api<K>,
    config: watcher::Config,
    what: &str,
    limit: Duration,
    mut find: impl FnMut(&[&K]) -> Option<T>,
) -> Result<T, Error>
where
    K: Clone + Debug + Send + DeserializeOwned + Serialize + Resource + 'static,
{
    let mut objects: BTreeMap<String, K> = BTreeMap::new();
    let search = async {
        let mut events = pin!(watcher(api.clone(), config));
        let mut is_complete = false;
        while let Some(event) = events.try_next().await? {
            match event {
                Event::Init => {
                    is_complete = false;
                    objects.clear();
                }
                Event::InitApply(object) | Event::Apply(object) => {
                    objects.insert(key(&object), object);
                }
                Event::InitDone => is_complete = true,
                Event::Delete(object) => {
                    objects.remove(&key(&object));
                }
            }
            if is_complete && let Some(found) = find(&objects.values().collect::<Vec<_>>()) {
                return Ok(Some(found));
            }
        }
        Ok::<_, watcher::Error>(None)
    };
    let ended = timeout(limit, search).await;
    let last = || match objects.len() {
        0 => "no object".to_owned(),
        count => format!("{count} objects: {}", objects.values().map(shown).collect::<Vec<_>>().join(" ")),
    };
    match ended {
        Ok(Ok(Some(found))) => Ok(found),
        Ok(Ok(None)) | Err(_) => Err(late(what, limit, last().chars().take(2 * SHOWN).collect())),
        Ok(Err(error)) => Err(late(what, limit, error.to_string())),
    }
}

fn key<K: Resource>(object: &K) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

fn late(what: &str, waited: Duration, last: String) -> Error {
    Error::Timeout { what: what.to_owned(), waited, last }
}

/// An object without its managed fields.
fn shown<K: Serialize>(object: &K) -> String {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(metadata) = value.get_mut("metadata").and_then(|metadata| metadata.as_object_mut()) {
        metadata.remove("managedFields");
    }
    value.to_string().chars().take(SHOWN).collect()
}
