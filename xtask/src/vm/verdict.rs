//! The verdict: whether the agent's answers are right for this kernel.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::console::Console;

/// One expectation.
#[derive(Debug)]
pub(crate) struct Check {
    /// The subject.
    pub(crate) name: String,
    /// The value found and the one expected.
    pub(crate) result: Result<(), String>,
}

/// All expectations, and one line of figures.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// Each of them.
    pub(crate) checks: Vec<Check>,
    /// Kernel and figures.
    pub(crate) summary: String,
}

/// `/api/v1/sensors`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sensors {
    kernel: String,
    rtt_source: String,
    sensors: Vec<Sensor>,
}

#[derive(Debug, Deserialize)]
struct Sensor {
    name: String,
    state: String,
    #[serde(default)]
    reason: String,
}

/// The part of `/api/v1/window` that is judged.
#[derive(Debug, Deserialize)]
struct Window {
    signals: BTreeMap<String, Vec<Option<f64>>>,
}

/// The part of iperf3's report that is compared.
#[derive(Debug, Deserialize)]
struct Transfer {
    end: TransferEnd,
}

#[derive(Debug, Deserialize)]
struct TransferEnd {
    sum_sent: Sent,
}

#[derive(Debug, Deserialize)]
struct Sent {
    bytes: f64,
}

/// Every sensor of the agent, the states in which it may be on this kernel, and a word that its reason must have.
/// Kernels before 6.10 pass no measured RTT to sock_ops; this one's cgroup_skb has no helper for the namespace's cookie.
const STATES: &[(&str, &[&str], &str)] = &[
    ("tcp", &["Degraded"], "smoothed"),
    ("traffic", &["Active", "Degraded"], ""),
    ("sched", &["Active"], ""),
    ("sockets", &["Active"], ""),
    ("node", &["Active"], ""),
];

/// Expectations of the sending end: each sensor yields something.
const OF_THE_SENDER: &[&str] = &[
    // tcp
    "rtt_all_count",
    "rtt_all_mean_us",
    "rtt_count",
    "rtt_max_us",
    "handshake_count",
    "handshake_mean_us",
    "cwnd_segments",
    "in_flight_bytes",
    "delivery_rate_bytes_per_second",
    "rtt_floor_us",
    "opens",
    // sockets
    "established",
    // traffic
    "tx_bytes",
    "tx_packets",
    "rx_bytes",
    "rx_packets",
    // sched
    "run_queue_count",
    "run_queue_mean_us",
    "run_queue_p99_us",
    // node: pressure, and the queue that iperf3 fills
    "pressure_cpu_ratio",
    "qdisc_backlog_bytes",
];

/// Expectations of the receiving end.
const OF_THE_RECEIVER: &[&str] =
    &["opens", "handshake_count", "established", "rx_bytes", "tx_bytes", "rx_packets", "run_queue_count"];

/// The largest value that a tick's signal may have here: a minute for times, a ratio is at most 1, and 1 GB or 10⁹ of
/// anything else is more than a second of a 20 Mbit/s link with three connections can hold.
fn bound(signal: &str) -> f64 {
    if signal.ends_with("_us") {
        60e6
    } else if signal.ends_with("_ratio") {
        1.0
    } else {
        1e9
    }
}

/// Judges the output of a guest.
///
/// # Errors
/// A section is missing, or does not match the agent's API.
pub(super) fn judge(console: &Console) -> anyhow::Result<Verdict> {
    let sensors: Sensors = console.json("sensors")?;
    let (client, server): (Window, Window) = (console.json("window-client")?, console.json("window-server")?);
    let transfer: Transfer = console.json("iperf3")?;
    let mut checks = vec![
        check("the kernel is of the series 6.1", console.kernel.starts_with("6.1."), || {
            format!("got kernel {}, expected 6.1", console.kernel)
        }),
        check("the agent knows its kernel", sensors.kernel == console.kernel, || {
            format!("got kernel {} from the agent, expected {}", sensors.kernel, console.kernel)
        }),
        check("RTT is reported as smoothed", sensors.rtt_source == "Smoothed", || {
            format!("got RTT source {}, expected Smoothed", sensors.rtt_source)
        }),
        check("SIGTERM ends the agent in order", console.exit == Some(0), || {
            format!("got exit code {:?}, expected 0", console.exit)
        }),
    ];
    checks.extend(STATES.iter().map(|(name, states, word)| state(&sensors.sensors, name, states, word)));
    for (target, window, positive) in [("sender", &client, OF_THE_SENDER), ("receiver", &server, OF_THE_RECEIVER)] {
        checks.push(bounded(target, window));
        checks.extend(positive.iter().map(|signal| yields(target, window, signal)));
    }
    checks.push(counted("sender", "tx_bytes", &client, transfer.end.sum_sent.bytes));
    checks.push(counted("receiver", "rx_bytes", &server, transfer.end.sum_sent.bytes));
    let figure = |signal| total(&client, signal);
    let summary = format!(
        "kernel {}: {:.0} RTT samples, {:.1} MB of {:.1} MB sent, {:.0} waits for a CPU",
        console.kernel,
        figure("rtt_all_count"),
        figure("tx_bytes") / 1e6,
        transfer.end.sum_sent.bytes / 1e6,
        figure("run_queue_count")
    );
    Ok(Verdict { checks, summary })
}

fn check(name: impl Into<String>, holds: bool, problem: impl FnOnce() -> String) -> Check {
    Check { name: name.into(), result: if holds { Ok(()) } else { Err(problem()) } }
}

