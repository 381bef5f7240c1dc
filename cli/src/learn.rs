//! `netprecursor learn`: the prior of the forecaster `adaptive`, learned from recordings as an agent would learn it in place.
//! Training uses it; its output ships with a release.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use netprecursor_core::{
    adapt::{Evidence, FEATURES, Learned, Made, Peers, Seen, Shown, Situation, Source},
    calibrate::Truth,
    features::{self, COUNT},
    tick::Tick,
    watch::Basis,
    window::Window,
};
use netprecursor_models::{Batch, Forecaster};

use crate::{arguments, backtest::forecaster::adaptive, recording::Recording, replay, terminal};

/// Thresholds by which breaches are learned: quantiles of what a target measured, where it was watched for long, and multiples
/// of its lower quartile, which is calm even where a fault takes half of a recording. Several, so that what is learned is a
/// distance and not a level.
const QUANTILES: [f32; 2] = [0.98, 0.995];
const LONG_SECONDS: usize = 1_800;
const MULTIPLES: [f32; 4] = [1.5, 2.0, 3.0, 5.0];
const THRESHOLDS: usize = QUANTILES.len() + MULTIPLES.len();
/// Trouble is rare: a threshold that is exceeded in a larger share of a recording's seconds is none that a user would set, and
/// teaches a base rate that no network has.
const MOST_BREACHED: f32 = 0.05;

/// Rows from one sample of the features' sizes to the next.
const SIZE_EVERY: u64 = 7;

/// The usual size of a feature that recordings hardly have.
const UNKNOWN_SIZE: f32 = 0.1;
/// A size needs at least this many values.
const LEAST_SIZES: usize = 1_000;

/// Learns from recordings what the forecaster `adaptive` begins with, and writes it as JSON
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Recordings, as 'netprecursor record', 'dataset' and 'import' write them, in the order in which they are learned from
    #[arg(long = "recording", value_name = "FILE.parquet", num_args = 1.., required_unless_present = "lab", value_parser = arguments::file())]
    recordings: Vec<PathBuf>,
    /// Recordings of the lab; faults take more of them than of life, so that breaches are learned apart
    #[arg(long, value_name = "FILE.parquet", num_args = 1.., value_parser = arguments::file())]
    lab: Vec<PathBuf>,
    /// An ONNX model that is an expert instead of the one that ships
    #[arg(long, value_name = "FILE.onnx", value_parser = arguments::file())]
    expert: Option<PathBuf>,
    /// How often all of them are gone through
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=20))]
    passes: u8,
    /// The file to write
    #[arg(long, value_name = "FILE.json", value_parser = arguments::file())]
    out: PathBuf,
}

/// What a first pass learns of the targets.
#[derive(Debug, Default)]
struct Survey {
    /// µs by target.
    measured: BTreeMap<String, Vec<f32>>,
    sizes: Vec<Vec<f32>>,
    rows: u64,
}

