//! The server: what requests do to objects. Synchronous; waiting and faults are the service's.

mod list;
mod remove;
mod write;

use std::sync::Arc;

use jiff::Timestamp;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    access::Access,
    audit::Log,
    clock::Clock,
    kind::{Kind, Kinds},
    refusal::Refusal,
    request::{Call, Verb},
    selector::Selector,
    store::{Key, Store},
};

/// The state of the server.
pub(crate) struct State {
    pub(crate) kinds: Arc<Kinds>,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) access: Access,
    pub(crate) log: Log,
    random: ChaCha8Rng,
    collects_garbage: bool,
}

/// The objects of a server at a date.
#[derive(Debug)]
pub(crate) struct Frozen {
    kinds: Arc<Kinds>,
    store: Store,
    date: Timestamp,
    collects_garbage: bool,
}

impl Frozen {
    /// A server that goes on from here, without history, log and rules.
    pub(crate) fn thaw(&self, seed: u64) -> State {
        // A server started with the same seed must not draw the frozen server's values again.
        let seed = seed ^ self.store.version().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut state = State::new(Arc::clone(&self.kinds), seed, self.date);
        state.store = self.store.fork();
        state.collects_garbage = self.collects_garbage;
        state
    }
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A JSON body with a status.
    Json(u16, Value),
    /// A stream of events.
    Watch(Watch),
}

/// The parameters of a watch.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) kind: Arc<Kind>,
    pub(crate) namespace: String,
    pub(crate) selector: Selector,
    /// Changes after this version are sent; `None` starts with the current objects.
    pub(crate) from: Option<u64>,
    /// Whether a bookmark ends the initial events.
    pub(crate) marks_initial: bool,
    pub(crate) has_bookmarks: bool,
    pub(crate) is_metadata_only: bool,
    pub(crate) ends: Instant,
}

/// Letters of generated names: no vowels, so that no words come out.
const NAME_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The default duration of a watch.
const WATCH_SECONDS: u64 = 1800;

impl State {
    pub(crate) fn new(kinds: Arc<Kinds>, seed: u64, epoch: Timestamp) -> Self {
        Self {
            kinds,
            store: Store::default(),
            clock: Clock::starting_at(epoch),
            access: Access::default(),
            log: Log::default(),
            random: ChaCha8Rng::seed_from_u64(seed),
            collects_garbage: true,
        }
    }

    /// The part that outlives the runtime: objects and the date.
    pub(crate) fn freeze(&self) -> Frozen {
        Frozen {
            kinds: Arc::clone(&self.kinds),
            store: self.store.fork(),
            date: self.clock.now(),
            collects_garbage: self.collects_garbage,
        }
    }

    /// Whether objects are deleted once their owners are gone.
    pub(crate) fn collect_garbage(&mut self, is_on: bool) {
        self.collects_garbage = is_on;
    }

    /// Answers a request from a cache that lags by `stale`.
    pub(crate) fn handle(&mut self, call: &Call, stale: std::time::Duration) -> Result<Answer, Refusal> {
        let before = self.store.version();
        let answer = self.answer(call, stale);
        let code = match &answer {
            Ok(Answer::Json(code, _)) => *code,
            Ok(Answer::Watch(_)) => 200,
            Err(refusal) => refusal.code,
        };
        let has_changed = self.store.version() != before;
        let name = match &answer {
            // A create has the name in the body, or lets the server generate it.
            Ok(Answer::Json(_, object)) if call.verb == Verb::Create => object["metadata"]["name"].as_str(),
            Err(refusal) if call.verb == Verb::Create => refusal.details["name"].as_str(),
            _ => None,
        };
        self.log.add(call, name.unwrap_or(&call.name), code, has_changed, self.clock.elapsed());
        answer
    }

    fn answer(&mut self, call: &Call, stale: std::time::Duration) -> Result<Answer, Refusal> {
        if !self.access.allows(call) {
            return Err(Refusal::forbidden(&call.user, call.verb.as_str(), &call.kind, &call.name));
        }
        match call.verb {
            Verb::Get => self.get(call, stale),
            Verb::List => self.list(call, stale),
            Verb::Watch => self.watch(call),
            Verb::Create => self.create(call),
            Verb::Update => self.update(call),
            Verb::Patch => self.patch(call),
            Verb::Delete => self.delete(call),
            Verb::DeleteCollection => self.delete_collection(call),
        }
    }

    pub(crate) fn key(call: &Call) -> Key {
        key(&call.kind, &call.namespace, &call.name)
    }

    fn existing(&self, call: &Call) -> Result<Arc<Value>, Refusal> {
        let object = self.store.object(&Self::key(call)).cloned();
        object.ok_or_else(|| Refusal::not_found(&call.kind, &call.name))
    }

    fn new_uid(&mut self) -> String {
        let (high, low) = (self.random.next_u64(), self.random.next_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            0x8000 | low >> 50 & 0x3fff,
            low & 0xffff_ffff_ffff
        )
    }

    fn new_suffix(&mut self) -> String {
        let letters = NAME_LETTERS.len() as u32;
        (0..5).map(|_| char::from(NAME_LETTERS[(self.random.next_u32() % letters) as usize])).collect()
    }
}

/// Where an object of a kind is.
pub(crate) fn key(kind: &Kind, namespace: &str, name: &str) -> Key {
    Key { resource: Arc::clone(&kind.id), namespace: namespace.to_owned(), name: name.to_owned() }
}

/// The object as a client that asks for metadata only sees it.
pub(crate) fn shown(object: &Value, is_metadata_only: bool) -> Value {
    if !is_metadata_only {
        return object.clone();
    }
    serde_json::json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
    })
}

/// A version as a number; versions of this server are decimal.
fn version(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| Refusal::bad_request(format!("Invalid value: {text:?}: strconv.ParseUint: parsing")))
}
