//! `install-check`: whether a cluster is fit for netprecursor, and whether what is installed works; before and after.

mod facts;
#[cfg(test)]
mod tests;
mod words;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment},
        coordination::v1::Lease,
        core::v1::Namespace,
    },
    apimachinery::pkg::version::Info,
};
use serde::Serialize;

use super::connect::Answer;

pub(super) use facts::ask;
use facts::{Definition, DryRun, Facts};
pub(super) use words::text;

/// The oldest API server that is supported.
const OLDEST: (u32, u32) = (1, 32);

/// Says how strictly Pod Security judges the pods of a namespace.
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// What was checked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstallCheck {
    /// Whether nothing is bad.
    pub(super) is_well: bool,
    /// Where netprecursor is, or would be.
    install_namespace: String,
    /// Whether it is there.
    is_installed: bool,
    checks: Vec<Check>,
}

/// One line.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    name: &'static str,
    verdict: Verdict,
    says: String,
    /// What to do, where there is something to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Verdict {
    Good,
    Bad,
    /// Not known, or not there yet as it is right.
    Open,
}

impl Check {
    fn good(name: &'static str, says: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Good, says: says.into(), fix: None }
    }

    fn bad(name: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Bad, says: says.into(), fix: Some(fix.into()) }
    }

    fn open(name: &'static str, says: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Open, says: says.into(), fix: None }
    }

    fn hidden(name: &'static str, message: &str) -> Self {
        Self::open(name, format!("not permitted to know: {message}"))
    }

    fn with_fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

/// The verdicts, by the facts.
pub(super) fn report(facts: &Facts, now: Timestamp) -> InstallCheck {
    let has_definition = facts.definitions.iter().any(|(_, definition)| matches!(definition, Definition::There { .. }));
    let has_operator = matches!(facts.operator, Answer::Found(_));
    let is_installed = has_definition || has_operator;
    let mut checks = vec![server(&facts.version)];
    checks.push(definitions(&facts.definitions, is_installed));
    checks.push(operator(&facts.operator, &facts.namespace, is_installed));
    checks.extend(has_operator.then(|| lease(&facts.lease, now)));
    checks.push(agents(&facts.agents, &facts.has_policy, &facts.namespace));
    checks.push(admission(facts, has_operator));
    checks.push(pod_security(&facts.place, &facts.dry_run, &facts.namespace));
    checks.push(rights(&facts.may_create, &facts.user_namespace));
    let is_well = checks.iter().all(|check| check.verdict != Verdict::Bad);
    InstallCheck { is_well, install_namespace: facts.namespace.clone(), is_installed, checks }
}

fn server(info: &Info) -> Check {
    const NAME: &str = "API server";
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u32>().ok();
    let (wanted_major, wanted_minor) = OLDEST;
    match number(&info.major).zip(number(&info.minor)) {
        Some(version) if version >= OLDEST => {
            Check::good(NAME, format!("{}, expected {wanted_major}.{wanted_minor} or later", info.git_version))
        }
        Some(_) => Check::bad(
            NAME,
            format!("{}, expected {wanted_major}.{wanted_minor} or later", info.git_version),
            "upgrade the cluster",
        ),
        None => Check::open(NAME, format!("got a version that cannot be read: {}.{}", info.major, info.minor)),
    }
}

