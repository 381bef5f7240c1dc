//! `install-check`: whether a cluster can run netprecursor and whether the installation works, before and after installing.

mod external_metrics;
mod facts;
#[cfg(test)]
mod tests;
mod words;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment},
        core::v1::Namespace,
    },
    apimachinery::pkg::version::Info,
};
use netprecursor_crds::diagnosis::{self, Diagnosis, Finding, Known, Severity, diagnose};
use serde::Serialize;

use super::connect::Answer;

pub(super) use facts::ask;
use facts::{Definition, DryRun, Facts};
pub(super) use words::text;

/// The oldest API server that is supported.
const OLDEST: (u32, u32) = (1, 32);

/// Says how strictly Pod Security judges the pods of a namespace.
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// Names of the checks whose verdict is that of a diagnosis.
const AGENTS: &str = "agents";
const POLICIES: &str = "policies";

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
        Self::open(name, format!("not permitted to check: {message}"))
    }

    /// What a diagnosis found.
    fn found(name: &'static str, finding: &Finding) -> Self {
        let verdict = if finding.severity == Severity::Fault { Verdict::Bad } else { Verdict::Open };
        let fix = (!finding.advice.is_empty()).then(|| finding.advice.clone());
        Self { name, verdict, says: finding.message.clone(), fix }
    }

    fn with_fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

/// The verdicts, by the facts.
pub(super) fn report(facts: &Facts, now: Timestamp) -> InstallCheck {
    let namespace = &facts.installed.namespace;
    let has_definition = facts.definitions.iter().any(|(_, definition)| matches!(definition, Definition::There { .. }));
    let is_installed = has_definition || facts.installed.operator.there().is_some();
    let policies = facts.policies.iter().flatten();
    let policies: Vec<_> = policies.map(|policy| policy.as_policy()).collect();
    let known = facts.installed.facts(policies, facts.has_policy(), None);
    let diagnosis = diagnose(&known, now);
    let mut checks = vec![server(&facts.version), definitions(&facts.definitions, is_installed)];
    checks.extend(one_release(facts));
    checks.extend(operator(&facts.installed.operator, &known, is_installed, now));
    checks.push(agents(&facts.installed.agents, &diagnosis, facts.has_policy()));
    checks.extend(policies_check(facts, &diagnosis));
    checks.push(admission(facts, facts.installed.operator.there().is_some()));
    checks.push(pod_security(&facts.place, &facts.dry_run, namespace));
    checks.extend(external_metrics::check(&facts.external_metrics));
    checks.push(rights(&facts.may_create, &facts.user_namespace));
    let is_well = checks.iter().all(|check| check.verdict != Verdict::Bad);
    InstallCheck { is_well, install_namespace: namespace.clone(), is_installed, checks }
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
        None => Check::open(NAME, format!("cannot parse the version {}.{}", info.major, info.minor)),
    }
}

fn definitions(definitions: &[(String, Definition)], is_installed: bool) -> Check {
    const NAME: &str = "definitions";
    let fix = "run `helm upgrade --install` with crds.enabled=true (the default)";
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
        (.., false) => Check::bad(
            NAME,
            format!("not Established: {waiting}"),
            "run `kubectl describe crd` to see which names are taken",
        ),
        _ => {
            let how = if is_seen { "served and Established" } else { "served" };
            Check::good(NAME, format!("{} of v1alpha1 {how}", definitions.len()))
        }
    }
}

/// Whether there is one release in the cluster; nothing where there is none.
fn one_release(facts: &Facts) -> Option<Check> {
    const NAME: &str = "one release";
    let operators = match &facts.operators {
        Answer::Found(operators) => operators.as_slice(),
        Answer::Absent => &[],
        Answer::Forbidden(message) => return Some(Check::hidden(NAME, message)),
    };
    let claim = match &facts.claim {
        Answer::Found(claim) => claim.as_ref(),
        Answer::Absent => None,
        Answer::Forbidden(message) => return Some(Check::hidden(NAME, message)),
    };
    let refused = operators.iter().find_map(|own| Some((own, claim?.refusal(own)?)));
    match (refused, operators, claim) {
        (Some((own, why)), ..) => {
            let fix =
                format!("run `helm uninstall RELEASE --namespace {own}` (`helm list --namespace {own}` lists it)");
            Some(Check::bad(NAME, format!("the operator in {own} does not work: {why}"), fix))
        }
        (None, [_, _, ..], _) => {
            let fix = "uninstall all of them but one: they measure everything twice and write the same objects";
            Some(Check::bad(NAME, format!("operators in namespaces {}", operators.join(", ")), fix))
        }
        (None, [own], None) => Some(Check::open(
            NAME,
            format!("in {own}, without the mark that keeps a second one from working (rbac.create)"),
        )),
        (None, [own], Some(_)) => Some(Check::good(NAME, format!("in {own}"))),
        (None, [], Some(claim)) => {
            let says = format!("release {} in {} has no operator", claim.release, claim.namespace);
            Some(Check::open(NAME, says))
        }
        (None, [], None) => None,
    }
}

