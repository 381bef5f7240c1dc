//! The document of the routes, OpenAPI 3.1, made of the types that requests and answers are made of. Only this test makes it:
//! the agent serves what is committed, and has no generator in it.

use netprecursor_core::alert::Alert;
use netprecursor_models::detect::{self, serve::ErrorBody};
use schemars::{
    JsonSchema, SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    routes::{ApiError, DOCUMENT, Route},
    tests::snapshot,
};
use crate::{
    health::Health,
    serve::{
        stream,
        views::{forecasts, history, scores, sensors, targets},
    },
    tick::selection::Selection,
};

const JSON: &str = "application/json";

/// A minute's beginning, for whoever tries the route.
const SIGNALS: &str = r#"{
    "model": "damped-holt", "thresholdUs": 200000,
    "signals": [[{"rtt_max_us": 18000}, {"rtt_max_us": 21000}, {}, {"rtt_max_us": 34000, "retransmits": 2}]]
}"#;

/// Schemas of answers and of requests: they differ in what has to be there.
struct Schemas {
    answers: SchemaGenerator,
    requests: SchemaGenerator,
}

/// What an operation answers with.
struct Answer {
    status: u16,
    description: &'static str,
    content_type: &'static str,
    schema: Value,
}

impl Schemas {
    fn new() -> Self {
        let generator = |contract: Contract| {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.contract = contract;
            });
            settings.into_generator()
        };
        Self { answers: generator(Contract::Serialize), requests: generator(Contract::Deserialize) }
    }

    fn of<T: JsonSchema>(&mut self) -> Value {
        self.answers.subschema_for::<T>().to_value()
    }

    fn ok<T: JsonSchema>(&mut self, description: &'static str) -> Answer {
        Answer { status: 200, description, content_type: JSON, schema: self.of::<T>() }
    }

    fn error<T: JsonSchema>(&mut self, status: u16, description: &'static str) -> Answer {
        Answer { status, description, content_type: JSON, schema: self.of::<T>() }
    }

    /// Of a query that does not fit.
    fn misread(&mut self) -> Answer {
        self.error::<ApiError>(400, "A parameter is missing, unknown or of another type.")
    }

    /// What the route does, by its method.
    fn operations(&mut self, route: Route) -> Value {
        let read = |summary: &str, parameters: Value, answers: Vec<Answer>| {
            json!({"get": {
                "operationId": operation_id(route),
                "summary": summary,
                "parameters": parameters,
                "responses": responses(answers),
            }})
        };
        let none = json!([]);
        match route {
            Route::Targets => read(
                "Targets, and where their rules stand",
                none,
                vec![self.ok::<Vec<targets::TargetView>>("Every target, in the order of their admission.")],
            ),
            Route::Selection => read(
                "What --target and policies select",
                none,
                vec![self.ok::<Selection>("With advice where something selects nothing.")],
            ),
            Route::Window => read(
                "The last minutes of one target",
                json!([target()]),
                vec![
                    self.ok::<history::WindowView>("Five minutes of RTT and forecast, and a minute of every signal."),
                    self.misread(),
                    self.error::<ApiError>(404, "No target has this name."),
                ],
            ),
            Route::History => read(
                "The last five minutes of every target",
                json!([since()]),
                vec![self.ok::<Vec<history::HistoryView<'_>>>("By target, oldest second first."), self.misread()],
            ),
            Route::Forecast => read(
                "What each rule expects of each target",
                none,
                vec![self.ok::<Vec<forecasts::ForecastView>>("By target and rule.")],
            ),
            Route::Alerts => read(
                "Alerts that are firing, and the latest that are over",
                none,
                vec![self.ok::<Vec<Alert>>("The latest first.")],
            ),
            Route::Scores => read(
                "Whether rules were right, and what their forecasts are made of",
                none,
                vec![self.ok::<Vec<scores::ScoreView<'_>>>("By rule.")],
            ),
            Route::Sensors => read(
                "How well the agent measures",
                none,
                vec![self.ok::<sensors::SensorsView<'_>>("With a reason for each sensor that is not active.")],
            ),
            Route::Sinks => read("How publishing is doing", none, vec![self.ok::<Vec<Health>>("By sink.")]),
            Route::Stream => read(
                "Every second of every target, as it comes",
                json!([features()]),
                vec![
                    Answer {
                        status: 200,
                        description: "A header, then a line for each second; it does not end. A line `{\"lost\": N}` counts \
                                  seconds that the client was too slow for.",
                        content_type: stream::CONTENT_TYPE,
                        schema: self.of::<StreamLine>(),
                    },
                    self.misread(),
                ],
            ),
            Route::Detect => self.detect(),
            Route::Document => read(
                "This document",
                none,
                vec![Answer {
                    status: 200,
                    description: "OpenAPI 3.1.",
                    content_type: JSON,
                    schema: json!({"type": "object"}),
                }],
            ),
        }
    }

    fn detect(&mut self) -> Value {
        let request = self.requests.subschema_for::<detect::Request>().to_value();
        let answers = vec![
            self.ok::<detect::Answer>("A forecast for each row, sequence or target."),
            self.error::<ErrorBody>(400, "`field` is wrong."),
            self.error::<ErrorBody>(408, "The body did not come within 10 s."),
            self.error::<ErrorBody>(413, "The body is longer than 1 MiB."),
            self.error::<ErrorBody>(415, "The content type is not application/json."),
            self.error::<ErrorBody>(
                503,
                "Two requests are being scored already; `Retry-After` says when to try again.",
            ),
        ];
        let example: Value = serde_json::from_str(SIGNALS).unwrap();
        json!({"post": {
            "operationId": operation_id(Route::Detect),
            "summary": "Scores rows, sequences or signals with a model that ships",
            "description": "Forests read rows of features, nets sequences, and every model signals, from which it makes what it \
                            reads. Forecasts are those with which a rule begins: nothing is calibrated in place.",
            "requestBody": {
                "required": true,
                "content": {JSON: {"schema": request, "examples": {"signals": {"value": example}}}},
            },
            "responses": responses(answers),
        }})
    }
}

/// A line of the stream, which [`stream`] writes by hand.
#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
enum StreamLine {
    /// The first line: what the numbers are.
    Header(StreamHeader),
    /// A second.
    Second(StreamSecond),
    /// Seconds that were lost.
    Lost(StreamLoss),
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StreamHeader {
    /// Of signals and features, as in `core/schema.json`.
    schema_hash: String,
    agent_version: String,
    /// Release of the kernel.
    kernel: String,
    /// Names of the signals, in order.
    signals: Vec<String>,
    /// Names of the features, in order; empty without them.
    features: Vec<String>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StreamSecond {
    tick: u64,
    /// Unix time, ms.
    unix_ms: u64,
    /// As the kernel's monotonic clock goes, ns.
    monotonic_ns: u64,
    targets: Vec<StreamTarget>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StreamTarget {
    target: String,
    uid: String,
    /// Null for what was not measured.
    signals: Vec<Option<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<Vec<Option<f32>>>,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StreamLoss {
    /// How many.
    lost: u64,
}

fn target() -> Value {
    let schema = json!({"type": "string"});
    json!({"name": "target", "in": "query", "required": true, "description": "The target's name.", "schema": schema})
}

fn since() -> Value {
    let schema = json!({"type": "integer", "format": "uint64", "minimum": 0, "default": 0});
    json!({"name": "since", "in": "query", "description": "Unix time in s: only what came later.", "schema": schema})
}

fn features() -> Value {
    let schema = json!({"type": "boolean", "default": true});
    json!({"name": "features", "in": "query", "description": "Whether lines have features.", "schema": schema})
}

fn operation_id(route: Route) -> String {
    format!("{route:?}").to_lowercase()
}

fn responses(answers: Vec<Answer>) -> Value {
    let response = |Answer { status, description, content_type, schema }| {
        (status.to_string(), json!({"description": description, "content": {content_type: {"schema": schema}}}))
    };
    Value::Object(answers.into_iter().map(response).collect())
}

fn document() -> Value {
    let mut schemas = Schemas::new();
    let paths = Route::ALL.map(|route| (route.path().to_owned(), schemas.operations(route)));
    let mut components = schemas.answers.take_definitions(true);
    components.extend(schemas.requests.take_definitions(true));
    let mut document = json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "netprecursor agent",
            "version": "1",
            "summary": "What an agent measures, forecasts and warns of.",
            "description": "Times are Unix time in s, round trips µs, chances 0 to 1. Fields may be added; one that goes, or \
                            changes its meaning, is another version.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:9470"}],
        "paths": Value::Object(paths.into_iter().collect()),
        "components": {"schemas": components},
    });
    unlink(&mut document);
    document
}

/// Links of the source's documentation lead nowhere here.
fn unlink(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`");
            }
            fields.values_mut().for_each(unlink);
        }
        Value::Array(items) => items.iter_mut().for_each(unlink),
        _ => {}
    }
}

#[test]
fn the_published_document_is_the_generated_one() {
    let generated = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &generated).unwrap();
        return;
    }
    assert!(DOCUMENT == generated, "docs/openapi.json is stale: run cargo xtask bless openapi");
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = document();
    let mut references = Vec::new();
    find_references(&document, &mut references);
    assert!(references.len() > Route::ALL.len(), "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some_and(Value::is_object), "{reference}");
    }
}

fn find_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| find_references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| find_references(item, found)),
        _ => {}
    }
}

#[test]
fn lines_of_the_stream_are_as_described() {
    let read = |line: &str| serde_json::from_str::<StreamLine>(line).unwrap();
    for with_features in [true, false] {
        let StreamLine::Header(header) = read(&stream::header("6.12", with_features)) else { panic!() };
        let StreamLine::Second(second) = read(&stream::line(&snapshot(), with_features)) else { panic!() };
        let [target] = second.targets.as_slice() else { panic!("{second:?}") };
        assert_eq!((target.target.as_str(), target.signals.len()), ("web-1", header.signals.len()));
        let features = target.features.as_ref().map(Vec::len);
        assert_eq!(features, with_features.then_some(header.features.len()), "{target:?}");
    }
    assert_eq!(read(&stream::lost(7)), StreamLine::Lost(StreamLoss { lost: 7 }));
}

/// What is posted in the document's example.
pub(super) fn example() -> &'static str {
    SIGNALS
}
