//! `netprecursor record`: writes every tick's signals and features from the agent's stream into a Parquet file, so that the
//! privileged process need not.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use netprecursor_crds::Duration as DurationText;

use crate::{
    arguments,
    recording::{Writer, columns},
    stream::{AgentStream, DEFAULT_AGENT},
    terminal,
};

/// Names of targets that an error shows at most.
const SHOWN: usize = 5;

/// Writes every tick's signals and features from the agent's stream into a Parquet file
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address of the agent
    #[arg(long, value_name = "URL", default_value = DEFAULT_AGENT)]
    agent: String,
    /// The file to write
    #[arg(long, value_name = "FILE.parquet", value_parser = arguments::file())]
    out: PathBuf,
    /// Only targets of this name; `*` stands for anything
    #[arg(long, value_name = "GLOB", default_value = "*")]
    target: String,
    /// How long, such as 90s or 1h; until it is stopped when absent
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// Leaves the features out: they can be extracted again
    #[arg(long)]
    signals_only: bool,
}

/// Runs the command. However it ends, the file is complete and holds what was recorded so far.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let stop = terminal::stop_flag()?;
    let with_features = !args.signals_only;
    let mut stream = AgentStream::open(&args.agent, with_features)?;
    let mut writer = Writer::create(&args.out, &stream.header().origin(), &columns(with_features))?;
    let bar = terminal::bar(None);
    let begun = Instant::now();
    let mut others = BTreeSet::new();
    let ended = loop {
        if stop.load(Relaxed) || args.duration.is_some_and(|duration| begun.elapsed() >= duration) {
            break Ok(());
        }
        let line = match stream.tick().and_then(|line| line.check(with_features).map(|()| line)) {
            Ok(line) => line,
            Err(error) => break Err(error),
        };
        for target in &line.targets {
            if glob(&args.target, &target.target) {
                writer.push(&line.row(target))?;
            } else if others.len() < SHOWN {
                others.insert(target.target.clone());
            }
        }
        bar.set_message(format!("tick {}, {} rows into {}", line.tick, writer.rows(), args.out.display()));
    };
    bar.finish_and_clear();
    let (rows, lost) = (writer.rows(), stream.lost());
    writer.finish()?;
    terminal::print(&format!("{rows} rows written to {}, {lost} ticks lost\n", args.out.display()))?;
    ended?;
    if rows == 0 {
        anyhow::bail!(no_rows(&args.target, &others));
    }
    Ok(ExitCode::SUCCESS)
}

/// Why a recording is empty.
fn no_rows(pattern: &str, others: &BTreeSet<String>) -> String {
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    if others.is_empty() {
        return "got no target in all this time, expected the agent to watch some: /api/v1/selection says why it does not".to_owned();
    }
    let watched = others.join(", ");
    format!(
        "got no target called '{pattern}', expected one that the agent watches, such as {watched}: give it with --target"
    )
}

fn duration(text: &str) -> Result<Duration, String> {
    DurationText::new(text).us().map(Duration::from_micros).map_err(|error| error.to_string())
}

/// Whether `text` matches `pattern`, in which `*` matches any run of characters: the parts between the stars occur in
/// order, the first at the beginning, the last at the end.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inner = text.strip_prefix(first).and_then(|text| text.strip_suffix(last));
    let found = middle.split('*').try_fold(inner, |text, part| {
        let text = text?;
        Some(text.find(part).map(|at| &text[at + part.len()..]))
    });
    matches!(found, Some(Some(_)))
}

#[cfg(test)]
mod tests {
    use netprecursor_core::signal::Signal;

    use super::*;
    use crate::{
        recording::{Recording, Row},
        stream::tests::{chunked, header, server, tick},
    };

    fn args(agent: String, out: PathBuf) -> Args {
        Args { agent, out, target: "web*".into(), duration: None, signals_only: true }
    }

    #[test]
    fn an_agent_that_disappears_leaves_a_complete_file_and_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.parquet");
        let ticks = [header(), tick(1, &[("web1", 10.0), ("db", 9.0)]), tick(2, &[("web1", 20.0)])];
        let error = run(&args(server(chunked(&ticks)), path.clone())).unwrap_err().to_string();
        assert!(error.contains("is gone"), "{error}");
        let rows: Vec<Row> = Recording::open(&path).unwrap().rows().map(Result::unwrap).collect();
        let seen = rows.iter().map(|row| (row.tick, row.target.as_str(), row.floats[Signal::RttMax as usize]));
        assert_eq!(seen.collect::<Vec<_>>(), [(1, "web1", 10.0), (2, "web1", 20.0)]);
    }

    #[test]
    fn an_empty_recording_is_an_error_that_names_the_watched_targets() {
        let directory = tempfile::tempdir().unwrap();
        let agent = |ticks: &[String]| {
            let args = args(server(chunked(ticks)), directory.path().join("r.parquet"));
            run(&Args { target: "wbe*".into(), duration: Some(Duration::from_nanos(1)), ..args })
                .unwrap_err()
                .to_string()
        };
        let text = agent(&[header(), tick(1, &[("web1", 10.0)])]);
        assert!(text.contains("got no target in all this time"), "{text}");
        let text = no_rows("wbe*", &["web1".to_owned(), "db".to_owned()].into());
        assert!(text.contains("such as db, web1: give it with --target"), "{text}");
    }

    #[test]
    fn a_star_matches_any_run_of_characters() {
        for (pattern, yes, no) in [
            ("*", "", "\0never"),
            ("web1", "web1", "web12"),
            ("npl*-web*", "nplabc-web0", "nplabc-client0"),
            ("*web*", "aweb", "awe"),
            ("a*b*c", "a-b-b-c", "a-c-b"),
            ("ab*ba", "abba", "aba"),
        ] {
            assert!(glob(pattern, yes), "{pattern} {yes}");
            assert!(pattern == "*" || !glob(pattern, no), "{pattern} {no}");
        }
    }

    #[test]
    fn a_duration_has_a_unit() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("90").unwrap_err().contains("unit"));
    }
}
