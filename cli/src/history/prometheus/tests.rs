//! A Prometheus that answers, refuses, says nonsense, or is not there.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    thread,
};

use super::*;

/// Answers every request with this, and returns where, and what was asked.
fn prometheus(status: &'static str, body: &'static str) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let mut asked = Vec::new();
        // One for each figure; one that is refused is the last.
        let requests = if status.starts_with("200") { Figure::ALL.len() } else { 1 };
        for _ in 0..requests {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            asked.push(lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n"));
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").unwrap();
        }
        asked
    });
    (url, asked)
}

fn series() -> Series {
    let [policy_kind, policy_namespace, policy, rule] = ["PrecursorPolicy", "", "demo", "rtt"].map(str::to_owned);
    let rule = Some(Rule { policy_kind, policy_namespace, policy, rule });
    Series { target: "web1".to_owned(), namespace: None, workload: None, rule }
}

fn range(prometheus: &Prometheus) -> Result<RangeAnswer, PrometheusError> {
    let asked = RangeAsked::parse("uid=a&from=1000&until=1029&step=10").unwrap();
    prometheus.range(&asked, 2_000, &series(), Value::Null)
}

#[test]
fn numbers_of_the_end_of_a_step_are_drawn_at_its_beginning_in_microseconds() {
    let body = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1009,"0.25"],[1029,"NaN"]]}]}}"#;
    let (url, asked) = prometheus("200 OK", body);
    let client = Prometheus::new(&url, None).unwrap();
    let answer = range(&client).unwrap();
    assert_eq!((answer.start, answer.step, answer.measured_us.len(), answer.from), (1_000, 10, 3, "Prometheus"));
    assert!(answer.measured_us[0] == 250_000.0 && answer.measured_us[1].is_nan() && answer.measured_us[2].is_nan());
    assert!(answer.chance[0] == 0.25 && answer.firing == [true, false, false], "{answer:?}");
    let asked = asked.join().unwrap();
    assert!(
        asked[0].contains("start=1009") && asked[0].contains("end=1029") && asked[0].contains("step=10"),
        "{asked:?}"
    );
    assert_eq!(client.status().state, State::Good);
}

#[test]
fn a_refusal_is_said_in_prometheus_own_words_and_remembered() {
    let (url, _asked) = prometheus(
        "422 Unprocessable Entity",
        r#"{"status":"error","errorType":"execution","error":"too many samples"}"#,
    );
    let client = Prometheus::new(&url, None).unwrap();
    let words = range(&client).unwrap_err().to_string();
    assert!(words.contains("422") && words.contains("too many samples"), "{words}");
    let status = client.status();
    assert!(status.state == State::Failing && status.reason.unwrap().contains("too many samples"));
}

#[test]
fn another_program_and_nobody_are_said_to_be_so() {
    let (url, asked) = prometheus("200 OK", "<html>");
    assert!(
        range(&Prometheus::new(&url, None).unwrap()).unwrap_err().to_string().contains("expected that of a Prometheus")
    );
    drop(asked);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Prometheus::new(&format!("http://{nobody}"), None).unwrap();
    assert!(range(&client).unwrap_err().to_string().contains("is it running"));
}

#[test]
fn an_address_is_one_of_http() {
    for good in ["http://127.0.0.1:9090", "http://prometheus.monitoring:9090/", "http://node1/prometheus"] {
        assert!(Prometheus::new(good, None).is_ok(), "{good}");
    }
    for bad in ["", "127.0.0.1:9090", "https://node1", "http://", "http:///x", "http://a?b", "http://user:pass@node1"] {
        assert!(Prometheus::new(bad, None).unwrap_err().to_string().contains("write for example"), "{bad}");
    }
}

#[test]
fn a_token_is_read_from_its_file_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    assert!(
        Prometheus::new("http://127.0.0.1:9", Some(path.clone()))
            .unwrap_err()
            .to_string()
            .contains("--prometheus-token-file")
    );
    std::fs::write(&path, "first\n").unwrap();
    let body = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    let (url, asked) = prometheus("200 OK", body);
    let client = Prometheus::new(&url, Some(path.clone())).unwrap();
    std::fs::write(&path, "second\n").unwrap();
    range(&client).unwrap();
    let asked = asked.join().unwrap();
    assert!(asked.iter().all(|request| request.contains("Bearer second")), "{asked:?}");
}
