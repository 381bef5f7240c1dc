//! Every reason that a condition can have, and what to do about it: the only place where that stands. The tables of
//! `docs/troubleshooting.md` are made of it.

use super::Severity;

/// Why a condition is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// The condition; empty for what is found without one.
    pub condition: &'static str,
    /// The reason, in one word.
    pub name: &'static str,
    /// The status that the condition has with it.
    pub status: &'static str,
    /// How bad it is; `None` when it is well.
    pub severity: Option<Severity>,
    /// What to do, with `{namespace}`, `{release}` and `{operator}` for the names of the installation.
    pub advice: &'static str,
}

const NOTHING: &str = "nothing";
const SENSORS: &str = "docs/troubleshooting.md, *Sensors*, says what to do about each reason";
const SEE_READY: &str = "see `Ready`";
const BY_ITSELF: &str = "wait: it is tried again by itself";

/// How the chart brings back what it installs: `helm install` refuses a name that is in use, `helm upgrade` does not.
const UPGRADE: &str = "`helm upgrade {release} charts/netprecursor --namespace {namespace} --reset-then-reuse-values` \
    makes it again (`helm list -n {namespace}` names the release; without Helm `kubectl apply --server-side -k \
    deploy/kustomize`)";

const fn well(condition: &'static str, name: &'static str, advice: &'static str) -> Reason {
    Reason { condition, name, status: "True", severity: None, advice }
}

const fn fault(condition: &'static str, name: &'static str, advice: &'static str) -> Reason {
    Reason { condition, name, status: "False", severity: Some(Severity::Fault), advice }
}

const fn open(condition: &'static str, name: &'static str, advice: &'static str) -> Reason {
    Reason { condition, name, status: "Unknown", severity: Some(Severity::Warning), advice }
}

/// A condition that is there only while it says something.
const fn sign(condition: &'static str, name: &'static str, severity: Severity, advice: &'static str) -> Reason {
    Reason { condition, name, status: "True", severity: Some(severity), advice }
}

