//! Cost per target of what ships, trees and nets in the same run: at one target, a usual node and a full one. `sequences` is
//! what making the input of a net costs, which is paid once for all nets.

#![expect(clippy::expect_used, reason = "a test says what it expects by unwrapping")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use netprecursor_core::features::{self, COUNT};
use netprecursor_core::sequence;
use netprecursor_core::signal::{Signal, Signals};
use netprecursor_core::tick::Tick;
use netprecursor_core::window::Window;
use netprecursor_models::contract::PolicyContract;
use netprecursor_models::{Batch, Forecaster, Scorer, Use, builtin};

const MODELS: [&str; 3] = ["rtt-xgboost", "rtt-lstm", "rtt-transformer"];

/// A full window whose signals all move.
fn window(seed: u64) -> Window {
    let mut window = Window::new();
    for tick in 0..60u64 {
        let values = std::array::from_fn(|signal| {
            let noise = (tick * 31 + seed * 17 + signal as u64 * 7) % 97;
            if noise == 0 { f32::NAN } else { 100.0 + noise as f32 }
        });
        let mut signals = Signals::from_values(&values);
        signals.set(Signal::Stall, 0.0);
        window.push(Tick(tick), &signals).expect("ticks in order");
    }
    window
}

fn vector(window: &Window) -> [f32; COUNT] {
    let mut vector = [0.0; COUNT];
    features::extract(window, &mut vector);
    vector
}

fn nets(criterion: &mut Criterion) {
    let windows: Vec<Window> = (0..110).map(window).collect();
    let vectors: Vec<_> = windows.iter().map(vector).collect();
    let mut group = criterion.benchmark_group("shipped");
    for targets in [1usize, 30, 110] {
        group.throughput(Throughput::Elements(targets as u64));
        for name in MODELS {
            let bytes = builtin::model(name).expect("it ships");
            let scorer = Scorer::load(bytes, Use::Policy(&PolicyContract::rtt())).expect("a good model");
            let mut forecaster = Forecaster::model(scorer);
            let mut batch = Batch::default();
            batch.start([&forecaster]);
            windows.iter().zip(&vectors).take(targets).for_each(|(window, vector)| batch.push(window, vector));
            group.bench_with_input(BenchmarkId::new(name, targets), &batch, |bencher, batch| {
                bencher.iter(|| forecaster.run(black_box(batch)));
            });
        }
        let mut rows = Vec::new();
        group.bench_with_input(BenchmarkId::new("sequences", targets), &targets, |bencher, targets| {
            bencher.iter(|| {
                rows.clear();
                windows.iter().take(*targets).for_each(|window| sequence::append(black_box(window), &mut rows));
                rows.last().copied()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, nets);
criterion_main!(benches);
