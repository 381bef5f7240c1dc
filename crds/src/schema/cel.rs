//! What the API server checks beyond types, in CEL. The conversion checks the same for everybody else; where both can
//! check, both refuse (a test applies every mistake to a real API server).
//!
//! Messages say what was expected and what to write; the API server puts the field and what it got in front. Formats
//! are checked here and not by `pattern`, because a pattern's message is the pattern.
//!
//! Durations: CEL's `duration()` reads what Go reads, `us` included. [`DURATION`] is a subset of that and its largest
//! value does not overflow, so that no check fails for another reason than its own.

use netprecursor_core::policy::MAX_NETWORKS;
use schemars::Schema;
use serde_json::{Value, json};

/// The key under which Kubernetes looks for checks.
pub(super) const VALIDATIONS: &str = "x-kubernetes-validations";

/// What [`crate::Duration`] reads.
const DURATION: &str = "^([0-9]{1,5}(h|m|s)|[0-9]{1,9}(ms|us)){1,5}$";

/// The most letters that [`DURATION`] matches.
const DURATION_LETTERS: u32 = 55;

/// RFC 1123.
const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
const DNS_SUBDOMAIN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// One check; `field` is what the error names, below what is checked.
struct Check {
    rule: String,
    message: &'static str,
    field: Option<&'static str>,
}

/// A duration of any length.
pub(crate) fn duration() -> Schema {
    let mut schema = schemars::json_schema!({"type": "string", "maxLength": DURATION_LETTERS});
    be_duration(&mut schema, "expected numbers with units (h, m, s, ms, us): write for example 200ms, 1m30s or 750us");
    schema
}

/// That it is a duration at all, in words that suit the field: what they say to write is not refused for another reason.
fn be_duration(schema: &mut Schema, message: &'static str) {
    schema.remove(VALIDATIONS);
    require(schema, matches(DURATION), message);
}

/// A threshold for recovery.
pub(crate) fn resolve_threshold(schema: &mut Schema) {
    be_duration(
        schema,
        "expected numbers with units (h, m, s, ms, us), less than threshold: write for example 160ms for one of 200ms",
    );
}

/// A threshold for RTT.
pub(crate) fn threshold(schema: &mut Schema) {
    be_duration(schema, "expected numbers with units (h, m, s, ms, us): write for example 200ms or 1m30s");
    require(
        schema,
        guarded("duration(self) > duration('0s') && duration(self) <= duration('900s')"),
        "expected more than 0 and at most 900s: write for example 200ms",
    );
}

/// How long a breach has to last.
pub(crate) fn hold_for(schema: &mut Schema) {
    whole_seconds(schema, "expected whole numbers with units (h, m, s): write for example 2s");
    require(
        schema,
        guarded("duration(self) <= duration('60s')"),
        "expected at most 60s, because forecasts look 10s ahead: write for example 2s",
    );
}

/// How long an alert is kept firing.
pub(crate) fn keep_firing_for(schema: &mut Schema) {
    whole_seconds(schema, "expected whole numbers with units (h, m, s): write for example 10s or 1m30s");
    require(schema, guarded("duration(self) <= duration('3600s')"), "expected at most 3600s: write for example 10s");
}

/// By way of points in time, because CEL makes no duration of a number without making a text of it first, whose length
/// the cost estimate takes for unbounded.
fn whole_seconds(schema: &mut Schema, message: &'static str) {
    be_duration(schema, message);
    require(
        schema,
        guarded("timestamp(duration(self).getSeconds()) == timestamp(0) + duration(self)"),
        "expected whole seconds, because a rule is judged once a second: write for example 2s",
    );
}

/// The thresholds together; below a threshold of 0, which another check refuses, there is nothing to lower it to.
pub(crate) fn rtt_forecast(schema: &mut Schema) {
    add(
        schema,
        Check {
            rule: format!(
                "!has(self.resolveThreshold) || !self.resolveThreshold.matches('{DURATION}') || \
                 !self.threshold.matches('{DURATION}') || duration(self.threshold) == duration('0s') || \
                 duration(self.resolveThreshold) < duration(self.threshold)"
            ),
            message: "expected less than threshold: lower it, or leave it out for 80 % of threshold",
            field: Some(".resolveThreshold"),
        },
    );
}