/// A forecast that waits for its truth, with the RTT measured at the time and the state of its peers by threshold.
type Open = (Made, f32, [Seen; THRESHOLDS]);

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut forecaster = adaptive(args.expert.as_deref())?;
    let recordings = args.interleaved()?;
    let steps = recordings.len() as u64 * (u64::from(args.passes) + 1);
    let bar = terminal::bar(Some(steps));
    let mut survey = Survey { sizes: vec![Vec::new(); FEATURES], ..Survey::default() };
    for (recording, _) in &recordings {
        each(recording, &mut forecaster, |target, _, measured_us, evidence| survey.add(target, measured_us, evidence))?;
        bar.inc(1);
    }
    let thresholds: HashMap<String, [f32; THRESHOLDS]> =
        survey.measured.iter_mut().filter_map(|(name, us)| Some((name.clone(), thresholds(us)?))).collect();
    let usual = std::array::from_fn(|feature| usual(&mut survey.sizes[feature]));
    let mut learned = Learned::default().with_scales(&usual);
    for _ in 0..args.passes {
        for (recording, source) in &recordings {
            learn(recording, &mut forecaster, &thresholds, *source, &mut learned)?;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let json = serde_json::to_string_pretty(&learned.as_prior())?;
    fs::write(&args.out, json + "\n").with_context(|| format!("cannot write {}", args.out.display()))?;
    terminal::print(&format!(
        "learned from {} target seconds of {} targets, written to {}\n",
        survey.rows,
        thresholds.len(),
        args.out.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// All recordings, those of the lab evenly among the others, because what was learned last weighs most.
    fn interleaved(&self) -> anyhow::Result<Vec<(Recording, Source)>> {
        let place = |source: Source, paths: &[PathBuf]| {
            let count = paths.len() as f64;
            let places =
                paths.iter().enumerate().map(move |(at, path)| ((at as f64 + 0.5) / count, path.clone(), source));
            places.collect::<Vec<_>>()
        };
        let mut all = place(Source::Networks, &self.recordings);
        all.extend(place(Source::Lab, &self.lab));
        all.sort_by(|(one, ..), (other, ..)| one.total_cmp(other));
        all.into_iter().map(|(_, path, source)| Ok((Recording::open(&path)?, source))).collect()
    }
}

/// Visits every second of every target. The evidence is there once the window is full.
fn each(
    recording: &Recording,
    forecaster: &mut Forecaster,
    mut visit: impl FnMut(&str, Tick, Option<f32>, Option<&Evidence>),
) -> anyhow::Result<()> {
    let (mut vector, mut batch) = ([0.0; COUNT], Batch::default());
    replay::play(recording, |row, now, signals, window: &Window| {
        features::extract(window, &mut vector);
        forecaster.run_alone(&mut batch, window, &vector)?;
        let basis = forecaster.basis(0, window, &vector).filter(|_| window.is_full());
        let evidence = match &basis {
            Some(Basis::Experts(evidence)) => Some(evidence),
            _ => None,
        };
        visit(&row.target, now, signals.measured_rtt_us(), evidence);
        anyhow::Ok(())
    })
}

/// One pass through one recording. The labels of one tick count as one, whatever the number of targets and thresholds.
fn learn(
    recording: &Recording,
    forecaster: &mut Forecaster,
    thresholds: &HashMap<String, [f32; THRESHOLDS]>,
    source: Source,
    learned: &mut Learned,
) -> anyhow::Result<()> {
    let mut truths: HashMap<String, Truth<Open>> = HashMap::new();
    let mut shown: HashMap<String, [Option<Shown>; THRESHOLDS]> = HashMap::new();
    // The targets that share the first threshold, the second, and so on.
    let mut peers: [Peers; THRESHOLDS] = Default::default();
    let mut tick = None;
    each(recording, forecaster, |target, now, measured_us, evidence| {
        let Some(thresholds) = thresholds.get(target) else { return };
        if tick.replace(now).is_some_and(|last| last != now) {
            learned.close();
            peers.iter_mut().for_each(Peers::close);
        }
        let shown = shown.entry(target.to_owned()).or_default();
        let open = evidence.and_then(|evidence| learned.make(evidence)).map(|made| {
            let mut seen = [Seen::default(); THRESHOLDS];
            for (((threshold_us, peers), shown), seen) in thresholds.iter().zip(&mut peers).zip(shown).zip(&mut seen) {
                if threshold_us.is_finite() {
                    *seen = learned.situation(made.evidence(), *threshold_us, peers, shown).peers;
                }
            }
            (made, measured_us.unwrap_or(0.0), seen)
        });
        let truth = truths.entry(target.to_owned()).or_default();
        if let Some(matured) = truth.observe(now, measured_us, open) {
            let (made, measured_us, seen) = matured.predicted;
            learned.learn_forecast(&made, matured.truth_us);
            let open = |(us, _): &(&f32, Seen)| us.is_finite() && measured_us <= **us;
            for (threshold_us, peers) in thresholds.iter().zip(seen).filter(open) {
                let of = Situation { evidence: made.evidence(), threshold_us: *threshold_us, peers };
                learned.teach_breach(source, &of, matured.truth_us > *threshold_us);
            }
        }
    })?;
    learned.close();
    Ok(())
}

impl Survey {
    fn add(&mut self, target: &str, measured_us: Option<f32>, evidence: Option<&Evidence>) {
        self.rows += 1;
        if let Some(us) = measured_us {
            match self.measured.get_mut(target) {
                Some(known) => known.push(us),
                None => drop(self.measured.insert(target.to_owned(), vec![us])),
            }
        }
        if self.rows.is_multiple_of(SIZE_EVERY)
            && let Some(evidence) = evidence
        {
            for (sizes, value) in self.sizes.iter_mut().zip(evidence.features()) {
                // A feature that was not measured is zero.
                if *value != 0.0 {
                    sizes.push(value.abs());
                }
            }
        }
    }
}

fn thresholds(us: &mut [f32]) -> Option<[f32; THRESHOLDS]> {
    us.sort_unstable_by(f32::total_cmp);
    let at = |quantile: f32| us.get(((quantile * us.len() as f32) as usize).min(us.len().saturating_sub(1))).copied();
    let calm = at(0.25)?;
    let mut all = [f32::INFINITY; THRESHOLDS];
    for (slot, quantile) in all.iter_mut().zip(QUANTILES).filter(|_| us.len() >= LONG_SECONDS) {
        *slot = at(quantile)?;
    }
    let rare = at(1.0 - MOST_BREACHED)?;
    for (slot, multiple) in all[QUANTILES.len()..].iter_mut().zip(MULTIPLES).filter(|(_, times)| calm * times >= rare) {
        *slot = calm * multiple;
    }
    Some(all)
}

/// The median size of a feature where it was measured.
fn usual(sizes: &mut [f32]) -> f32 {
    if sizes.len() < LEAST_SIZES {
        return UNKNOWN_SIZE;
    }
    let middle = sizes.len() / 2;
    *sizes.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::tests::record_rtt;

    /// Two targets that rise to a breach every two minutes.
    fn recorded(path: &std::path::Path) {
        let rtt = |tick: u64, level: f32| {
            let rise = (tick % 120).saturating_sub(100) as f32 / 8.0;
            Some(level * rise.exp2() * (1.0 + (tick * 7 % 13) as f32 / 100.0))
        };
        let both = |tick| [(tick, "a", rtt(tick, 1_000.0)), (tick, "b", rtt(tick, 30_000.0))];
        record_rtt(path, (0..1_200).flat_map(both));
    }

    #[test]
    fn what_is_learned_is_a_sound_beginning_and_the_same_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let recording = directory.path().join("r.parquet");
        recorded(&recording);
        let texts = ["one.json", "two.json"].map(|name| {
            let out = directory.path().join(name);
            let recordings = vec![recording.clone()];
            run(&Args { recordings, lab: vec![recording.clone()], expert: None, passes: 2, out: out.clone() }).unwrap();
            fs::read_to_string(out).unwrap()
        });
        assert_eq!(texts[0], texts[1]);
        let learned: Learned = serde_json::from_str(&texts[0]).unwrap();
        assert_ne!(learned, Learned::default());
    }

    #[test]
    fn thresholds_are_multiples_of_what_is_calm_and_after_a_while_quantiles() {
        let mut us: Vec<f32> = (0..2_000).map(|us| us as f32).collect();
        let never = f32::INFINITY;
        assert_eq!(thresholds(&mut us), Some([1_960.0, 1_990.0, never, never, never, 2_500.0]));
        assert_eq!(thresholds(&mut us[..1_000]).map(|all| all[0]), Some(f32::INFINITY));
        assert_eq!(thresholds(&mut []), None);
    }
}
