//! The dashboards: by Grafana's own schema, and on a Prometheus with data.

use std::{fs, process::Command};

use netprecursor_metrics::query;
use netprecursor_testbed::module;
use serde_json::Value;

use crate::{files, prometheus::Prometheus};

/// All of them, by name.
fn dashboards() -> Vec<(String, Value)> {
    let entries = fs::read_dir(files().join("dashboards")).unwrap();
    let dashboards = entries.map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    });
    let dashboards: Vec<_> = dashboards.collect();
    assert_eq!(dashboards.len(), 4);
    dashboards
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A query as Grafana sends it when everything is chosen.
fn filled(expr: &str) -> String {
    query::filled(expr, "10s", "1m")
}

#[test]
fn grafanas_schema_knows_every_field() {
    let program = module::GRAFANA.provide().unwrap().program("grafana").unwrap();
    let paths = dashboards().into_iter().map(|(name, _)| files().join(format!("dashboards/{name}.json")));
    let output = Command::new(program).args(paths).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_panel_and_every_mark_shows_something() {
    let prometheus = Prometheus::shared();
    let (mut problems, mut asked) = (Vec::new(), 0);
    for (name, dashboard) in dashboards() {
        let targets = list(&dashboard, "/panels").iter().flat_map(|panel| {
            let place = format!("{name}: {}", panel["title"]);
            list(panel, "/targets").iter().map(move |target| (place.clone(), target))
        });
        let marks = list(&dashboard, "/annotations/list").iter().map(|mark| (format!("{name}: annotation"), mark));
        for (place, query) in targets.chain(marks) {
            asked += 1;
            problems.extend(prometheus.expect(&place, &filled(query["expr"].as_str().unwrap())).err());
        }
    }
    assert!(asked > 80, "only {asked} queries");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_variable_has_something_to_choose() {
    let prometheus = Prometheus::shared();
    for (name, dashboard) in dashboards() {
        for variable in list(&dashboard, "/templating/list").iter().filter(|variable| variable["type"] == "query") {
            let place = format!("{name}: {}", variable["name"]);
            let query = variable["definition"].as_str().unwrap();
            let inside = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap();
            let (series, label) = inside.rsplit_once(", ").unwrap();
            let found = prometheus.expect(&place, &format!("group by ({label}) ({})", filled(series))).unwrap();
            assert!(found.iter().any(|one| one["metric"][label].is_string()), "{place}: {found:?}");
        }
    }
}
