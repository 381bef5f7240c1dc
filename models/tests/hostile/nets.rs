//! Nets made to hurt: each is refused before the engine sees it. And any bent net is read to a verdict without a panic.

use netprecursor_models::contract::{PolicyContract, SequenceContract};
use netprecursor_models::{Refusal, Scorer, Use, builtin};
use proptest::prelude::*;

use super::onnx::{
    Message, floats_attribute, floats_tensor, int_attribute, ints_attribute, ints_tensor, node, strings_attribute,
    tensor, value, wrap,
};
use super::{check, refusal};

const NETS: [&str; 2] = ["rtt-lstm", "rtt-transformer"];

/// A float input [N, steps, channels].
fn sequences(name: &str, steps: i64, channels: i64) -> Message {
    let dim = |size| Message::new().int(1, size);
    let open = Message::new().message(1, Message::new().bytes(2, "N"));
    let shape = open.message(1, dim(steps)).message(1, dim(channels));
    let tensor = Message::new().int(1, 1).message(2, shape);
    Message::new().bytes(1, name).message(2, Message::new().message(1, tensor))
}

/// A net of x [N, steps, channels] to y from nodes and initializers.
fn net(steps: i64, channels: i64, nodes: Vec<Message>, initializers: Vec<Message>) -> Message {
    let graph = nodes.into_iter().fold(Message::new().bytes(2, "g"), |graph, node| graph.message(1, node));
    let graph = initializers.into_iter().fold(graph, |graph, tensor| graph.message(5, tensor));
    wrap(graph.message(11, sequences("x", steps, channels)).message(12, value("y", 1)))
}

/// The last step of [N, 4, 2], summed: what the others are bent from.
fn good() -> Vec<Message> {
    vec![
        node("Gather", "", &["x", "last"], &["step"], vec![int_attribute("axis", 1)]),
        node("MatMul", "", &["step", "w"], &["y"], vec![]),
    ]
}

fn constants() -> Vec<Message> {
    vec![ints_tensor("last", &[], &[-1]), floats_tensor("w", &[2, 1], &[1.0, 2.0])]
}

/// A net whose first node is bent: `x` to `h`, which is then summed up.
fn bent(op: &str, inputs: &[&str], attributes: Vec<Message>, constants: Vec<Message>) -> Message {
    let inputs: Vec<&str> = std::iter::once("x").chain(inputs.iter().copied()).collect();
    let sum = vec![ints_attribute("axes", &[1, 2]), int_attribute("keepdims", 0)];
    let flat = node("Unsqueeze", "", &["s", "one"], &["y"], vec![]);
    let nodes = vec![node(op, "", &inputs, &["h"], attributes), node("ReduceMax", "", &["h"], &["s"], sum), flat];
    net(4, 2, nodes, constants.into_iter().chain([ints_tensor("one", &[1], &[1])]).collect())
}

/// An LSTM of `hidden` units over [4, N, 2].
fn lstm(hidden: i64, more: Vec<Message>, extra: &[&str]) -> Message {
    let zeros = |name: &str, dims: &[i64]| {
        let count = dims.iter().product::<i64>();
        floats_tensor(name, dims, &vec![0.0; usize::try_from(count).expect("a size")])
    };
    let attributes = std::iter::once(int_attribute("hidden_size", hidden)).chain(more).collect();
    let inputs: Vec<&str> = ["t", "w", "r", "b"].into_iter().chain(extra.iter().copied()).collect();
    let nodes = vec![
        node("Transpose", "", &["x"], &["t"], vec![ints_attribute("perm", &[1, 0, 2])]),
        node("LSTM", "", &inputs, &["every", "h"], attributes),
        node("Squeeze", "", &["h", "zero"], &["s"], vec![]),
        node("ReduceMax", "", &["s"], &["y"], vec![ints_attribute("axes", &[1])]),
    ];
    let width = hidden.clamp(1, 64);
    let constants = vec![
        zeros("w", &[1, 4 * width, 2]),
        zeros("r", &[1, 4 * width, width]),
        zeros("b", &[1, 8 * width]),
        zeros("state", &[1, 1, width]),
        ints_tensor("zero", &[1], &[0]),
    ];
    net(4, 2, nodes, constants)
}

