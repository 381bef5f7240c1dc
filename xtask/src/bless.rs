//! `cargo xtask bless`: every generated file that is committed, made again or checked. Most are compared by a test of the
//! crate that they are made of; with `BLESS` set the test writes them. So the test tiers notice a stale file by
//! themselves, and `--check` is for those who want to know before.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::ValueEnum as _;

use crate::{cargo::cargo, chart};

/// The environment variable that makes tests write the generated files instead of comparing them.
const BLESS: &str = "BLESS";

/// Makes the generated files again
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these; all when none is given
    parts: Vec<Part>,
    /// Write nothing; fail when something differs
    #[arg(long)]
    check: bool,
    /// Helm (4, or 3 from 3.17 on), which renders the kustomize base; built from its Go module when none is given
    #[arg(long, value_name = "PROGRAM")]
    helm: Option<PathBuf>,
}

/// Files generated from one source. The order matters: the chart contains the definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// core/schema.json and the golden values of the features; a changed feature needs a new schema version
    Features,
    /// lab/scenario.schema.json
    Scenarios,
    /// Custom resource definitions, their reference and the troubleshooting tables, of the types in crds/
    Definitions,
    /// The chart's schema, README, definitions and dashboards, the tables of docs/telemetry.md, and the kustomize base; checks
    /// the rules
    Chart,
    /// docs/webhook.schema.json
    Webhook,
    /// docs/openapi.json
    Openapi,
    /// What a real API server answers the fake one's script; builds Kubernetes, minutes once
    Api,
}

impl Part {
    /// Arguments of `cargo test` for the test that makes it; the chart is made here.
    const fn test(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Features => Some(&["-p", "netprecursor-core", "--lib", "schema"]),
            Self::Scenarios => Some(&["-p", "netprecursor-lab", "--lib", "the_committed_schema"]),
            Self::Definitions => Some(&["-p", "netprecursor-crds", "--test", "generated"]),
            Self::Chart => None,
            Self::Webhook => Some(&["-p", "netprecursor-sinks", "--lib", "the_published_schema"]),
            Self::Openapi => Some(&["-p", "netprecursor-agent", "--lib", "the_published_document"]),
            Self::Api => Some(&["-p", "netprecursor-fakeapi", "--test", "api", "the_default_server"]),
        }
    }

    fn settle(self, args: &Args) -> anyhow::Result<()> {
        let Some(test) = self.test() else { return chart::settle(args.check, args.helm.as_deref()) };
        let mut command = cargo(&["test"]);
        command.args(test);
        if args.check {
            command.env_remove(BLESS)
        } else {
            command.env(BLESS, "1")
        };
        let status = command.status().context("starting cargo test")?;
        if !status.success() {
            bail!("cargo test {}: {status}", test.join(" "));
        }
        Ok(())
    }
}

/// Settles each part; one that fails does not keep the others from it.
///
/// # Errors
/// A part cannot be made, or (`--check`) differs.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let is_wanted = |part: &&Part| args.parts.is_empty() || args.parts.contains(part);
    let parts = Part::value_variants().iter().filter(is_wanted);
    let problems: Vec<String> =
        parts.filter_map(|part| part.settle(args).err()).map(|error| format!("{error:#}")).collect();
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    println!("every generated file is current");
    Ok(ExitCode::SUCCESS)
}
