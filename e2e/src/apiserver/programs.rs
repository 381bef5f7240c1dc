//! How etcd, kube-apiserver and the controller manager are called.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use netprecursor_testbed::{Module, TestbedError, module::ETCD};

use super::{Layout, audit, certificates::FRONT_PROXY};
use crate::{Error, Version};

/// The programs of one version.
pub(super) struct Paths {
    pub(super) etcd: PathBuf,
    pub(super) apiserver: PathBuf,
    pub(super) controller_manager: PathBuf,
}

pub(super) fn provide(version: Version) -> Result<Paths, Error> {
    let kubernetes = Module::kubernetes(version).provide()?;
    Ok(Paths {
        etcd: ETCD.provide()?.program("etcd")?,
        apiserver: kubernetes.program("kube-apiserver")?,
        controller_manager: kubernetes.program("kube-controller-manager")?,
    })
}

/// Ports of the loopback address that nobody listens on. Somebody may before we do: then the start is tried again.
pub(super) fn free_ports<const N: usize>(directory: &Path) -> Result<[u16; N], Error> {
    let find = || -> std::io::Result<[u16; N]> {
        // Held together, so that they differ.
        let listeners = (0..N).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<Vec<_>, _>>()?;
        let mut ports = [0; N];
        for (port, listener) in ports.iter_mut().zip(&listeners) {
            *port = listener.local_addr()?.port();
        }
        Ok(ports)
    };
    Ok(find().map_err(TestbedError::file(directory))?)
}

pub(super) fn etcd(program: &Path, directory: &Path, port: u16, peer_port: u16) -> Command {
    let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
    let mut command = Command::new(program);
    command
        .arg("--data-dir")
        .arg(directory.join("etcd"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}")])
        // Nobody reads the data after the process ended.
        .args(["--unsafe-no-fsync", "--log-level", "warn"]);
    command
}

pub(super) fn apiserver(layout: &Layout) -> Result<Command, Error> {
    let policy = layout.directory.join("audit-policy.json");
    fs::write(&policy, audit::POLICY).map_err(TestbedError::file(&policy))?;
    let mut command = Command::new(&layout.apiserver);
    let path = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
    command
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"])
        .arg(format!("--secure-port={}", layout.port))
        .arg(format!("--etcd-servers=http://127.0.0.1:{}", layout.etcd_port))
        .arg(path("cert-dir", &layout.directory))
        .arg(path("tls-cert-file", &layout.serving.certificate))
        .arg(path("tls-private-key-file", &layout.serving.key))
        .arg(path("client-ca-file", &layout.authority))
        .arg(path("service-account-key-file", &layout.token_keys.public))
        .arg(path("service-account-signing-key-file", &layout.token_keys.private))
        // Servers of further APIs are asked as kubeadm has it.
        .arg(path("requestheader-client-ca-file", &layout.front_proxy.authority))
        .arg(format!("--requestheader-allowed-names={FRONT_PROXY}"))
        .args(["--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group"])
        .arg("--requestheader-extra-headers-prefix=X-Remote-Extra-")
        .arg(path("proxy-client-cert-file", &layout.front_proxy.identity.certificate))
        .arg(path("proxy-client-key-file", &layout.front_proxy.identity.key))
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .args(["--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=Node,RBAC", "--allow-privileged=true"])
        .arg(path("audit-policy-file", &policy))
        .arg(path("audit-log-path", &layout.audit_log()))
        // A request is in the log before the next one is answered: tests read it.
        .arg("--audit-log-mode=blocking");
    Ok(command)
}

pub(super) fn controller_manager(program: &Path, layout: &Layout) -> Command {
    let mut command = Command::new(program);
    command
        .arg(format!("--kubeconfig={}", layout.directory.join("manager.kubeconfig").display()))
        .arg(format!("--service-account-private-key-file={}", layout.token_keys.private.display()))
        .arg(format!("--root-ca-file={}", layout.authority.display()))
        // Nobody asks it anything.
        .args(["--use-service-account-credentials", "--leader-elect=false", "--secure-port=0"])
        .arg(format!("--cert-dir={}", layout.directory.display()));
    command
}
