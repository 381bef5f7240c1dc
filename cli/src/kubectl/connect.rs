//! The way to the cluster: kubectl's flags and files, clients whose every wait has an end, and questions whose refusal is
//! an answer.

use std::{fmt::Debug, path::PathBuf};

use hyper::Request;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use kube::{
    Api, Client, Config, Resource,
    api::ListParams,
    client::{Body, ClientBuilder, retry::RetryPolicy},
    config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError},
    core::{ClusterResourceScope, DeserializeGuard, NamespaceResourceScope},
};
use netprecursor_crds::diagnosis::Known;
use netprecursor_kit::{Failure, Limits};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tower::{ServiceBuilder, buffer::BufferLayer, retry::RetryLayer};

/// Requests on their way at once: more than any command has.
const REQUESTS: usize = 32;

/// Objects of one page of a list.
const PAGE: u32 = 500;

/// Where netprecursor is unless somebody says otherwise.
const INSTALL_NAMESPACE: &str = "netprecursor-system";

/// Selects all that the chart installs.
pub(super) const PART_OF: &str = "app.kubernetes.io/part-of=netprecursor";

/// What the pods of the operator and of the agents call themselves.
const OPERATOR: &str = "netprecursor-operator";
pub(super) const AGENTS: &str = "app.kubernetes.io/name=netprecursor-agent";

/// What kubectl has the same names for.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Namespace [default: the namespace of the kubeconfig's context]
    #[arg(short, long, global = true)]
    pub(super) namespace: Option<String>,
    /// Context of the kubeconfig to use
    #[arg(long, global = true)]
    context: Option<String>,
    /// Path to the kubeconfig [default: KUBECONFIG, otherwise ~/.kube/config]
    #[arg(long, value_name = "FILE", global = true)]
    kubeconfig: Option<PathBuf>,
    /// User to impersonate
    #[arg(long = "as", value_name = "USER", global = true)]
    acting_as: Option<String>,
    /// Group to impersonate; repeat the flag for several groups
    #[arg(long, value_name = "GROUP", requires = "acting_as", global = true)]
    as_group: Vec<String>,
    /// Namespace in which netprecursor is installed [default: netprecursor-system, otherwise where the operator is found]
    #[arg(long, value_name = "NAMESPACE", global = true)]
    install_namespace: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum ClusterError {
    /// Not even an address.
    #[error("got no usable kubeconfig, expected one as kubectl reads it: set KUBECONFIG, --kubeconfig or --context")]
    Kubeconfig(#[from] KubeconfigError),
    /// Neither an address nor the environment of a pod.
    #[error("got no usable kubeconfig, expected one as kubectl reads it: set KUBECONFIG, --kubeconfig or --context")]
    Nowhere(#[from] InferConfigError),
    /// Certificates, or a proxy that this program does not speak to.
    #[error("cannot create a client for {url}: check the certificates and the proxy in the kubeconfig")]
    Client { url: String, source: kube::Error },
    /// The API server does not answer, or not with an object.
    #[error("cannot {what}: got no answer from {url}, expected one within {} s: does `kubectl get --raw /readyz` work?", Limits::REQUESTS.read.as_secs())]
    Unreachable { what: String, url: String, source: kube::Error },
    /// It does answer.
    #[error("cannot {what}: the API server refused it: {message}")]
    Refused { what: String, message: String },
    /// The kind is not there.
    #[error(
        "cannot {what}: the cluster does not have this kind; run `kubectl netprecursor install-check` to see what is missing"
    )]
    NotInstalled { what: String },
    /// The object is not there.
    #[error(
        "cannot {what}: got no such object in namespace {namespace}, expected {expected}; use -n for another namespace"
    )]
    NotFound { what: String, namespace: String, expected: String },
    /// It is there and cannot be understood.
    #[error(
        "cannot {what}: got an object that this release cannot parse ({reason}); use the release that the cluster runs"
    )]
    Strange { what: String, reason: String },
}

/// What a question brought.
#[derive(Debug, Clone)]
pub(super) enum Answer<T> {
    /// This.
    Found(T),
    /// There is none.
    Absent,
    /// Whoever asks may not know; the API server's words.
    Forbidden(String),
}