/// The operator's Deployment, and who leads.
fn operator(
    operator: &Answer<Deployment>,
    known: &diagnosis::Facts<'_>,
    is_installed: bool,
    now: Timestamp,
) -> Vec<Check> {
    const NAMES: [&str; 2] = ["operator", "leader"];
    let place = &known.place;
    let (name, facts) = match (operator, &known.operator) {
        (Answer::Forbidden(message), _) => return vec![Check::hidden(NAMES[0], message)],
        (Answer::Found(deployment), Known::There(facts)) => (deployment.metadata.name.clone(), facts),
        _ if is_installed => return vec![Check::found(NAMES[0], &diagnosis::operator::missing(place))],
        _ => return vec![Check::open(NAMES[0], "none yet")],
    };
    let works = || {
        let (namespace, name, count) = (&place.namespace, name.unwrap_or_default(), facts.count());
        Check::good(NAMES[0], format!("{namespace}/{name}: {count}"))
    };
    let leads = match facts.leader(place, now) {
        Ok(Some(holder)) => Check::good(NAMES[1], format!("{holder} is the leader")),
        Ok(None) => Check::open(NAMES[1], "not permitted to see the Lease"),
        Err(finding) => Check::found(NAMES[1], &finding),
    };
    match facts.deployment(place) {
        None => vec![works(), leads],
        Some(finding) => vec![Check::found(NAMES[0], &finding), leads],
    }
}

/// The agents as a whole, or the first of them that does not work.
fn agents(agents: &Answer<DaemonSet>, diagnosis: &Diagnosis, has_policy: Option<bool>) -> Check {
    if let Some(finding) = diagnosis.findings.iter().find(|finding| finding.condition == "AgentsReady") {
        return Check::found(AGENTS, finding);
    }
    let faults = diagnosis.nodes.iter().filter_map(|stand| {
        let fault = stand.findings.first().filter(|finding| finding.severity == Severity::Fault)?;
        Some(Finding { message: format!("node {}: {}", stand.node, fault.message), ..fault.clone() })
    });
    if let Some(fault) = faults.into_iter().next() {
        return Check::found(AGENTS, &fault);
    }
    match (agents, diagnosis.tally.wanted, has_policy) {
        (Answer::Forbidden(message), ..) => Check::hidden(AGENTS, message),
        (Answer::Found(_), Some(wanted), _) => {
            Check::good(AGENTS, format!("{} of {wanted} ready", diagnosis.tally.working))
        }
        (.., None) => Check::open(AGENTS, "no DaemonSet; you may not see whether a policy needs one"),
        _ => Check::open(AGENTS, "none yet: they start with the first policy"),
    }
}

/// Whether what is installed does what policies ask for; nothing where there are none.
fn policies_check(facts: &Facts, diagnosis: &Diagnosis) -> Option<Check> {
    let policies = facts.policies.as_ref().filter(|policies| !policies.is_empty())?;
    let found = policies.iter().zip(&diagnosis.policies);
    let mut found: Vec<_> = found.flat_map(|(policy, found)| found.iter().map(move |one| (policy, one))).collect();
    found.retain(|(_, finding)| finding.severity < Severity::Remark);
    found.sort_by_key(|(_, finding)| finding.severity);
    let Some((policy, first)) = found.first() else {
        return Some(Check::good(POLICIES, format!("{} in effect", policies.len())));
    };
    let more = found.len() - 1;
    let more = if more == 0 { String::new() } else { format!(" (and {more} more: kubectl netprecursor status -A)") };
    let message = format!("{}: {}: {}{more}", policy.name(), first.reason, first.message);
    Some(Check::found(POLICIES, &Finding { message, ..(*first).clone() }))
}

fn admission(facts: &Facts, has_operator: bool) -> Check {
    const NAME: &str = "admission policies";
    match (&facts.serves_admission, &facts.admission_policies) {
        (false, _) => Check::bad(
            NAME,
            "the API server does not serve ValidatingAdmissionPolicy (admissionregistration.k8s.io/v1)",
            "enable it, or install with admissionPolicy.enabled=false, which lets an agent write the objects of other nodes' agents",
        ),
        (true, Answer::Found(0)) if has_operator => Check::open(NAME, "served; netprecursor's policies are missing")
            .with_fix("set admissionPolicy.enabled=true to restrict agents to their own node's objects"),
        (true, Answer::Found(count)) if has_operator => {
            Check::good(NAME, format!("served; {count} of netprecursor's policies installed"))
        }
        (true, _) => Check::good(NAME, "served"),
    }
}

fn pod_security(place: &Answer<Namespace>, dry_run: &DryRun, namespace: &str) -> Check {
    const NAME: &str = "Pod Security";
    let fix = format!("kubectl label namespace {namespace} {ENFORCE}=privileged --overwrite");
    let labels = match place {
        Answer::Found(place) => place.metadata.labels.clone().unwrap_or_default(),
        Answer::Absent => return Check::open(NAME, format!("namespace {namespace} does not exist yet")).with_fix(fix),
        Answer::Forbidden(message) => return Check::hidden(NAME, message),
    };
    match (labels.get(ENFORCE).map(String::as_str), dry_run) {
        (Some("privileged"), _) => Check::good(NAME, format!("namespace {namespace} admits agents")),
        (Some(level), _) => {
            Check::bad(NAME, format!("namespace {namespace} enforces {level}, which refuses agents"), fix)
        }
        (None, DryRun::Admitted) => {
            Check::good(NAME, format!("namespace {namespace} admits agents: a server-side dry run succeeded"))
        }
        (None, DryRun::Refused(message)) => {
            Check::bad(NAME, format!("namespace {namespace} refuses agents: {message}"), fix)
        }
        (None, DryRun::Unknown(message)) => {
            let says = format!(
                "namespace {namespace} has no label, and it is unknown whether the cluster's default admits agents: {message}"
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
            let fix = "ask an administrator to bind you to the ClusterRole edit there: the chart adds policies to it (rbac.aggregate)";
            Check::bad(NAME, format!("you may not create policies in {namespace}{reason}"), fix)
        }
        Answer::Absent => Check::open(NAME, "the API server does not support access reviews"),
        Answer::Forbidden(message) => Check::hidden(NAME, message),
    }
}
