//! A privileged pod on a node, for faults that no API can cause: it sees the node's processes, mounts and network.
//!
//! It does not need Docker, so it works on every cluster that allows privileged pods.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, api::PostParams};
use serde_json::json;

use super::{Output, Story, exec, tools_image, traffic::is_ready, wait_for};
use crate::Error;

const CONTAINER: &str = "hands";
const START_LIMIT: Duration = Duration::from_secs(120);

/// A privileged pod on one node, which is deleted with the story's namespace.
pub struct Hands {
    pods: Api<Pod>,
    pod: String,
}

/// Memory and CPU time of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Resident memory, KiB.
    pub resident_kib: u64,
    /// CPU time since its start, in ticks of a hundredth of a second.
    pub cpu_ticks: u64,
}

impl Hands {
    /// Starts the pod on `node`, whatever its taints.
    ///
    /// # Errors
    /// It does not start.
    pub async fn on(story: &Story, node: &str) -> Result<Self, Error> {
        let name = format!("hands-{node}");
        let pod = json!({
            "metadata": {"name": name, "labels": {"app": "hands"}},
            "spec": {
                "nodeName": node,
                "hostPID": true,
                "hostNetwork": true,
                "tolerations": [{"operator": "Exists"}],
                "terminationGracePeriodSeconds": 1,
                "containers": [{
                    "name": CONTAINER, "image": tools_image(), "imagePullPolicy": "IfNotPresent",
                    "command": ["/bin/sh", "-c", "trap exit TERM; while :; do sleep 3600 & wait; done"],
                    "securityContext": {"privileged": true},
                }],
            },
        });
        let what = || format!("creating pod {name}");
        let pod = serde_json::from_value(pod).map_err(kube::Error::SerdeError).map_err(Error::request(what()))?;
        let pods: Api<Pod> = story.api();
        pods.create(&PostParams::default(), &pod).await.map_err(Error::request(what()))?;
        let what = format!("pod {name} to be ready");
        wait_for(&pods, &name, &what, START_LIMIT, |pod| pod.is_some_and(is_ready)).await?;
        Ok(Self { pods, pod: name })
    }

    /// Runs a shell script to its end.
    ///
    /// # Errors
    /// It fails.
    pub async fn run(&self, script: &str) -> Result<Output, Error> {
        exec(&self.pods, &self.pod, CONTAINER, &["/bin/sh", "-c", script]).await
    }

    /// Starts a shell script that runs on even if the node or the API server cannot be reached, so that it repairs what it
    /// breaks in any case.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(&self, script: &str) -> Result<(), Error> {
        let alone = "setsid /bin/sh -c \"$0\" </dev/null >/tmp/started 2>&1 &";
        exec(&self.pods, &self.pod, CONTAINER, &["/bin/sh", "-c", alone, script]).await.map(|_| ())
    }

    /// Sends a signal, such as `KILL`, to the node's processes that were started as `program`. Returns how many there were.
    ///
    /// # Errors
    /// The pod does not answer.
    pub async fn signal(&self, program: &str, signal: &str) -> Result<usize, Error> {
        let script = format!("for p in $({}); do kill -{signal} $p && echo $p; done; true", pids(program));
        Ok(self.run(&script).await?.stdout.lines().count())
    }

    /// As [`Hands::signal`], to those alone whose variable `POD_NAME` is `pod`.
    ///
    /// # Errors
    /// The pod does not answer.
    pub async fn signal_pod(&self, program: &str, pod: &str, signal: &str) -> Result<usize, Error> {
        let script = format!(
            "for p in $({}); do tr '\\0' '\\n' </proc/$p/environ | grep -qx 'POD_NAME={pod}' && \
             kill -{signal} $p && echo $p; done; true",
            pids(program)
        );
        Ok(self.run(&script).await?.stdout.lines().count())
    }

    /// Usage of the oldest process started as `program`; `None` without one.
    ///
    /// # Errors
    /// The pod does not answer.
    pub async fn usage(&self, program: &str) -> Result<Option<Usage>, Error> {
        let script = format!(
            "p=$({} | sort -n | head -n 1); [ -z \"$p\" ] || {{ grep VmRSS: /proc/$p/status; cat /proc/$p/stat; }}",
            pids(program)
        );
        Ok(usage(&self.run(&script).await?.stdout))
    }
}

/// A script that prints the ids of processes by the first word of their command line.
fn pids(program: &str) -> String {
    format!(
        "for d in /proc/[0-9]*; do [ \"$(tr '\\0' '\\n' <$d/cmdline 2>/dev/null | head -n 1)\" = {program} ] && \
         echo ${{d#/proc/}}; done"
    )
}

/// From `VmRSS` of `/proc/PID/status` and the line of `/proc/PID/stat` (proc(5)).
fn usage(output: &str) -> Option<Usage> {
    let (resident, stat) = output.split_once('\n')?;
    let resident_kib = resident.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok()?;
    // The name, in parentheses, may hold anything; user and system time are the 14th and 15th field.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let time = |at: usize| fields.get(at - 3)?.parse::<u64>().ok();
    Some(Usage { resident_kib, cpu_ticks: time(14)? + time(15)? })
}

/// Whether a node was made by kind: only such a node may be broken.
pub fn is_of_kind(node: &Node) -> bool {
    let provider = node.spec.as_ref().and_then(|spec| spec.provider_id.as_deref());
    provider.is_some_and(|id| id.starts_with("kind://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_parsed_whatever_the_name_of_the_process() {
        let output = "VmRSS:\t   31744 kB\n7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 12 1000 200\n";
        assert_eq!(usage(output), Some(Usage { resident_kib: 31_744, cpu_ticks: 300 }));
        assert_eq!(usage(""), None);
    }

    #[test]
    fn nodes_of_kind_are_known_by_their_provider() {
        let node = |id: &str| -> Node { serde_json::from_value(json!({"spec": {"providerID": id}})).unwrap() };
        assert!(is_of_kind(&node("kind://docker/kind/worker")));
        assert!(!is_of_kind(&node("aws:///eu/i-1")) && !is_of_kind(&Node::default()));
    }
}
