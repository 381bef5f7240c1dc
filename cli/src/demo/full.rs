//! The real Prometheus, Alertmanager and OpenTelemetry Collector beside the demonstration: with the chart's rules and the
//! documented route, ended with it, and asked at its end what each of them received.

mod collector;
mod config;
mod dashboards;
mod launch;
mod on_call;
mod program;
mod prometheus;
mod report;

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use netprecursor_settings::Listen;

use super::agent::Receivers;
use crate::arguments;
use collector::Received;
use dashboards::Query;
use on_call::OnCall;
use program::{Program, ProgramError};
use prometheus::Prometheus;
pub(super) use report::Report;

/// How long a connection on this machine may take.
const CONNECT: Duration = Duration::from_secs(1);

/// Emptied at the start, so it has a name that nobody gives to something else.
const DIRECTORY: &str = "demo-monitoring";

/// Programs that are started as well: all of them or none.
#[derive(Debug, clap::Args)]
pub(super) struct FullArgs {
    /// Also starts this Prometheus, which scrapes the agent with the chart's rules
    #[arg(long, value_name = "FILE", requires = "alertmanager", value_parser = arguments::file())]
    prometheus: Option<PathBuf>,
    /// … this Alertmanager, which agent and Prometheus send alerts to
    #[arg(long, value_name = "FILE", requires = "collector", value_parser = arguments::file())]
    alertmanager: Option<PathBuf>,
    /// … and this OpenTelemetry Collector, which writes metrics and log records into files; needs otlpreceiver and fileexporter
    #[arg(long, value_name = "FILE", requires = "chart_files", value_parser = arguments::file())]
    collector: Option<PathBuf>,
    /// Where rules.yaml and dashboards/ are: charts/netprecursor/files of a checkout
    #[arg(long, value_name = "DIR", requires = "prometheus", value_parser = arguments::file())]
    chart_files: Option<PathBuf>,
}

/// All of what [`FullArgs`] names.
struct Files<'a> {
    prometheus: &'a Path,
    alertmanager: &'a Path,
    collector: &'a Path,
    chart: &'a Path,
}

/// Where each of them listens.
#[derive(Debug, Clone, Copy)]
struct Addresses {
    prometheus: SocketAddr,
    alertmanager: SocketAddr,
    collector_grpc: SocketAddr,
    collector_http: SocketAddr,
}

/// All of them, running. Dropping it ends them.
pub(super) struct Full {
    prometheus: Program,
    alertmanager: Program,
    collector: Program,
    addresses: Addresses,
    asked: Prometheus,
    on_call: OnCall,
    queries: Vec<Query>,
    directory: PathBuf,
}

impl FullArgs {
    /// `None` when nothing is asked for: by their `requires`, one comes with all.
    fn files(&self) -> Option<Files<'_>> {
        Some(Files {
            prometheus: self.prometheus.as_deref()?,
            alertmanager: self.alertmanager.as_deref()?,
            collector: self.collector.as_deref()?,
            chart: self.chart_files.as_deref()?,
        })
    }
}

impl Addresses {
    /// The usual ports where they are free, others where they are not.
    fn choose() -> io::Result<Self> {
        // All at once, or two of them might be the same.
        let [prometheus, alertmanager, grpc, http] = [9090, 9093, 4317, 4318].map(listen);
        let (prometheus, alertmanager, grpc, http) = (prometheus?, alertmanager?, grpc?, http?);
        Ok(Self {
            prometheus: prometheus.local_addr()?,
            alertmanager: alertmanager.local_addr()?,
            collector_grpc: grpc.local_addr()?,
            collector_http: http.local_addr()?,
        })
    }
}

/// Somebody else may take the port until its program does: then that ends, and its last words say so.
fn listen(usual: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, usual)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
}

impl Full {
    /// Starts what `args` name, for the agent that will listen at `agent`; their files are under `out`. `None` when they name
    /// nothing.
    ///
    /// # Errors
    /// A file is missing or cannot be written, or a program ends or does not get ready.
    pub(super) fn start(
        args: &FullArgs,
        agent: &Listen,
        out: &Path,
        stop: &AtomicBool,
    ) -> anyhow::Result<Option<Self>> {
        let Some(files) = args.files() else { return Ok(None) };
        let chart = files.chart;
        let expected = "expected rules.yaml and dashboards/: give another --chart-files";
        let rules = fs::canonicalize(chart.join("rules.yaml"));
        let rules = rules.with_context(|| format!("cannot read rules.yaml in {}; {expected}", chart.display()))?;
        let queries = dashboards::read(&chart.join("dashboards")).context(expected)?;
        let directory = launch::emptied(&out.join(DIRECTORY))?;
        let on_call = OnCall::start().context("cannot listen on 127.0.0.1")?;
        // After it: it could be given a port that was just chosen.
        let addresses = Addresses::choose().context("cannot listen on 127.0.0.1")?;
        let full = Self {
            alertmanager: launch::alertmanager(files.alertmanager, addresses, &on_call.url(), &directory)?,
            collector: launch::collector(files.collector, addresses, &directory)?,
            prometheus: launch::prometheus(files.prometheus, addresses, agent, &rules, &directory)?,
            asked: Prometheus::new(addresses.prometheus),
            addresses,
            on_call,
            queries,
            directory,
        };
        full.wait_until_ready(stop)?;
        Ok(Some(full))
    }