/// The most letters of a network: an IPv6 address and its prefix length.
const NETWORK_LETTERS: u32 = 43;

/// A list of networks.
pub(crate) fn networks(schema: &mut Schema) {
    let mut network = schemars::json_schema!({"type": "string", "maxLength": NETWORK_LETTERS});
    require(
        &mut network,
        "isCIDR(self)".to_owned(),
        "expected a network in CIDR notation: write for example 10.0.0.0/8 or 2001:db8::/32",
    );
    require(
        &mut network,
        "!isCIDR(self) || cidr(self) == cidr(self).masked()".to_owned(),
        "expected no bits behind the prefix: write for example 10.0.0.0/8 or 10.1.2.3/32",
    );
    schema.insert("items".to_owned(), network.into());
    schema.insert("maxItems".to_owned(), json!(MAX_NETWORKS));
    schema.insert("x-kubernetes-list-type".to_owned(), json!("atomic"));
}

/// Peers by one of two ways. Not by `containsCIDR`, which in Kubernetes 1.32.0 to 1.32.3 is true only of networks that begin
/// at the same address.
pub(crate) fn peers(schema: &mut Schema) {
    let cidrs = "(has(self.cidrs) && size(self.cidrs) > 0)";
    require(
        schema,
        format!("has(self.scope) != {cidrs}"),
        "expected scope or cidrs: write for example {cidrs: [10.0.0.0/8]}",
    );
    add(
        schema,
        Check {
            rule: format!(
                "!has(self.except) || self.except.all(one, !isCIDR(one) || ({cidrs} && self.cidrs.exists(other, isCIDR(other) \
                 && cidr(other).containsIP(cidr(one).ip()) && cidr(other).prefixLength() <= cidr(one).prefixLength())))"
            ),
            message: "expected networks inside one of cidrs: remove them, or add the network they are an exception from",
            field: Some(".except"),
        },
    );
}

/// A rule as a union by its signal, and with one way to hold.
pub(crate) fn rule(schema: &mut Schema) {
    add(
        schema,
        Check {
            rule: "self.signal != 'RttForecast' || has(self.rttForecast)".to_owned(),
            message: "expected the member of signal RttForecast: write rttForecast: {threshold: 200ms}",
            field: Some(".rttForecast"),
        },
    );
    add(
        schema,
        Check {
            rule: "self.signal == 'RttForecast' || !has(self.rttForecast)".to_owned(),
            message: "expected the member of the rule's signal only: remove rttForecast, or write signal: RttForecast",
            field: Some(".rttForecast"),
        },
    );
    add(
        schema,
        Check {
            rule: "!has(self.holdFor) || !has(self.debounce)".to_owned(),
            message: "expected holdFor or debounce: remove one of them",
            field: Some(".debounce"),
        },
    );
}

/// `k` of `of`.
pub(crate) fn debounce(schema: &mut Schema) {
    let message = "expected k to be at most of, as in 3 of 5 seconds: write for example {k: 3, of: 5}";
    require(schema, "self.k <= self.of".to_owned(), message);
}

/// A model that can be had in a cluster.
pub(crate) fn model(schema: &mut Schema) {
    require(
        schema,
        "!has(self.file) && !has(self.sha256)".to_owned(),
        "file and its sha256 are for use outside Kubernetes: put the model into a ConfigMap and write \
         configMapKeyRef: {name, key, sha256}",
    );
    require(
        schema,
        "has(self.file) || has(self.sha256) || has(self.builtin) != has(self.configMapKeyRef)".to_owned(),
        "expected exactly one of builtin and configMapKeyRef: write for example {builtin: rtt-xgboost}",
    );
}

