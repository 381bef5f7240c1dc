//! What operator and agents asked the API server for in all stories before this one, by its audit log: nothing that they
//! need was refused, and nothing that they may do goes unused. Last by name, so that it comes last.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
};

use k8s_openapi::api::{
    core::v1::Node,
    rbac::v1::{ClusterRole, PolicyRule, Role},
};
use kube::{Api, ResourceExt as _, api::ListParams};
use netprecursor_e2e::{
    Error,
    apiserver::{Request, audit},
    cluster::{SYSTEM_NAMESPACE, Story, story},
    product::Product,
};

use crate::shared::request;

/// Below `/var/log` of the API server's node, where `cargo xtask cluster` has it written.
const LOG: &str = "kubernetes/audit.log";
const ACCOUNTS: [&str; 2] = ["netprecursor-operator", "netprecursor-agent"];

/// `VERB [GROUP/]RESOURCE[/SUBRESOURCE]`.
type Right = String;

/// The log; `None` where the server writes none.
async fn log(story: &Story) -> Result<Option<Vec<Request>>, Error> {
    let nodes: Api<Node> = Api::all(story.client());
    let params = ListParams::default().labels("node-role.kubernetes.io/control-plane");
    let nodes = nodes.list(&params).await.map_err(request("listing nodes"))?.items;
    let Some(node) = nodes.first() else { return Ok(None) };
    let path = format!("/api/v1/nodes/{}/proxy/logs/{LOG}", node.name_any());
    let asked = http::Request::get(path).body(Vec::new()).unwrap();
    match story.client().request_text(asked).await {
        Ok(text) => audit::parse(&text).map(Some),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(request("reading the audit log")(error)),
    }
}

fn account(of: &Request) -> Option<&'static str> {
    let prefix = format!("system:serviceaccount:{SYSTEM_NAMESPACE}:");
    let name = of.acting_user().strip_prefix(&prefix)?;
    ACCOUNTS.into_iter().find(|account| *account == name)
}

fn right(verb: &str, group: &str, resource: &str) -> Right {
    if group.is_empty() { format!("{verb} {resource}") } else { format!("{verb} {group}/{resource}") }
}

/// The rights that an answered request takes.
fn rights_of(asked: &Request) -> Vec<Right> {
    let Some(object) = &asked.object_ref else { return Vec::new() };
    let resource = match object.subresource.as_str() {
        "" => object.resource.clone(),
        subresource => format!("{}/{subresource}", object.resource),
    };
    let mut rights = vec![right(&asked.verb, &object.api_group, &resource)];
    // Server-side apply of what is not there takes the right to create as well.
    if asked.verb == "patch" && asked.code() == 201 {
        rights.push(right("create", &object.api_group, &resource));
    }
    rights
}

/// Requests that were refused while the access rules were there: not while Helm takes them away, or the server has only
/// just started and does not know them yet.
fn refused(requests: &[Request]) -> Vec<&Request> {
    let mut sorted: Vec<&Request> = requests.iter().collect();
    sorted.sort_by(|one, other| one.request_received_timestamp.cmp(&other.request_received_timestamp));
    let (mut absent, mut refused) = (BTreeSet::new(), Vec::new());
    for asked in sorted {
        let Some(object) = &asked.object_ref else { continue };
        let is_binding = object.resource.ends_with("rolebindings") && object.name.starts_with("netprecursor");
        let key = (&object.resource, &object.namespace, &object.name);
        match asked.verb.as_str() {
            "delete" if is_binding && asked.code() < 300 => drop(absent.insert(key)),
            _ if is_binding && asked.code() < 300 => drop(absent.remove(&key)),
            _ => {}
        }
        let reason = asked.annotations.get("authorization.k8s.io/reason").map_or("", String::as_str);
        let is_refused = asked.code() == 403 && account(asked).is_some();
        if is_refused && absent.is_empty() && !reason.contains("not found") {
            refused.push(asked);
        }
    }
    refused
}

/// The rights of one rule.
fn rights_by(rule: &PolicyRule) -> BTreeSet<Right> {
    let all = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let mut rights = BTreeSet::new();
    for group in all(&rule.api_groups) {
        for resource in all(&rule.resources) {
            rights.extend(rule.verbs.iter().map(|verb| right(verb, &group, &resource)));
        }
    }
    rights
}

/// The rules of the chart's roles, by account.
async fn rules(story: &Story) -> Result<BTreeMap<&'static str, Vec<PolicyRule>>, Error> {
    let clusterwide: Api<ClusterRole> = Api::all(story.client());
    let own: Api<Role> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
    let mut rules = BTreeMap::new();
    for account in ACCOUNTS {
        let wide = clusterwide.get(account).await.map_err(request(format!("getting ClusterRole {account}")))?;
        let own = own.get(account).await.map_err(request(format!("getting Role {account}")))?;
        rules.insert(account, [wide.rules.unwrap_or_default(), own.rules.unwrap_or_default()].concat());
    }
    Ok(rules)
}

