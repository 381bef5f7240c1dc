//! Every reason that a condition can have, and what to do about it: the only place where that stands. The tables of
//! `docs/troubleshooting.md` are made of it.

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
    /// How bad it is; `None` when it is well.
    pub severity: Option<Severity>,
    /// What to do, with `{namespace}`, `{release}` and `{operator}` for the names of the installation; of an alert, what it
    /// means.
    pub advice: &'static str,
}

/// The reasons of some conditions, one slice for each.
pub type Table = &'static [&'static [Reason]];

const NOTHING: &str = "nothing";
const SENSORS: &str = "docs/troubleshooting.md, *Sensors*, says what to do about each reason";
const SEE_READY: &str = "see `Ready`";
const BY_ITSELF: &str = "wait: it is tried again by itself";

/// How the chart brings back what it installs: `helm install` refuses a name that is in use, `helm upgrade` does not.
const UPGRADE: &str = "`helm upgrade {release} charts/netprecursor --namespace {namespace} --reset-then-reuse-values` \
    makes it again (`helm list -n {namespace}` names the release; without Helm `kubectl apply --server-side -k \
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

/// Of a condition that is there only while something is to be seen by it.
const fn sign(severity: Severity, advice: &'static str) -> Reason {
    row(ConditionStatus::True, Some(severity), advice)
}

