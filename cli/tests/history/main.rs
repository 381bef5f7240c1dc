//! `netprecursor history serve` as a process: killed at any time, on a disk that is full, and beside another one.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod agent;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

/// How long something may take before it is taken for never.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service that is killed when it is dropped.
struct Service {
    child: Child,
    url: String,
}

impl Service {
    /// Starts one, and waits until it listens. Writing beyond a limit is an error for it, not its end.
    fn start(agent: &str, store: &Path) -> Self {
        let mut child = command(agent, store).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split(' ').find_map(|word| word.strip_suffix("/,")).unwrap_or_else(|| panic!("got {line:?}"));
        Self { url: url.to_owned(), child }
    }

    fn ask(&self, path: &str) -> Value {
        let config = ureq::Agent::config_builder().proxy(None).timeout_global(Some(PATIENCE)).build();
        let http = ureq::Agent::new_with_config(config);
        let body = http.get(format!("{}/api/v1/{path}", self.url)).call().unwrap().body_mut().read_to_vec().unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// The next event of the stream that the page looks at.
    fn history(&self) -> Value {
        let config = ureq::Agent::config_builder().proxy(None).timeout_global(Some(PATIENCE)).build();
        let stream =
            ureq::Agent::new_with_config(config).get(format!("{}/api/v1/live?view=alerts", self.url)).call().unwrap();
        let mut line = String::new();
        BufReader::new(stream.into_body().into_reader()).read_line(&mut line).unwrap();
        let event: Value = serde_json::from_str(line.trim().strip_prefix("data: ").unwrap()).unwrap();
        event["history"][0].clone()
    }

    /// Limits the size of files that it may write, or lets go of that.
    fn limit_files(&self, bytes: Option<u64>) {
        let pid = Pid::from_child(&self.child);
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(agent: &str, store: &Path) -> Command {
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_netprecursor");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", program, "history", "serve", "--agent", agent, "--store"]);
    command.arg(store).args(["--history-size", "8MiB", "--listen", "127.0.0.1:0"]).env("RUST_BACKTRACE", "0");
    command
}

/// Waits for a condition, which is looked at again every so often.
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        thread::sleep(Duration::from_millis(100));
    }
}

/// Seconds of a target that are on disk, none of which is another than what the agent said.
fn kept(service: &Service, from: u64) -> Vec<u64> {
    let until = agent::unix();
    let range = service.ask(&format!("range?uid=u-web7&from={from}&until={until}&step=1"));
    let start = range["start"].as_u64().unwrap();
    let seconds = (start..).zip(range["measuredUs"].as_array().unwrap());
    seconds
        .filter_map(|(unix, us)| Some((unix, us.as_f64()?)))
        .inspect(|(unix, us)| assert!((us - agent::rtt(*unix)).abs() < 1.0, "{unix} {us}"))
        .map(|(unix, _)| unix)
        .collect()
}

fn store() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("history.db");
    (directory, store)
}

#[test]
fn a_history_that_is_killed_again_and_again_opens_with_all_that_was_committed() {
    let agent = agent::start();
    let (_directory, store) = store();
    let begun = agent::unix() - 30;
    let mut known: Vec<u64> = Vec::new();
    // At other moments each time: while it opens, between commits, and in one of them.
    for (round, after) in [0, 300, 5_050, 1_200, 5_600, 100, 6_500, 5_010].into_iter().enumerate() {
        let service = Service::start(&agent, &store);
        if !known.is_empty() {
            let seconds = kept(&service, begun);
            assert!(known.iter().all(|unix| seconds.contains(unix)), "round {round}: {known:?} {seconds:?}");
        }
        // How long it lives is what is tried here.
        thread::sleep(Duration::from_millis(after));
        if after > 5_000 {
            known = wait("a commit", || Some(service_kept(&service, begun)).filter(|seconds| !seconds.is_empty()));
        }
        service.kill();
    }
    let service = Service::start(&agent, &store);
    let seconds = kept(&service, begun);
    assert!(known.len() > 30 && known.iter().all(|unix| seconds.contains(unix)), "{known:?} {seconds:?}");
    let alerts = service.ask("alerts?limit=10");
    assert_eq!(alerts["alerts"][0]["name"], "demo-1");
}

/// As [`kept`], before the target is known as well.
fn service_kept(service: &Service, from: u64) -> Vec<u64> {
    let overview = service.ask("overview");
    if overview["targets"].as_array().unwrap().is_empty() || service.ask("alerts?limit=1")["alerts"][0].is_null() {
        return Vec::new();
    }
    kept(service, from)
}

#[test]
fn a_full_disk_is_said_and_ends_nothing_and_what_came_meanwhile_is_written_once_there_is_room() {
    let agent = agent::start();
    let (_directory, store) = store();
    let begun = agent::unix();
    let service = Service::start(&agent, &store);
    wait("a commit", || Some(service_kept(&service, begun)).filter(|seconds| !seconds.is_empty()));
    // From now on no file may be longer than this one is.
    service.limit_files(Some(fs::metadata(&store).unwrap().len()));
    let failing = wait("a failure", || Some(service.history()).filter(|history| history["state"] == "Failing"));
    assert!(failing["reason"].as_str().unwrap().contains("free space"), "{failing}");
    let overview = service.ask("overview");
    assert_eq!((&overview["source"]["state"], &failing["lost"]), (&Value::from("Live"), &Value::from(0)));
    let full = agent::unix();
    wait("seconds of a full disk", || (agent::unix() > full + 3).then_some(()));
    service.limit_files(None);
    wait("room again", || Some(service.history()).filter(|history| history["state"] == "Good"));
    let seconds = wait("what came meanwhile", || Some(kept(&service, begun)).filter(|all| all.contains(&(full + 2))));
    assert!((full - 2..=full + 2).all(|unix| seconds.contains(&unix)), "{full} {seconds:?}");
}

#[test]
fn a_second_service_on_one_file_is_refused_in_words() {
    let agent = agent::start();
    let (_directory, store) = store();
    let first = Service::start(&agent, &store);
    let second = command(&agent, &store).output().unwrap();
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && words.contains("another process has open"), "{words}");
    first.kill();
    Service::start(&agent, &store).kill();
}

#[test]
fn a_file_of_another_kind_is_refused_and_left_as_it_is() {
    let (_directory, store) = store();
    fs::write(&store, "precious").unwrap();
    let refused = command("http://127.0.0.1:9", &store).output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("holds something else"), "{words}");
    assert_eq!(fs::read_to_string(&store).unwrap(), "precious");
}
