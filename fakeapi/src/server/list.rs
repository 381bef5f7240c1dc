//! Reading: one object, all of them page by page, or their changes.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Answer, State, WATCH_SECONDS, Watch, shown, version};
use crate::{refusal::Refusal, request::Call, selector::Selector, store::Key};

/// Where the next page of a list starts. Clients must not look inside.
struct Continue {
    version: u64,
    after: (String, String),
}

impl Continue {
    fn encode(&self) -> String {
        json!([self.version, self.after.0, self.after.1]).to_string()
    }

    fn decode(text: &str) -> Result<Self, Refusal> {
        let (version, namespace, name) = serde_json::from_str(text)
            .map_err(|_| Refusal::bad_request("continue key is not valid: got something that no list returned"))?;
        Ok(Self { version, after: (namespace, name) })
    }
}

impl State {
    pub(super) fn get(&self, call: &Call, stale: Duration) -> Result<Answer, Refusal> {
        if call.parameter("resourceVersion") == "0" && !stale.is_zero() {
            let snapshot = self.store.snapshot(call.kind.resource(), self.stale_version(stale));
            let object = snapshot.get(&Self::key(call));
            let object = object.ok_or_else(|| Refusal::not_found(&call.kind, &call.name))?;
            return Ok(Answer::Json(200, shown(object, call.is_metadata_only)));
        }
        Ok(Answer::Json(200, shown(&*self.existing(call)?, call.is_metadata_only)))
    }

    /// The state that a stale cache shows. Never older than the history.
    fn stale_version(&self, lag: Duration) -> u64 {
        let then = Instant::now().checked_sub(lag);
        let version = then.map_or(self.store.compacted(), |then| self.store.version_at(then));
        version.max(self.store.compacted())
    }

    /// The version of a list, and the key after which its page starts.
    fn start(&self, call: &Call, stale: Duration) -> Result<(u64, Option<(String, String)>), Refusal> {
        let now = self.store.version();
        match (call.parameter("continue"), call.parameter("resourceVersion")) {
            ("", "") => Ok((now, None)),
            ("", "0") => Ok((self.stale_version(stale), None)),
            ("", text) => {
                let wanted = version(text)?;
                if wanted > now {
                    let message = format!("Too large resource version: {wanted}, current: {now}");
                    return Err(Refusal::new(504, "Timeout", message));
                }
                let is_exact = call.parameter("resourceVersionMatch") == "Exact";
                Ok((if is_exact { wanted } else { now }, None))
            }
            (token, _) => Continue::decode(token).map(|token| (token.version, Some(token.after))),
        }
    }

    pub(super) fn list(&self, call: &Call, stale: Duration) -> Result<Answer, Refusal> {
        let selector = Selector::read(call.parameter("labelSelector"), call.parameter("fieldSelector"), &call.kind)?;
        let limit = match call.parameter("limit") {
            "" | "0" => usize::MAX,
            text => {
                text.parse().map_err(|_| Refusal::bad_request(format!("limit: got {text:?}, expected a number")))?
            }
        };
        let (at, after) = self.start(call, stale)?;
        if at < self.store.compacted() {
            return Err(Refusal::expired(at, self.store.compacted()));
        }
        let snapshot = self.store.snapshot(call.kind.resource(), at);
        let mut found = snapshot.iter().filter(|(key, object)| {
            let is_here = call.namespace.is_empty() || key.namespace == call.namespace;
            let is_later = after.as_ref().is_none_or(|(namespace, name)| {
                (key.namespace.as_str(), key.name.as_str()) > (namespace.as_str(), name.as_str())
            });
            is_here && is_later && selector.matches(object)
        });
        let page: Vec<(&Key, &Arc<Value>)> = found.by_ref().take(limit).collect();
        let rest = found.count();
        let is_builtin = matches!(call.kind.rules, crate::kind::Rules::Builtin(_));
        let mut metadata = json!({"resourceVersion": at.to_string()});
        if !is_builtin {
            // Lists of custom resources state that nothing remains, others omit it.
            metadata["continue"] = json!("");
        }
        if let (Some((last, _)), true) = (page.last(), rest > 0) {
            let token = Continue { version: at, after: (last.namespace.clone(), last.name.clone()) };
            metadata["continue"] = Value::from(token.encode());
            if selector.is_everything() {
                metadata["remainingItemCount"] = Value::from(rest);
            }
        }
        let items = page.into_iter().map(|(_, object)| {
            let mut item = shown(object, call.is_metadata_only);
            if let (Some(item), true) = (item.as_object_mut(), is_builtin && !call.is_metadata_only) {
                // The list's own type says it for built-in kinds.
                item.remove("kind");
                item.remove("apiVersion");
            }
            item
        });
        let items: Vec<Value> = items.collect();
        let (kind, api_version) = match call.is_metadata_only {
            true => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
            false => (format!("{}List", call.kind.kind), call.kind.api_version()),
        };
        Ok(Answer::Json(200, json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items})))
    }

    pub(super) fn watch(&self, call: &Call) -> Result<Answer, Refusal> {
        let selector = Selector::read(call.parameter("labelSelector"), call.parameter("fieldSelector"), &call.kind)?;
        let seconds = call.parameter("timeoutSeconds").parse().unwrap_or(WATCH_SECONDS);
        let marks_initial = call.is_set("sendInitialEvents");
        let from = match call.parameter("resourceVersion") {
            "" | "0" => None,
            _ if marks_initial => None,
            text => Some(version(text)?),
        };
        Ok(Answer::Watch(Watch {
            kind: Arc::clone(&call.kind),
            namespace: call.namespace.clone(),
            selector,
            from,
            marks_initial,
            has_bookmarks: call.is_set("allowWatchBookmarks"),
            is_metadata_only: call.is_metadata_only,
            ends: Instant::now() + Duration::from_secs(seconds),
        }))
    }
}
