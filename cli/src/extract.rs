//! `netprecursor extract`: training rows from recorded signals. Features come from the code that the agent runs, so a new
//! feature needs no new recording.

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    process::ExitCode,
};

use netprecursor_core::{
    features::{self, COUNT},
    forecast::Naive,
    schema,
    sequence::{self, CHANNELS, WIDTH},
    tick::{HORIZON, Tick},
};

use crate::{
    arguments,
    recording::{Origin, Recording, Row, Writer},
    replay, terminal,
};

/// Makes training rows of recordings: features, what was measured, its maximum over the next ten seconds, and what
/// rules of thumb say
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Recordings, as 'netprecursor record', 'dataset' and 'import' write them
    #[arg(long = "recording", value_name = "FILE.parquet", num_args = 1.., required = true, value_parser = arguments::file())]
    recordings: Vec<PathBuf>,
    /// The file to write
    #[arg(long, value_name = "FILE.parquet", value_parser = arguments::file())]
    out: PathBuf,
    /// Write also what nets read: one row for each second of each target, which training stacks to sequences
    #[arg(long, value_name = "FILE.parquet", value_parser = arguments::file())]
    sequences: Option<PathBuf>,
}

/// Rows of one target whose horizon is not over.
#[derive(Debug, Default)]
struct Waiting {
    last: Option<Tick>,
    rows: VecDeque<Pending>,
}

