//! The configurations of the three, as their documentation and ours have them. Pure.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// The route of docs/alerting.md.
const ROUTE: &str = "\
route:
  receiver: default
  routes:
  - matchers: [alertname = PrecursorAlert]
    receiver: on-call
    group_by: [cluster, namespace, policy]
    group_wait: 0s
    group_interval: 1m
    repeat_interval: 4h
";

/// A text in YAML, whatever is in it: YAML takes JSON's quotes.
fn quoted(text: impl ToString) -> String {
    Value::from(text.to_string()).to_string()
}

/// Scrapes the agent each second, so that a demonstration of minutes has curves.
pub(super) fn prometheus(agent: &str, alertmanager: SocketAddr, rules: &Path) -> String {
    let [agent, alertmanager, rules] = [quoted(agent), quoted(alertmanager), quoted(rules.display())];
    format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 5s}}
rule_files: [{rules}]
alerting:
  alertmanagers:
  - static_configs: [{{targets: [{alertmanager}]}}]
scrape_configs:
- job_name: netprecursor-agent
  honor_labels: true
  static_configs: [{{targets: [{agent}]}}]
"
    )
}

/// The documented route. Who is on call is the demonstration, which hears of alerts about netprecursor itself as well.
pub(super) fn alertmanager(on_call: &str) -> String {
    let on_call = quoted(on_call);
    format!(
        "{ROUTE}  # The same alerts once more, by Prometheus.
  - matchers: [alertname = NetprecursorForecastBreach]
    receiver: nobody
receivers:
- name: default
  webhook_configs: [{{url: {on_call}}}]
- name: on-call
  webhook_configs: [{{url: {on_call}}}]
- name: nobody
"
    )
}

/// Into files for log records and for metrics, each of at most 64 MB.
pub(super) fn collector(grpc: SocketAddr, http: SocketAddr, files: &[PathBuf; 2]) -> String {
    let [logs, metrics] = files.each_ref().map(|file| quoted(file.display()));
    let [grpc, http] = [grpc, http].map(quoted);
    format!(
        "receivers:
  otlp:
    protocols:
      grpc: {{endpoint: {grpc}}}
      http: {{endpoint: {http}}}
exporters:
  file/logs: {{path: {logs}, rotation: {{max_megabytes: 32, max_backups: 1}}}}
  file/metrics: {{path: {metrics}, rotation: {{max_megabytes: 32, max_backups: 1}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    logs: {{receivers: [otlp], exporters: [file/logs]}}
    metrics: {{receivers: [otlp], exporters: [file/metrics]}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/alerting.md");

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn read(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn the_route_is_the_one_that_is_documented() {
        assert!(PAGE.contains(&format!("```yaml\n{ROUTE}```")), "{ROUTE}");
        let config = read(&alertmanager("http://127.0.0.1:1/"));
        let named: Vec<&Value> = config["receivers"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(named, ["default", "on-call", "nobody"]);
        assert_eq!(config["route"]["routes"][1]["receiver"], "nobody");
    }

    #[test]
    fn the_agent_is_scraped_by_the_job_that_rules_and_dashboards_name() {
        let config = read(&prometheus("127.0.0.1:9470", address(9093), Path::new("/a dir/it's/rules.yaml")));
        assert_eq!(config["rule_files"][0], "/a dir/it's/rules.yaml");
        let job = &config["scrape_configs"][0];
        assert_eq!(job["job_name"], "netprecursor-agent");
        assert_eq!(job["honor_labels"], true);
        assert_eq!(job["static_configs"][0]["targets"][0], "127.0.0.1:9470");
        assert_eq!(config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0], "127.0.0.1:9093");
    }

    #[test]
    fn each_signal_has_a_bounded_file() {
        let config =
            read(&collector(address(4317), address(4318), &["/o/logs.json", "/o/metrics.json"].map(PathBuf::from)));
        for (signal, file) in [("logs", "/o/logs.json"), ("metrics", "/o/metrics.json")] {
            let exporter = &config["exporters"][format!("file/{signal}")];
            assert_eq!(exporter["path"], file);
            assert_eq!(exporter["rotation"]["max_backups"], 1);
            assert_eq!(config["service"]["pipelines"][signal]["exporters"][0], format!("file/{signal}"));
        }
        assert_eq!(config["receivers"]["otlp"]["protocols"]["http"]["endpoint"], "127.0.0.1:4318");
    }
}
