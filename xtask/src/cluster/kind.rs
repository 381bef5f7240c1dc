//! kind: its configuration and calls, and the programs that go with it.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context as _;
use netprecursor_testbed::{Module, Version, cache, module};
use serde_json::{Value, json};

use super::{
    commands::Work,
    instance::{Instance, Record, addresses},
    own::{
        node,
        sandbox::{Place, docker_client},
    },
};

/// The default node image of kind 0.33.
pub(super) const NODE_IMAGE: &str =
    "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5";

/// The variable by which a command, and all that it starts, knows the name of its cluster.
pub(super) const CLUSTER: &str = "NETPRECURSOR_CLUSTER";

/// The path of the audit policy in the API server's node.
const AUDIT_POLICY: &str = "/kind/audit-policy.json";
/// The kubelet serves what is below `/var/log`: stories read the log through the API, on every machine alike.
const AUDIT_LOGS: &str = "/var/log/kubernetes";

/// A node of an unpulled image starts in a minute on a slow line.
const CREATE_LIMIT: Duration = Duration::from_secs(15 * 60);
const MINUTES: Duration = Duration::from_secs(5 * 60);

/// Programs, Docker and cluster that commands are run with.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    /// kind, kubectl, helm (the current one) and helm3 alone in a directory.
    tools: PathBuf,
    docker_host: Option<String>,
    instance: Instance,
}

impl Surroundings {
    /// Builds the programs when the cache has none.
    ///
    /// # Errors
    /// They do not build.
    pub(super) fn of(instance: &Instance, record: &Record, work: &Work) -> anyhow::Result<Self> {
        let docker_host = record.sandbox.map(|_| place(instance).host());
        Ok(Self { tools: tools(work, record.sandbox.is_some())?, docker_host, instance: instance.clone() })
    }

    /// A command that finds the cluster.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let kubeconfig = self.instance.kubeconfig();
        let mut path = OsString::from(&self.tools);
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        command.env("PATH", path).env(CLUSTER, &self.instance.name);
        command.env("KUBECONFIG", &kubeconfig).env("E2E_KUBECONFIG", &kubeconfig);
        if let Some(host) = &self.docker_host {
            command.env("DOCKER_HOST", host).env("DOCKER_BUILDKIT", "0");
        }
        command
    }

    fn kind(&self, verb: &[&str]) -> Command {
        let mut command = self.command("kind");
        command.args(verb).args(["--name", &self.instance.cluster()]);
        command
    }

    /// Makes the cluster and waits until its nodes and its DNS are ready.
    ///
    /// # Errors
    /// It does not come up.
    pub(super) fn create(&self, record: &Record, work: &Work) -> anyhow::Result<()> {
        let (configuration, policy) =
            (self.instance.directory.join("kind.json"), self.instance.directory.join("audit-policy.json"));
        for (path, content) in [(&policy, audit_policy()), (&configuration, configuration_of(record, &policy))] {
            let text = serde_json::to_string_pretty(&content)?;
            fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        let mut create = self.kind(&["create", "cluster", "--wait", "120s"]);
        create.arg("--config").arg(&configuration).arg("--kubeconfig").arg(self.instance.kubeconfig());
        create.args(["--image", if record.sandbox.is_some() { node::IMAGE } else { NODE_IMAGE }]);
        work.run(&mut create, CREATE_LIMIT)?;
        let wait = ["wait", "--for=condition=Ready", "node", "--all", "--timeout=120s"];
        work.run(self.command("kubectl").args(wait), MINUTES)?;
        let dns = ["--namespace=kube-system", "rollout", "status", "deployment/coredns", "--timeout=120s"];
        work.run(self.command("kubectl").args(dns), MINUTES)
    }

    /// Deletes a cluster that the machine's Docker runs. Nothing of it needs to be there.
    ///
    /// # Errors
    /// kind fails.
    pub(super) fn delete(&self, work: &Work) -> anyhow::Result<()> {
        work.run(self.kind(&["delete", "cluster"]).arg("--kubeconfig").arg(self.instance.kubeconfig()), MINUTES)
    }

    /// Gives an archive of images to every node.
    ///
    /// # Errors
    /// The archive is not one, or the disk is full.
    pub(super) fn load(&self, archive: &Path, work: &Work) -> anyhow::Result<()> {
        work.run(self.kind(&["load", "image-archive"]).arg(archive), MINUTES)
    }
}

/// Where an instance's own Docker daemon is.
pub(super) fn place(instance: &Instance) -> Place {
    Place { directory: instance.directory.clone(), group: instance.cluster() }
}

/// What the product's service accounts ask for, and who changes access rules: which of its rights a story uses, and which
/// it lacks. Without bodies, and nothing else, so that it stays small.
fn audit_policy() -> Value {
    let user = |name: &str| format!("system:serviceaccount:netprecursor-system:netprecursor-{name}");
    json!({
        "kind": "Policy",
        "apiVersion": "audit.k8s.io/v1",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "Metadata", "users": [user("operator"), user("agent")]},
            {
                "level": "Metadata",
                "verbs": ["create", "update", "patch", "delete"],
                "resources": [{"group": "rbac.authorization.k8s.io"}],
            },
            {"level": "None"},
        ],
    })
}

