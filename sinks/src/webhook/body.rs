//! The body of a webhook's message. Its schema is published as `docs/webhook.schema.json`.

use netprecursor_core::{
    alert::{AlertState, Confirmed},
    decide::Trigger,
    policy::Severity,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::queue::{Event, Message};
use crate::{
    alertmanager::payload::time,
    link::Link,
    notice::{self, Labels, Notice},
    words,
};

/// The version of the schema: another one when a field changes its meaning or goes, not when one comes.
const VERSION: u32 = 1;

/// What netprecursor posts to a webhook when an alert fires and when it resolves.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "netprecursor webhook")]
pub struct Body {
    /// The version of this schema: 1.
    version: u32,
    /// The message's identity, as in the header `webhook-id`. A repeat has the same one.
    id: String,
    /// What happened.
    event: Event,
    /// The alert in words, with `&`, `<` and `>` escaped: what Slack and receivers that are compatible with it show.
    text: String,
    /// A link to a dashboard. Absent if none is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The alert.
    alert: Alert,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Alert {
    /// The alert's name, the same each time that it fires; in a cluster NAMESPACE/NAME of its PrecursorAlert.
    name: String,
    /// Its labels, as Alertmanager gets them.
    labels: Labels,
    /// Whether it is firing.
    state: AlertState,
    /// How urgent it is.
    severity: Severity,
    /// What triggered it.
    trigger: Trigger,
    /// How often it fired.
    count: u64,
    /// When it fired last, by RFC 3339.
    fired_at: String,
    /// When it resolved. Absent while it is firing.
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved_at: Option<String>,
    /// What the rule means by RTT.
    rtt: String,
    /// The rule's threshold, such as `200ms`.
    threshold: String,
    /// The highest forecast.
    #[serde(skip_serializing_if = "Option::is_none")]
    predicted: Option<String>,
    /// The highest chance of a breach within ten seconds, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    chance_percent: Option<u8>,
    /// The highest measured value.
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<String>,
    /// Time from the warning to the breach. Absent until there is a breach, or if the breach came first.
    #[serde(skip_serializing_if = "Option::is_none")]
    lead: Option<String>,
    /// Whether the warning came true.
    confirmed: Confirmed,
    /// Why the forecast rose, the largest share first.
    causes: Vec<Cause>,
    /// The model or rule of thumb that made the forecast.
    model: String,
    /// The alert in one line.
    summary: String,
    /// The alert in one to three sentences.
    description: String,
}

/// A cause.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Cause {
    /// The group of features, in words.
    group: String,
    /// The feature that shows it best.
    feature: String,
    /// Its value, with its unit.
    value: String,
    /// Its usual value, with its unit.
    baseline: String,
    /// The group's share of all that raises the forecast, in percent.
    share_percent: u8,
}

impl Body {
    /// The body of a message.
    pub fn new(message: &Message, cluster: Option<&str>, link: Option<&Link>) -> Self {
        let notice = &*message.notice;
        let labels = notice.labels(cluster);
        let url = link.map(|link| link.of(notice, &labels));
        Self {
            version: VERSION,
            id: message.id.clone(),
            event: message.event,
            text: text(notice, message.event, url.as_deref()),
            url,
            alert: Alert {
                name: notice.id.clone(),
                labels,
                state: notice.state,
                severity: notice.severity,
                trigger: notice.trigger,
                count: notice.count,
                fired_at: time(notice.fired_unix),
                resolved_at: notice.resolved_unix.filter(|_| !notice.is_firing()).map(time),
                rtt: notice.rtt.clone(),
                threshold: notice.threshold.clone(),
                predicted: notice.predicted.clone(),
                chance_percent: notice.chance_percent,
                measured: notice.measured.clone(),
                lead: notice.lead.clone(),
                confirmed: notice.confirmed,
                causes: notice.causes.iter().map(Cause::of).collect(),
                model: notice.model.clone(),
                summary: words::summary(notice),
                description: notice.description.clone(),
            },
        }
    }
}

impl Cause {
    fn of(cause: &notice::Cause) -> Self {
        let notice::Cause { group, feature, value, baseline, share_percent } = cause.clone();
        Self { group, feature, value, baseline, share_percent }
    }
}

/// The alert in words, for people in a chat.
fn text(notice: &Notice, event: Event, url: Option<&str>) -> String {
    let what = match event {
        Event::Fired => "FIRING",
        Event::Resolved => "RESOLVED",
    };
    let severity = notice::severity(notice.severity);
    let lines = [
        Some(format!("[{what}] {severity}: {}", words::summary(notice))),
        Some(notice.description.clone()),
        url.map(str::to_owned),
    ];
    escaped(&lines.into_iter().flatten().collect::<Vec<_>>().join("\n"))
}

/// The three characters that chats take for markup of links and mentions.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// JSON schema of the body.
pub fn schema() -> serde_json::Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Body>()
        .to_value()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        Moment,
        notice::{
            Target,
            tests::{FIRED, notice, resolved},
        },
        webhook::queue::Queue,
    };

    fn body(notice: Notice) -> Value {
        let mut queue = Queue::new(1, FIRED);
        queue.take(Arc::new(notice), Moment { since: Default::default(), unix: FIRED });
        let link = Link::new("https://g/?w={workload}&p={policy}").unwrap();
        json!(Body::new(&queue.first().unwrap(), Some("c1"), Some(&link)))
    }

    #[test]
    fn the_body_has_words_for_people_and_fields_for_programs() {
        let fired = body(notice());
        assert_eq!((&fired["version"], &fired["event"]), (&json!(1), &json!("Fired")));
        assert_eq!(
            fired["text"],
            "[FIRING] warning: Deployment shop/checkout on node1: RTT has a 74 % chance of exceeding 200ms within 10s\nRTT \
             is forecast to reach 231ms within 10s.\nhttps://g/?w=checkout&amp;p=checkout"
        );
        assert_eq!(fired["url"], "https://g/?w=checkout&p=checkout");
        assert_eq!((&fired["alert"]["chancePercent"], &fired["alert"]["state"]), (&json!(74), &json!("Firing")));
        assert_eq!(fired["alert"]["causes"][0]["value"], "182 kB");
        assert!(fired["alert"].get("resolvedAt").is_none(), "{fired}");
        let over = body(resolved());
        assert_eq!(
            (&over["event"], &over["alert"]["resolvedAt"]),
            (&json!("Resolved"), &json!("2023-11-14T22:13:50Z"))
        );
        assert_eq!((&over["alert"]["lead"], &over["alert"]["confirmed"]), (&json!("6s"), &json!("True")));
    }

    #[test]
    fn a_name_cannot_become_a_mention_in_a_chat() {
        let mut odd = notice();
        odd.about.target = Target::Named("<!channel>".to_owned());
        let body = body(odd);
        let text = body["text"].as_str().unwrap();
        assert!(text.contains("&lt;!channel&gt;") && !text.contains("<!"), "{text}");
    }

    #[test]
    fn the_published_schema_is_the_generated_one() {
        let generated = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/webhook.schema.json");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &generated).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), generated, "run cargo xtask bless webhook");
    }

    #[test]
    fn a_body_has_the_fields_of_the_schema_and_all_that_are_required() {
        let schema = schema();
        let of = |schema: &Value, value: &Value| {
            let properties = schema["properties"].as_object().unwrap();
            let unknown: Vec<_> =
                value.as_object().unwrap().keys().filter(|key| !properties.contains_key(*key)).collect();
            assert!(unknown.is_empty(), "{unknown:?} in {value}");
            for required in schema["required"].as_array().unwrap() {
                assert!(value.get(required.as_str().unwrap()).is_some(), "{required} in {value}");
            }
        };
        for body in [body(notice()), body(resolved())] {
            of(&schema, &body);
            of(&schema["$defs"]["Alert"], &body["alert"]);
            of(&schema["$defs"]["Cause"], &body["alert"]["causes"][0]);
        }
    }
}
