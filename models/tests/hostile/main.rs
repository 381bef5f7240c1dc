//! Files made to hurt, one per refusal: each is refused for its own reason, in words that say what was got, what was
//! expected and what to do. And any other file, however broken, is read to a verdict without a panic.

#![expect(clippy::expect_used, reason = "a test says what it expects by unwrapping")]

macro_rules! refused {
    ($file:expr, $pattern:pat $(if $guard:expr)?) => {
        check(&$file, |refusal| matches!(refusal, $pattern $(if $guard)?))
    };
}

mod bytes;
mod files;
mod nets;
#[path = "../onnx/mod.rs"]
mod onnx;
mod policy;
mod trees;

use netprecursor_models::{Refusal, Scorer, Use};
use onnx::{Message, Trees, model};

fn refusal(file: &[u8]) -> Refusal {
    Scorer::load(file, Use::Inspect).map(|scorer| scorer.info().clone()).expect_err("this file must be refused")
}

#[track_caller]
fn check(file: &Message, is_expected: impl Fn(&Refusal) -> bool) {
    let refusal = refusal(&file.0);
    assert!(is_expected(&refusal), "refused for another reason: {refusal:?}");
    speaks_plainly(&refusal);
}

#[track_caller]
fn speaks_plainly(refusal: &Refusal) {
    let text = refusal.to_string();
    for part in ["got ", "expected ", "; fix: "] {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
}

fn with_trees(bend: impl FnOnce(&mut Trees)) -> Message {
    let mut trees = Trees::perfect(2, 2, 4);
    bend(&mut trees);
    model(4, vec![trees.node()], vec![])
}

#[test]
fn the_model_that_the_hostile_ones_are_bent_from_is_accepted() {
    let file = with_trees(|_| {}).0;
    let mut scorer = Scorer::load(&file, Use::Inspect).expect("a good model");
    let mut out = Vec::new();
    scorer.score(&[0.1, 0.9, f32::NAN, 0.5], &mut out).expect("one row");
    assert!(out.len() == 1 && out[0].is_finite());
    assert!(scorer.score(&[0.1; 5], &mut out).is_err(), "five values are no row of four");
}