fn state(sensors: &[Sensor], name: &str, states: &[&str], word: &str) -> Check {
    let title = format!("sensor {name} is {}", states.join(" or "));
    let Some(sensor) = sensors.iter().find(|sensor| sensor.name == name) else {
        return check(title, false, || format!("got no sensor {name}, expected one"));
    };
    let holds = states.contains(&sensor.state.as_str()) && sensor.reason.contains(word);
    check(title, holds, || {
        format!(
            "got sensor {name} {} ({}), expected {states:?} with {word:?} in the reason",
            sensor.state, sensor.reason
        )
    })
}

/// JSON has no infinity, so a number is finite.
fn bounded(target: &str, window: &Window) -> Check {
    let outside: Vec<String> = window
        .signals
        .iter()
        .flat_map(|(signal, values)| values.iter().flatten().map(move |value| (signal, *value)))
        .filter(|(signal, value)| !(0.0..=bound(signal)).contains(value))
        .map(|(signal, value)| format!("{signal} = {value} (0 to {})", bound(signal)))
        .collect();
    let holds = outside.is_empty() && !window.signals.is_empty();
    check(format!("every value of the {target} is bounded"), holds, || {
        format!("got of the {target} {} values out of bounds: {}", outside.len(), outside.join(", "))
    })
}

fn yields(target: &str, window: &Window, signal: &str) -> Check {
    let seen = window.signals.get(signal).is_some_and(|values| values.iter().flatten().any(|value| *value > 0.0));
    check(format!("{signal} of the {target} is more than zero"), seen, || {
        format!("got no {signal} of the {target} above zero, expected some under load")
    })
}

fn total(window: &Window, signal: &str) -> f64 {
    window.signals.get(signal).map_or(0.0, |values| values.iter().flatten().sum())
}

/// What iperf3 says it sent against what the agent counted. Headers and segments sent again add to it; what was under
/// way when iperf3 stopped counting may be missing.
fn counted(target: &str, signal: &str, window: &Window, bytes: f64) -> Check {
    let total = total(window, signal);
    check(format!("{signal} of the {target} agrees with iperf3"), (0.9 * bytes..=1.3 * bytes).contains(&total), || {
        format!("got {total:.0} {signal} of the {target}, expected 0.9 to 1.3 times iperf3's {bytes:.0}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(tick: f64) -> String {
        let all = OF_THE_SENDER.iter().chain(OF_THE_RECEIVER);
        let value = |signal: &str| if signal.ends_with("_ratio") { tick.min(0.5) } else { tick };
        let signals: BTreeMap<&str, Vec<Option<f64>>> =
            all.map(|signal| (*signal, vec![None, Some(value(signal)), Some(0.0)])).collect();
        serde_json::json!({ "signals": signals }).to_string()
    }

    fn console(tcp: &str, client: &str) -> Console {
        let sensors = format!(
            r#"{{"kernel":"6.1.0-56","rttSource":"Smoothed","sensors":[{tcp},{{"name":"traffic","state":"Active"}},
            {{"name":"sched","state":"Active"}},{{"name":"sockets","state":"Active"}},{{"name":"node","state":"Active"}}]}}"#
        );
        let server = window(1000.0);
        let text = format!(
            "@@kernel 6.1.0-56\n@@begin sensors\n{sensors}\n@@end\n@@begin window-client\n{client}\n@@end\n\
             @@begin window-server\n{server}\n@@end\n@@begin iperf3\n{{\"end\":{{\"sum_sent\":{{\"bytes\":1000}}}}}}\n@@end\n\
             @@agent exit 0\n@@done\n"
        );
        Console::read(&text).unwrap()
    }

    fn problems(console: &Console) -> Vec<String> {
        judge(console).unwrap().checks.into_iter().filter_map(|check| check.result.err()).collect()
    }

    const SMOOTHED: &str = r#"{"name":"tcp","state":"Degraded","reason":"smoothed RTT only"}"#;

    #[test]
    fn a_guest_in_which_every_sensor_works_passes() {
        assert_eq!(problems(&console(SMOOTHED, &window(1000.0))), Vec::<String>::new());
    }

    #[test]
    fn a_sensor_that_is_unavailable_or_degraded_for_another_reason_fails() {
        for tcp in [
            r#"{"name":"tcp","state":"Unavailable","reason":"smoothed"}"#,
            r#"{"name":"tcp","state":"Degraded","reason":"flags were overwritten"}"#,
            r#"{"name":"other","state":"Active"}"#,
        ] {
            let problems = problems(&console(tcp, &window(1000.0)));
            assert!(problems.len() == 1 && problems[0].contains("tcp"), "{problems:?}");
        }
    }

    #[test]
    fn silence_of_a_signal_fails_for_each_signal() {
        // tx_bytes is also compared with iperf3.
        assert_eq!(problems(&console(SMOOTHED, &window(0.0))).len(), OF_THE_SENDER.len() + 1);
    }

    #[test]
    fn a_value_out_of_bounds_fails_with_its_name() {
        let problems = problems(&console(SMOOTHED, &window(1e10)));
        assert!(problems.iter().any(|problem| problem.contains("rtt_max_us = 10000000000")), "{problems:?}");
    }

    #[test]
    fn bytes_that_disagree_with_iperf3_fail() {
        let problems = problems(&console(SMOOTHED, &window(2000.0)));
        assert!(problems.len() == 1 && problems[0].contains("expected 0.9 to 1.3"), "{problems:?}");
    }
}
