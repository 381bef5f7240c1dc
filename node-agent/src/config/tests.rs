use std::io::Write;

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
}

fn flags(arguments: &[&str]) -> Flags {
    Cli::try_parse_from([&["agent"], arguments].concat()).unwrap().flags
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn a_flag_wins_over_the_file() {
    let file = file("target: ['netns:a*,app=x']\nlisten: 127.0.0.1:1\nlog: debug\n");
    let settings = flags(&["--config", file.path().to_str().unwrap(), "--listen", "127.0.0.1:2"]).settle().unwrap();
    assert_eq!(settings.listen.port(), 2);
    assert_eq!(settings.log, Filter::parse("--log", "debug").unwrap());
    assert_eq!(settings.targets[0].to_string(), "netns:a*,app=x");
}

#[test]
fn an_unknown_setting_is_named_with_its_line() {
    let file = file("target: ['netns:a']\nthreshold: 3\n");
    let error = flags(&["--config", file.path().to_str().unwrap()]).settle().unwrap_err().to_string();
    assert!(error.contains("threshold") && error.contains("line 2"), "{error}");
}

#[test]
fn without_a_target_there_is_nothing_to_do() {
    assert!(matches!(flags(&[]).settle(), Err(ConfigError::NoTarget)));
}

#[test]
fn in_a_cluster_the_api_says_what_to_watch_and_the_pod_where_it_is() {
    let environment = |name: &str| (name != VARIABLE).then(|| format!("my-{}", name.to_lowercase()));
    let settings = flags(&["--kubernetes", "--max-alerts", "7"]).settle_in(environment).unwrap();
    let cluster = settings.cluster.unwrap();
    assert_eq!(
        (cluster.location.node.as_str(), cluster.location.namespace.as_str()),
        ("my-node_name", "my-pod_namespace")
    );
    assert_eq!((cluster.max_alerts, cluster.max_alerts_per_namespace), (7, MAX_ALERTS_PER_NAMESPACE));
    assert_eq!((cluster.share_file, cluster.networks_file), (None, None));
    let error = flags(&["--kubernetes"]).settle_in(|_| None).unwrap_err();
    assert!(matches!(error, ConfigError::NoLocation("NODE_NAME")), "{error}");
    let error = flags(&["--kubernetes", "--target", "netns:a"]).settle_in(environment).unwrap_err();
    assert!(matches!(error, ConfigError::TwoSources("--target")), "{error}");
}

/// The error of clap or the settings for arguments.
fn refusal(arguments: &[&str]) -> String {
    match Cli::try_parse_from([&["agent"], arguments].concat()) {
        Err(error) => error.to_string(),
        Ok(cli) => cli.flags.settle_in(|name| (name != VARIABLE).then(|| "here".to_owned())).unwrap_err().to_string(),
    }
}

#[test]
fn a_wrong_configuration_is_answered_with_what_to_write() {
    let taken = file("");
    let path = taken.path().to_str().unwrap();
    let below = format!("{path}/state");
    let target = ["--target", "netns:a"];
    let table: [(&[&str], &str); 26] = [
        (&["--listen", "localhost"], "write for example `localhost:9470`"),
        (&["--listen", "9470"], "write for example `127.0.0.1:9470`"),
        (&["--listen", ""], "which is empty"),
        (&["--listen", "127.0.0.1:70000"], "write for example `127.0.0.1:9470`"),
        (&["--listen", "localhost:1", "--probe-listen", "localhost:1"], "give --probe-listen another port"),
        (&["--state-dir", "~/x"], "write for example `"),
        (&["--state-dir", ""], "got an empty path"),
        (&["--state-dir", path], "which is a file"),
        (&["--state-dir", &below], "which is a file"),
        (&["--policy", "~/p.yaml"], "in which only a shell replaces `~`"),
        (&["--config", "~/c.yaml"], "in which only a shell replaces `~`"),
        (&["--policy", "/"], "expected a policy file"),
        (&["--log", ""], "got an empty log filter"),
        (&["--log", "warning"], "write for example `warn`"),
        (&["--max-alerts", "0"], "expected at least 1"),
        (&["--max-alerts", "7"], "got --max-alerts without --kubernetes"),
        (&["--share-file", "/share"], "got --share-file without --kubernetes"),
        (&["--share-file", ""], "got an empty path"),
        (&["--networks-file", "/networks"], "got --networks-file without --kubernetes"),
        (&["--networks-file", "~/networks"], "in which only a shell replaces `~`"),
        (&["--max-alerts", "-1"], "unexpected argument"),
        (&["--open-metrics"], "got --open-metrics without --kubernetes"),
        (&["--cluster-name", " "], "leave it out for none"),
        (&["--alertmanager", "a:9093"], "expected a URL with its scheme"),
        (&["--alertmanager", "http://a", "--alertmanager-token-file", ""], "got an empty path"),
        (&["--webhook-secret-file", "/s"], "got --webhook-secret-file without --webhook"),
    ];
    for (arguments, words) in table {
        let error = refusal(&[&target, arguments].concat());
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
}

#[test]
fn what_the_operator_deals_is_in_files_that_a_flag_or_the_file_names() {
    let environment = |name: &str| (name != VARIABLE).then(|| "here".to_owned());
    let file = file("kubernetes: true\nshare-file: /dealt/share.json\nnetworks-file: /dealt/networks.json\n");
    let path = file.path().to_str().unwrap();
    let dealt = |arguments: &[&str]| flags(arguments).settle_in(environment).unwrap().cluster.unwrap().networks_file;
    assert_eq!(dealt(&["--config", path]), Some(PathBuf::from("/dealt/networks.json")));
    assert_eq!(dealt(&["--config", path, "--networks-file", "/mine"]), Some(PathBuf::from("/mine")));
}

#[test]
fn a_host_may_be_called_by_its_name() {
    let settings = flags(&["--target", "netns:a", "--listen", "localhost:9470"]).settle().unwrap();
    assert_eq!(settings.listen.to_string(), "localhost:9470");
}

#[test]
fn nothing_in_the_file_is_no_directory() {
    for line in ["state-dir: ~", "state-dir: ~/x", "state-dir: ''", "policy: [~]", "policy: ['~/p.yaml']", "log: loud"]
    {
        let file = file(&format!("target: ['netns:a']\n{line}\n"));
        let error = refusal(&["--config", file.path().to_str().unwrap()]);
        assert!(error.contains("expected"), "{line}: {error}");
    }
}

#[test]
fn a_missing_policy_file_is_named() {
    let error = flags(&["--target", "netns:a", "--policy", "/nowhere.yaml"]).settle().unwrap_err().to_string();
    assert!(error.contains("/nowhere.yaml") && error.contains("policy file"), "{error}");
}

#[test]
fn receivers_are_of_an_agent_outside_a_cluster_alone() {
    let file = file("target: ['netns:a']\nalertmanager: ['http://a:9093']\nwebhook-url-file: /run/url\n");
    let settings = flags(&["--config", file.path().to_str().unwrap()]).settle().unwrap();
    assert!(!settings.receivers.is_empty());
    let error = refusal(&["--kubernetes", "--alertmanager", "http://a:9093"]);
    assert!(error.contains("in a cluster the operator sends alerts"), "{error}");
}