fn definitions(definitions: &[(String, Definition)], is_installed: bool) -> Check {
    const NAME: &str = "definitions";
    let fix = "`helm upgrade --install` with crds.enabled=true (the default) makes them";
    let of = |is: fn(&Definition) -> bool| {
        let names = definitions.iter().filter(|(_, definition)| is(definition)).map(|(name, _)| name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let absent = of(|definition| matches!(definition, Definition::Absent));
    let unserved = of(|definition| matches!(definition, Definition::There { serves: false, .. }));
    let waiting = of(|definition| matches!(definition, Definition::There { is_established: Some(false), .. }));
    let is_seen = definitions.iter().all(|(_, definition)| {
        matches!(definition, Definition::There { is_established: Some(_), .. } | Definition::Absent)
    });
    match (absent.is_empty(), unserved.is_empty(), waiting.is_empty()) {
        (false, ..) if !is_installed => {
            Check::open(NAME, "none yet").with_fix("helm install netprecursor … (docs/install.md)")
        }
        (false, ..) => Check::bad(NAME, format!("missing: {absent}"), fix),
        (_, false, _) => Check::bad(NAME, format!("do not serve v1alpha1: {unserved}"), fix),
        (.., false) => {
            Check::bad(NAME, format!("not Established: {waiting}"), "`kubectl describe crd` says which names are taken")
        }
        _ => {
            let how = if is_seen { "served and Established" } else { "served" };
            Check::good(NAME, format!("{} of v1alpha1 {how}", definitions.len()))
        }
    }
}

fn operator(operator: &Answer<Deployment>, namespace: &str, is_installed: bool) -> Check {
    const NAME: &str = "operator";
    let deployment = match operator {
        Answer::Found(deployment) => deployment,
        Answer::Absent if is_installed => {
            let fix = "helm install netprecursor … (docs/install.md), or --install-namespace when it is elsewhere";
            return Check::bad(NAME, format!("no Deployment in {namespace}, nor anywhere that may be seen"), fix);
        }
        Answer::Absent => return Check::open(NAME, "none yet"),
        Answer::Forbidden(message) => return Check::hidden(NAME, message),
    };
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    let status = deployment.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let available = conditions.iter().find(|condition| condition.type_ == "Available");
    let ready = status.and_then(|status| status.ready_replicas).unwrap_or(0);
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let says = format!("{namespace}/{name}: {ready} of {wanted} ready");
    match available {
        Some(condition) if condition.status == "True" && ready > 0 => Check::good(NAME, says),
        _ => {
            let why =
                available.and_then(|condition| condition.message.clone()).unwrap_or_else(|| "not available".to_owned());
            Check::bad(NAME, format!("{says}; {why}"), format!("kubectl -n {namespace} describe deployment {name}"))
        }
    }
}

fn lease(lease: &Answer<Lease>, now: Timestamp) -> Check {
    const NAME: &str = "leader";
    let spec = match lease {
        Answer::Found(lease) => lease.spec.clone().unwrap_or_default(),
        Answer::Absent => return Check::bad(NAME, "no operator has ever led", "the operator's log says why"),
        Answer::Forbidden(message) => return Check::hidden(NAME, message),
    };
    let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
    let held_until = spec
        .renew_time
        .map(|renewed| renewed.0.as_second().saturating_add(i64::from(spec.lease_duration_seconds.unwrap_or(0))));
    match (holder, held_until) {
        (Some(holder), Some(until)) if until >= now.as_second() => Check::good(NAME, format!("{holder} leads")),
        (Some(holder), _) => {
            Check::bad(NAME, format!("{holder} no longer renews its lease"), "the operator's log says why")
        }
        (None, _) => Check::bad(NAME, "no operator leads", "the operator's log says why"),
    }
}

fn agents(agents: &Answer<DaemonSet>, has_policy: &Answer<bool>, namespace: &str) -> Check {
    const NAME: &str = "agents";
    let agents = match (agents, has_policy) {
        (Answer::Found(agents), _) => agents,
        (Answer::Absent, Answer::Found(true)) => {
            return Check::bad(
                NAME,
                "there are policies, and no DaemonSet",
                "the operator makes it: its log says why not",
            );
        }
        (Answer::Absent, Answer::Forbidden(message)) => {
            return Check::open(
                NAME,
                format!("no DaemonSet; whether there should be one is not to be known: {message}"),
            );
        }
        (Answer::Absent, _) => return Check::open(NAME, "none yet: they start with the first policy"),
        (Answer::Forbidden(message), _) => return Check::hidden(NAME, message),
    };
    let status = agents.status.clone().unwrap_or_default();
    let (ready, wanted) = (status.number_ready, status.desired_number_scheduled);
    let says = format!("{ready} of {wanted} ready");
    match wanted {
        0 => Check::bad(
            NAME,
            "no node is fit for one",
            "see agent.nodeSelector, agent.affinity and agent.tolerations in the values",
        ),
        _ if ready >= wanted => Check::good(NAME, says),
        _ => Check::bad(
            NAME,
            says,
            format!("`kubectl netprecursor doctor`, or kubectl -n {namespace} describe daemonset"),
        ),
    }
}

fn admission(facts: &Facts, has_operator: bool) -> Check {
    const NAME: &str = "admission policies";
    match (&facts.serves_admission, &facts.admission_policies) {
        (false, _) => Check::bad(
            NAME,
            "the API server does not serve ValidatingAdmissionPolicy (admissionregistration.k8s.io/v1)",
            "switch it on, or install with admissionPolicy.enabled=false: then an agent may write what other nodes' agents write",
        ),
        (true, Answer::Found(0)) if has_operator => Check::open(NAME, "served; none of netprecursor's are there")
            .with_fix("admissionPolicy.enabled=true keeps agents to their own node's objects"),
        (true, Answer::Found(count)) if has_operator => {
            Check::good(NAME, format!("served; {count} of netprecursor's are there"))
        }
        (true, _) => Check::good(NAME, "served"),
    }
}

fn pod_security(place: &Answer<Namespace>, dry_run: &DryRun, namespace: &str) -> Check {
    const NAME: &str = "Pod Security";
    let fix = format!("kubectl label namespace {namespace} {ENFORCE}=privileged --overwrite");
    let labels = match place {
        Answer::Found(place) => place.metadata.labels.clone().unwrap_or_default(),
        Answer::Absent => return Check::open(NAME, format!("namespace {namespace} is not there yet")).with_fix(fix),
        Answer::Forbidden(message) => return Check::hidden(NAME, message),
    };
    match (labels.get(ENFORCE).map(String::as_str), dry_run) {
        (Some("privileged"), _) => Check::good(NAME, format!("namespace {namespace} admits agents")),
        (Some(level), _) => {
            Check::bad(NAME, format!("namespace {namespace} enforces {level}, which refuses agents"), fix)
        }
        (None, DryRun::Admitted) => {
            Check::good(NAME, format!("namespace {namespace} admits agents: the API server took one on trial"))
        }
        (None, DryRun::Refused(message)) => {
            Check::bad(NAME, format!("namespace {namespace} refuses agents: {message}"), fix)
        }
        (None, DryRun::Unknown(message)) => {
            let says = format!(
                "namespace {namespace} has no label, and whether the cluster's default admits agents is not known: {message}"
            );
            Check::open(NAME, says).with_fix(fix)
        }
    }
}

fn rights(may_create: &Answer<(bool, String)>, namespace: &str) -> Check {
    const NAME: &str = "your rights";
    match may_create {
        Answer::Found((true, _)) => Check::good(NAME, format!("you may create policies in {namespace}")),
        Answer::Found((false, reason)) => {
            let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            let fix =
                "have somebody bind you to the ClusterRole edit there: the chart adds policies to it (rbac.aggregate)";
            Check::bad(NAME, format!("you may not create policies in {namespace}{reason}"), fix)
        }
        Answer::Absent => Check::open(NAME, "the API server does not review access"),
        Answer::Forbidden(message) => Check::hidden(NAME, message),
    }
}