/// What is allowed and was never asked for: rules of which nothing was used, and rights of the others.
#[expect(clippy::print_stdout, reason = "a story prints its findings")]
async fn unused(story: &Story, requests: &[Request]) -> Result<(Vec<String>, Vec<String>), Error> {
    let mut used: BTreeMap<&str, BTreeSet<Right>> = BTreeMap::new();
    for asked in requests.iter().filter(|asked| asked.code() < 400 || asked.code() == 404 || asked.code() == 409) {
        if let Some(account) = account(asked) {
            used.entry(account).or_default().extend(rights_of(asked));
        }
    }
    let (mut unused_rules, mut unused_rights) = (Vec::new(), Vec::new());
    for (account, rules) in rules(story).await? {
        let used = used.remove(account).unwrap_or_default();
        println!("{account} used {} rights: {}", used.len(), used.iter().cloned().collect::<Vec<_>>().join(", "));
        for rule in &rules {
            let rights = rights_by(rule);
            let left: Vec<String> = rights.difference(&used).map(|right| format!("{account}: {right}")).collect();
            if left.len() == rights.len() {
                unused_rules.push(left.join(", "));
            } else {
                unused_rights.extend(left);
            }
        }
    }
    Ok((unused_rules, unused_rights))
}

#[tokio::test]
async fn nothing_that_operator_or_agents_asked_for_was_refused() {
    story("refusals", async |story| {
        let Some(requests) = log(story).await? else {
            println!("skipped: the API server writes no audit log to /var/log/{LOG} of its node");
            return Ok(());
        };
        let ours = requests.iter().filter(|asked| account(asked).is_some()).count();
        assert!(ours > 0, "nothing in {} requests is by {ACCOUNTS:?}", requests.len());
        let refused: BTreeSet<String> = refused(&requests)
            .into_iter()
            .map(|asked| format!("{} {} {}", account(asked).unwrap_or_default(), asked.verb, asked.uri))
            .collect();
        println!("{ours} requests");
        assert!(refused.is_empty(), "{refused:#?}");
        Ok::<_, Error>(())
    })
    .await;
}

/// Rights that the regular stories do not use: those of the operator for what is lost.
mod nightly {
    use super::*;

    #[tokio::test]
    #[ignore = "nightly: after all other stories; E2E_STORIES=nightly make e2e"]
    async fn every_rule_of_the_roles_was_used() {
        story("rights", async |story| {
            let Some(requests) = log(story).await? else {
                println!("skipped: the API server writes no audit log to /var/log/{LOG} of its node");
                return Ok(());
            };
            if env::var("E2E_STORIES").as_deref() != Ok("nightly") {
                println!("skipped: only all stories together use every right; expected E2E_STORIES=nightly");
                return Ok(());
            }
            Product::new(story.cluster()).install(&[]).await?;
            let (rules, rights) = unused(story, &requests).await?;
            println!("rights that were not used, of rules that were: {rights:#?}");
            assert!(rules.is_empty(), "rules of which nothing was used: {rules:#?}");
            Ok::<_, Error>(())
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn asked(at: u32, user: &str, verb: &str, object: Value, code: u16, reason: &str) -> Request {
        serde_json::from_value(json!({
            "stage": "ResponseComplete", "requestURI": "/", "verb": verb, "user": {"username": user},
            "objectRef": object, "responseStatus": {"code": code},
            "annotations": {"authorization.k8s.io/reason": reason},
            "requestReceivedTimestamp": format!("2026-01-01T00:00:{at:02}.000000Z"),
        }))
        .unwrap()
    }

    #[test]
    fn what_is_refused_counts_only_while_the_rules_are_there() {
        let agent = "system:serviceaccount:netprecursor-system:netprecursor-agent";
        let pods = json!({"resource": "pods"});
        let binding = json!({"resource": "clusterrolebindings", "name": "netprecursor-agent"});
        let requests = [
            asked(1, agent, "list", pods.clone(), 403, "role.rbac not found"),
            asked(2, "helm", "delete", binding.clone(), 200, ""),
            asked(3, agent, "list", pods.clone(), 403, ""),
            asked(5, agent, "watch", pods.clone(), 403, ""),
            asked(4, "helm", "create", binding, 201, ""),
            asked(6, "somebody", "list", pods, 403, ""),
        ];
        let refused: Vec<&str> = refused(&requests).into_iter().map(|asked| asked.verb.as_str()).collect();
        assert_eq!(refused, ["watch"]);
    }

    #[test]
    fn an_apply_that_makes_an_object_uses_two_rights() {
        let status = json!({"resource": "alerts", "apiGroup": "g", "subresource": "status"});
        assert_eq!(rights_of(&asked(1, "a", "patch", status, 200, "")), ["patch g/alerts/status"]);
        let object = json!({"resource": "configmaps"});
        assert_eq!(rights_of(&asked(1, "a", "patch", object, 201, "")), ["patch configmaps", "create configmaps"]);
    }
}