/// Objects that were listed, and in words what could not be.
#[derive(Debug)]
pub(super) struct Listed<K> {
    pub(super) items: Vec<K>,
    pub(super) notes: Vec<String>,
    /// Whether none may be seen: then that there are none means nothing.
    pub(super) is_hidden: bool,
}

/// A cluster as one user reaches it.
pub(super) struct Cluster {
    pub(super) client: Client,
    /// What a client for watches is made of; `None` where one does for all.
    config: Option<Config>,
    url: String,
    /// The namespace to look at.
    pub(super) namespace: String,
    install_namespace: Option<String>,
}

/// Where netprecursor is, or would be.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    pub(super) namespace: String,
    pub(super) operator: Answer<Deployment>,
}

impl<T> Answer<T> {
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Found(value) => Answer::Found(change(value)),
            Self::Absent => Answer::Absent,
            Self::Forbidden(message) => Answer::Forbidden(message),
        }
    }

    /// What is there.
    pub(super) const fn there(&self) -> Option<&T> {
        match self {
            Self::Found(value) => Some(value),
            Self::Absent | Self::Forbidden(_) => None,
        }
    }

    /// As a diagnosis takes it.
    pub(super) fn as_known<U>(&self, change: impl FnOnce(&T) -> U) -> Known<U> {
        match self {
            Self::Found(value) => Known::There(change(value)),
            Self::Absent => Known::Absent,
            Self::Forbidden(_) => Known::Hidden,
        }
    }

    pub(super) fn found(self) -> Option<T> {
        match self {
            Self::Found(value) => Some(value),
            Self::Absent | Self::Forbidden(_) => None,
        }
    }
}

impl<K> Listed<K> {
    /// The objects; what could not be listed goes to the notes.
    pub(super) fn into_items(self, notes: &mut Vec<String>) -> Vec<K> {
        notes.extend(self.notes);
        self.items
    }
}

impl Flags {
    /// Has every request made as somebody else, when that is asked for: what the kubeconfig says about it is void then, as
    /// with kubectl.
    fn impersonate(&self, config: &mut Config) {
        if let Some(user) = &self.acting_as {
            let groups = Some(self.as_group.clone()).filter(|groups| !groups.is_empty());
            config.auth_info.impersonate = Some(user.clone());
            config.auth_info.impersonate_groups = groups;
            config.auth_info.impersonate_uid = None;
            config.auth_info.impersonate_user_extra = None;
        }
    }
}

impl Cluster {
    /// The cluster that the flags name, without asking it anything.
    pub(super) async fn connect(flags: &Flags) -> Result<Self, ClusterError> {
        let options = KubeConfigOptions { context: flags.context.clone(), ..KubeConfigOptions::default() };
        let mut config = match (&flags.kubeconfig, &flags.context) {
            (Some(path), _) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?,
            (None, Some(_)) => Config::from_kubeconfig(&options).await?,
            (None, None) => Config::infer().await?,
        };
        flags.impersonate(&mut config);
        let (url, own) = (config.cluster_url.to_string(), config.default_namespace.clone());
        let client = client(&config);
        let namespace = flags.namespace.clone().unwrap_or(own);
        Ok(Self {
            client: client.map_err(|source| ClusterError::Client { url: url.clone(), source })?,
            config: Some(config),
            url,
            namespace,
            install_namespace: flags.install_namespace.clone(),
        })
    }

    /// A cluster that a client of a test reaches.
    #[cfg(test)]
    pub(super) fn of(client: Client, namespace: &str) -> Self {
        let url = "https://test".to_owned();
        Self { client, config: None, url, namespace: namespace.to_owned(), install_namespace: None }
    }

    /// Where its API server is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// A client for watches, which are silent for a minute, and which are begun again by whoever watches. It signs in anew.
    pub(super) fn watches(&self) -> Result<Client, ClusterError> {
        let Some(config) = &self.config else { return Ok(self.client.clone()) };
        let client = Client::try_from(Limits::WATCHES.bound(config));
        client.map_err(|source| ClusterError::Client { url: self.url.clone(), source })
    }

