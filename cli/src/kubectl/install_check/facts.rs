//! What the checks need to know, asked of the API server. Nothing is changed: the one write is a trial run.

use k8s_openapi::{
    api::{
        admissionregistration::v1::ValidatingAdmissionPolicy,
        authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
        core::v1::{Capabilities, Container, Namespace, Pod, PodSpec, SecurityContext},
        rbac::v1::ClusterRole,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::version::Info,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Resource,
    api::{ListParams, ObjectMeta, PostParams},
};
use netprecursor_crds::{
    ClusterPrecursorPolicy, ConditionStatus, PrecursorAlert, PrecursorNodeReport, PrecursorPolicy,
    diagnosis::Policy,
    installation::{CLAIM, Claim},
    policy::{API_VERSION, GROUP, PrecursorPolicyStatus},
};

use super::external_metrics;
use crate::kubectl::{
    connect::{Answer, Cluster, ClusterError, Listed, PART_OF},
    installed::Installed,
};

const ADMISSION: &str = "admissionregistration.k8s.io/v1";

/// What was found out.
#[derive(Debug)]
pub(in crate::kubectl) struct Facts {
    /// What of an installation can be seen.
    pub(super) installed: Installed,
    /// Where the cluster's one installation is, by its mark; `None` where there is none.
    pub(super) claim: Answer<Option<Claim>>,
    /// Namespaces that have an operator.
    pub(super) operators: Answer<Vec<String>>,
    /// Where the user would create policies.
    pub(super) user_namespace: String,
    pub(super) version: Info,
    pub(super) definitions: Vec<(String, Definition)>,
    /// Policies of all namespaces; `None` where some may not be seen, or the kinds are not there.
    pub(super) policies: Option<Vec<AnyPolicy>>,
    pub(super) serves_admission: bool,
    pub(super) admission_policies: Answer<usize>,
    pub(super) place: Answer<Namespace>,
    pub(super) dry_run: DryRun,
    pub(super) may_create: Answer<(bool, String)>,
    /// Who serves external metrics.
    pub(super) external_metrics: Answer<APIService>,
}

/// A custom resource definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kubectl) enum Definition {
    Absent,
    There {
        /// Whether it serves the version that this release uses.
        serves: bool,
        /// Not known to whoever may not read definitions.
        is_established: Option<bool>,
    },
}

/// What became of an agent's pod on trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kubectl) enum DryRun {
    Admitted,
    /// Pod Security's words.
    Refused(String),
    /// It was refused for another reason, or not tried.
    Unknown(String),
}

/// Asks for all of it.
pub(in crate::kubectl) async fn ask(cluster: &Cluster) -> Result<Facts, ClusterError> {
    let client = &cluster.client;
    let installed = Installed::ask(cluster).await?;
    let namespace = installed.namespace.clone();
    let admission: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let ours = ListParams::default().labels(PART_OF);
    let places: Api<Namespace> = Api::all(client.clone());
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let apis: Api<APIService> = Api::all(client.clone());
    let (claim, operators, external_metrics) =
        tokio::try_join!(cluster.get(&roles, CLAIM), cluster.operators(), cluster.get(&apis, external_metrics::API))?;
    let claim = claim.map(|role| Claim::of(&role.metadata.annotations.unwrap_or_default()));
    let (version, definitions, policies, serves_admission, admission_policies, place, dry_run, may_create) = tokio::try_join!(
        async { Ok(cluster.judge("ask for the version", client.apiserver_version().await)?.found()) },
        definitions(cluster),
        policies(cluster),
        serves_admission(cluster),
        async { cluster.judge("list validatingadmissionpolicies", admission.list(&ours).await) },
        cluster.get(&places, &namespace),
        dry_run(cluster, &namespace),
        may_create(cluster),
    )?;
    Ok(Facts {
        installed,
        claim,
        operators,
        user_namespace: cluster.namespace.clone(),
        version: version.unwrap_or_default(),
        definitions,
        policies,
        serves_admission,
        admission_policies: admission_policies.map(|list| list.items.len()),
        place,
        dry_run,
        may_create,
        external_metrics,
    })
}