#[test]
fn the_nets_that_the_hostile_ones_are_bent_from_are_accepted() {
    let mut scorer = Scorer::load(&net(4, 2, good(), constants()).0, Use::Inspect).expect("a good net");
    let mut out = Vec::new();
    scorer.score(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 5.0], &mut out).expect("one sequence");
    assert_eq!(out, [13.0]);
    assert!(scorer.score(&[0.0; 7], &mut out).is_err(), "seven numbers are no sequence of eight");
    scorer.score(&[], &mut out).expect("no sequence at all");
    assert!(out.is_empty());
    Scorer::load(&bent("Tanh", &[], vec![], vec![]).0, Use::Inspect).expect("a good net");
    Scorer::load(&lstm(8, vec![], &[]).0, Use::Inspect).expect("a good LSTM");
}

#[test]
fn a_sequence_that_is_not_finite_has_no_forecast_and_leaves_its_neighbours_alone() {
    for name in NETS {
        let mut scorer = Scorer::load(builtin::model(name).expect("it ships"), Use::Inspect).expect("it loads");
        let width = scorer.width();
        let (mut rows, mut out, mut alone) = (vec![0.0; 40 * width], Vec::new(), Vec::new());
        rows[width..2 * width].fill(f32::NAN);
        scorer.score(&rows, &mut out).expect("forty sequences");
        scorer.score(&rows[..width], &mut alone).expect("one sequence");
        assert!(out[..3].iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-5), "{name}: {out:?}");
        assert!(out[6..].iter().all(|value| value.is_finite()), "{name}: {out:?}");
    }
}

#[test]
fn loops_branches_and_subgraphs_are_refused() {
    for op in ["Loop", "Scan", "If"] {
        refused!(bent(op, &[], vec![], vec![]), Refusal::ControlFlow { .. });
        let body = Message::new().bytes(1, "body").message(6, Message::new()).int(20, 5);
        refused!(bent(op, &[], vec![body], vec![]), Refusal::ControlFlow { .. });
    }
    let body = Message::new().bytes(1, "body").message(6, Message::new()).int(20, 5);
    refused!(bent("Relu", &[], vec![body], vec![]), Refusal::Subgraph { .. });
}

#[test]
fn operators_that_are_not_on_the_list_are_refused_also_where_trees_may_have_them() {
    for op in ["Attention", "NonMaxSuppression", "Einsum", "RandomNormal", "CumSum", "MatMulNBits"] {
        refused!(bent(op, &[], vec![], vec![]), Refusal::Operator { .. });
    }
    for op in ["Conv", "GRU", "RNN", "Tanh2", "Resize", "Where", "Cast", "Dropout", "Shape"] {
        let refusal = refusal(&bent(op, &[], vec![], vec![]).0);
        assert!(matches!(refusal.code().as_str(), "NotEvaluated" | "Operator" | "Expansion"), "{op}: {refusal:?}");
    }
    let trees = node("TreeEnsembleRegressor", "ai.onnx.ml", &["x"], &["y"], vec![]);
    refused!(net(4, 2, vec![trees], vec![]), Refusal::NotEvaluated { .. });
}

#[test]
fn work_beyond_the_bounds_is_refused_however_it_is_made() {
    // A small file: 700 × 700 weights, applied to every one of many steps.
    let wide = || floats_tensor("w", &[2, 700], &[0.5; 1_400]);
    let deep = || floats_tensor("v", &[700, 700], &vec![0.0; 490_000]);
    let nodes = || {
        vec![
            node("MatMul", "", &["x", "w"], &["a"], vec![]),
            node("MatMul", "", &["a", "v"], &["b"], vec![]),
            node("ReduceMax", "", &["b"], &["y"], vec![ints_attribute("axes", &[1, 2])]),
        ]
    };
    refused!(net(60, 2, nodes(), vec![wide(), deep()]), Refusal::NetTooLarge { what, .. } if what.contains("multiplications"));
    // All pairs of steps, again and again.
    let mut pairs = vec![node("Transpose", "", &["x"], &["p0"], vec![ints_attribute("perm", &[0, 2, 1])])];
    pairs.push(node("MatMul", "", &["x", "p0"], &["y"], vec![]));
    refused!(net(1_024, 2, pairs, vec![]), Refusal::NetTooLarge { what, .. } if what.contains("elements"));
    // Numbers beside numbers, doubled until memory is full.
    let mut doubled = vec![node("Concat", "", &["x", "x"], &["d0"], vec![int_attribute("axis", 2)])];
    for i in 0..40 {
        let (from, to) = (format!("d{i}"), format!("d{}", i + 1));
        doubled.push(node("Concat", "", &[&from, &from], &[&to], vec![int_attribute("axis", 2)]));
    }
    doubled.push(node("Identity", "", &["d40"], &["y"], vec![]));
    refused!(net(4, 2, doubled, vec![]), Refusal::NetTooLarge { .. });
    // Outer products by broadcasting.
    let mut outer = vec![node("Add", "", &["x", "far"], &["o0"], vec![])];
    outer.push(node("Add", "", &["o0", "farther"], &["y"], vec![]));
    let ones = |name: &str, dims: &[i64]| floats_tensor(name, dims, &[0.0; 1_000]);
    let constants = vec![ones("far", &[1_000, 1, 1, 1]), ones("farther", &[1_000, 1, 1, 1, 1])];
    refused!(net(4, 2, outer, constants), Refusal::NetTooLarge { .. });
}