/// kind's configuration; JSON is YAML too. `audit_policy` is a file of the machine that runs Docker.
fn configuration_of(record: &Record, audit_policy: &Path) -> Value {
    // Without a version kind fits it to every one of kubeadm's.
    let cluster = json!({
        "kind": "ClusterConfiguration",
        "apiServer": {
            "extraArgs": {
                "audit-policy-file": AUDIT_POLICY,
                "audit-log-path": format!("{AUDIT_LOGS}/audit.log"),
            },
            "extraVolumes": [
                {"name": "audit-policy", "hostPath": AUDIT_POLICY, "mountPath": AUDIT_POLICY, "readOnly": true,
                    "pathType": "File"},
                {"name": "audit-logs", "hostPath": AUDIT_LOGS, "mountPath": AUDIT_LOGS, "readOnly": false,
                    "pathType": "DirectoryOrCreate"},
            ],
        },
        // Autoscalers are looked at every 15 s by default, when a warning is about ten.
        "controllerManager": {"extraArgs": {"horizontal-pod-autoscaler-sync-period": "2s"}},
    });
    let mount = json!({"hostPath": audit_policy, "containerPath": AUDIT_POLICY, "readOnly": true});
    let mut whole = json!({
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane", "extraMounts": [mount]}, {"role": "worker"}, {"role": "worker"}],
        "kubeadmConfigPatches": [cluster.to_string()],
    });
    if let Some(link) = record.link {
        // Our node image has no daemon of a network plugin, and no systemd.
        whole["networking"] = json!({
            "disableDefaultCNI": true,
            "podSubnet": "10.244.0.0/16",
            "kubeProxyMode": "nftables",
            "apiServerAddress": addresses(link).1,
            "apiServerPort": 6443,
        });
        let kubelet = json!({
            "kind": "KubeletConfiguration",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": "/kubelet",
            "failCgroupV1": false,
            "resolvConf": "/kind/resolv.conf",
            "maxPods": 150,
        });
        whole["kubeadmConfigPatches"] = json!([cluster.to_string(), kubelet.to_string()]);
    }
    whole
}

/// A directory with the programs under the names by which people call them.
fn tools(work: &Work, own_docker: bool) -> anyhow::Result<PathBuf> {
    let (tools, helm_3) = (work.programs(module::TOOLS)?, work.programs(module::HELM_3)?);
    let kubernetes = work.programs(Module::kubernetes(Version::DEFAULT))?;
    let mut links = vec![
        ("kind", tools.program("kind")?),
        ("helm", tools.program("helm")?),
        ("helm3", helm_3.program("helm")?),
        ("kubectl", kubernetes.program("kubectl")?),
    ];
    if own_docker {
        links.push(("docker", docker_client()?));
    }
    // One directory for each combination: another checkout may pin others.
    let name = if own_docker { "tools-own" } else { "tools" };
    let store = cache::kind()?.join(name);
    let digests: Vec<String> =
        links.iter().filter_map(|(_, path)| Some(path.parent()?.file_name()?.to_string_lossy().into_owned())).collect();
    let directory = store.join(digests.join("+"));
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    for (name, path) in links {
        let link = directory.join(name);
        if fs::read_link(&link).is_ok_and(|target| target == path) {
            continue;
        }
        fs::remove_file(&link).ok();
        match symlink(&path, &link) {
            // Another process just created it.
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("making {}", link.display()));
            }
            _ => {}
        }
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(link: Option<u8>) -> Record {
        Record { owner: None, starter: None, sandbox: None, on_machine: link.is_none(), link }
    }

    #[test]
    fn on_the_machines_docker_kind_decides_all_but_the_nodes() {
        let configuration = configuration_of(&record(None), Path::new("/policy"));
        assert_eq!(configuration["nodes"].as_array().unwrap().len(), 3);
        assert!(configuration.get("networking").is_none());
        assert_eq!(configuration["kubeadmConfigPatches"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn in_a_sandbox_the_api_server_listens_on_the_link() {
        let configuration = configuration_of(&record(Some(2)), Path::new("/policy"));
        assert_eq!(configuration["networking"]["apiServerAddress"], "198.18.2.2");
        let patch: Value = serde_json::from_str(configuration["kubeadmConfigPatches"][1].as_str().unwrap()).unwrap();
        assert_eq!(patch["kind"], "KubeletConfiguration");
    }

    #[test]
    fn the_api_server_finds_in_its_node_what_it_shall_log() {
        let configuration = configuration_of(&record(None), Path::new("/home/me/policy.json"));
        let patch: Value = serde_json::from_str(configuration["kubeadmConfigPatches"][0].as_str().unwrap()).unwrap();
        let mount = &configuration["nodes"][0]["extraMounts"][0];
        assert_eq!(mount["hostPath"], "/home/me/policy.json");
        assert_eq!(mount["containerPath"], patch["apiServer"]["extraVolumes"][0]["hostPath"]);
        assert_eq!(mount["containerPath"], patch["apiServer"]["extraArgs"]["audit-policy-file"]);
    }
}
