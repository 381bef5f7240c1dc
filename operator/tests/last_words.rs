//! Whatever the log's filter is, the operator says on standard error why it ends.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::{fs, net::TcpListener, process::Command};

const AGENT: &str = "agent: {name: a, serviceAccountName: a, image: netprecursor/agent:0.1.0}\n";

/// Exit code and standard error with a configuration and `RUST_LOG`.
fn ended(configuration: &str, variable: Option<&str>) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("operator.yaml");
    fs::write(&file, format!("anchor: a\nleaseName: a\n{configuration}{AGENT}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_netprecursor-operator"));
    command.args(["run", "--config"]).arg(&file).env_remove("RUST_LOG").envs(variable.map(|value| ("RUST_LOG", value)));
    let output = command.env("POD_NAMESPACE", "a").env("POD_NAME", "a").output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_port_in_use_is_said_under_every_filter() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("metricsListen: {}\n", taken.local_addr().unwrap());
    for (level, variable) in [
        ("info", None),
        ("off", None),
        ("kube=debug", None),
        ("info", Some("off")),
        ("info", Some("")),
        ("info", Some("hyper=info")),
    ] {
        let (code, text) = ended(&format!("logLevel: {level}\n{listen}"), variable);
        assert_eq!(code, Some(1), "{level} {variable:?}: {text}");
        let says_what_to_do = text.contains("another program does already") && text.contains("metricsListen");
        assert!(says_what_to_do, "{level} {variable:?}: {text}");
    }
}

#[test]
fn a_filter_that_is_none_ends_it_with_what_to_write() {
    for (configuration, variable, origin) in
        [("logLevel: warning\n", None, "logLevel: "), ("", Some("inof"), "RUST_LOG: ")]
    {
        let (code, text) = ended(configuration, variable);
        assert!(text.starts_with("error: ") && text.contains(origin), "{configuration} {variable:?}: {text}");
        assert_eq!(code, Some(2), "{configuration} {variable:?}: {text}");
    }
}
