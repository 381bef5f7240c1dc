//! `install-check`: whether a cluster is fit for netprecursor, and whether what is installed works; before and after.

mod facts;
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kubectl::style::Style;

    const NOW: i64 = 1_700_000_000;

    fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
        serde_json::from_value(value).unwrap()
    }

    fn version(minor: &str) -> Info {
        object(
            json!({"major": "1", "minor": minor, "gitVersion": format!("v1.{minor}"), "gitCommit": "", "gitTreeState": "",
            "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
        )
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A cluster on which everything works.
    fn installed() -> Facts {
        let there = || Definition::There { serves: true, is_established: Some(true) };
        let deployment = json!({
            "metadata": {"name": "netprecursor-operator"},
            "spec": {"replicas": 2, "selector": {}, "template": {}},
            "status": {"readyReplicas": 2, "conditions": [{"type": "Available", "status": "True"}]},
        });
        let lease = json!({"metadata": {}, "spec": {"holderIdentity": "operator-a", "leaseDurationSeconds": 15,
            "renewTime": format!("{:.6}", at(NOW - 3))}});
        let status = json!({"currentNumberScheduled": 3, "desiredNumberScheduled": 3, "numberMisscheduled": 0, "numberReady": 3});
        Facts {
            namespace: "net".to_owned(),
            user_namespace: "shop".to_owned(),
            version: version("34"),
            definitions: vec![("precursorpolicies.netprecursor.io".to_owned(), there())],
            operator: Answer::Found(object(deployment)),
            lease: Answer::Found(object(lease)),
            agents: Answer::Found(object(json!({"metadata": {}, "status": status}))),
            has_policy: Answer::Found(true),
            serves_admission: true,
            admission_policies: Answer::Found(3),
            place: Answer::Found(object(json!({"metadata": {"labels": {ENFORCE: "privileged"}}}))),
            dry_run: DryRun::Unknown(String::new()),
            may_create: Answer::Found((true, String::new())),
        }
    }

    fn bad(facts: &Facts) -> Vec<&'static str> {
        let report = report(facts, at(NOW));
        assert_eq!(report.is_well, report.checks.iter().all(|check| check.verdict != Verdict::Bad));
        report.checks.iter().filter(|check| check.verdict == Verdict::Bad).map(|check| check.name).collect()
    }

    #[test]
    fn what_works_is_good_in_every_line() {
        let report = report(&installed(), at(NOW));
        assert!(report.is_installed && report.checks.iter().all(|check| check.verdict == Verdict::Good), "{report:#?}");
        let text = text(&report, Style::PLAIN);
        assert_eq!(text.matches('✓').count(), report.checks.len(), "{text}");
    }

    #[test]
    fn a_fit_cluster_with_nothing_on_it_is_well() {
        let nothing = Facts {
            definitions: vec![("precursorpolicies.netprecursor.io".to_owned(), Definition::Absent)],
            operator: Answer::Absent,
            lease: Answer::Absent,
            agents: Answer::Absent,
            has_policy: Answer::Absent,
            place: Answer::Absent,
            ..installed()
        };
        assert_eq!(bad(&nothing), Vec::<&str>::new());
        let text = text(&report(&nothing, at(NOW)), Style::PLAIN);
        assert!(
            text.contains("helm install") && text.contains("pod-security.kubernetes.io/enforce=privileged"),
            "{text}"
        );
    }

    #[test]
    fn half_an_installation_is_bad() {
        let without_operator = Facts { operator: Answer::Absent, ..installed() };
        assert_eq!(bad(&without_operator), ["operator"]);
        let without_definitions = Facts {
            definitions: vec![("precursoralerts.netprecursor.io".to_owned(), Definition::Absent)],
            ..installed()
        };
        assert_eq!(bad(&without_definitions), ["definitions"]);
        for definition in [
            Definition::There { serves: false, is_established: Some(true) },
            Definition::There { serves: true, is_established: Some(false) },
        ] {
            let definitions = vec![("precursoralerts.netprecursor.io".to_owned(), definition)];
            assert_eq!(bad(&Facts { definitions, ..installed() }), ["definitions"]);
        }
    }

    #[test]
    fn the_oldest_version_is_good_and_the_one_before_is_not() {
        for (minor, is_good) in [("31", false), ("32", true), ("34+", true), ("9", false)] {
            assert_eq!(bad(&Facts { version: version(minor), ..installed() }).is_empty(), is_good, "{minor}");
        }
    }

    #[test]
    fn a_lease_that_nobody_renews_is_held_by_nobody() {
        let report = report(&installed(), at(NOW + 60));
        let leader = report.checks.iter().find(|check| check.name == "leader").unwrap();
        assert_eq!((leader.verdict, leader.says.as_str()), (Verdict::Bad, "operator-a no longer renews its lease"));
    }

    #[test]
    fn agents_may_be_absent_only_without_a_policy() {
        let absent =
            |has_policy| Facts { agents: Answer::Absent, has_policy: Answer::Found(has_policy), ..installed() };
        assert_eq!(bad(&absent(false)), Vec::<&str>::new());
        assert_eq!(bad(&absent(true)), ["agents"]);
    }

    #[test]
    fn pod_security_is_told_with_the_command_that_allows_agents() {
        let place = |labels: Value| Answer::Found(object(json!({"metadata": {"labels": labels}})));
        let refused = DryRun::Refused("violates PodSecurity \"baseline:latest\"".to_owned());
        for (place, dry_run, is_good) in [
            (place(json!({ENFORCE: "baseline"})), DryRun::Admitted, false),
            (place(json!({})), refused, false),
            (place(json!({})), DryRun::Admitted, true),
            (place(json!({})), DryRun::Unknown("not permitted to create pods".to_owned()), true),
        ] {
            let report = report(&Facts { place, dry_run, ..installed() }, at(NOW));
            let check = report.checks.iter().find(|check| check.name == "Pod Security").unwrap();
            assert_eq!(check.verdict != Verdict::Bad, is_good, "{check:?}");
            let command = "kubectl label namespace net pod-security.kubernetes.io/enforce=privileged --overwrite";
            assert!(is_good || check.fix.as_deref() == Some(command), "{check:?}");
        }
    }

    #[test]
    fn who_may_not_create_policies_is_told_whom_to_ask() {
        let reader = Facts { may_create: Answer::Found((false, "no rule".to_owned())), ..installed() };
        assert_eq!(bad(&reader), ["your rights"]);
        let text = text(&report(&reader, at(NOW)), Style::PLAIN);
        assert!(
            text.contains("you may not create policies in shop: no rule") && text.contains("ClusterRole edit"),
            "{text}"
        );
    }

    #[test]
    fn what_one_may_not_know_is_no_fault() {
        let no = || "deployments.apps is forbidden".to_owned();
        let blind = Facts {
            operator: Answer::Forbidden(no()),
            agents: Answer::Forbidden(no()),
            place: Answer::Forbidden(no()),
            admission_policies: Answer::Forbidden(no()),
            may_create: Answer::Forbidden(no()),
            ..installed()
        };
        assert_eq!(bad(&blind), Vec::<&str>::new());
        let text = text(&report(&blind, at(NOW)), Style::PLAIN);
        assert!(text.contains("– operator") && text.contains("not permitted to know"), "{text}");
    }
}
