//! A real API server on this machine: etcd and kube-apiserver, with the controller manager where a test needs garbage
//! collection or service accounts. Ready in seconds, on free loopback ports, removed with the test.

pub mod audit;
mod builder;
mod certificates;
pub(crate) mod kubeconfig;
mod programs;

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

pub use audit::{Object, Request, Response, User};
pub use builder::Builder;
use builder::Layout;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Namespace, ServiceAccount},
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use netprecursor_testbed::{Daemon, Scratch};
use tokio::sync::OnceCell;

use crate::{Error, Version};

/// Ready in 4 s on an idle machine with two cores; they may be wanted by twenty others.
const READY_LIMIT: Duration = Duration::from_secs(180);
/// Between two looks at something that cannot be watched.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A running API server. Dropping it ends it and removes its files.
#[derive(Debug)]
pub struct ApiServer {
    version: Version,
    port: u16,
    // Ended in this order: the controller manager and the API server complain when etcd goes first.
    controller_manager: Option<Daemon>,
    apiserver: Mutex<Daemon>,
    etcd: Daemon,
    layout: Layout,
    next_namespace: AtomicU32,
    // Last: its files are in use until the others ended.
    scratch: Scratch,
}

impl ApiServer {
    /// What to start, before it is started.
    pub const fn builder(version: Version) -> Builder {
        Builder { version, controller_manager: false }
    }

