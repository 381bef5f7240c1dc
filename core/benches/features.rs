//! Cost of one tick's window and feature vector, for one target and for a node full of them.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use netprecursor_core::{
    features::{self, COUNT},
    signal::{Signal, Signals},
    tick::Tick,
    window::Window,
};

/// Everything measured, with a burst each 20 s, after an hour.
fn signals(tick: u64, target: u64) -> Signals {
    let burst = if (tick + target) % 20 < 3 { 30.0 } else { 1.0 };
    let wobble = ((tick ^ target << 20).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f32 / (1_u64 << 24) as f32;
    Signals::from_values(&std::array::from_fn::<f32, { Signal::COUNT }, _>(|i| (1.0 + wobble) * burst * (1 + i) as f32))
}

fn targets(count: u64) -> Vec<Window> {
    (0..count)
        .map(|target| {
            let mut window = Window::new();
            for tick in 0..4_000 {
                // Ticks go up by one, so the only refusal there is cannot happen.
                let _in_order = window.push(Tick(tick), &signals(tick, target));
            }
            window
        })
        .collect()
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("features");
    for count in [1, 110] {
        let mut windows = targets(count);
        group.throughput(Throughput::Elements(count));
        group.bench_with_input(BenchmarkId::new("extract", count), &windows.clone(), |bencher, windows| {
            let mut out = [0.0; COUNT];
            bencher.iter(|| {
                for window in windows {
                    features::extract(black_box(window), &mut out);
                    black_box(&out);
                }
            });
        });
        group.bench_function(BenchmarkId::new("push and extract", count), |bencher| {
            let (mut out, mut tick) = ([0.0; COUNT], 4_000);
            let rows: Vec<Signals> = (0..20).map(|tick| signals(tick, 0)).collect();
            bencher.iter(|| {
                for window in &mut windows {
                    let _in_order = window.push(Tick(tick), &rows[(tick % 20) as usize]);
                    features::extract(black_box(window), &mut out);
                    black_box(&out);
                }
                tick += 1;
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
