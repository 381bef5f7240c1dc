//! Cost per row of 300 trees of depth 6 over 64 features, at the row counts of a small, a usual and a full node.
//! `NETPRECURSOR_BENCH_MODEL=FILE` also writes the model there, for golden/bench_peers.py.

#![expect(clippy::expect_used, reason = "a test says what it expects by unwrapping")]

#[path = "../tests/onnx/mod.rs"]
#[expect(dead_code, reason = "the hostile tests use the rest of the writer")]
mod onnx;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use netprecursor_models::{Scorer, Use};

const FEATURES: usize = 64;

fn forest(criterion: &mut Criterion) {
    let model = onnx::model(64, vec![onnx::Trees::perfect(300, 6, 64).node()], vec![]).0;
    if let Some(path) = std::env::var_os("NETPRECURSOR_BENCH_MODEL") {
        std::fs::write(path, &model).expect("the model can be written");
    }
    let mut scorer = Scorer::load(&model, Use::Inspect).expect("a good model");
    let mut group = criterion.benchmark_group("forest-300x6");
    for rows in [1usize, 30, 110] {
        let plain: Vec<f32> = (0..rows * FEATURES).map(|i| (i * 7919 % 10_007) as f32 / 10_007.0).collect();
        let holes: Vec<f32> = plain.iter().enumerate().map(|(i, v)| if i % 17 == 0 { f32::NAN } else { *v }).collect();
        group.throughput(Throughput::Elements(rows as u64));
        let mut out = Vec::new();
        for (name, rows_of) in [("plain", &plain), ("missing", &holes)] {
            group.bench_with_input(BenchmarkId::new(name, rows), rows_of, |bencher, input| {
                bencher.iter(|| scorer.score(black_box(input), &mut out).map(|()| out.first().copied()));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, forest);
criterion_main!(benches);