/// A selector's requirement.
pub(crate) fn requirement(schema: &mut Schema) {
    let some = "has(self.values) && size(self.values) > 0";
    add(
        schema,
        Check {
            rule: format!("!(self.operator in ['In', 'NotIn']) || {some}"),
            message: "expected at least one value with In and NotIn: add values, or use Exists or DoesNotExist",
            field: Some(".values"),
        },
    );
    add(
        schema,
        Check {
            rule: format!("!(self.operator in ['Exists', 'DoesNotExist']) || !({some})"),
            message: "expected no values with Exists and DoesNotExist: remove them, or use In or NotIn",
            field: Some(".values"),
        },
    );
}

const LABEL_KEY: &str = "expected a label's key, [PREFIX/]NAME: a name of at most 63 letters, digits, '-', '_' and '.' \
                         that begins and ends with a letter or digit; write for example app.kubernetes.io/name";

/// A label's key.
pub(crate) fn label_key(schema: &mut Schema) {
    require(schema, "!format.qualifiedName().validate(self).hasValue()".to_owned(), LABEL_KEY);
}

/// The keys of labels to be equal to.
pub(crate) fn label_keys(schema: &mut Schema) {
    require(schema, "self.all(key, !format.qualifiedName().validate(key).hasValue())".to_owned(), LABEL_KEY);
}

/// A name of one part.
pub(crate) fn dns_label(schema: &mut Schema) {
    let message = "expected lower-case letters, digits and '-', beginning and ending with a letter or digit: write for \
                   example rtt-slow";
    require(schema, matches(DNS_LABEL), message);
}

/// A name of several parts.
pub(crate) fn dns_subdomain(schema: &mut Schema) {
    let message = "expected lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit: \
                   write for example rtt-models";
    require(schema, matches(DNS_SUBDOMAIN), message);
}

/// A key of a ConfigMap.
pub(crate) fn config_map_key(schema: &mut Schema) {
    let message = "expected letters, digits, '-', '_' and '.': write for example model.onnx.gz";
    require(schema, matches("^[-._a-zA-Z0-9]+$"), message);
}

/// A SHA-256 digest.
pub(crate) fn digest(schema: &mut Schema) {
    require(schema, matches("^[0-9a-fA-F]{64}$"), "expected 64 hexadecimal digits, as sha256sum prints them");
}

/// A decimal number as text.
pub(crate) fn decimal(schema: &mut Schema) {
    require(
        schema,
        matches("^[0-9]+([.][0-9]+)?$"),
        "expected a decimal number as text: write for example '0.25', with the quotes",
    );
}

/// What never changes.
pub(crate) fn immutable(schema: &mut Schema) {
    let message = "the spec identifies the alert and cannot be changed: delete the alert and create another";
    require(schema, "self == oldSelf".to_owned(), message);
}

/// What an alert is about.
pub(crate) fn alert_subject(schema: &mut Schema) {
    require(schema, "has(self.workloadRef) != has(self.podRef)".to_owned(), "expected either workloadRef or podRef");
}

fn matches(pattern: &str) -> String {
    format!("self.matches('{pattern}')")
}

/// A check of a duration that leaves it to another check to say that it is none.
fn guarded(check: &str) -> String {
    format!("!{} || ({check})", matches(DURATION))
}

fn require(schema: &mut Schema, rule: String, message: &'static str) {
    add(schema, Check { rule, message, field: None });
}

fn add(schema: &mut Schema, Check { rule, message, field }: Check) {
    let mut check = json!({"rule": rule, "message": message});
    // Of a text the server says in front that it is "string"; what was got is reported here. `message` stays for values that
    // do not fit into one line.
    if schema.get("type").is_some_and(|kind| kind == "string" || *kind == json!(["string", "null"])) {
        check["messageExpression"] = format!("'got \"' + self + '\", ' + \"{message}\"").into();
    }
    if let Some(field) = field {
        check["fieldPath"] = json!(field);
    }
    match schema.ensure_object().entry(VALIDATIONS).or_insert_with(|| json!([])) {
        Value::Array(checks) => checks.push(check),
        other => *other = json!([check]),
    }
}
