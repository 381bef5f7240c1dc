//! Mixes of faults drawn by seed, many.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use netprecursor_fakeapi::{
    Call,
    fault::{Drawn, Fault, Faults, Nothing},
};

use crate::{
    enumerated::violations,
    play::{OPERATOR, Outcome, Starts, play},
    scenes::SCENES,
};

/// Mixes in all; `NETPRECURSOR_MIXES=all` plays them: 8 ms each.
const MIXES: u64 = 100_000;

/// Mixes that every test run plays: another share of all of them with each commit, the same one as often as it is tested.
const SHARE: u64 = 10_000;

/// Failures that are shown in full.
const SHOWN: usize = 3;

/// Faults by seed, and crashes among them.
struct Mix {
    drawn: Drawn,
    crashes: Vec<usize>,
    writes: usize,
}

impl Mix {
    fn of(seed: u64) -> Self {
        // Every third mix crashes as well, at one or two of the first writes.
        let crashes = match seed % 6 {
            0 => vec![(seed / 6 % 5) as usize],
            3 => vec![(seed / 6 % 4) as usize, (seed / 24 % 4) as usize + 2],
            _ => Vec::new(),
        };
        let chance = [8, 24, 64, 160][(seed / 7 % 4) as usize];
        Self { drawn: Drawn::new(seed, OPERATOR, 1 + (seed / 3 % 8) as u32, chance), crashes, writes: 0 }
    }
}

impl Faults for Mix {
    fn next(&mut self, call: &Call) -> Option<Fault> {
        if call.user == OPERATOR && call.verb.is_write() {
            self.writes += 1;
            if self.crashes.contains(&(self.writes - 1)) {
                return Some(if self.writes.is_multiple_of(2) { Fault::HangBefore } else { Fault::HangAfter });
            }
        }
        self.drawn.next(call)
    }
}

/// Most writes that may be repeated because it was unknown whether they were done: one per fault and crash.
const UNSURE: usize = 10;

#[expect(clippy::print_stdout, reason = "a single mix is asked for to see what it did")]
fn one(starts: &Starts, undisturbed: &[Outcome], seed: u64) -> Option<String> {
    let index = (seed % SCENES.len() as u64) as usize;
    let name = SCENES[index].name;
    let played = catch_unwind(AssertUnwindSafe(|| play(starts, &SCENES[index], seed, Mix::of(seed))));
    let Ok(got) = played else { return Some(format!("mix {seed} ({name}): panicked")) };
    let found = violations(&got, &undisturbed[index], UNSURE);
    if std::env::var_os("NETPRECURSOR_MIX").is_some() {
        for entry in &got.writes {
            println!(
                "{:>9.3} s {} {} {} {}",
                entry.at.as_secs_f64(),
                entry.verb.as_str(),
                entry.resource,
                entry.name,
                entry.code
            );
        }
    }
    (!found.is_empty()).then(|| format!("mix {seed} ({name}):\n  {}", found.join("\n  ")))
}

/// The mixes to play: `all`, the first so many, or without a wish the share of this commit.
fn seeds(wish: Option<&str>) -> Range<u64> {
    match wish {
        Some("all") => 0..MIXES,
        Some(many) => 0..many.parse().expect("NETPRECURSOR_MIXES is a number, or all"),
        None => {
            // Outside a repository, as from an archive of the sources, it is the first share.
            let asked = Command::new("git").args(["rev-parse", "--short=8", "HEAD"]).output().ok();
            let commit = asked.and_then(|output| String::from_utf8(output.stdout).ok());
            let commit = commit.and_then(|commit| u64::from_str_radix(commit.trim(), 16).ok()).unwrap_or(0);
            let start = commit % (MIXES / SHARE) * SHARE;
            start..start + SHARE
        }
    }
}

#[test]
fn mixes_of_faults_end_in_the_same_state() {
    let starts = Starts::make();
    let undisturbed: Vec<Outcome> = SCENES.iter().map(|scene| play(&starts, scene, 1, Nothing)).collect();
    if let Ok(seed) = std::env::var("NETPRECURSOR_MIX") {
        let seed = seed.parse().expect("NETPRECURSOR_MIX is the seed of one mix, a number");
        assert_eq!(one(&starts, &undisturbed, seed), None);
        return;
    }
    let seeds = seeds(std::env::var("NETPRECURSOR_MIXES").ok().as_deref());
    let begun = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let work = || {
            let mut failures = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end || failures.len() > 100 {
                    return failures;
                }
                failures.extend(one(&starts, &undisturbed, seed));
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    println!(
        "mixes {} to {} of faults in {:.1} s on {threads} threads: {} panics or divergences",
        seeds.start,
        seeds.end - 1,
        begun.elapsed().as_secs_f64(),
        failures.len()
    );
    assert!(
        failures.is_empty(),
        "{} failed, such as\n{}",
        failures.len(),
        failures[..failures.len().min(SHOWN)].join("\n")
    );
}
