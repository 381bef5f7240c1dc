//! Starting the programs of an API server.

use std::{
    path::PathBuf,
    sync::{Mutex, atomic::AtomicU32},
};

use netprecursor_testbed::{Daemon, Scratch};

use super::{
    ApiServer,
    certificates::{self, Authority},
    kubeconfig, programs,
};
use crate::{Error, Version};

/// How often a start is tried whose ports somebody else took meanwhile.
const ATTEMPTS: u32 = 5;

/// What is started besides etcd and kube-apiserver.
#[derive(Debug, Clone, Copy)]
pub struct Builder {
    pub(super) version: Version,
    pub(super) controller_manager: bool,
}

/// What the programs of one start have in common.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) directory: PathBuf,
    pub(super) apiserver: PathBuf,
    pub(super) port: u16,
    pub(super) etcd_port: u16,
    pub(super) serving: certificates::Identity,
    pub(super) authority: PathBuf,
    pub(super) token_keys: certificates::TokenKeys,
    pub(super) front_proxy: certificates::FrontProxy,
}

impl Builder {
    /// With the controller manager: owner references are honoured, service accounts and tokens appear.
    pub const fn controller_manager(mut self) -> Self {
        self.controller_manager = true;
        self
    }

    /// Starts and waits until it is ready. Builds the programs when the cache has none (minutes).
    ///
    /// # Errors
    /// Go is missing, the programs do not build, one of them ends or is not ready within three minutes: the error shows
    /// the last of its log.
    pub async fn start(self) -> Result<ApiServer, Error> {
        let mut attempt = 1;
        loop {
            match self.start_once().await {
                Err(error) if attempt < ATTEMPTS && error.to_string().contains("address already in use") => {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn start_once(self) -> Result<ApiServer, Error> {
        let programs = programs::provide(self.version)?;
        let scratch = Scratch::new()?;
        let directory = scratch.path().to_path_buf();
        let authority = Authority::new(&directory)?;
        let [port, etcd_port, peer_port] = programs::free_ports(&directory)?;
        let layout = Layout {
            apiserver: programs.apiserver,
            port,
            etcd_port,
            serving: authority.server("apiserver", &["127.0.0.1", "localhost", "kubernetes.default.svc"])?,
            authority: authority.certificate(),
            token_keys: authority.token_keys()?,
            front_proxy: Authority::front_proxy(&directory)?,
            directory: directory.clone(),
        };
        for (file, user, group) in
            [("admin", "admin", Some("system:masters")), ("manager", "system:kube-controller-manager", None)]
        {
            let identity = authority.client(file, user, group)?;
            kubeconfig::write(&directory.join(file).with_extension("kubeconfig"), port, &layout.authority, &identity)?;
        }
        let etcd = Daemon::start(
            programs::etcd(&programs.etcd, &directory, etcd_port, peer_port),
            &directory.join("etcd.log"),
        )?;
        let apiserver = layout.start()?;
        let mut server = ApiServer {
            version: self.version,
            port,
            controller_manager: None,
            apiserver: Mutex::new(apiserver),
            etcd,
            layout,
            next_namespace: AtomicU32::new(0),
            scratch,
        };
        server.ready().await?;
        if self.controller_manager {
            let command = programs::controller_manager(&programs.controller_manager, &server.layout);
            server.controller_manager = Some(Daemon::start(command, &directory.join("controller-manager.log"))?);
            server.default_service_account("default").await?;
        }
        Ok(server)
    }
}

impl Layout {
    pub(super) fn start(&self) -> Result<Daemon, Error> {
        Ok(Daemon::start(programs::apiserver(self)?, &self.directory.join("kube-apiserver.log"))?)
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.directory.join("audit.log")
    }
}