/// Conditions of a policy.
pub const POLICY: &[Reason] = &[
    well("Ready", "Watching", NOTHING),
    fault("Ready", "Invalid", "correct the policy: the message lists everything that is wrong, with what was expected"),
    fault("Ready", "AgentsNotReady", "see `AgentsReady`"),
    well("AgentsReady", "AllReady", NOTHING),
    sign(
        "AgentsReady",
        "Replacing",
        Severity::Warning,
        "wait: an upgrade or a change of configuration is on its way round",
    ),
    fault(
        "AgentsReady",
        "Starting",
        "wait a minute after the first policy; when it stays, `kubectl -n {namespace} describe pods -l \
         app.kubernetes.io/name=netprecursor-agent` has the Events",
    ),
    fault(
        "AgentsReady",
        "NotReady",
        "`kubectl -n {namespace} describe pods -l app.kubernetes.io/name=netprecursor-agent` has the Events, \
         `kubectl -n {namespace} logs -l app.kubernetes.io/name=netprecursor-agent --prefix` what agents say",
    ),
    fault(
        "AgentsReady",
        "Silent",
        "`kubectl -n {namespace} logs -l app.kubernetes.io/name=netprecursor-agent --prefix` says why agents cannot \
         write; *forbidden* there means that the agents' role is missing (`rbac.create`) or that an admission policy \
         refuses them",
    ),
    fault(
        "AgentsReady",
        "PodSecurity",
        "`kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=privileged --overwrite` allows agents",
    ),
    fault(
        "AgentsReady",
        "NotCreated",
        "remove what refuses the agents' pods, such as a quota or a webhook: the message is its own; `kubectl -n \
         {namespace} get events --field-selector reason=FailedCreate` has all of them",
    ),
    fault(
        "AgentsReady",
        "Refused",
        "correct the value under `agent` in the chart that the message names, and upgrade the release",
    ),
    fault(
        "AgentsReady",
        "NoNodes",
        "change `agent.nodeSelector`, `agent.affinity` or `agent.tolerations` in the chart's values: no node fits all three",
    ),
    fault("AgentsReady", "AnchorMissing", UPGRADE),
    well("TargetsResolved", "Selected", NOTHING),
    Reason {
        condition: "TargetsResolved",
        name: "NoPods",
        status: "False",
        severity: Some(Severity::Warning),
        advice: "compare `target` with `kubectl get pods --show-labels`; a `PrecursorPolicy` sees its own namespace only",
    },
    open("TargetsResolved", "Invalid", SEE_READY),
    well("ModelReady", "Builtin", NOTHING),
    well("ModelReady", "Published", NOTHING),
    open("ModelReady", "Checking", "wait some seconds"),
    open("ModelReady", "Publishing", "wait some seconds; when it stays, see `AgentsReady`"),
    open("ModelReady", "Invalid", SEE_READY),
    fault("ModelReady", "UnknownBuiltin", "name one of this release's builtins: the message lists them"),
    fault(
        "ModelReady",
        "NotFound",
        "make the ConfigMap in the policy's namespace (of a cluster policy: in {namespace}), or correct `configMapKeyRef`",
    ),
    fault("ModelReady", "Forbidden", "list the ConfigMap's namespace in the chart's `models.namespaces`"),
    fault(
        "ModelReady",
        "KeyMissing",
        "correct the key, or add it to `binaryData`: the message lists the keys that are there, or says that this one holds \
         text",
    ),
    fault(
        "ModelReady",
        "TooLarge",
        "compress the model by gzip, or train a smaller one: at most 1 MiB as stored and 8 MiB inflated",
    ),
    fault("ModelReady", "NotGzip", "compress the model again: it starts like gzip and is damaged"),
    fault("ModelReady", "DigestMismatch", "correct the model or `sha256`: the message has both digests"),
    fault(
        "ModelReady",
        "Refused",
        "correct the model: the message says where it breaks the loading contract (docs/models.md), or what the file is \
         instead; `netprecursor model inspect FILE` says the same before it is in the cluster",
    ),
    fault(
        "ModelReady",
        "CheckFailed",
        "train a smaller model, unless the next try succeeds: the check ended by its limits",
    ),
    fault("ModelReady", "Unreachable", BY_ITSELF),
    fault(
        "ModelReady",
        "NotLoaded",
        "the message names nodes and why their agents could not load the model; delete the agent's pod there to try again",
    ),
    sign(
        "WarmingUp",
        "NotWatchedYet",
        Severity::Warning,
        "wait some seconds after a change; when it stays, see `AgentsReady`",
    ),
    sign(
        "WarmingUp",
        "WarmingUp",
        Severity::Remark,
        "wait: a minute after an agent's start, or as long as the pods have no traffic",
    ),
    sign(
        "Throttled",
        "TooManyAlerts",
        Severity::Fault,
        "raise the threshold or `holdFor` in the policy, or `alerts.caps` in the chart; counters and OTLP have all alerts",
    ),
    sign(
        "Degraded",
        "LessThanPossible",
        Severity::Remark,
        "the message says which nodes, and why; docs/troubleshooting.md, *Sensors*, what to do",
    ),
    sign(
        "Unannounced",
        "ConfidenceNotReached",
        Severity::Remark,
        "lower `minConfidencePercent`, or rely on measured breaches, which fire without it: in these pods' traffic nothing \
         announces trouble surely enough",
    ),
    sign("Overlapping", "SamePods", Severity::Remark, "narrow one of the selectors where one alert is enough"),
];

/// Conditions of a node report.
pub const REPORT: &[Reason] = &[
    well("Ready", "SensorsWork", NOTHING),
    fault(
        "Ready",
        "SensorsMissing",
        "`status.sensors` of the report says why; docs/troubleshooting.md, *Sensors*, what to do",
    ),
    open("Ready", "Starting", "wait some seconds"),
    sign("WarmingUp", "WindowsFill", Severity::Remark, "wait: nothing fires in the first minute of an agent"),
    Reason { condition: "WarmingUp", name: "WindowsFilled", status: "False", severity: None, advice: NOTHING },
    sign(
        "Degraded",
        "SomethingMissing",
        Severity::Remark,
        "the message lists what: sensors, disk, queue, caps, room for pods",
    ),
    Reason { condition: "Degraded", name: "AllWell", status: "False", severity: None, advice: NOTHING },
];

