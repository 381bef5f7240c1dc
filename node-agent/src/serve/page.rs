//! The page at `/`: how the agent is doing, and where its charts are. It loads and runs nothing, so a browser needs no trust in
//! the privileged process beyond its words; the charts are the dashboard's, in a process of whoever looks at them.

use std::time::Duration;

use maud::{DOCTYPE, Markup, html};
use netprecursor_sinks::health::Health;

use crate::status::{Need, Status};

/// Of the page. It has no script and no style, and nobody may embed it.
pub(super) const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where a dashboard listens unless it is told otherwise.
const DASHBOARD: &str = "http://127.0.0.1:9471/";

/// What the page shows.
pub(super) struct Page<'a> {
    /// Whether the last tick is recent.
    pub(super) is_alive: bool,
    pub(super) kernel: &'a str,
    pub(super) targets: usize,
    /// Targets with an alert that is out.
    pub(super) firing: usize,
    /// How long the last tick took.
    pub(super) last_tick: Duration,
    pub(super) sensors: &'a [Status],
    pub(super) sinks: &'a [Health],
}

impl Page<'_> {
    pub(super) fn render(&self) -> String {
        let state = if self.is_alive { "It ticks." } else { "No tick for seconds: see its log." };
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { "netprecursor agent" }
                }
                body {
                    main {
                        h1 { "netprecursor agent " (env!("CARGO_PKG_VERSION")) }
                        p {
                            (state) " Kernel " (self.kernel) ". " (self.targets) " targets, " (self.firing)
                            " with an alert. The last tick took " (self.last_tick.as_micros()) " µs."
                        }
                        p {
                            "Charts, alerts and scores: run " code { "netprecursor dashboard --agent URL" }
                            " with the URL of this page, and open " a href=(DASHBOARD) { (DASHBOARD) } "."
                        }
                        (self.sensors())
                        (self.sinks())
                        p {
                            "For programs: " a href="/metrics" { "metrics" } ", " a href="/api/v1/targets" { "targets" } ", "
                            a href="/api/v1/alerts" { "alerts" } ", " a href="/api/v1/scores" { "scores" } ", "
                            a href="/api/v1/sensors" { "sensors" } "."
                        }
                    }
                }
            }
        };
        page.into_string()
    }

    fn sensors(&self) -> Markup {
        let need = |need| match need {
            Need::Required => "required",
            Need::Optional => "optional",
        };
        html! {
            table {
                caption { "Sensors" }
                thead { tr { th scope="col" { "Sensor" } th scope="col" { "Need" } th scope="col" { "State" } } }
                tbody {
                    @for sensor in self.sensors {
                        tr { th scope="row" { (sensor.name) } td { (need(sensor.need)) } td { (sensor.state.to_string()) } }
                    }
                }
            }
        }
    }

    fn sinks(&self) -> Markup {
        html! {
            @if !self.sinks.is_empty() {
                table {
                    caption { "Where it publishes" }
                    thead {
                        tr {
                            th scope="col" { "Sink" } th scope="col" { "Target" } th scope="col" { "Sent" } th scope="col" { "Waits" }
                            th scope="col" { "Dropped" } th scope="col" { "Last failure" }
                        }
                    }
                    tbody {
                        @for sink in self.sinks {
                            tr {
                                th scope="row" { (sink.name) } td { (sink.target) } td { (sink.sent) } td { (sink.pending) }
                                td { (sink.dropped) } td { (sink.error.as_deref().unwrap_or("none")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::State;

    const HOSTILE: &str = "<script>document.title='owned'</script>";

    fn rendered(sensors: &[Status], sinks: &[Health]) -> String {
        let (kernel, last_tick) = ("6.18.4", Duration::from_micros(4_210));
        Page { is_alive: true, kernel, targets: 10, firing: 2, last_tick, sensors, sinks }.render()
    }

    #[test]
    fn it_says_how_the_agent_is_doing() {
        let degraded = Status::new("tcp", Need::Required, State::Degraded("smoothed RTT".to_owned()));
        let page = rendered(&[degraded], &[]);
        for expected in ["10 targets, 2 with an alert", "4210 µs", "6.18.4", "Degraded: smoothed RTT", DASHBOARD] {
            assert!(page.contains(expected), "{expected}: {page}");
        }
    }

    #[test]
    fn markup_in_what_it_shows_stays_text_and_it_runs_and_loads_nothing() {
        let sensor = Status::new("sched", Need::Optional, State::Unavailable(HOSTILE.to_owned()));
        let sink = Health { target: HOSTILE.to_owned(), error: Some(HOSTILE.to_owned()), ..Health::default() };
        let page = rendered(&[sensor], &[sink]);
        assert_eq!(page.matches("&lt;script&gt;").count(), 3, "{page}");
        for never in ["<script", "<style", "<link", "<img", "src="] {
            assert!(!page.contains(never), "{never}: {page}");
        }
    }
}