#[derive(Debug)]
struct Pending {
    row: Row,
    ticks: u64,
    max_us: f32,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let naive: Vec<String> = Naive::ALL.iter().map(|naive| format!("naive_{}_us", naive.name())).collect();
    let mut columns: Vec<&str> = (0..COUNT).map(features::name).collect();
    columns.extend(["measured_us"]);
    columns.extend(naive.iter().map(String::as_str));
    columns.push("label_max10_us");
    let bar = terminal::bar(Some(args.recordings.len() as u64));
    let mut writer: Option<Writer> = None;
    for path in &args.recordings {
        let recording = Recording::open(path)?;
        let origin = Origin { schema_hash: schema::hash().to_owned(), ..recording.origin().clone() };
        let out = match &mut writer {
            Some(writer) => writer,
            None => writer.insert(Writer::create(&args.out, &origin, &columns)?),
        };
        extract(&recording, |row| Ok(out.push(&row)?))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let Some(writer) = writer {
        let rows = writer.rows();
        writer.finish()?;
        terminal::print(&format!("{rows} rows of {COUNT} features written to {}\n", args.out.display()))?;
    }
    if let Some(path) = &args.sequences {
        let seconds = write_steps(&args.recordings, path)?;
        terminal::print(&format!("{seconds} seconds of {WIDTH} channels written to {}\n", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the step of every recorded second. Returns how many there are.
fn write_steps(recordings: &[PathBuf], path: &Path) -> anyhow::Result<u64> {
    let columns: Vec<&str> = CHANNELS.iter().map(|channel| channel.name).collect();
    let mut writer: Option<Writer> = None;
    for recording in recordings {
        let recording = Recording::open(recording)?;
        let origin = Origin { schema_hash: sequence::hash().to_owned(), ..recording.origin().clone() };
        let out = match &mut writer {
            Some(writer) => writer,
            None => writer.insert(Writer::create(path, &origin, &columns)?),
        };
        steps(&recording, |row| Ok(out.push(&row)?))?;
    }
    let Some(writer) = writer else { return Ok(0) };
    let seconds = writer.rows();
    writer.finish()?;
    Ok(seconds)
}

/// Visits the step of every tick of every target, also while its window fills.
fn steps(recording: &Recording, mut visit: impl FnMut(Row) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut numbers = [0.0; WIDTH];
    replay::play(recording, |row, _, signals, _| {
        sequence::step(signals, &mut numbers);
        visit(Row { floats: numbers.to_vec(), ..row.clone() })
    })
}

/// Visits a row for every tick of every target whose window is full, once its horizon is known.
fn extract(recording: &Recording, mut visit: impl FnMut(Row) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut targets: HashMap<String, Waiting> = HashMap::new();
    let mut vector = [0.0; COUNT];
    replay::play(recording, |row, tick, signals, window| {
        let waiting = targets.entry(row.uid.clone()).or_default();
        waiting.measure(tick, signals.measured_rtt_us(), &mut visit)?;
        if window.is_full() {
            features::extract(window, &mut vector);
            let points = Naive::ALL.map(|naive| naive.point_us(window.measured()).unwrap_or(f32::NAN));
            let measured = signals.measured_rtt_us().unwrap_or(f32::NAN);
            let floats = vector.iter().copied().chain([measured]).chain(points).collect();
            waiting.rows.push_back(Pending { row: Row { floats, ..row.clone() }, ticks: 0, max_us: f32::NAN });
        }
        anyhow::Ok(())
    })?;
    let mut left: Vec<Waiting> = targets.into_values().collect();
    left.sort_by(|a, b| a.rows.front().map(|p| &p.row.target).cmp(&b.rows.front().map(|p| &p.row.target)));
    left.iter_mut().try_for_each(|waiting| waiting.give_up(&mut visit))
}

impl Waiting {
    /// Takes in what was measured in a tick and visits the rows whose horizon ends with it. A gap leaves the maximum of the
    /// open rows unknown.
    fn measure(
        &mut self,
        now: Tick,
        measured_us: Option<f32>,
        visit: &mut impl FnMut(Row) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self.last.replace(now).is_some_and(|last| now != last.plus(1)) {
            self.give_up(visit)?;
        }
        for pending in &mut self.rows {
            pending.ticks += 1;
            pending.max_us = pending.max_us.max(measured_us.unwrap_or(f32::NAN));
        }
        while let Some(Pending { mut row, max_us, .. }) = self.rows.pop_front_if(|pending| pending.ticks >= HORIZON) {
            row.floats.push(max_us);
            visit(row)?;
        }
        Ok(())
    }

    /// Visits the open rows, without a label.
    fn give_up(&mut self, visit: &mut impl FnMut(Row) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.rows.drain(..).try_for_each(|Pending { mut row, .. }| {
            row.floats.push(f32::NAN);
            visit(row)
        })
    }
}

#[cfg(test)]
mod tests {
    use netprecursor_core::window::LENGTH;

    use super::*;
    use crate::recording::tests::{origin, record_rtt};

    /// A recording of one target in which the RTT of a tick is its number, silent where `rtt` says so.
    fn recorded(path: &Path, ticks: impl IntoIterator<Item = u64>, rtt: impl Fn(u64) -> Option<f32>) {
        record_rtt(path, ticks.into_iter().map(|tick| (tick, "web1", rtt(tick))));
    }

    /// Tick and label of each row.
    fn labels(ticks: impl IntoIterator<Item = u64>, rtt: impl Fn(u64) -> Option<f32>) -> Vec<(u64, Option<f32>)> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.parquet");
        recorded(&path, ticks, rtt);
        let mut rows = Vec::new();
        extract(&Recording::open(&path).unwrap(), |row| {
            rows.push((row.tick, row.floats.last().copied().filter(|label| !label.is_nan())));
            Ok(())
        })
        .unwrap();
        rows
    }

    #[test]
    fn a_label_is_the_maximum_of_the_ten_ticks_after_the_row() {
        let rows = labels(1..=80, |tick| Some(tick as f32));
        assert_eq!(rows.first(), Some(&(LENGTH as u64, Some(70.0))));
        assert_eq!(rows.iter().filter(|(_, label)| label.is_some()).count(), 11);
        assert_eq!(rows.last(), Some(&(80, None)), "the future of the last rows is not known");
    }

    #[test]
    fn a_silent_future_has_no_label_and_a_half_silent_one_has() {
        let rows = labels(1..=90, |tick| (tick <= 65).then_some(tick as f32));
        assert_eq!((rows[0], rows[5]), ((60, Some(65.0)), (65, None)));
    }

    #[test]
    fn a_future_with_ticks_left_out_is_unknown() {
        let rows = labels((1..=65).chain(67..=90), |tick| Some(tick as f32));
        assert!(rows.iter().filter(|(tick, _)| *tick <= 65).all(|(_, label)| label.is_none()), "{rows:?}");
        assert_eq!(rows.iter().find(|(tick, _)| *tick == 67), Some(&(67, Some(77.0))));
    }

    #[test]
    fn a_row_holds_features_measured_value_and_rules_of_thumb() {
        let directory = tempfile::tempdir().unwrap();
        let [path, out] = ["r.parquet", "o.parquet"].map(|name| directory.path().join(name));
        recorded(&path, 1..=75, |tick| Some(tick as f32));
        run(&Args { recordings: vec![path], out: out.clone(), sequences: None }).unwrap();
        let recording = Recording::open(&out).unwrap();
        let at = |name: &str| recording.floats().iter().position(|column| column == name).unwrap();
        let row = recording.rows().next().unwrap().unwrap();
        assert_eq!(recording.origin().schema_hash, schema::hash());
        assert_eq!(row.floats[features::RESIDUAL_BASELINE], 60.0_f32.ln());
        let values =
            ["measured_us", "naive_last_us", "naive_max-30_us", "label_max10_us"].map(|name| row.floats[at(name)]);
        assert_eq!(values, [60.0, 60.0, 60.0, 70.0]);
    }

    #[test]
    fn steps_stack_to_the_sequence_that_the_agent_makes_also_over_seconds_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let [path, out, seconds] = ["r.parquet", "o.parquet", "s.parquet"].map(|name| directory.path().join(name));
        recorded(&path, (1..=40).chain(44..=90), |tick| (tick % 7 != 0).then_some(tick as f32));
        run(&Args { recordings: vec![path.clone()], out, sequences: Some(seconds.clone()) }).unwrap();
        let written = Recording::open(&seconds).unwrap();
        assert_eq!(written.origin().schema_hash, sequence::hash());
        // As training stacks them: missing seconds are zeros.
        let mut stacked: HashMap<u64, Vec<f32>> = HashMap::new();
        for row in written.rows() {
            let row = row.unwrap();
            stacked.insert(row.tick, row.floats);
        }
        let mut compared = 0;
        replay::play(&Recording::open(&path).unwrap(), |_, tick, _, window| {
            let mut expected = Vec::new();
            sequence::append(window, &mut expected);
            let first = (tick.0 + 1).saturating_sub(LENGTH as u64);
            let absent = vec![0.0; WIDTH];
            let got: Vec<f32> =
                (first..=tick.0).flat_map(|tick| stacked.get(&tick).unwrap_or(&absent).clone()).collect();
            assert!(expected.ends_with(&got), "at {tick:?}");
            compared += 1;
            anyhow::Ok(())
        })
        .unwrap();
        assert_eq!(compared, 87);
    }

    #[test]
    fn a_recording_without_a_signal_is_refused_with_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.parquet");
        Writer::create(&path, &origin(), &["rtt_count"]).unwrap().finish().unwrap();
        let error = extract(&Recording::open(&path).unwrap(), |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("rtt_mean_us"), "{error}");
    }
}