#[test]
fn hidden_sizes_beyond_the_bound_or_other_than_the_weights_are_refused() {
    for hidden in [0, -1, i64::MIN, 1_025, 1 << 40, i64::MAX] {
        refused!(lstm(hidden, vec![], &[]), Refusal::NetTooLarge { what: "hidden units", .. });
    }
    refused!(lstm(128, vec![], &[]), Refusal::Shape { .. });
}

#[test]
fn what_the_engine_would_run_in_another_way_than_asked_is_refused() {
    let relu = strings_attribute("activations", &["Relu", "Tanh", "Tanh"]);
    refused!(lstm(8, vec![relu], &[]), Refusal::NotEvaluated { .. });
    let reverse = Message::new().bytes(1, "direction").bytes(4, "reverse").int(20, 3);
    refused!(lstm(8, vec![reverse], &[]), Refusal::NotEvaluated { .. });
    refused!(lstm(8, vec![int_attribute("layout", 1)], &[]), Refusal::NotEvaluated { .. });
    refused!(lstm(8, vec![floats_attribute("activation_alpha", &[0.1])], &[]), Refusal::NotEvaluated { .. });
    refused!(lstm(8, vec![], &["", "state", "state"]), Refusal::NotEvaluated { .. });
    let strided = vec![ints_tensor("a", &[1], &[0]), ints_tensor("b", &[1], &[4]), ints_tensor("c", &[1], &[2])];
    refused!(bent("Slice", &["a", "b", "a", "c"], vec![], strided), Refusal::NotEvaluated { .. });
}

#[test]
fn shapes_that_lie_or_are_computed_are_refused() {
    let shape = |dims: &[i64]| bent("Reshape", &["c"], vec![], vec![ints_tensor("c", &[dims.len() as i64], dims)]);
    for dims in [&[0, 3, -1][..], &[-1, -1, 1], &[1 << 62, 4, 1], &[-7, 4, 2], &[0, 4, 0, 0, 0], &[0, 0, 5]] {
        refused!(shape(dims), Refusal::Shape { .. } | Refusal::NetTooLarge { .. });
    }
    refused!(bent("Reshape", &["x"], vec![], vec![]), Refusal::NotEvaluated { .. });
    refused!(
        bent("Gather", &["c"], vec![int_attribute("axis", 1)], vec![ints_tensor("c", &[1], &[4])]),
        Refusal::Shape { .. }
    );
    refused!(
        bent("Gather", &["c"], vec![int_attribute("axis", 9)], vec![ints_tensor("c", &[1], &[0])]),
        Refusal::Shape { .. }
    );
    refused!(bent("Transpose", &[], vec![ints_attribute("perm", &[0, 1, 1])], vec![]), Refusal::Shape { .. });
    refused!(bent("MatMul", &["w"], vec![], vec![floats_tensor("w", &[3, 1], &[1.0; 3])]), Refusal::Shape { .. });
    refused!(bent("Add", &["w"], vec![], vec![floats_tensor("w", &[3], &[1.0; 3])]), Refusal::Shape { .. });
    let empty = vec![ints_tensor("a", &[1], &[3]), ints_tensor("b", &[1], &[2])];
    refused!(bent("Slice", &["a", "b"], vec![], empty), Refusal::Shape { .. });
    refused!(
        bent("Add", &["w"], vec![], vec![floats_tensor("w", &[(1 << 62) + 1], &[1.0])]),
        Refusal::TensorTooLarge { .. }
    );
    refused!(bent("Add", &["w"], vec![], vec![floats_tensor("w", &[0, 1 << 62], &[])]), Refusal::TensorTooLarge { .. });
}