    /// The objects of the namespace that is looked at, or of all.
    pub(super) fn scoped<K>(&self, all_namespaces: bool) -> Api<DeserializeGuard<K>>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        if all_namespaces {
            Api::all(self.client.clone())
        } else {
            Api::namespaced(self.client.clone(), &self.namespace)
        }
    }

    /// The objects of a kind that lives in no namespace.
    pub(super) fn global<K>(&self) -> Api<DeserializeGuard<K>>
    where
        K: Resource<Scope = ClusterResourceScope, DynamicType = ()>,
    {
        Api::all(self.client.clone())
    }

    /// Every object of a kind, page by page. One that is not understood, or may not be seen, becomes a note.
    pub(super) async fn list<K>(
        &self,
        api: &Api<DeserializeGuard<K>>,
        params: &ListParams,
    ) -> Result<Listed<K>, ClusterError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let what = format!("list {}", K::plural(&()));
        let mut listed = Listed { items: Vec::new(), notes: Vec::new(), is_hidden: false };
        let mut params = params.clone().limit(PAGE);
        loop {
            let page = match self.judge(&what, api.list(&params).await)? {
                Answer::Found(page) => page,
                Answer::Absent => return Err(ClusterError::NotInstalled { what }),
                Answer::Forbidden(message) => {
                    listed.notes.push(format!("not permitted to {what}: {message}"));
                    listed.is_hidden = true;
                    return Ok(listed);
                }
            };
            for object in page.items {
                match object.0 {
                    Ok(object) => listed.items.push(object),
                    Err(broken) => {
                        let name = broken.metadata.name.unwrap_or_default();
                        listed.notes.push(format!("cannot parse {} {name}: {}", K::kind(&()), broken.error));
                    }
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(listed),
            }
        }
    }

    /// An answer of the API server, where a refusal is informative too.
    pub(super) fn judge<T>(&self, what: &str, answer: kube::Result<T>) -> Result<Answer<T>, ClusterError> {
        let source = match answer {
            Ok(value) => return Ok(Answer::Found(value)),
            Err(error) => error,
        };
        let (what, words) = (what.to_owned(), Failure::words(&source));
        match Failure::from(&source) {
            Failure::Missing => Ok(Answer::Absent),
            Failure::Forbidden | Failure::Ending => Ok(Answer::Forbidden(words)),
            Failure::Garbled => Err(ClusterError::Strange { what, reason: words }),
            Failure::Unanswered => Err(ClusterError::Unreachable { what, url: self.url.clone(), source }),
            _ => Err(ClusterError::Refused { what, message: words }),
        }
    }

    /// One object.
    pub(super) async fn get<K>(&self, api: &Api<K>, name: &str) -> Result<Answer<K>, ClusterError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        self.judge(&format!("get {} {name}", K::kind(&())), api.get(name).await)
    }

    /// Where netprecursor is: as given, else where it is by default, else where its operator is found.
    pub(super) async fn installation(&self) -> Result<Installation, ClusterError> {
        let namespace = self.install_namespace.clone().unwrap_or_else(|| INSTALL_NAMESPACE.to_owned());
        let operator = self.operator(Api::namespaced(self.client.clone(), &namespace)).await?;
        if self.install_namespace.is_none()
            && !matches!(operator, Answer::Found(_))
            && let Answer::Found(found) = self.operator(Api::all(self.client.clone())).await?
        {
            let namespace = found.metadata.namespace.clone().unwrap_or(namespace);
            return Ok(Installation { namespace, operator: Answer::Found(found) });
        }
        Ok(Installation { namespace, operator })
    }

    async fn operator(&self, api: Api<Deployment>) -> Result<Answer<Deployment>, ClusterError> {
        let listed = api.list(&ListParams::default().labels(PART_OF)).await;
        Ok(match self.judge("list deployments", listed)? {
            Answer::Found(list) => list.items.into_iter().find(is_operator).map_or(Answer::Absent, Answer::Found),
            Answer::Absent => Answer::Absent,
            Answer::Forbidden(message) => Answer::Forbidden(message),
        })
    }

    /// Namespaces that have an operator, in order.
    pub(super) async fn operators(&self) -> Result<Answer<Vec<String>>, ClusterError> {
        let api: Api<Deployment> = Api::all(self.client.clone());
        let listed = self.judge("list deployments", api.list(&ListParams::default().labels(PART_OF)).await)?;
        Ok(listed.map(|list| {
            let operators = list.items.into_iter().filter(is_operator);
            let mut namespaces: Vec<String> = operators.filter_map(|operator| operator.metadata.namespace).collect();
            namespaces.sort();
            namespaces
        }))
    }

    /// The agents' DaemonSet.
    pub(super) async fn daemon_set(&self, namespace: &str) -> Result<Answer<DaemonSet>, ClusterError> {
        let api: Api<DaemonSet> = Api::namespaced(self.client.clone(), namespace);
        Ok(match self.judge("list daemonsets", api.list(&ListParams::default().labels(AGENTS)).await)? {
            Answer::Found(list) => list.items.into_iter().next().map_or(Answer::Absent, Answer::Found),
            Answer::Absent => Answer::Absent,
            Answer::Forbidden(message) => Answer::Forbidden(message),
        })
    }
}