    fn wait_until_ready(&self, stop: &AtomicBool) -> Result<(), ProgramError> {
        self.prometheus.wait_until(stop, || self.asked.ready())?;
        let alertmanager = Prometheus::new(self.addresses.alertmanager);
        // It says so in the same way.
        self.alertmanager.wait_until(stop, || alertmanager.ready())?;
        let connect =
            |address| TcpStream::connect_timeout(&address, CONNECT).map(drop).map_err(|error| error.to_string());
        self.collector.wait_until(stop, || connect(self.addresses.collector_http))
    }

    /// What the agent sends to.
    pub(super) fn receivers(&self) -> Receivers {
        Receivers {
            alertmanager: format!("http://{}", self.addresses.alertmanager),
            collector: format!("http://{}", self.addresses.collector_http),
        }
    }

    /// Refuses one that has ended.
    ///
    /// # Errors
    /// How it ended, and its last words.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        Ok([&self.prometheus, &self.alertmanager, &self.collector].into_iter().try_for_each(Program::check)?)
    }

    /// Where to look, a line for each.
    pub(super) fn words(&self) -> String {
        let Addresses { prometheus, alertmanager, collector_grpc, collector_http } = self.addresses;
        let [logs, metrics] = collector::files(&self.directory);
        format!(
            "Prometheus    http://{prometheus}/  (/api/v1/alerts; /api/v1/query?query=netprecursor_alerts_firing; a data source for \
             Grafana)\n\
             Alertmanager  http://{alertmanager}/  (/api/v2/alerts)\n\
             Collector     {collector_grpc} (gRPC), {collector_http} (HTTP); {} and {} have what it receives\n",
            logs.display(),
            metrics.display()
        )
    }

    /// Asks each what it received; Prometheus about `at`, when the agent and its targets were still there. Ends all.
    pub(super) fn report(self, at: SystemTime) -> Report {
        let asked = prometheus::ask(&self.asked, &self.queries, at);
        let received = self.collector.end().map_err(|error| error.to_string());
        // It writes the last of it when it ends.
        let received = received.and_then(|()| Received::read(&self.directory));
        Report::new(asked, self.on_call.heard(), received)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        full: FullArgs,
    }

    const ALL: [&str; 4] = ["--prometheus=p", "--alertmanager=a", "--collector=c", "--chart-files=f"];

    fn parse(flags: &[&str]) -> Result<Line, clap::Error> {
        Line::try_parse_from(["demo"].iter().chain(flags))
    }

    #[test]
    fn all_programs_are_named_or_none() {
        assert!(parse(&[]).unwrap().full.files().is_none());
        assert!(parse(&ALL).unwrap().full.files().is_some());
        for missing in ALL {
            let rest: Vec<&str> = ALL.into_iter().filter(|flag| *flag != missing).collect();
            let error = parse(&rest).unwrap_err().to_string();
            let name = missing.split('=').next().unwrap();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn a_port_that_somebody_has_is_replaced_by_another() {
        let taken = listen(0).unwrap().local_addr().unwrap();
        let holder = TcpListener::bind(taken).unwrap();
        let other = listen(taken.port()).unwrap().local_addr().unwrap();
        assert!(other.ip().is_loopback() && other.port() != holder.local_addr().unwrap().port());
    }

    #[test]
    fn without_the_charts_files_it_says_which_flag_to_change() {
        let (args, out) = (parse(&ALL).unwrap().full, tempfile::tempdir().unwrap());
        let agent = "127.0.0.1:9470".parse().unwrap();
        let started = Full::start(&args, &agent, out.path(), &AtomicBool::new(false));
        let error = format!("{:#}", started.map(drop).unwrap_err());
        assert!(error.contains("rules.yaml in f;") && error.contains("--chart-files"), "{error}");
    }
}