/// The reasons of one condition as an enum, and their rows of the table.
macro_rules! reasons {
    ($(#[$about:meta])* $name:ident of $condition:literal: $($reason:ident = $row:expr,)*) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "what each means stands in its row")]
        pub enum $name { $($reason),* }

        impl $name {
            const ROWS: &[Reason] =
                &[$(Reason { condition: $condition, name: stringify!($reason), ..$row }),*];

            /// The row of the table.
            pub const fn row(self) -> &'static Reason {
                &Self::ROWS[self as usize]
            }
        }

        /// What a condition in the cluster says is text.
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
    /// Whether a policy is followed.
    Ready of "Ready":
    Watching = well(NOTHING),
    Invalid = fault("correct the policy: the message lists everything that is wrong, with what was expected"),
    AgentsNotReady = fault("see `AgentsReady`"),
}

reasons! {
    /// Whether agents work.
    AgentsReady of "AgentsReady":
    AllReady = well(NOTHING),
    Replacing = sign(Severity::Warning, "wait: an upgrade or a change of configuration is on its way round"),
    Starting = fault(
        "wait a minute after the first policy; when it stays, `kubectl -n {namespace} describe pods -l \
         app.kubernetes.io/name=netprecursor-agent` has the Events"
    ),
    NotReady = fault(
        "`kubectl -n {namespace} describe pods -l app.kubernetes.io/name=netprecursor-agent` has the Events, \
         `kubectl -n {namespace} logs -l app.kubernetes.io/name=netprecursor-agent --prefix` what agents say"
    ),
    Silent = fault(
        "`kubectl -n {namespace} logs -l app.kubernetes.io/name=netprecursor-agent --prefix` says why agents cannot \
         write; *forbidden* there means that the agents' role is missing (`rbac.create`) or that an admission policy \
         refuses them"
    ),
    PodSecurity = fault(
        "`kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=privileged --overwrite` allows agents"
    ),
    NotCreated = fault(
        "remove what refuses the agents' pods, such as a quota or a webhook: the message is its own; `kubectl -n \
         {namespace} get events --field-selector reason=FailedCreate` has all of them"
    ),
    Refused = fault("correct the value under `agent` in the chart that the message names, and upgrade the release"),
    NoNodes = fault(
        "change `agent.nodeSelector`, `agent.affinity` or `agent.tolerations` in the chart's values: no node fits all three"
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
        "compare `target` with `kubectl get pods --show-labels`; a `PrecursorPolicy` sees its own namespace only"
    ),
    Invalid = open(SEE_READY),
}

reasons! {
    /// Whether rules forecast with what they ask for.
    ModelReady of "ModelReady":
    Builtin = well(NOTHING),
    Published = well(NOTHING),
    Checking = open("wait some seconds"),
    Publishing = open("wait some seconds; when it stays, see `AgentsReady`"),
    Invalid = open(SEE_READY),
    UnknownBuiltin = fault("name one of this release's builtins: the message lists them"),
    NotFound = fault(
        "make the ConfigMap in the policy's namespace (of a cluster policy: in {namespace}), or correct `configMapKeyRef`"
    ),
    Forbidden = fault("list the ConfigMap's namespace in the chart's `models.namespaces`"),
    KeyMissing = fault(
        "correct the key, or add it to `binaryData`: the message lists the keys that are there, or says that this one holds \
         text"
    ),
    TooLarge = fault("compress the model by gzip, or train a smaller one: at most 1 MiB as stored and 8 MiB inflated"),
    NotGzip = fault("compress the model again: it starts like gzip and is damaged"),
    DigestMismatch = fault("correct the model or `sha256`: the message has both digests"),
    Refused = fault(
        "correct the model: the message says where it breaks the loading contract (docs/models.md), or what the file is \
         instead; `netprecursor model inspect FILE` says the same before it is in the cluster"
    ),
    CheckFailed = fault("train a smaller model, unless the next try succeeds: the check ended by its limits"),
    Unreachable = fault(BY_ITSELF),
    NotLoaded = fault(
        "the message names nodes and why their agents could not load the model; delete the agent's pod there to try again"
    ),
}

reasons! {
    /// A policy has no forecasts yet.
    WarmingUp of "WarmingUp":
    NotWatchedYet = sign(Severity::Warning, "wait some seconds after a change; when it stays, see `AgentsReady`"),
    WarmingUp = sign(Severity::Remark, "wait: a minute after an agent's start, or as long as the pods have no traffic"),
}

reasons! {
    /// A policy has alerts without an object.
    Throttled of "Throttled":
    TooManyAlerts = sign(Severity::Fault,
        "raise the threshold or `holdFor` in the policy, or `alerts.caps` in the chart; counters and OTLP have all alerts"
    ),
}

reasons! {
    /// Agents of a policy measure less than they could.
    Degraded of "Degraded":
    LessThanPossible = sign(Severity::Remark,
        "the message says which nodes, and why; docs/troubleshooting.md, *Sensors*, what to do"
    ),
}

reasons! {
    /// Incidents of a policy came without a warning.
    Unannounced of "Unannounced":
    ConfidenceNotReached = sign(Severity::Remark,
        "lower `minConfidencePercent`, or rely on measured breaches, which fire without it: in these pods' traffic nothing \
         announces trouble surely enough"
    ),
}

reasons! {
    /// Another policy selects the same pods.
    Overlapping of "Overlapping":
    SamePods = sign(Severity::Remark, "narrow one of the selectors where one alert is enough"),
}

reasons! {
    /// Whether an agent measures what forecasts need.
    ReportReady of "Ready":
    SensorsWork = well(NOTHING),
    SensorsMissing = fault("`status.sensors` of the report says why; docs/troubleshooting.md, *Sensors*, what to do"),
    Starting = open("wait some seconds"),
}

reasons! {
    /// Whether an agent's windows fill.
    ReportWarmingUp of "WarmingUp":
    WindowsFill = sign(Severity::Remark, "wait: nothing fires in the first minute of an agent"),
    WindowsFilled = row(ConditionStatus::False, None, NOTHING),
}

reasons! {
    /// Whether an agent does less than it is asked for.
    ReportDegraded of "Degraded":
    SomethingMissing = sign(Severity::Remark, "the message lists what: sensors, disk, queue, caps, room for pods"),
    AllWell = row(ConditionStatus::False, None, NOTHING),
}

reasons! {
    /// Whether an alert is out, and what ended it.
    Firing of "Firing":
    RttBreachForecast = well("a warning"),
    RttBreachMeasured = well("the breach came first"),
    RttRecovered = row(ConditionStatus::False, None, "RTT stayed below the resolve threshold for `keepFiringFor`"),
    RttNotMeasured = row(ConditionStatus::False, None, "the pod had no traffic any more"),
    TargetGone = row(ConditionStatus::False, None, "the pod ended, or the rule or policy no longer selects it"),
    AgentRestarted = row(ConditionStatus::False, None, "the agent was started anew and has seen no trouble since"),
    AgentLost = row(ConditionStatus::False, None, "the operator resolved it: agent or node did not come back"),
}

reasons! {
    /// Whether a breach followed a warning.
    Confirmed of "Confirmed":
    BreachFollowed = well("RTT was in breach in time"),
    NoBreachFollowed = row(ConditionStatus::False, None, "no breach followed in time"),
    NotYetJudged = row(ConditionStatus::Unknown, None, "the ten seconds are not over"),
    MeasuredFirst = row(ConditionStatus::Unknown, None, "it fired on the breach itself"),
    NotJudged = row(ConditionStatus::Unknown, None, "too little was measured, or the breach was there before"),
    TargetGone = row(ConditionStatus::Unknown, None, "it cannot be known any more"),
    AgentLost = row(ConditionStatus::Unknown, None, "it cannot be known any more"),
}

reasons! {
    /// What the plugin finds without a condition, about the installation and about nodes.
    Found of "":
    OperatorMissing = fault(
        "`helm upgrade --install {release} charts/netprecursor --namespace {namespace} --create-namespace` installs it, \
         or what of it is missing; `--install-namespace` when it is in another namespace"
    ),
    OperatorScaledDown = fault("`kubectl -n {namespace} scale deployment {operator} --replicas=2`"),
    OperatorDown = fault(
        "`kubectl -n {namespace} describe deployment {operator}` and `kubectl -n {namespace} logs deployment/{operator}` \
         say why"
    ),
    NobodyLeads = fault("`kubectl -n {namespace} logs deployment/{operator}` says why"),
    NotSeenYet = fault(
        "wait some seconds; when it stays, `kubectl -n {namespace} logs deployment/{operator}` says why"
    ),
    AgentMissing = fault(
        "`kubectl -n {namespace} describe daemonset -l app.kubernetes.io/name=netprecursor-agent` has the Events"
    ),
    AgentStarting = sign(Severity::Warning, "wait: an agent reports within two minutes"),
    AgentNotReady = fault(
        "`kubectl -n {namespace} describe pods -l app.kubernetes.io/name=netprecursor-agent` has the Events"
    ),
    NodeNotReady = fault("`kubectl describe node` says why the node itself does not work"),
    LeftOut = sign(Severity::Remark,
        "`agent.nodeSelector`, `agent.affinity` and `agent.tolerations` in the chart decide that; pods there are not watched"
    ),
    OldReport = sign(Severity::Remark, "the report is of the last agent there, and goes with the node"),
    OtherVersion = sign(Severity::Warning,
        "wait for the upgrade to come round; with `OnDelete` in `agent.updateStrategy` delete the pod"
    ),
    SensorUnavailable = fault(SENSORS),
    SensorLess = sign(Severity::Remark, SENSORS),
    QueueFull = fault(
        "see that the agent may write to the API server, and that its node has room in `agent.stateDir`; OTLP has all \
         alerts, and the count starts anew with the agent"
    ),
    QueueWaits = sign(Severity::Warning,
        "wait: an agent writes thirty alerts at once and then one each twenty seconds; OTLP has them at once"
    ),
    NoRoom = fault("narrow the policies' selectors: an agent watches as many pods as its table has places"),
    AlertsOverCap = fault(
        "raise the threshold or `holdFor` in the policy, or `alerts.caps` in the chart; counters and OTLP have all alerts"
    ),
    FallsBack = fault("see `ModelReady` of the policy"),
    Smoothed = sign(Severity::Remark, "forecasts work all the same, less exactly"),
    // Nothing wrong with netprecursor, and not a time to say that nothing is wrong.
    AlertsFiring = sign(Severity::Warning, "`kubectl netprecursor status -A` lists them"),
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