fn is_operator(deployment: &Deployment) -> bool {
    let labels = deployment.spec.as_ref().and_then(|spec| spec.selector.match_labels.as_ref());
    labels.and_then(|labels| labels.get("app.kubernetes.io/name")).is_some_and(|name| name == OPERATOR)
}

/// A client that tries three times more, within seconds, where the API server is too busy or not ready yet. kube's own
/// retries go on for as long as the server asks for.
fn client(config: &Config) -> kube::Result<Client> {
    let retry = RetryLayer::new(RetryPolicy::default());
    // Retries need a service that can be cloned.
    let shared = BufferLayer::<Request<Body>>::new(REQUESTS);
    let patience = ServiceBuilder::new().layer(retry).layer(shared).into_inner();
    Ok(ClientBuilder::try_from(Limits::REQUESTS.bound(config))?.with_layer(&patience).build())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The chart as it renders by default.
    const MANIFESTS: &str = include_str!("../../../deploy/kustomize/netprecursor.yaml");

    #[derive(clap::Parser)]
    struct Plugin {
        #[command(flatten)]
        flags: Flags,
    }

    #[test]
    fn who_is_asked_to_act_as_somebody_else_does() {
        let parse = |words: &[&str]| <Plugin as clap::Parser>::try_parse_from([&["plugin"], words].concat());
        let acting = |words: &[&str]| {
            let mut config = Config::new("https://localhost".parse().unwrap());
            config.auth_info.impersonate_groups = Some(vec!["of-the-kubeconfig".to_owned()]);
            parse(words).unwrap_or_else(|error| panic!("{error}")).flags.impersonate(&mut config);
            (config.auth_info.impersonate, config.auth_info.impersonate_groups.unwrap_or_default())
        };
        let words = ["--as", "jane", "--as-group=dev", "--as-group", "ops"];
        assert_eq!(acting(&words), (Some("jane".to_owned()), vec!["dev".to_owned(), "ops".to_owned()]));
        assert_eq!(acting(&["--as=jane"]), (Some("jane".to_owned()), vec![]));
        assert_eq!(acting(&[]), (None, vec!["of-the-kubeconfig".to_owned()]));
        assert!(parse(&["--as-group", "dev"]).is_err());
    }

    #[test]
    fn what_the_chart_installs_is_found() {
        let objects = MANIFESTS.split("\n---").map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
        let of = |kind: &'static str| move |object: &Value| object["kind"] == kind;
        let deployment = objects.clone().find(of("Deployment")).unwrap();
        let (key, value) = PART_OF.split_once('=').unwrap();
        assert_eq!(
            (deployment["metadata"]["labels"][key].as_str(), &deployment["metadata"]["namespace"]),
            (Some(value), &Value::from(INSTALL_NAMESPACE))
        );
        assert!(is_operator(&serde_json::from_value(deployment.clone()).unwrap()));
        // The lease is looked for by the Deployment's name.
        let config =
            objects.filter(of("ConfigMap")).find_map(|map| Some(map["data"]["operator.yaml"].as_str()?.to_owned()));
        let config: Value = serde_saphyr::from_str(&config.unwrap()).unwrap();
        assert_eq!(config["leaseName"], deployment["metadata"]["name"]);
    }
}
