//! The page that the agent serves, in a real browser, with canned answers of the agent: what it shows, and that markup in the
//! answers stays text. `cargo xtask bless` writes the hash of its script into its Content-Security-Policy.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../node-agent/src/serve/dashboard.html");
/// Bytes: it is embedded in the agent and sent to every browser.
const MAX_BYTES: usize = 25_000;
/// Milliseconds of the browser's own clock, in which the page refreshes a few times.
const BUDGET_MS: u32 = 4_000;

/// Markup that changes the title unless it is escaped.
const HOSTILE: &str = r#"<img src=x onerror="document.title='owned'"></script><script>document.title='owned'</script>"#;

fn page() -> String {
    fs::read_to_string(PAGE).unwrap()
}

/// The answers of an agent that watches `targets`, the last of which has a firing alert.
fn canned(targets: &[String], text: &str) -> impl Fn(&str) -> Option<Value> + Send + Sync + 'static {
    let targets = targets.to_vec();
    let (firing, text) = (targets.len() - 1, text.to_owned());
    let model = json!({"name": "damped-holt", "fallback": text});
    move |path| {
        let what = path.strip_prefix("/api/v1/")?;
        Some(match what.split('?').next()? {
            "targets" => targets.iter().enumerate().map(|(i, name)| target(name, i == firing, &model)).collect(),
            "history" => targets
                .iter()
                .map(|name| {
                    let points: Vec<Value> = (1_000..1_100)
                        .map(|unix| json!({"unix": unix, "measuredUs": 20_000 + unix, "predictedUs": 30_000, "chance": 0.31, "firing": unix > 1_090}))
                        .collect();
                    json!({"target": name, "points": points})
                })
                .collect(),
            "alerts" => json!([alert(&targets[firing], &text, &model)]),
            "scores" => json!([{
                "policy": "demo", "rule": "rtt", "model": model, "neededPercent": 62.2, "reachablePercent": 88.4, "precisionPercent": 78,
                "recallPercent": 87, "leadMedianSeconds": 6, "coverage": null,
                "scorecard": {"alerts": 9, "confirmed": 7, "late": 0, "unconfirmed": 2, "unjudged": 0, "incidents": 8,
                    "warned": 7, "missed": 1, "ongoing": 0, "gated": 0}
            }]),
            "sensors" => json!({
                "kernel": "6.18.4", "lastTickMicroseconds": 4210, "rttSource": "Measured",
                "sensors": [{"name": "tcp", "need": "Required", "state": "Active"},
                    {"name": "sched", "need": "Optional", "state": "Unavailable", "reason": text}]
            }),
            _ => return None,
        })
    }
}

fn target(name: &str, firing: bool, model: &Value) -> Value {
    let mut rule = json!({"policy": "demo", "rule": "rtt", "rtt": "RTT inflation", "thresholdUs": 100_000, "state": "Firing", "model": model});
    if !firing {
        rule["state"] = "Idle".into();
        rule["gate"] = "WarmingUp".into();
        rule["ticks"] = 37.into();
        rule["samples"] = 30.into();
    }
    json!({"target": name, "uid": name, "labels": {"app": "demo"}, "watchedSeconds": 37, "measuredUs": 61_000.0,
        "predictedUs": if firing { 132_000.0 } else { 72_000.0 }, "chance": if firing { 0.87 } else { 0.04 }, "firing": firing, "established": 12,
        "coveragePercent": 98, "rttFrom": "LowQuantile", "rules": [rule]})
}

fn alert(target: &str, text: &str, model: &Value) -> Value {
    json!({
        "name": "demo-1", "policy": "demo", "rule": "rtt", "target": target, "targetUid": target, "severity": "Warning",
        "state": "Firing", "trigger": "Forecast", "thresholdUs": 100_000, "predictedUs": 132_000.0,
        "chance": 0.91, "measuredUs": 143_000.0, "leadSeconds": 6, "confirmed": "True", "count": 2, "firedUnix": 1_090,
        "resolvedUnix": null, "resolution": null, "model": model,
        "causes": [
            {"group": "Queue", "feature": "standing_queue_bytes_max10", "unit": "bytes", "value": 182_000.0,
             "baseline": 9_000.0, "sharePercent": 61},
            {"group": text, "feature": text, "unit": text, "value": 1.0, "baseline": 0.5, "sharePercent": 39}
        ]
    })
}

