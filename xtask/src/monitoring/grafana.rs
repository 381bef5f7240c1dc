//! Dashboards as Grafana reads them: its JSON, of the fields of schema 39, which it migrates by itself where it is newer.

mod panel;

use serde_json::{Value, json};

use super::{choice::Variable, dashboard::Dashboard};

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
            let (w, h) = panel::size(described);
            if left + w > COLUMNS {
                (left, line, height) = (0, line + height, 0);
            }
            let mut panel = panel::render(described, &dashboard.variables)?;
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
