//! `netprecursor model`: inspects an ONNX model, and runs it on rows from a file with the agent's own scorer.

mod rows;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use netprecursor_models::child::{self, CheckError, Limits};
use netprecursor_models::contract::{PolicyContract, limits};
use netprecursor_models::forest::Labels;
use netprecursor_models::{ModelInfo, Refusal, Scorer, Use};
use serde_json::{Map, Value, json};

use crate::{arguments, terminal};

/// Arguments of `netprecursor model`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say what a model is, and whether a policy may use it; exit with 1 when it is refused altogether
    Inspect {
        /// ONNX file
        #[arg(value_parser = arguments::file())]
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Score rows with the agent's scorer and print {"outputs": {NAME: [[…]…]}}
    Run {
        /// ONNX file
        #[arg(value_parser = arguments::file())]
        file: PathBuf,
        /// Rows: CSV with a header (empty or nan is missing), or Parquet; columns go by the model's feature names, else by
        /// those of the schema that it was trained on, else by its inputs' names, or by their order when it has none
        #[arg(long, value_name = "ROWS.csv|ROWS.parquet", value_parser = arguments::file())]
        input: PathBuf,
        /// Format of the outputs
        #[arg(long, value_enum, default_value_t = Output::Json)]
        output: Output,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Output {
    /// Rows of numbers by output name; null is NaN
    Json,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Inspect { file, json } => inspect(file, *json),
        Command::Run { file, input, output: Output::Json } => {
            let (mut scorer, _) = load(file)?;
            // By the names that the agent feeds: a model that has others for the same schema is refused here as well.
            let names = scorer.info().columns(&PolicyContract::rtt());
            let names = names.with_context(|| format!("{} contradicts itself", file.display()))?;
            let rows = rows::read(input, names.as_deref(), scorer.info().columns_per_line())?;
            terminal::print(&format!("{}\n", outputs(&mut scorer, &rows)?))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Loads a model, first in a child process under limits.
fn load(file: &Path) -> anyhow::Result<(Scorer, ModelInfo)> {
    let bytes = bytes(file)?;
    let info = child::check(&bytes, Limits::default()).with_context(|| format!("{} is refused", file.display()))?;
    let scorer = Scorer::load(&bytes, Use::Inspect).with_context(|| format!("{} is refused", file.display()))?;
    Ok((scorer, info))
}

/// The file, or as much of it as shows that it is too large.
fn bytes(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let open = File::open(file).and_then(|file| file.take(limits::FILE_BYTES as u64 + 1).read_to_end(&mut bytes));
    open.with_context(|| format!("cannot read the model {}; fix: give the path of an ONNX file", file.display()))?;
    Ok(bytes)
}

fn inspect(file: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let bytes = bytes(file)?;
    let verdict = child::check(&bytes, Limits::default());
    let contract = match &verdict {
        Ok(info) => info.check(&PolicyContract::rtt()),
        Err(_) => Ok(()),
    };
    let text = if json { format!("{}\n", report(&verdict, &contract)) } else { describe(file, &verdict, &contract) };
    terminal::print(&text)?;
    Ok(if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(verdict: &Result<ModelInfo, CheckError>, contract: &Result<(), Refusal>) -> Value {
    match verdict {
        Ok(info) => json!({
            "accepted": true,
            "model": info,
            "policy": match contract {
                Ok(()) => json!({"accepted": true}),
                Err(refusal) => json!({"accepted": false, "code": refusal.code(), "reason": refusal.to_string()}),
            },
        }),
        Err(error) => {
            let code = if let CheckError::Refused { code, .. } = error { code } else { "CheckFailed" };
            json!({"accepted": false, "code": code, "reason": error.to_string()})
        }
    }
}

fn describe(file: &Path, verdict: &Result<ModelInfo, CheckError>, contract: &Result<(), Refusal>) -> String {
    let info = match verdict {
        Ok(info) => info,
        Err(error) => return format!("{} is refused: {error}\n", file.display()),
    };
    let none = || "none".to_owned();
    let metadata = &info.metadata;
    let mut lines = vec![
        ("model", format!("{} ({} bytes, by {})", file.display(), info.bytes, info.producer)),
        ("sha256", info.sha256.clone()),
        ("kind", metadata.kind.clone().unwrap_or_else(none)),
    ];
    lines.extend(info.inputs.iter().map(|port| ("input", format!("{} [N, {}]", port.name, port.width))));
    lines.extend(info.outputs.iter().map(|port| {
        let classes =
            port.labels.as_ref().map_or_else(String::new, |labels| format!(", one of {} classes", labels.len()));
        ("output", format!("{} [N, {}]{classes}", port.name, port.width))
    }));
    lines.push(("graph", format!("{} nodes", info.graph_nodes)));
    lines.extend(info.forests.iter().map(|forest| {
        let (aggregate, transform) = (forest.aggregate, forest.post_transform);
        let size = format!("{} trees, {} nodes, depth {}", forest.trees, forest.nodes, forest.depth);
        ("forest", format!("{size}, {} targets, aggregate {aggregate:?}, transform {transform:?}", forest.targets))
    }));
    lines.extend([
        ("horizon", metadata.horizon_s.map_or_else(none, |horizon| format!("{horizon} s"))),
        ("quantiles", metadata.quantiles.as_ref().map_or_else(none, |quantiles| format!("{quantiles:?}"))),
        ("features", metadata.feature_names.as_ref().map_or_else(none, |names| format!("{} named", names.len()))),
        ("schema", metadata.schema_hash.clone().unwrap_or_else(none)),
        (
            "policy",
            match contract {
                Ok(()) => "may use it".into(),
                Err(refusal) => format!("may not use it: {refusal}"),
            },
        ),
    ]);
    lines.iter().map(|(what, text)| format!("{what:<10}{text}\n")).collect()
}

fn outputs(scorer: &mut Scorer, rows: &[f32]) -> anyhow::Result<Value> {
    let mut outputs = Map::new();
    for (port, values) in scorer.score_all(rows)? {
        let shown = |value: &f32| port.labels.as_ref().map_or_else(|| number(*value), |labels| class(labels, *value));
        let rows = values.chunks(port.width.max(1)).map(|row| row.iter().map(shown).collect());
        outputs.insert(port.name.clone(), Value::Array(rows.collect()));
    }
    Ok(json!({ "outputs": outputs }))
}

/// The name of the class at a position.
fn class(labels: &Labels, position: f32) -> Value {
    match labels {
        Labels::Ints(names) => json!(names.get(position as usize)),
        Labels::Strings(names) => json!(names.get(position as usize)),
    }
}

/// JSON has neither NaN, which becomes null, nor infinities, which become the strings that Rust and Python parse.
fn number(value: f32) -> Value {
    if value.is_infinite() { json!(value.to_string()) } else { json!(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_shown_by_its_name() {
        let (ints, strings) = (Labels::Ints(vec![-3, 7]), Labels::Strings(vec!["low".into(), "high".into()]));
        assert_eq!([class(&ints, 0.0), class(&strings, 1.0)], [json!(-3), json!("high")]);
    }

    #[test]
    fn a_number_is_itself_nan_is_null_and_infinity_a_string() {
        let shown: Vec<String> = [0.375, f32::NAN, f32::NEG_INFINITY].map(|value| number(value).to_string()).into();
        assert_eq!(shown, ["0.375", "null", "\"-inf\""]);
    }
}