/// Serves the page and the answers of `answer_to`; a request without an answer fails. Returns the page's URL.
fn serve(answer_to: impl Fn(&str) -> Option<Value> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let answer_to = Arc::new(answer_to);
    // Both end with the test's process.
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let answer_to = Arc::clone(&answer_to);
            thread::spawn(move || answer(&socket, &*answer_to));
        }
    });
    url
}

fn answer(socket: &TcpStream, answer_to: &dyn Fn(&str) -> Option<Value>) -> Option<()> {
    let mut lines = BufReader::new(socket).lines();
    let request = lines.next()?.ok()?;
    while !lines.next()?.ok()?.is_empty() {}
    let path = request.split(' ').nth(1)?;
    let (status, kind, body) = match (path, answer_to(path)) {
        ("/", _) => ("200 OK", "text/html; charset=utf-8", page()),
        (_, Some(value)) => ("200 OK", "application/json", value.to_string()),
        (_, None) => ("503 Service Unavailable", "text/plain", String::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n");
    write!(&mut &*socket, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).ok()
}

/// The document that the browser shows after a few refreshes; `None` without a browser.
fn browse(url: &str) -> Option<String> {
    let Some(browser) = browser() else {
        eprintln!("skipped: neither chromium nor google-chrome is in PATH");
        return None;
    };
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--dump-dom"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--virtual-time-budget={BUDGET_MS}"))
        .arg(url)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|directory| names.map(|name| directory.join(name))).find(|file| file.exists())
}

/// The document without its script, which contains much of the text that the tests look for.
fn shown(document: &str) -> String {
    let (before, rest) = document.split_once("<script>").unwrap();
    before.to_owned() + rest.split_once("</script>").unwrap().1
}

#[test]
fn the_page_is_small_and_allows_its_own_script_only() {
    let page = page();
    let script = page.split_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
    let source = format!("script-src 'sha256-{}'", STANDARD.encode(Sha256::digest(script)));
    if std::env::var_os("BLESS").is_some() {
        let (before, rest) = page.split_once("script-src '").unwrap();
        let after = rest.split_once('\'').unwrap().1;
        fs::write(Path::new(PAGE), format!("{before}{source}{after}")).unwrap();
        return;
    }
    assert!(page.contains(&format!("default-src 'none'; {source};")), "expected {source}; run cargo xtask bless page");
    assert!(page.len() < MAX_BYTES, "{} bytes", page.len());
    for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!script.contains(way), "{way} would take text for markup or code");
    }
}

#[test]
fn rows_alerts_and_causes_are_shown_and_markup_among_them_is_inert() {
    let Some(document) = browse(&serve(canned(&["web1".into(), HOSTILE.into()], HOSTILE))) else { return };
    let shown = shown(&document);
    for part in [
        ">≤ 132 ms<",
        ">≤ 72 ms<",
        ">100 ms<",
        "RTT inflation · RTT inferred from small answers · 98 % of 12 sockets seen",
        "warming up 37/60",
        ">warning<",
        "came true, lead 6 s",
        "queue build-up",
        "standing queue, 10 s max: 182 kB, usually 9 kB",
        ">61 %<",
        "9 alerts: 7 confirmed, 2 unconfirmed, 0 late",
        ">78 %<",
        ">87 %<",
        ">6 s<",
        "a warning needs a chance of 62 %; highest recent chance 88 %",
        "87 % chance of a breach",
        "chance 91 %",
        "fallback to damped-holt:",
        "sched unavailable",
        "kernel 6.18.4",
        "<title>(1) netprecursor</title>",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    // Name, alert and fallback are text; none became an element.
    assert!(shown.matches("&lt;img src=x onerror=").count() >= 3, "{shown}");
    assert!(!shown.contains("<img") && !shown.contains("<script"), "{shown}");
}

#[test]
fn of_many_targets_the_firing_one_comes_first() {
    let names: Vec<String> = (1..=110).map(|n| format!("web{n}")).collect();
    let Some(document) = browse(&serve(canned(&names, "because"))) else { return };
    let shown = shown(&document);
    let cards: Vec<&str> =
        shown.split("class=\"name\" title=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!((cards.len(), &cards[..3]), (110, &["web110", "web1", "web2"][..]));
}

#[test]
fn without_an_agent_the_page_shows_an_error() {
    let Some(document) = browse(&serve(|_| None)) else { return };
    assert!(shown(&document).contains("The agent is not reachable"), "{document}");
}
