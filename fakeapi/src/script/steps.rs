//! The script, step by step.

mod applies;
mod builtins;
mod deletions;
mod reads;
mod writes;

use http::Method;
use serde_json::{Value, json};

use super::{Action, Step};

const GADGETS: &str = "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets";
const ONE: &str = "/apis/test.netprecursor.io/v1/namespaces/{ns}/gadgets/one";
const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";

fn gadget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "test.netprecursor.io/v1", "kind": "Gadget", "metadata": {"name": name}, "spec": spec})
}

fn gadget_with(name: &str, metadata: Value, spec: Value) -> Value {
    let mut gadget = gadget(name, spec);
    for (key, value) in metadata.as_object().into_iter().flatten() {
        gadget["metadata"][key] = value.clone();
    }
    gadget
}

/// Collects the steps.
struct Script(Vec<Step>);

impl Script {
    fn ask(&mut self, name: &'static str, method: Method, path: &'static str, content: &'static str, body: Value) {
        self.0.push(Step { name, action: Action::Ask { method, path, content, body } });
    }

    fn get(&mut self, name: &'static str, path: &'static str) {
        self.ask(name, Method::GET, path, "", Value::Null);
    }

    fn post(&mut self, name: &'static str, path: &'static str, body: Value) {
        self.ask(name, Method::POST, path, "", body);
    }

    fn put(&mut self, name: &'static str, path: &'static str, body: Value) {
        self.ask(name, Method::PUT, path, "", body);
    }

    fn apply(&mut self, name: &'static str, path: &'static str, body: Value) {
        self.ask(name, Method::PATCH, path, APPLY, body);
    }

    fn merge(&mut self, name: &'static str, path: &'static str, body: Value) {
        self.ask(name, Method::PATCH, path, MERGE, body);
    }

    fn delete(&mut self, name: &'static str, path: &'static str, body: Value) {
        self.ask(name, Method::DELETE, path, "", body);
    }

    fn watch(&mut self, name: &'static str, path: String, events: usize) {
        self.0.push(Step { name, action: Action::Watch { path, events } });
    }

    fn gone(&mut self, name: &'static str, path: &'static str) {
        self.0.push(Step { name, action: Action::Gone { path } });
    }
}

/// The script. Later steps depend on earlier ones.
pub fn steps() -> Vec<Step> {
    let mut script = Script(Vec::new());
    writes::writes(&mut script);
    writes::refusals(&mut script);
    applies::applies(&mut script);
    applies::statuses(&mut script);
    reads::reads(&mut script);
    deletions::deletions(&mut script);
    builtins::builtins(&mut script);
    script.0
}
