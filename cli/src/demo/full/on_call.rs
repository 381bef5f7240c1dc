//! Who is on call: an HTTP server of the demonstration that Alertmanager notifies, and that counts what it hears of.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use serde::Deserialize;
use tokio::runtime;

/// Alerts that are told apart at most: a demonstration of ten targets has a few a minute.
const MOST: usize = 10_000;

/// It, listening until the program ends.
#[derive(Debug)]
pub(super) struct OnCall {
    address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
}

/// What it heard of.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    pub(super) notifications: u64,
    /// Bodies that are no notification.
    pub(super) unreadable: u64,
    alerts: BTreeSet<Known>,
    /// Mentions of alerts beyond [`MOST`].
    pub(super) uncounted: u64,
}

/// An alert: its name, its labels' digest, and when it fired.
type Known = (String, String, String);

/// As Alertmanager's webhook has it.
#[derive(Debug, Deserialize)]
struct Notification {
    alerts: Vec<Told>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    labels: BTreeMap<String, String>,
    fingerprint: String,
    starts_at: String,
}

impl OnCall {
    /// One that listens on this machine.
    ///
    /// # Errors
    /// No port or thread is left.
    pub(super) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let heard = Arc::<Mutex<Heard>>::default();
        let routes = Router::new().route("/", post(take)).with_state(Arc::clone(&heard));
        let serve = move || runtime.block_on(async move { axum::serve(listener, routes).await });
        thread::Builder::new().name("on-call".to_owned()).spawn(serve)?;
        Ok(Self { address, heard })
    }

    /// Where it is notified.
    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// All that it heard so far.
    pub(super) fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Heard {
    /// Different alerts, by name. One that fires again is another.
    pub(super) fn by_name(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (name, ..) in &self.alerts {
            *counts.entry(name.clone()).or_default() += 1;
        }
        counts
    }

    fn add(&mut self, notification: Notification) {
        self.notifications += 1;
        for Told { mut labels, fingerprint, starts_at } in notification.alerts {
            let known = (labels.remove("alertname").unwrap_or_default(), fingerprint, starts_at);
            if self.alerts.len() < MOST || self.alerts.contains(&known) {
                self.alerts.insert(known);
            } else {
                self.uncounted += 1;
            }
        }
    }
}

async fn take(State(heard): State<Arc<Mutex<Heard>>>, body: Bytes) -> StatusCode {
    let read = serde_json::from_slice::<Notification>(&body);
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    match read {
        Ok(notification) => {
            heard.add(notification);
            StatusCode::OK
        }
        Err(_) => {
            heard.unreadable += 1;
            StatusCode::BAD_REQUEST
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(alerts: &[(&str, &str)]) -> String {
        let alert = |(name, starts): &(&str, &str)| {
            serde_json::json!({
                "status": "firing", "labels": {"alertname": name, "policy": "demo"}, "annotations": {}, "fingerprint": "f00",
                "startsAt": starts, "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
            })
        };
        let alerts: Vec<serde_json::Value> = alerts.iter().map(alert).collect();
        serde_json::json!({"version": "4", "status": "firing", "alerts": alerts}).to_string()
    }

    #[test]
    fn an_alert_that_is_told_twice_is_one_and_one_that_fires_again_is_another() {
        let on_call = OnCall::start().unwrap();
        let http = ureq::Agent::new_with_config(ureq::Agent::config_builder().proxy(None).build());
        let told: [&[(&str, &str)]; 2] =
            [&[("PrecursorAlert", "t1")], &[("PrecursorAlert", "t1"), ("PrecursorAlert", "t2")]];
        for alerts in told {
            http.post(on_call.url()).send(notification(alerts)).unwrap();
        }
        http.post(on_call.url()).send(notification(&[("NetprecursorAgentDown", "t1")])).unwrap();
        let heard = on_call.heard();
        let expected =
            [("NetprecursorAgentDown", 1), ("PrecursorAlert", 2)].map(|(name, count)| (name.to_owned(), count));
        assert_eq!((heard.notifications, heard.by_name()), (3, BTreeMap::from(expected)));
    }

    #[test]
    fn what_is_no_notification_is_refused_and_counted() {
        let on_call = OnCall::start().unwrap();
        let http = ureq::Agent::new_with_config(ureq::Agent::config_builder().proxy(None).build());
        let refused = http.post(on_call.url()).send("hello").unwrap_err().to_string();
        assert!(refused.contains("400"), "{refused}");
        assert_eq!((on_call.heard().notifications, on_call.heard().unreadable), (0, 1));
    }

    #[test]
    fn beyond_the_limit_alerts_are_no_longer_told_apart() {
        let mut heard = Heard::default();
        for number in 0..=MOST {
            let told = serde_json::from_str(&notification(&[("PrecursorAlert", &number.to_string())])).unwrap();
            heard.add(told);
        }
        assert_eq!((heard.by_name()["PrecursorAlert"], heard.uncounted), (MOST as u64, 1));
    }
}
