//! Any other file, however broken: it is read to a verdict without a panic.

use netprecursor_models::{Scorer, Use};
use proptest::prelude::*;

use super::speaks_plainly;

/// Loads and, where it loads, scores: neither may panic.
fn survives(file: &[u8]) {
    match Scorer::load(file, Use::Inspect) {
        Err(refusal) => speaks_plainly(&refusal),
        Ok(mut scorer) => {
            let rows: Vec<f32> =
                (0..scorer.width() * 3).map(|i| if i % 5 == 0 { f32::NAN } else { i as f32 - 2.0 }).collect();
            let outputs = scorer.score_all(&rows).expect("whole rows");
            assert!(outputs.iter().all(|(port, values)| values.len() == port.width * 3));
        }
    }
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)).expect("a golden model")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_to_a_verdict(file in proptest::collection::vec(any::<u8>(), 0..600)) {
        survives(&file);
    }

    #[test]
    fn any_change_to_a_good_model_is_read_to_a_verdict(
        which in 0usize..5,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::weighted(0.2, any::<proptest::sample::Index>()),
    ) {
        let names = ["mode-mixed", "graph-residual", "graph-arithmetic", "aggregate-max-targets", "onnx-tree-ensemble-set-membership"];
        let mut file = golden(&format!("{}.onnx", names[which]));
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        survives(&file);
    }
}