    /// Starts etcd and kube-apiserver.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub async fn start(version: Version) -> Result<Self, Error> {
        Self::builder(version).start().await
    }

    /// One for all tests of this process, without a controller manager; it ends with the process. Tests that share it
    /// stay apart by [`Self::namespace`].
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub async fn shared(version: Version) -> Result<&'static Self, Error> {
        static SERVERS: [OnceCell<ApiServer>; Version::ALL.len()] =
            [const { OnceCell::const_new() }; Version::ALL.len()];
        extern "C" fn remove_files() {
            for server in SERVERS.iter().filter_map(OnceCell::get) {
                server.end();
            }
        }
        static AT_EXIT: std::sync::Once = std::sync::Once::new();
        // Nothing drops a static.
        AT_EXIT.call_once(|| {
            // SAFETY: the handler is a function of the program, which stays as long as the process does.
            unsafe { libc::atexit(remove_files) };
        });
        SERVERS[version as usize].get_or_try_init(|| Self::start(version)).await
    }

    /// Its version.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// A kubeconfig of an administrator, for kubectl and helm.
    pub fn kubeconfig(&self) -> PathBuf {
        self.scratch.path().join("admin.kubeconfig")
    }

    /// An administrator's client configuration, to change before a client is made of it.
    ///
    /// # Errors
    /// The kubeconfig cannot be read.
    pub async fn config(&self) -> Result<kube::Config, Error> {
        kubeconfig::read(&self.kubeconfig()).await
    }

    /// A client with all rights. It belongs to the runtime in which it is made.
    ///
    /// # Errors
    /// As [`Self::config`].
    pub async fn client(&self) -> Result<Client, Error> {
        client(self.config().await?)
    }

    /// A client that acts as `user` of `groups` by impersonation, with the extra claims `extra`.
    ///
    /// # Errors
    /// As [`Self::config`].
    pub async fn client_as(&self, user: &str, groups: &[&str], extra: &[(&str, &str)]) -> Result<Client, Error> {
        let mut config = self.config().await?;
        config.auth_info.impersonate = Some(user.to_owned());
        config.auth_info.impersonate_groups = Some(groups.iter().map(|group| (*group).to_owned()).collect());
        let extra = extra.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()]));
        config.auth_info.impersonate_user_extra = Some(extra.collect());
        client(config)
    }

    /// A client with a token of a service account, as a pod has it: not bound to a pod.
    ///
    /// # Errors
    /// The service account is not there, or as [`Self::config`].
    pub async fn client_of_service_account(&self, namespace: &str, name: &str) -> Result<Client, Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec { audiences: Vec::new(), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let what = format!("a token for service account {namespace}/{name}");
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await;
        let token = answer.map_err(Error::request(what))?.status.map(|status| status.token).unwrap_or_default();
        self.client_with_token(token).await
    }

    /// A client that shows `token` and nothing else.
    ///
    /// # Errors
    /// As [`Self::config`].
    pub async fn client_with_token(&self, token: String) -> Result<Client, Error> {
        let mut config = self.config().await?;
        config.auth_info = kube::config::AuthInfo { token: Some(token.into()), ..Default::default() };
        client(config)
    }

    /// A new namespace that no other test of this server has, with its default service account.
    ///
    /// # Errors
    /// The server refuses it.
    pub async fn namespace(&self) -> Result<String, Error> {
        let name = format!("test-{}", self.next_namespace.fetch_add(1, Ordering::Relaxed));
        let client = self.client().await?;
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        let created = Api::all(client.clone()).create(&PostParams::default(), &namespace).await;
        created.map_err(Error::request(format!("creating namespace {name}")))?;
        if self.controller_manager.is_some() {
            self.default_service_account(&name).await?;
        } else {
            let account = ServiceAccount {
                metadata: ObjectMeta { name: Some("default".to_owned()), ..ObjectMeta::default() },
                ..ServiceAccount::default()
            };
            let accounts: Api<ServiceAccount> = Api::namespaced(client, &name);
            let created = accounts.create(&PostParams::default(), &account).await;
            created.map_err(Error::request(format!("creating the default service account of {name}")))?;
        }
        Ok(name)
    }

    /// Where the audit log is.
    pub fn audit_log(&self) -> PathBuf {
        self.layout.audit_log()
    }

    /// Every request that was answered so far, in order.
    ///
    /// # Errors
    /// The log is not what it should be.
    pub fn requests(&self) -> Result<Vec<Request>, Error> {
        audit::read(&self.audit_log())
    }

    /// Stops answering while connections stay open, until [`Self::resume`]: an outage as clients see it behind a dead
    /// load balancer.
    ///
    /// # Errors
    /// It is gone.
    pub fn pause(&self) -> Result<(), Error> {
        Ok(self.api().pause()?)
    }

    /// Undoes [`Self::pause`].
    ///
    /// # Errors
    /// It is gone.
    pub fn resume(&self) -> Result<(), Error> {
        Ok(self.api().resume()?)
    }

    /// Ends kube-apiserver at once: connections break, new ones are refused. etcd stays.
    pub fn kill(&self) {
        self.api().kill();
    }

    /// Starts kube-apiserver anew on the same port and the same data, after [`Self::kill`] or instead of it.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub async fn restart(&self) -> Result<(), Error> {
        self.kill();
        let started = self.layout.start()?;
        *self.api() = started;
        self.ready().await
    }

    fn api(&self) -> std::sync::MutexGuard<'_, Daemon> {
        self.apiserver.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// For a server that nothing drops.
    fn end(&self) {
        self.controller_manager.iter().for_each(Daemon::kill);
        self.kill();
        self.etcd.kill();
        // What stays is swept by a later start.
        let _ = std::fs::remove_dir_all(self.scratch.path());
    }

    async fn ready(&self) -> Result<(), Error> {
        let (begun, client) = (Instant::now(), self.client().await?);
        loop {
            // A program that ended is reported by its own log, not by the errors of those that wait for it.
            self.etcd.check()?;
            self.api().check()?;
            let request = || http_get("/readyz");
            let last = match client.request_text(request()).await {
                Ok(text) if text == "ok" => return Ok(()),
                Ok(text) => text,
                Err(error) => error.to_string(),
            };
            self.in_time(begun, "kube-apiserver", last, self.api().log())?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn default_service_account(&self, namespace: &str) -> Result<(), Error> {
        let begun = Instant::now();
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let Some(manager) = &self.controller_manager else { return Ok(()) };
        loop {
            manager.check()?;
            let last = match accounts.get_opt("default").await {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => format!("no default service account in {namespace}"),
                Err(error) => error.to_string(),
            };
            self.in_time(begun, "kube-controller-manager", last, manager.log())?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn in_time(&self, begun: Instant, program: &str, last: String, log: &Path) -> Result<(), Error> {
        if begun.elapsed() < READY_LIMIT {
            return Ok(());
        }
        Err(Error::NotReady {
            program: format!("{program} {}", self.version),
            waited: begun.elapsed(),
            last,
            log: log.display().to_string(),
            tail: netprecursor_testbed::tail(log),
        })
    }
}

fn client(config: kube::Config) -> Result<Client, Error> {
    let what = format!("a client of {}", config.cluster_url);
    Client::try_from(config).map_err(Error::request(what))
}

fn http_get(path: &str) -> http::Request<Vec<u8>> {
    let mut request = http::Request::new(Vec::new());
    *request.uri_mut() = path.parse().unwrap_or_default();
    request
}