/// What the plugin finds without a condition, about the installation and about nodes.
pub const FOUND: &[Reason] = &[
    fault(
        "",
        "OperatorMissing",
        "`helm upgrade --install {release} charts/netprecursor --namespace {namespace} --create-namespace` installs it, \
         or what of it is missing; `--install-namespace` when it is in another namespace",
    ),
    fault("", "OperatorScaledDown", "`kubectl -n {namespace} scale deployment {operator} --replicas=2`"),
    fault(
        "",
        "OperatorDown",
        "`kubectl -n {namespace} describe deployment {operator}` and `kubectl -n {namespace} logs deployment/{operator}` \
         say why",
    ),
    fault("", "NobodyLeads", "`kubectl -n {namespace} logs deployment/{operator}` says why"),
    fault(
        "",
        "NotSeenYet",
        "wait some seconds; when it stays, `kubectl -n {namespace} logs deployment/{operator}` says why",
    ),
    fault(
        "",
        "AgentMissing",
        "`kubectl -n {namespace} describe daemonset -l app.kubernetes.io/name=netprecursor-agent` has the Events",
    ),
    sign("", "AgentStarting", Severity::Warning, "wait: an agent reports within two minutes"),
    fault(
        "",
        "AgentNotReady",
        "`kubectl -n {namespace} describe pods -l app.kubernetes.io/name=netprecursor-agent` has the Events",
    ),
    fault("", "NodeNotReady", "`kubectl describe node` says why the node itself does not work"),
    sign(
        "",
        "LeftOut",
        Severity::Remark,
        "`agent.nodeSelector`, `agent.affinity` and `agent.tolerations` in the chart decide that; pods there are not watched",
    ),
    sign("", "OldReport", Severity::Remark, "the report is of the last agent there, and goes with the node"),
    sign(
        "",
        "OtherVersion",
        Severity::Warning,
        "wait for the upgrade to come round; with `OnDelete` in `agent.updateStrategy` delete the pod",
    ),
    fault("", "SensorUnavailable", SENSORS),
    sign("", "SensorLess", Severity::Remark, SENSORS),
    fault(
        "",
        "QueueFull",
        "see that the agent may write to the API server, and that its node has room in `agent.stateDir`; OTLP has all \
         alerts, and the count starts anew with the agent",
    ),
    sign(
        "",
        "QueueWaits",
        Severity::Warning,
        "wait: an agent writes thirty alerts at once and then one each twenty seconds; OTLP has them at once",
    ),
    fault("", "NoRoom", "narrow the policies' selectors: an agent watches as many pods as its table has places"),
    fault(
        "",
        "AlertsOverCap",
        "raise the threshold or `holdFor` in the policy, or `alerts.caps` in the chart; counters and OTLP have all alerts",
    ),
    fault("", "FallsBack", "see `ModelReady` of the policy"),
    sign("", "Smoothed", Severity::Remark, "forecasts work all the same, less exactly"),
    FIRING,
];

/// Alerts are out: nothing wrong with netprecursor, and not a time to say that nothing is wrong.
pub const FIRING: Reason = sign("", "AlertsFiring", Severity::Warning, "`kubectl netprecursor status -A` lists them");

/// What is known of a reason of a condition; `None` when a later release gave it.
pub fn find(table: &'static [Reason], condition: &str, name: &str) -> Option<&'static Reason> {
    table.iter().find(|reason| reason.condition == condition && reason.name == name)
}

/// What is known of something that is found without a condition.
pub(crate) const fn found(name: &str) -> &'static Reason {
    let mut index = 0;
    while index < FOUND.len() {
        if is_same(FOUND[index].name, name) {
            return &FOUND[index];
        }
        index += 1;
    }
    panic!("the table has no such reason")
}

/// A reason of `AgentsReady`.
pub(crate) const fn of_agents(name: &str) -> &'static Reason {
    let mut index = 0;
    while index < POLICY.len() {
        if is_same(POLICY[index].condition, "AgentsReady") && is_same(POLICY[index].name, name) {
            return &POLICY[index];
        }
        index += 1;
    }
    panic!("AgentsReady has no such reason")
}

/// `==` of texts, which is not for constants yet: reasons that the table does not have are found by the compiler.
const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    one.len() == other.len()
}
