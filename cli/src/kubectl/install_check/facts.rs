//! What the checks need to know, asked of the API server. Nothing is changed: the one write is a trial run.

use k8s_openapi::{
    api::{
        admissionregistration::v1::ValidatingAdmissionPolicy,
        apps::v1::{DaemonSet, Deployment},
        authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
        coordination::v1::Lease,
        core::v1::{Capabilities, Container, Namespace, Pod, PodSpec, SecurityContext},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::version::Info,
};
use kube::{
    Api, Resource,
    api::{ListParams, ObjectMeta, PostParams},
};
use netprecursor_crds::{
    ClusterPrecursorPolicy, PrecursorAlert, PrecursorNodeReport, PrecursorPolicy,
    policy::{API_VERSION, GROUP},
};

use crate::kubectl::connect::{Answer, Cluster, ClusterError, Installation, PART_OF};

const ADMISSION: &str = "admissionregistration.k8s.io/v1";

/// What was found out.
#[derive(Debug)]
pub(in crate::kubectl) struct Facts {
    /// Where netprecursor is, or would be.
    pub(super) namespace: String,
    /// Where the user would create policies.
    pub(super) user_namespace: String,
    pub(super) version: Info,
    pub(super) definitions: Vec<(String, Definition)>,
    pub(super) operator: Answer<Deployment>,
    pub(super) lease: Answer<Lease>,
    pub(super) agents: Answer<DaemonSet>,
    pub(super) has_policy: Answer<bool>,
    pub(super) serves_admission: bool,
    pub(super) admission_policies: Answer<usize>,
    pub(super) place: Answer<Namespace>,
    pub(super) dry_run: DryRun,
    pub(super) may_create: Answer<(bool, String)>,
}

/// A custom resource definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kubectl) enum Definition {
    Absent,
    There {
        /// Whether it serves the version that this release speaks.
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
    let Installation { namespace, operator } = cluster.installation().await?;
    // The chart names both alike.
    let lease_name = match &operator {
        Answer::Found(operator) => operator.metadata.name.clone(),
        Answer::Absent | Answer::Forbidden(_) => None,
    };
    let leases: Api<Lease> = Api::namespaced(client.clone(), &namespace);
    let lease = async {
        match &lease_name {
            Some(name) => cluster.get(&leases, name).await,
            None => Ok(Answer::Absent),
        }
    };
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let ours = ListParams::default().labels(PART_OF);
    let places: Api<Namespace> = Api::all(client.clone());
    let (
        version,
        definitions,
        lease,
        agents,
        has_policy,
        serves_admission,
        admission_policies,
        place,
        dry_run,
        may_create,
    ) = tokio::try_join!(
        async { Ok(cluster.judge("ask for the version", client.apiserver_version().await)?.found()) },
        definitions(cluster),
        lease,
        cluster.daemon_set(&namespace),
        has_policy(cluster),
        serves_admission(cluster),
        async { cluster.judge("list validatingadmissionpolicies", policies.list(&ours).await) },
        cluster.get(&places, &namespace),
        dry_run(cluster, &namespace),
        may_create(cluster),
    )?;
    Ok(Facts {
        namespace,
        user_namespace: cluster.namespace.clone(),
        version: version.unwrap_or_default(),
        definitions,
        operator,
        lease,
        agents,
        has_policy,
        serves_admission,
        admission_policies: admission_policies.map(|list| list.items.len()),
        place,
        dry_run,
        may_create,
    })
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
    let is_established =
        conditions.iter().any(|condition| condition.type_ == "Established" && condition.status == "True");
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

async fn has_policy(cluster: &Cluster) -> Result<Answer<bool>, ClusterError> {
    let one = ListParams::default().limit(1);
    let own: Api<PrecursorPolicy> = Api::all(cluster.client.clone());
    let whole: Api<ClusterPrecursorPolicy> = Api::all(cluster.client.clone());
    let own = cluster.judge("list precursorpolicies", own.list_metadata(&one).await)?;
    if matches!(&own, Answer::Found(list) if !list.items.is_empty()) {
        return Ok(Answer::Found(true));
    }
    let whole = cluster.judge("list clusterprecursorpolicies", whole.list_metadata(&one).await)?;
    Ok(match (own, whole) {
        (_, Answer::Found(list)) if !list.items.is_empty() => Answer::Found(true),
        (Answer::Forbidden(message), _) | (_, Answer::Forbidden(message)) => Answer::Forbidden(message),
        (Answer::Absent, Answer::Absent) => Answer::Absent,
        _ => Answer::Found(false),
    })
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