/// A policy of either kind.
#[derive(Debug, Clone)]
pub(in crate::kubectl) struct AnyPolicy {
    metadata: ObjectMeta,
    status: Option<PrecursorPolicyStatus>,
}

impl AnyPolicy {
    /// `NAMESPACE/NAME`, or `NAME` of a policy of the whole cluster.
    pub(super) fn name(&self) -> String {
        let name = self.metadata.name.as_deref().unwrap_or_default();
        self.metadata.namespace.as_ref().map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
    }

    /// What the operator says of it.
    pub(super) fn as_policy(&self) -> Policy<'_> {
        Policy { generation: self.metadata.generation, status: self.status.as_ref() }
    }
}

impl Facts {
    /// Whether there is a policy anywhere; `None` where that may not be known.
    pub(super) fn has_policy(&self) -> Option<bool> {
        self.policies.as_ref().map(|policies| !policies.is_empty())
    }
}

/// The plural of every kind of ours.
fn plurals() -> [String; 4] {
    [
        PrecursorPolicy::plural(&()).into_owned(),
        ClusterPrecursorPolicy::plural(&()).into_owned(),
        PrecursorAlert::plural(&()).into_owned(),
        PrecursorNodeReport::plural(&()).into_owned(),
    ]
}

async fn definitions(cluster: &Cluster) -> Result<Vec<(String, Definition)>, ClusterError> {
    let api: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let mut definitions = Vec::new();
    for plural in plurals() {
        let name = format!("{plural}.{GROUP}");
        let definition = match cluster.get(&api, &name).await? {
            Answer::Found(definition) => read(&definition),
            Answer::Absent => Definition::Absent,
            // Discovery is for everybody, and lists what is served.
            Answer::Forbidden(_) if serves(cluster, API_VERSION, &plural).await? => {
                Definition::There { serves: true, is_established: None }
            }
            Answer::Forbidden(_) => Definition::Absent,
        };
        definitions.push((name, definition));
    }
    Ok(definitions)
}

fn read(definition: &CustomResourceDefinition) -> Definition {
    let version = API_VERSION.rsplit('/').next().unwrap_or_default();
    let serves = definition.spec.versions.iter().any(|known| known.name == version && known.served);
    let conditions = definition.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is_established = conditions
        .iter()
        .any(|condition| condition.type_ == "Established" && condition.status == ConditionStatus::True);
    Definition::There { serves, is_established: Some(is_established) }
}

/// Whether the API server serves a resource of a group and version.
async fn serves(cluster: &Cluster, version: &str, plural: &str) -> Result<bool, ClusterError> {
    let listed = cluster.client.list_api_group_resources(version).await;
    let resources = cluster.judge(&format!("list what {version} has"), listed)?.found();
    Ok(resources.is_some_and(|list| list.resources.iter().any(|resource| resource.name == plural)))
}

async fn serves_admission(cluster: &Cluster) -> Result<bool, ClusterError> {
    serves(cluster, ADMISSION, "validatingadmissionpolicies").await
}

async fn policies(cluster: &Cluster) -> Result<Option<Vec<AnyPolicy>>, ClusterError> {
    let all = ListParams::default();
    let (own, whole) = (cluster.scoped(true), cluster.global());
    let listed: Result<(Listed<PrecursorPolicy>, Listed<ClusterPrecursorPolicy>), _> =
        tokio::try_join!(cluster.list(&own, &all), cluster.list(&whole, &all));
    let (own, whole) = match listed {
        Ok(listed) => listed,
        // Then there are none.
        Err(ClusterError::NotInstalled { .. }) => return Ok(Some(Vec::new())),
        Err(error) => return Err(error),
    };
    if own.is_hidden || whole.is_hidden {
        return Ok(None);
    }
    let own = own.items.into_iter().map(|policy| AnyPolicy { metadata: policy.metadata, status: policy.status });
    let whole = whole.items.into_iter().map(|policy| AnyPolicy { metadata: policy.metadata, status: policy.status });
    Ok(Some(own.chain(whole).collect()))
}

