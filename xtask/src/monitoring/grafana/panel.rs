//! A panel of a dashboard, by its form.

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::{datasource, uid};
use crate::monitoring::{
    choice::Variable,
    dashboard::{Form, Link, Panel, Query},
};

/// Width and height on the grid.
pub(super) fn size(panel: &Panel) -> (u64, u64) {
    let (width, height) = match panel.form {
        Form::Stat => (4, 4),
        Form::Lines | Form::Bars | Form::Table => (12, 8),
        Form::States => (24, 7),
    };
    (panel.width.unwrap_or(width), panel.height.unwrap_or(height))
}

/// A panel without its place.
///
/// # Errors
/// It has too many queries.
pub(super) fn render(panel: &Panel, variables: &[Variable]) -> anyhow::Result<Map<String, Value>> {
    let (kind, options) = match panel.form {
        Form::Stat => ("stat", stat(panel)),
        Form::Lines => ("timeseries", json!({"legend": legend(), "tooltip": {"mode": "multi", "sort": "desc"}})),
        Form::Bars => ("bargauge", bars()),
        Form::Table => ("table", table(panel)),
        Form::States => ("state-timeline", states()),
    };
    let targets = panel.queries.iter().enumerate().map(|(at, query)| target(at, query, panel.form, variables));
    let mut fields: Map<String, Value> = Map::from_iter([
        ("datasource".to_owned(), datasource()),
        ("description".to_owned(), panel.about.clone().into()),
        ("fieldConfig".to_owned(), json!({"defaults": defaults(panel), "overrides": overrides(panel)})),
        ("options".to_owned(), options),
        ("targets".to_owned(), targets.collect::<anyhow::Result<Vec<_>>>()?.into()),
        ("title".to_owned(), panel.title.clone().into()),
        ("type".to_owned(), kind.into()),
    ]);
    if panel.form == Form::Table {
        fields.insert("transformations".to_owned(), columns(panel));
    }
    Ok(fields)
}

/// The name of a query within its panel.
fn letter(at: usize) -> anyhow::Result<char> {
    let letter = u8::try_from(at).ok().map(|at| char::from(b'A'.saturating_add(at))).filter(char::is_ascii_uppercase);
    letter.context("got more than 26 queries in a panel, expected fewer")
}

fn target(at: usize, query: &Query, form: Form, variables: &[Variable]) -> anyhow::Result<Value> {
    // Tables and bars show the present; one value is drawn with its past.
    let is_instant = matches!(form, Form::Table | Form::Bars);
    Ok(json!({
        "datasource": datasource(),
        "editorMode": "code",
        "expr": query.expr(variables),
        "format": if form == Form::Table { "table" } else { "time_series" },
        "instant": is_instant,
        "legendFormat": query.legend.as_deref().unwrap_or("__auto"),
        "range": !is_instant,
        "refId": letter(at)?.to_string(),
    }))
}

fn legend() -> Value {
    json!({"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": true})
}

fn last() -> Value {
    json!({"calcs": ["lastNotNull"], "fields": "", "values": false})
}

fn stat(panel: &Panel) -> Value {
    let color = if panel.steps.is_empty() { "none" } else { "value" };
    json!({
        "colorMode": color, "graphMode": "area", "justifyMode": "auto", "orientation": "auto",
        "percentChangeColorMode": "standard", "reduceOptions": last(), "showPercentChange": false, "textMode": "auto",
        "wideLayout": true,
    })
}

fn bars() -> Value {
    json!({
        "displayMode": "gradient",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": false},
        "maxVizHeight": 300, "minVizHeight": 10, "minVizWidth": 0, "namePlacement": "auto", "orientation": "horizontal",
        "reduceOptions": last(), "showUnfilled": true, "sizing": "auto", "valueMode": "color",
    })
}

fn states() -> Value {
    json!({
        "alignValue": "left", "legend": legend(), "mergeValues": true, "rowHeight": 0.9, "showValue": "auto",
        "tooltip": {"mode": "single", "sort": "none"},
    })
}

/// Sorted by its first column of values.
fn table(panel: &Panel) -> Value {
    let first = panel.queries.first().and_then(|query| query.legend.as_deref()).unwrap_or_default();
    json!({"cellHeight": "sm", "frameIndex": 0, "showHeader": true, "sortBy": [{"desc": true, "displayName": first}]})
}

