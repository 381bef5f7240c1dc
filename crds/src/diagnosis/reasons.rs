//! Every reason that a condition can have, and what to do about it, in one place. The tables of `docs/troubleshooting.md`
//! are generated from it.

use super::Severity;
use crate::condition::status::ConditionStatus;

/// Why a condition is as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// The condition; empty for what is found without one.
    pub condition: &'static str,
    /// The reason, in one word.
    pub name: &'static str,
    /// The status that the condition has with it.
    pub status: ConditionStatus,
    /// How bad it is; `None` if nothing is wrong.
    pub severity: Option<Severity>,
    /// What to do, with `{namespace}`, `{release}` and `{operator}` for the names of the installation; for an alert, what
    /// the reason means.
    pub advice: &'static str,
}

/// The reasons of some conditions, one slice for each.
pub type Table = &'static [&'static [Reason]];

const NOTHING: &str = "nothing";
const SENSORS: &str = "see *Sensors* in docs/troubleshooting.md for what to do about each reason";
const SEE_READY: &str = "see `Ready`";
const RETRIED: &str = "wait: it is retried automatically";
const CAPS: &str = "raise the threshold or `holdFor` in the policy, or `alerts.caps` in the chart; counters and OTLP include \
    all alerts";

/// How the chart restores what it installs: `helm install` refuses a name that is in use, `helm upgrade` does not.
const UPGRADE: &str = "run `helm upgrade {release} charts/netprecursor --namespace {namespace} --reset-then-reuse-values` \
    to restore it (`helm list -n {namespace}` lists the release; without Helm, run `kubectl apply --server-side -k \
    deploy/kustomize`)";

const fn row(status: ConditionStatus, severity: Option<Severity>, advice: &'static str) -> Reason {
    Reason { condition: "", name: "", status, severity, advice }
}

const fn well(advice: &'static str) -> Reason {
    row(ConditionStatus::True, None, advice)
}

const fn fault(advice: &'static str) -> Reason {
    row(ConditionStatus::False, Some(Severity::Fault), advice)
}

const fn open(advice: &'static str) -> Reason {
    row(ConditionStatus::Unknown, Some(Severity::Warning), advice)
}

/// Of a condition that is present only while it applies.
const fn sign(severity: Severity, advice: &'static str) -> Reason {
    row(ConditionStatus::True, Some(severity), advice)
}

/// The reasons of one condition as an enum, and their rows of the table.
macro_rules! reasons {
    ($(#[$about:meta])* $name:ident of $condition:literal: $($reason:ident = $row:expr,)*) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each row documents its variant")]
        pub enum $name { $($reason),* }

        impl $name {
            const ROWS: &[Reason] =
                &[$(Reason { condition: $condition, name: stringify!($reason), ..$row }),*];

            /// The row of the table.
            pub const fn row(self) -> &'static Reason {
                &Self::ROWS[self as usize]
            }
        }

        /// A condition in the cluster has its reason as text.
        impl PartialEq<$name> for String {
            fn eq(&self, other: &$name) -> bool {
                self == other.row().name
            }
        }

        impl From<$name> for &'static Reason {
            fn from(reason: $name) -> Self {
                reason.row()
            }
        }
    };
}

reasons! {
    /// Whether a policy is in effect.
    Ready of "Ready":
    Watching = well(NOTHING),
    Invalid = fault("correct the policy: the message lists every problem with the expected value"),
    AgentsNotReady = fault("see `AgentsReady`"),
    Uninstalled = open(
        "install netprecursor again to have the policy followed, or delete it: it was kept when the release was uninstalled"
    ),
}

reasons! {
    /// Whether agents work.
    AgentsReady of "AgentsReady":
    AllReady = well(NOTHING),
    Replacing = sign(Severity::Warning, "wait: an upgrade or a configuration change is being rolled out"),
    Starting = fault(
        "wait a minute after you create the first policy; if it persists, run `kubectl -n {namespace} describe pods -l \
         app.kubernetes.io/name=netprecursor-agent` and look at the Events"
    ),
    NotReady = fault(
        "run `kubectl -n {namespace} describe pods -l app.kubernetes.io/name=netprecursor-agent` for the Events and \
         `kubectl -n {namespace} logs -l app.kubernetes.io/name=netprecursor-agent --prefix` for the agents' logs"
    ),
    Silent = fault(
        "run `kubectl -n {namespace} logs -l app.kubernetes.io/name=netprecursor-agent --prefix` to see why agents cannot \
         write; *forbidden* there means that the agents' role is missing (`rbac.create`) or that an admission policy \
         refuses their writes"
    ),
    PodSecurity = fault(
        "run `kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=privileged --overwrite` to allow \
         agents"
    ),
    NotCreated = fault(
        "remove what refuses the agents' pods, such as a quota or a webhook: the message is the API server's; run \
         `kubectl -n {namespace} get events --field-selector reason=FailedCreate` for all refusals"
    ),
    Refused = fault("correct the value under `agent` in the chart that the message names, then upgrade the release"),
    NoNodes = fault(
        "change `agent.nodeSelector`, `agent.affinity` or `agent.tolerations` in the chart's values: no node satisfies all \
         three"
    ),
    AnchorMissing = fault(UPGRADE),
}