/// Whether a pod with an agent's privileges would be taken: Pod Security judges by the namespace's label, else by a
/// default that only the API server knows. A trial run makes nothing.
async fn dry_run(cluster: &Cluster, namespace: &str) -> Result<DryRun, ClusterError> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let params = PostParams { dry_run: true, ..PostParams::default() };
    match api.create(&params, &trial()).await {
        Ok(_) => Ok(DryRun::Admitted),
        Err(kube::Error::Api(status)) if status.message.contains("violates PodSecurity") => {
            Ok(DryRun::Refused(status.message))
        }
        Err(kube::Error::Api(status)) => Ok(DryRun::Unknown(status.message)),
        Err(error) => cluster.judge("try whether agents are admitted", Err(error)).map(|answer| match answer {
            Answer::Found(()) => DryRun::Admitted,
            Answer::Absent => DryRun::Unknown(String::new()),
            Answer::Forbidden(message) => DryRun::Unknown(message),
        }),
    }
}

/// A pod with what Pod Security looks at in an agent's.
fn trial() -> Pod {
    let list = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let capabilities = Capabilities { add: list(&["BPF", "PERFMON", "NET_ADMIN"]), drop: list(&["ALL"]) };
    let context =
        SecurityContext { capabilities: Some(capabilities), run_as_user: Some(0), ..SecurityContext::default() };
    let container = Container {
        name: "agent".to_owned(),
        image: Some("netprecursor/agent".to_owned()),
        security_context: Some(context),
        ..Container::default()
    };
    let spec = PodSpec {
        host_pid: Some(true),
        containers: vec![container],
        // The namespace may be without service accounts yet.
        automount_service_account_token: Some(false),
        ..PodSpec::default()
    };
    let name = Some("netprecursor-install-check-".to_owned());
    Pod { metadata: ObjectMeta { generate_name: name, ..ObjectMeta::default() }, spec: Some(spec), status: None }
}

async fn may_create(cluster: &Cluster) -> Result<Answer<(bool, String)>, ClusterError> {
    let attributes = ResourceAttributes {
        group: Some(GROUP.to_owned()),
        resource: Some(PrecursorPolicy::plural(&()).into_owned()),
        verb: Some("create".to_owned()),
        namespace: Some(cluster.namespace.clone()),
        ..ResourceAttributes::default()
    };
    let spec =
        SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..SelfSubjectAccessReviewSpec::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let api: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let answer = cluster.judge("review your access", api.create(&PostParams::default(), &review).await)?;
    Ok(answer.map(|review| {
        let status = review.status.unwrap_or_default();
        (status.allowed, status.reason.unwrap_or_default())
    }))
}

#[cfg(test)]
pub(in crate::kubectl::install_check) mod tests {
    use serde_json::json;

    use super::*;

    /// A policy of which the operator says these conditions.
    pub(in crate::kubectl::install_check) fn policy(conditions: &[(&str, &str, &str, &str)]) -> AnyPolicy {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(type_, status, reason, message)| {
                json!({"type": type_, "status": status, "reason": reason, "message": message,
                    "lastTransitionTime": "2023-11-14T22:13:20Z"})
            })
            .collect();
        let named = |name: &str| Some(name.to_owned());
        let metadata = ObjectMeta { name: named("checkout"), namespace: named("shop"), ..ObjectMeta::default() };
        AnyPolicy { metadata, status: Some(serde_json::from_value(json!({"conditions": conditions})).unwrap()) }
    }
}