/// One table of all queries, whose columns are named as they are.
fn columns(panel: &Panel) -> Value {
    let value = |at| {
        if panel.queries.len() == 1 { Ok("Value".to_owned()) } else { letter(at).map(|it| format!("Value #{it}")) }
    };
    let names = panel.queries.iter().enumerate().filter_map(|(at, query)| {
        let name: Value = query.legend.clone()?.into();
        Some((value(at).ok()?, name))
    });
    let names: Map<String, Value> = names.collect();
    json!([
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": true}, "indexByName": {}, "renameByName": names}},
    ])
}

fn defaults(panel: &Panel) -> Value {
    let mut defaults: Map<String, Value> = Map::from_iter([
        ("color".to_owned(), json!({"mode": if panel.steps.is_empty() { "palette-classic" } else { "thresholds" }})),
        ("custom".to_owned(), custom(panel)),
        ("mappings".to_owned(), mappings(panel)),
        ("thresholds".to_owned(), json!({"mode": "absolute", "steps": steps(panel)})),
        ("unit".to_owned(), panel.unit.as_deref().unwrap_or("short").into()),
    ]);
    // Lines keep a colour each, whatever they have crossed.
    if panel.form == Form::Lines {
        defaults.insert("color".to_owned(), json!({"mode": "palette-classic"}));
    }
    if let Some(max) = panel.max {
        defaults.insert("min".to_owned(), json!(0));
        defaults.insert("max".to_owned(), max.into());
    }
    if let Some(link) = &panel.link {
        defaults.insert("links".to_owned(), json!([{"title": link.title, "url": url(link)}]));
    }
    defaults.into()
}

fn custom(panel: &Panel) -> Value {
    match panel.form {
        Form::Stat | Form::Bars => json!({}),
        Form::Table => json!({"align": "auto", "cellOptions": {"type": "auto"}, "filterable": true, "inspect": false}),
        Form::States => json!({"fillOpacity": 70, "lineWidth": 0, "spanNulls": false}),
        Form::Lines => json!({
            "drawStyle": "line", "fillOpacity": if panel.stacked { 30 } else { 5 },
            "lineInterpolation": "linear", "lineWidth": 1,
            "showPoints": "never", "spanNulls": false,
            "stacking": {"group": "A", "mode": if panel.stacked { "normal" } else { "none" }},
            "thresholdsStyle": {"mode": if panel.steps.is_empty() { "off" } else { "dashed" }},
        }),
    }
}

fn mappings(panel: &Panel) -> Value {
    if panel.mappings.is_empty() {
        return json!([]);
    }
    let options = panel.mappings.iter().enumerate().map(|(at, (value, mapping))| {
        (value.clone(), json!({"color": mapping.color, "index": at, "text": mapping.text}))
    });
    json!([{"options": options.collect::<Map<_, _>>(), "type": "value"}])
}

fn steps(panel: &Panel) -> Vec<Value> {
    if panel.steps.is_empty() {
        return vec![json!({"color": "green", "value": null})];
    }
    panel.steps.iter().map(|step| json!({"color": step.color, "value": step.from})).collect()
}

/// Units of a table's columns.
fn overrides(panel: &Panel) -> Vec<Value> {
    let columns = panel.queries.iter().filter_map(|query| query.legend.as_ref().zip(query.unit.as_ref()));
    let one = |(name, unit): (&String, &String)| {
        let properties = json!([{"id": "unit", "value": unit}]);
        json!({"matcher": {"id": "byName", "options": name}, "properties": properties})
    };
    columns.map(one).collect()
}

/// Another dashboard at the same time, with what this series or row is about.
fn url(link: &Link) -> String {
    let labels = link.labels.iter().map(|(variable, label)| format!("&var-{variable}=${{__field.labels.{label}}}"));
    let fields = link.fields.iter().map(|(variable, field)| format!("&var-{variable}=${{__data.fields.{field}}}"));
    let chosen: String = labels.chain(fields).collect();
    format!("/d/{}?${{datasource:queryparam}}{chosen}&${{__url_time_range}}", uid(&link.dashboard))
}