reasons! {
    /// Whether a policy selects pods.
    TargetsResolved of "TargetsResolved":
    Selected = well(NOTHING),
    NoPods = row(
        ConditionStatus::False,
        Some(Severity::Warning),
        "compare `target` with `kubectl get pods --show-labels`; a `PrecursorPolicy` selects pods in its own namespace only"
    ),
    Invalid = open(SEE_READY),
}

reasons! {
    /// Whether rules forecast with the models that they name.
    ModelReady of "ModelReady":
    Builtin = well(NOTHING),
    Published = well(NOTHING),
    Checking = open("wait a few seconds"),
    Publishing = open("wait a few seconds; if it persists, see `AgentsReady`"),
    Invalid = open(SEE_READY),
    UnknownBuiltin = fault("name one of this release's builtins: the message lists them"),
    NotFound = fault(
        "create the ConfigMap in the policy's namespace (for a cluster policy in {namespace}), or correct `configMapKeyRef`"
    ),
    Forbidden = fault("add the ConfigMap's namespace to the chart's `models.namespaces`"),
    KeyMissing = fault(
        "correct the key, or add it to `binaryData`: the message lists the keys that exist, or states that the key holds \
         text"
    ),
    TooLarge = fault(
        "compress the model with gzip, or train a smaller one: at most 1 MiB as stored and 8 MiB inflated"
    ),
    NotGzip = fault("compress the model again: its gzip data is damaged"),
    DigestMismatch = fault("correct the model or `sha256`: the message has both digests"),
    Refused = fault(
        "correct the model: the message states where it violates the loading contract (docs/models.md), or what the file is \
         instead; `netprecursor model inspect FILE` runs the same check outside the cluster"
    ),
    CheckFailed = fault("train a smaller model if the next attempt fails too: the check exceeded its limits"),
    Unreachable = fault(RETRIED),
    NotLoaded = fault(
        "the message lists the nodes and why their agents could not load the model; delete the agent's pod there to retry"
    ),
}

reasons! {
    /// A policy has no forecasts yet.
    WarmingUp of "WarmingUp":
    NotWatchedYet = sign(Severity::Warning, "wait a few seconds after a change; if it persists, see `AgentsReady`"),
    WarmingUp = sign(
        Severity::Remark,
        "wait: this takes a minute after an agent starts, and longer while the pods have no traffic"
    ),
}

reasons! {
    /// A policy has alerts without an object.
    Throttled of "Throttled":
    TooManyAlerts = sign(Severity::Fault, CAPS),
}

reasons! {
    /// Agents of a policy measure less than they could.
    Degraded of "Degraded":
    AgentsDegraded = sign(
        Severity::Remark,
        "the message lists the nodes and the reasons; see *Sensors* in docs/troubleshooting.md for what to do"
    ),
}

reasons! {
    /// Incidents of a policy came without a warning.
    Unannounced of "Unannounced":
    ConfidenceNotReached = sign(
        Severity::Remark,
        "lower `minConfidencePercent`, or rely on alerts on measured breaches, which need no confidence: nothing in these \
         pods' traffic announces trouble with enough certainty"
    ),
}

reasons! {
    /// Another policy selects the same pods.
    Overlapping of "Overlapping":
    SamePods = sign(Severity::Remark, "narrow one of the selectors if one alert is enough"),
}

reasons! {
    /// Whether an agent measures what forecasts need.
    ReportReady of "Ready":
    SensorsWork = well(NOTHING),
    SensorsMissing = fault(
        "see `status.sensors` of the report for the reason, and *Sensors* in docs/troubleshooting.md for what to do"
    ),
    Starting = open("wait a few seconds"),
}

reasons! {
    /// Whether an agent's windows are still filling.
    ReportWarmingUp of "WarmingUp":
    WindowsFill = sign(Severity::Remark, "wait: nothing fires in the first minute after an agent starts"),
    WindowsFilled = row(ConditionStatus::False, None, NOTHING),
}

reasons! {
    /// Whether an agent measures or publishes less than it should.
    ReportDegraded of "Degraded":
    Incomplete = sign(Severity::Remark, "the message lists what is affected: sensors, disk, queue, caps, slots for pods"),
    Complete = row(ConditionStatus::False, None, NOTHING),
}

reasons! {
    /// Whether an alert is firing, and why it resolved.
    Firing of "Firing":
    RttBreachForecast = well("a warning: the forecast triggered it"),
    RttBreachMeasured = well("a measured breach triggered it"),
    RttRecovered = row(ConditionStatus::False, None, "RTT stayed below the resolve threshold for `keepFiringFor`"),
    RttNotMeasured = row(ConditionStatus::False, None, "nothing was measured any more: the pod had no traffic"),
    TargetGone = row(ConditionStatus::False, None, "the pod is gone, or the rule or policy no longer selects it"),
    AgentRestarted = row(ConditionStatus::False, None, "the agent restarted and has seen no breach since"),
    AgentLost = row(ConditionStatus::False, None, "the operator resolved it: the agent or the node did not come back"),
    Uninstalled = row(ConditionStatus::False, None, "netprecursor was uninstalled: nothing watches the pod any more"),
}

