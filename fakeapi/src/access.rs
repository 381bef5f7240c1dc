//! Authorization by RBAC rules.

use std::{cell::Cell, sync::Mutex};

use serde::Deserialize;

use crate::request::Call;

/// A rule of a Role or ClusterRole.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Verbs; `*` for all.
    pub verbs: Vec<String>,
    /// API groups; empty for the core group.
    #[serde(default)]
    pub api_groups: Vec<String>,
    /// Resources, with `/status` for that part.
    #[serde(default)]
    pub resources: Vec<String>,
    /// Names; all when there are none.
    #[serde(default)]
    pub resource_names: Vec<String>,
}

/// The rules of a user, in one namespace or all.
#[derive(Debug, Default)]
pub(crate) struct Access {
    grants: Vec<Grant>,
    used: Mutex<Vec<Vec<Used>>>,
}

#[derive(Debug)]
struct Grant {
    user: String,
    namespace: Option<String>,
    rule: Rule,
}

/// One permission of a rule, and whether a request needed it.
#[derive(Debug, Clone)]
struct Used {
    verb: String,
    group: String,
    resource: String,
    is_used: Cell<bool>,
}

impl Access {
    /// Grants a rule to a user, in a namespace or, with `None`, everywhere.
    pub(crate) fn grant(&mut self, user: &str, namespace: Option<&str>, rule: Rule) {
        let mut used = Vec::new();
        for verb in &rule.verbs {
            for group in &rule.api_groups {
                for resource in &rule.resources {
                    let (verb, group, resource) = (verb.clone(), group.clone(), resource.clone());
                    used.push(Used { verb, group, resource, is_used: Cell::new(false) });
                }
            }
        }
        if let Ok(mut all) = self.used.lock() {
            all.push(used);
        }
        self.grants.push(Grant { user: user.to_owned(), namespace: namespace.map(str::to_owned), rule });
    }

    /// Whether a rule allows it. A user without any rule is an administrator.
    pub(crate) fn allows(&self, call: &Call) -> bool {
        let mut is_known = false;
        let mut is_allowed = false;
        for (index, grant) in self.grants.iter().enumerate().filter(|(_, grant)| grant.user == call.user) {
            is_known = true;
            if grant.allows(call) {
                is_allowed = true;
                self.mark(index, call);
            }
        }
        is_allowed || !is_known
    }

    fn mark(&self, index: usize, call: &Call) {
        let Ok(used) = self.used.lock() else { return };
        let resource = resource(call);
        for permission in used.get(index).into_iter().flatten() {
            let is_it = permission.verb == call.verb.as_str()
                && permission.group == call.kind.group
                && permission.resource == resource;
            if is_it {
                permission.is_used.set(true);
            }
        }
    }

    /// Permissions that no request needed so far, as `user: verb resource.group`.
    pub(crate) fn unused(&self) -> Vec<String> {
        let Ok(used) = self.used.lock() else { return Vec::new() };
        let mut words = Vec::new();
        for (grant, permissions) in self.grants.iter().zip(used.iter()) {
            for permission in permissions.iter().filter(|permission| !permission.is_used.get()) {
                let group = if permission.group.is_empty() { "" } else { "." };
                let Used { verb, resource, group: name, .. } = permission;
                words.push(format!("{}: {verb} {resource}{group}{name}", grant.user));
            }
        }
        words
    }
}

impl Grant {
    fn allows(&self, call: &Call) -> bool {
        let has = |list: &[String], wanted: &str| list.iter().any(|entry| entry == "*" || entry == wanted);
        let rule = &self.rule;
        self.namespace.as_ref().is_none_or(|namespace| *namespace == call.namespace)
            && has(&rule.verbs, call.verb.as_str())
            && has(&rule.api_groups, &call.kind.group)
            && has(&rule.resources, &resource(call))
            && (rule.resource_names.is_empty() || rule.resource_names.contains(&call.name))
    }
}

fn resource(call: &Call) -> String {
    let part = if call.subresource.is_empty() { "" } else { "/" };
    format!("{}{part}{}", call.kind.plural, call.subresource)
}
