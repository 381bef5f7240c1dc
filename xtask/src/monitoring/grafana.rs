//! Dashboards as Grafana reads them: its JSON, of the fields of schema 39, which it migrates by itself where it is newer.

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::dashboard::{Dashboard, Form, Link, Panel, Query, Variable};

/// What all dashboards have in common: they are found by it, and link to each other.
const TAG: &str = "netprecursor";
/// The grid's.
const COLUMNS: u64 = 24;

/// The dashboard `name` as text.
///
/// # Errors
/// It has too many queries in one panel.
pub(super) fn render(name: &str, dashboard: &Dashboard) -> anyhow::Result<String> {
    let value = json!({
        "annotations": {"list": annotations(dashboard)},
        "description": dashboard.about,
        "editable": true,
        "graphTooltip": 1,
        "links": [{
            "asDropdown": false, "icon": "external link", "includeVars": true, "keepTime": true, "tags": [TAG],
            "targetBlank": false, "title": "", "tooltip": "", "type": "dashboards", "url": "",
        }],
        "panels": panels(dashboard)?,
        "refresh": "30s",
        "schemaVersion": 39,
        "tags": [TAG],
        "templating": {"list": variables(&dashboard.variables)},
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "title": format!("netprecursor / {}", dashboard.title),
        "uid": uid(name),
        "version": 1,
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn uid(name: &str) -> String {
    format!("netprecursor-{name}")
}

/// The one that is chosen.
fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn annotations(dashboard: &Dashboard) -> Vec<Value> {
    let mark = dashboard.annotation.iter().map(|mark| {
        json!({
            "datasource": datasource(), "enable": true, "expr": mark.expr(&dashboard.variables), "iconColor": "orange",
            "name": mark.title, "titleFormat": mark.text, "useValueForTime": false,
        })
    });
    mark.collect()
}

fn variables(variables: &[Variable]) -> Vec<Value> {
    let datasource_itself = json!({
        "current": {"selected": false, "text": "default", "value": "default"}, "hide": 0, "includeAll": false,
        "label": "Data source", "multi": false, "name": "datasource",
        "options": [], "query": "prometheus", "refresh": 1, "regex": "", "skipUrlSync": false, "type": "datasource",
    });
    let queried = variables.iter().enumerate().map(|(at, variable)| {
        let query = variable.values(&variables[..at]);
        json!({
            "allValue": ".*", "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
            "datasource": datasource(), "definition": query, "hide": 0, "includeAll": true, "label": variable.title(),
            "multi": true, "name": variable.name(), "options": [],
            "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
            "refresh": 2, "regex": "", "skipUrlSync": false, "sort": 1, "type": "query",
        })
    });
    std::iter::once(datasource_itself).chain(queried).collect()
}

/// Panels in their places: from left to right, each row under the last.
fn panels(dashboard: &Dashboard) -> anyhow::Result<Vec<Value>> {
    let (mut panels, mut top) = (Vec::new(), 0);
    for row in &dashboard.rows {
        let id = panels.len() + 1;
        panels.push(json!({
            "collapsed": false, "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top}, "id": id, "panels": [],
            "title": row.title, "type": "row",
        }));
        let (mut left, mut line, mut height) = (0, top + 1, 0);
        for described in &row.panels {
            let (w, h) = size(described);
            if left + w > COLUMNS {
                (left, line, height) = (0, line + height, 0);
            }
            let mut panel = panel(described, &dashboard.variables)?;
            panel.insert("gridPos".to_owned(), json!({"h": h, "w": w, "x": left, "y": line}));
            panel.insert("id".to_owned(), (panels.len() + 1).into());
            panels.push(panel.into());
            left += w;
            height = height.max(h);
        }
        top = line + height;
    }
    Ok(panels)
}

fn size(panel: &Panel) -> (u64, u64) {
    let (width, height) = match panel.form {
        Form::Stat => (4, 4),
        Form::Lines | Form::Bars | Form::Table => (12, 8),
        Form::States => (24, 7),
    };
    (panel.width.unwrap_or(width), panel.height.unwrap_or(height))
}

/// A panel without its place.
fn panel(panel: &Panel, variables: &[Variable]) -> anyhow::Result<Map<String, Value>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(panels: &str) -> Value {
        let text =
            format!("{{title: T, about: A, variables: [cluster, node], rows: [{{title: R, panels: [{panels}]}}]}}");
        let dashboard: Dashboard = serde_saphyr::from_str(&text).unwrap();
        serde_json::from_str(&render("fleet", &dashboard).unwrap()).unwrap()
    }

    fn panel_of(form: &str, more: &str) -> String {
        format!("{{title: P, about: A, form: {form}, {more} queries: [{{expr: 'a{{<agent>}}', legend: L, unit: s}}]}}")
    }

    #[test]
    fn panels_stand_beside_each_other_until_the_row_is_full() {
        let lines = panel_of("Lines", "");
        let dashboard = rendered(&[lines.as_str(), lines.as_str(), lines.as_str()].join(", "));
        let places: Vec<&Value> =
            dashboard["panels"].as_array().unwrap().iter().map(|panel| &panel["gridPos"]).collect();
        let place = |x, y| json!({"h": 8, "w": 12, "x": x, "y": y});
        assert_eq!(places[1..], [&place(0, 1), &place(12, 1), &place(0, 9)]);
    }

    #[test]
    fn every_query_asks_the_chosen_source_for_what_is_chosen() {
        let dashboard = rendered(&panel_of("Stat", ""));
        let target = &dashboard["panels"][1]["targets"][0];
        assert_eq!(target["expr"], r#"a{cluster=~"$cluster",node=~"$node"}"#);
        assert_eq!(target["datasource"]["uid"], "${datasource}");
        let names: Vec<&Value> =
            dashboard["templating"]["list"].as_array().unwrap().iter().map(|variable| &variable["name"]).collect();
        assert_eq!(names, ["datasource", "cluster", "node"]);
    }

    #[test]
    fn columns_of_a_table_are_named_and_have_units() {
        let dashboard = rendered(&panel_of("Table", ""));
        let panel = &dashboard["panels"][1];
        assert_eq!(panel["transformations"][1]["options"]["renameByName"], json!({"Value": "L"}));
        assert_eq!(panel["fieldConfig"]["overrides"][0]["properties"][0]["value"], "s");
        assert_eq!(panel["targets"][0]["instant"], true);
    }

    #[test]
    fn a_link_takes_the_time_and_what_the_series_is_about() {
        let link = "link: {dashboard: agent, title: L, labels: {node: node}, fields: {instance: instance}},";
        let dashboard = rendered(&panel_of("Lines", link));
        assert_eq!(
            dashboard["panels"][1]["fieldConfig"]["defaults"]["links"][0]["url"],
            "/d/netprecursor-agent?${datasource:queryparam}&var-node=${__field.labels.node}\
             &var-instance=${__data.fields.instance}&${__url_time_range}"
        );
    }
}