reasons! {
    /// Whether a breach followed a warning.
    Confirmed of "Confirmed":
    BreachFollowed = well("a breach followed in time"),
    NoBreachFollowed = row(ConditionStatus::False, None, "no breach followed in time"),
    NotYetJudged = row(ConditionStatus::Unknown, None, "the ten seconds are not over yet"),
    MeasuredFirst = row(ConditionStatus::Unknown, None, "the alert fired on a measured breach"),
    NotJudged = row(ConditionStatus::Unknown, None, "too little was measured, or the breach came before the warning"),
    TargetGone = row(ConditionStatus::Unknown, None, "there can be no verdict any more: the pod is gone"),
    AgentLost = row(ConditionStatus::Unknown, None, "there can be no verdict any more: the agent or the node is gone"),
    Uninstalled = row(ConditionStatus::Unknown, None, "there can be no verdict any more: netprecursor was uninstalled"),
}

reasons! {
    /// What the plugin finds without a condition, about the installation and about nodes.
    Found of "":
    OperatorMissing = fault(
        "run `helm upgrade --install {release} charts/netprecursor --namespace {namespace} --create-namespace` to install \
         what is missing, or pass `--install-namespace` if it is in another namespace"
    ),
    OperatorScaledDown = fault("run `kubectl -n {namespace} scale deployment {operator} --replicas=2`"),
    OperatorDown = fault(
        "run `kubectl -n {namespace} describe deployment {operator}` and `kubectl -n {namespace} logs \
         deployment/{operator}` to see why"
    ),
    NoLeader = fault("run `kubectl -n {namespace} logs deployment/{operator}` to see why"),
    NotObserved = fault(
        "wait a few seconds; if it persists, run `kubectl -n {namespace} logs deployment/{operator}` to see why"
    ),
    AgentMissing = fault(
        "run `kubectl -n {namespace} describe daemonset -l app.kubernetes.io/name=netprecursor-agent` and look at the Events"
    ),
    AgentStarting = sign(Severity::Warning, "wait: an agent reports within two minutes"),
    AgentNotReady = fault(
        "run `kubectl -n {namespace} describe pods -l app.kubernetes.io/name=netprecursor-agent` and look at the Events"
    ),
    NodeNotReady = fault("run `kubectl describe node` to see why"),
    NodeExcluded = sign(
        Severity::Remark,
        "pods on this node are not watched; to change that, edit `agent.nodeSelector`, `agent.affinity` or \
         `agent.tolerations` in the chart's values"
    ),
    OrphanedReport = sign(Severity::Remark, "ignore the report: it is deleted together with the node"),
    VersionSkew = sign(
        Severity::Warning,
        "wait for the upgrade to finish; if `agent.updateStrategy` is `OnDelete`, delete the agent's pod"
    ),
    SensorUnavailable = fault(SENSORS),
    SensorDegraded = sign(Severity::Remark, SENSORS),
    MessagesDropped = fault(
        "check that the agent may write to the API server and that its node has space in `agent.stateDir`; OTLP includes \
         all alerts, and the count restarts with the agent"
    ),
    MessagesPending = sign(
        Severity::Warning,
        "wait: an agent writes at most ten messages a second, on large clusters one every twenty seconds; OTLP gets alerts at \
         once"
    ),
    OverCapacity = fault("narrow the policies' selectors: the agent has no free slot for more pods"),
    AlertsOverCap = fault(CAPS),
    ModelFallback = fault("see `ModelReady` of the policy"),
    SmoothedRtt = sign(Severity::Remark, "forecasts work, but less accurately"),
    // Nothing is wrong with netprecursor, but "nothing is wrong" would mislead.
    AlertsFiring = sign(Severity::Warning, "run `kubectl netprecursor status -A` to list them"),
}

/// Conditions of a policy.
pub const POLICY: Table = &[
    Ready::ROWS,
    AgentsReady::ROWS,
    TargetsResolved::ROWS,
    ModelReady::ROWS,
    WarmingUp::ROWS,
    Throttled::ROWS,
    Degraded::ROWS,
    Unannounced::ROWS,
    Overlapping::ROWS,
];

/// Conditions of a node report.
pub const REPORT: Table = &[ReportReady::ROWS, ReportWarmingUp::ROWS, ReportDegraded::ROWS];

/// Conditions of an alert.
pub const ALERT: Table = &[Firing::ROWS, Confirmed::ROWS];

/// What the plugin finds without a condition, about the installation and about nodes.
pub const FOUND: Table = &[Found::ROWS];

/// All reasons of a table.
pub fn all(table: Table) -> impl Iterator<Item = &'static Reason> {
    table.iter().copied().flatten()
}

/// What is known of a reason of a condition; `None` when a later release gave it.
pub fn find(table: Table, condition: &str, name: &str) -> Option<&'static Reason> {
    all(table).find(|reason| reason.condition == condition && reason.name == name)
}