#[test]
fn weights_that_are_not_finite_or_not_single_precision_are_refused() {
    for weight in [f32::NAN, f32::INFINITY] {
        refused!(
            bent("Add", &["w"], vec![], vec![floats_tensor("w", &[2], &[1.0, weight])]),
            Refusal::NotFinite { .. }
        );
    }
    let double = tensor("w", &[1], 11, &1.5f64.to_le_bytes());
    refused!(bent("Add", &["w"], vec![], vec![double]), Refusal::Unsupported { .. });
    let external = floats_tensor("w", &[1], &[1.0]).int(14, 1);
    refused!(bent("Add", &["w"], vec![], vec![external]), Refusal::ExternalData { .. });
}

#[test]
fn inputs_and_outputs_of_another_form_are_refused() {
    let graph = |input: Message| {
        let graph = good().into_iter().fold(Message::new(), |graph, node| graph.message(1, node));
        let graph = constants().into_iter().fold(graph, |graph, tensor| graph.message(5, tensor));
        wrap(graph.message(11, input).message(12, value("y", 1)))
    };
    Scorer::load(&graph(sequences("x", 4, 2)).0, Use::Inspect).expect("the good one");
    refused!(graph(sequences("x", 0, 2)), Refusal::Shape { .. });
    refused!(graph(sequences("x", 2_000, 2)), Refusal::Shape { .. });
    refused!(graph(sequences("x", -4, 2)), Refusal::NegativeDimension { .. });
    refused!(graph(sequences("x", 1 << 40, 1 << 40)), Refusal::TensorTooLarge { .. });
    // The batch is not the model's to fix, nor may rows leave it.
    refused!(net(4, 2, vec![node("Identity", "", &["x"], &["y"], vec![])], vec![]), Refusal::Shape { .. });
    let all = vec![node("ReduceMax", "", &["x"], &["y"], vec![ints_attribute("axes", &[0])])];
    refused!(net(4, 2, all, vec![]), Refusal::Shape { .. });
    let fixed = vec![node("Reshape", "", &["x", "c"], &["y"], vec![])];
    refused!(net(4, 2, fixed, vec![ints_tensor("c", &[2], &[1, 8])]), Refusal::Shape { .. });
}

/// A shipped net with one name in its metadata changed for another of the same length.
fn with(name: &str, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut file = builtin::model(name).expect("it ships").to_vec();
    let at = file.windows(from.len()).position(|window| window == from.as_bytes()).expect("it is in there");
    file[at..at + from.len()].copy_from_slice(to.as_bytes());
    file
}

#[test]
fn a_policy_takes_a_net_only_with_the_sequences_of_this_release() {
    let contract = PolicyContract::rtt();
    for name in NETS {
        let refusal = |from: &str, to: &str| {
            Scorer::load(&with(name, from, to), Use::Policy(&contract)).map(drop).expect_err("it does not fit")
        };
        let other = refusal("\"rtt_min_of_max\"", "\"rtt_mix_of_max\"");
        assert!(matches!(&other, Refusal::FeatureName { .. }), "{other:?}");
        let hash = &contract.sequence.schema_hash;
        let features = &contract.schema_hash;
        let other = refusal(hash, features);
        assert!(matches!(&other, Refusal::SchemaHash { .. }), "{other:?}");
        let fewer = PolicyContract {
            sequence: SequenceContract { steps: 30, ..contract.sequence.clone() },
            ..contract.clone()
        };
        let longer = Scorer::load(builtin::model(name).expect("it ships"), Use::Policy(&fewer)).map(drop);
        let longer = longer.expect_err("sixty steps are not thirty");
        assert!(longer.to_string().contains("[N, 60, ") && longer.to_string().contains("[N, 30, "), "{longer}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_bent_net_comes_to_a_verdict_without_a_panic(
        which in 0usize..4, bends in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let mut file = match which {
            0 => net(4, 2, good(), constants()).0,
            1 => lstm(8, vec![], &[]).0,
            2 => std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/net-attention.onnx")).expect("a golden net"),
            _ => std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/net-shapes.onnx")).expect("a golden net"),
        };
        for (at, byte) in bends {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(mut scorer) = Scorer::load(&file, Use::Inspect) {
            let rows = vec![0.5; 2 * scorer.width()];
            let mut out = Vec::new();
            scorer.score(&rows, &mut out).expect("two whole rows");
            prop_assert_eq!(out.len(), 2 * scorer.info().outputs[0].width);
        }
    }

    #[test]
    fn half_a_net_is_refused(keep in 0.0f64..1.0, which in 0usize..2) {
        let file = builtin::model(NETS[which]).expect("it ships");
        let kept = (file.len() as f64 * keep) as usize;
        prop_assert!(Scorer::load(&file[..kept], Use::Policy(&PolicyContract::rtt())).is_err());
    }
}
