//! `docs/policy-reference.md`: every field of every kind, from the schema that the API server has.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{Definition, assert_committed, definitions, walk};

const INTRODUCTION: &str = "\
<!-- Generated from the types in crds/src; do not edit. -->
# Policy reference
All kinds of `netprecursor.io/v1alpha1`, field by field. `kubectl explain --recursive` shows the same; examples are in
`examples/policies/`. Outside Kubernetes the agent reads the same policy files.

**Durations** are strings such as `200ms`, `1m30s` or `750us`: numbers with the units `h`, `m`, `s`, `ms` and `us`. (By the
conventions of Kubernetes the field would be `thresholdSeconds: 0.2`; but thresholds range from microseconds to minutes, and
not every client preserves fractions.) No field accepts `null`; omit fields that you do not want to set.

**The API server refuses** an invalid policy at once and names the field and the expected value (*Checked* below). It cannot
check everything; a condition of the policy reports the rest.

| problem | reported by |
|---|---|
| `model.builtin` is not in this release | `ModelReady=False` |
| the ConfigMap of `model.configMapKeyRef` or its key is missing, the digest differs, or the model is unsafe or does not fit | `ModelReady=False` |
| no pod matches the selectors | `TargetsResolved=False` |
| agents are missing or may not run | `AgentsReady=False` |
| an older release stored the object and this release would refuse it | `Ready=False`, with every problem in the message |
";

/// One line of a table.
#[derive(PartialEq)]
struct Row {
    path: String,
    kind: String,
    meaning: String,
}

#[test]
fn the_committed_reference_is_that_of_the_types() {
    let mut text = INTRODUCTION.to_owned();
    let definitions = definitions();
    for definition in &definitions {
        // The two kinds of policy differ in few fields: only those are listed.
        let cousin = (definition.object.spec.names.kind == "ClusterPrecursorPolicy").then_some(&definitions[0]);
        kind(&mut text, definition, cousin).unwrap();
    }
    assert_committed("docs/policy-reference.md", &text);
}

fn kind(text: &mut String, definition: &Definition, cousin: Option<&Definition>) -> std::fmt::Result {
    let names = &definition.object.spec.names;
    let version = &definition.object.spec.versions[0];
    let short = names.short_names.clone().unwrap_or_default().join("`, `");
    let selectable = version.selectable_fields.iter().flatten();
    let selectable: Vec<_> = selectable.map(|field| field.json_path.trim_start_matches('.').to_owned()).collect();
    writeln!(text, "\n## {}", names.kind)?;
    writeln!(text, "{}\n", described(&definition.schema))?;
    writeln!(text, "Scope: {}. Short name: `{short}`.", definition.object.spec.scope)?;
    writeln!(text, "Field selectors: `{}`.", selectable.join("`, `"))?;
    for part in ["spec", "status"] {
        let mut rows = rows(definition, part);
        let known = cousin.map(|cousin| self::rows(cousin, part)).unwrap_or_default();
        rows.retain(|row| !known.contains(row));
        if let Some(cousin) = cousin {
            let others = if rows.is_empty() { "" } else { ", except for the fields below" };
            writeln!(text, "\n`{part}`: as in {}{others}.", cousin.object.spec.names.kind)?;
        }
        if !rows.is_empty() {
            writeln!(text, "\n### {}.{part}\n| field | type | meaning |\n|---|---|---|", names.kind)?;
        }
        for Row { path, kind, meaning } in rows {
            writeln!(text, "| `{path}` | {kind} | {meaning} |")?;
        }
    }
    if cousin.is_some() {
        return Ok(());
    }
    writeln!(text, "\nColumns of `kubectl get` (in brackets: only with `-o wide`):")?;
    for column in version.additional_printer_columns.iter().flatten() {
        let name = column.name.to_uppercase();
        let name = if column.priority.unwrap_or(0) > 0 { format!("[{name}]") } else { name };
        writeln!(text, "- {name}: {}", column.description.as_deref().unwrap_or("Time since the object was created."))?;
    }
    Ok(())
}

fn rows(definition: &Definition, part: &str) -> Vec<Row> {
    let (mut rows, mut required) = (Vec::new(), Vec::new());
    let schema = &definition.schema["properties"][part];
    if schema.is_null() {
        return rows;
    }
    walk(part, schema, &mut |path, field| {
        let needs = field["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        required.extend(needs.map(|name| format!("{path}.{name}")));
        // The items of a plain list or map are described with the list.
        let held = path.ends_with(".*") || (path.ends_with("[]") && field["type"] != "object");
        if !held {
            let kind = type_of(field, required.iter().any(|needed| needed == path));
            rows.push(Row { path: path.to_owned(), kind, meaning: meaning(field) });
        }
    });
    rows
}

fn type_of(field: &Value, required: bool) -> String {
    let plain = |field: &Value| match (field["format"].as_str(), field["type"].as_str().unwrap_or_default()) {
        (Some("date-time"), _) => "time".to_owned(),
        (_, "string") if is_duration(field) => "duration".to_owned(),
        (_, "string") => "text".to_owned(),
        (_, other) => other.to_owned(),
    };
    let mut words = vec![match field["type"].as_str() {
        Some("array") => {
            let keys = field["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let keys: Vec<_> = keys.map(|key| format!("`{key}`")).collect();
            let by = if keys.is_empty() { String::new() } else { format!(" by {}", keys.join(" and ")) };
            format!("list of {}{by}", plain(&field["items"]))
        }
        Some("object") if field["additionalProperties"].is_object() => "map of texts".to_owned(),
        _ => plain(field),
    }];
    if field["enum"].is_array() {
        words[0] = "one of".to_owned();
        let values = field["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
        words[0] += &values.map(|value| format!(" `{value}`")).collect::<Vec<_>>().join(",");
    }
    for (key, word) in [("minItems", "at least"), ("maxItems", "at most"), ("minimum", "from"), ("maximum", "to")] {
        // Below 0 and beyond the type needs no word.
        if field[key].as_i64().is_some_and(|bound| bound > 0 && bound < i64::from(u32::MAX)) {
            words.push(format!("{word} {}", field[key]));
        }
    }
    if required {
        words.push("**required**".to_owned());
    }
    if let Some(default) = field["default"].as_str() {
        words.push(format!("default `{default}`"));
    }
    words.join(", ").replace('|', "\\|")
}

fn meaning(field: &Value) -> String {
    let mut text = described(field);
    // The introduction states once what every duration has to be.
    let checks = field["x-kubernetes-validations"].as_array().into_iter().flatten();
    for check in checks.skip(usize::from(is_duration(field))) {
        let message = check["message"].as_str().unwrap_or_default();
        let _ = write!(text, "<br>*Checked: {}.*", message.trim_start_matches("expected "));
    }
    text.replace('|', "\\|").replace('\n', "<br>")
}

fn is_duration(field: &Value) -> bool {
    field["x-kubernetes-validations"][0]["message"]
        .as_str()
        .is_some_and(|text| text.contains("numbers with units (h, m, s"))
}

fn described(field: &Value) -> String {
    field["description"].as_str().unwrap_or_default().to_owned()
}
