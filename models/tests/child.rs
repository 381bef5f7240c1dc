//! The check in a child process: this test binary is its own child, so it has no test harness.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a test says what it expects by unwrapping")]

#[expect(dead_code, reason = "the hostile tests use the rest of the writer")]
mod onnx;

use std::process::{Command, ExitCode};
use std::time::Duration;

use netprecursor_models::child::{self, CheckError, Limits};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(child::ARGUMENT) {
        return child::main(arguments);
    }
    let tests: [(&str, fn()); 7] = [
        ("a_net_is_loaded_and_run_under_the_limits", a_net_is_loaded_and_run_under_the_limits),
        ("a_good_model_comes_back_with_what_it_is", a_good_model_comes_back_with_what_it_is),
        ("a_refusal_keeps_its_code_and_its_words", a_refusal_keeps_its_code_and_its_words),
        ("a_child_without_memory_dies_and_that_is_said", a_child_without_memory_dies_and_that_is_said),
        ("a_child_that_hangs_is_ended_in_time", a_child_that_hangs_is_ended_in_time),
        ("a_child_that_is_killed_is_no_verdict", a_child_that_is_killed_is_no_verdict),
        ("a_program_that_is_not_there_is_said", a_program_that_is_not_there_is_said),
    ];
    for (name, test) in tests {
        test();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

fn golden() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/graph-residual.onnx")).expect("a golden model")
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

fn speaks_plainly(error: &CheckError) {
    let text = error.to_string();
    assert!(["got ", "expected ", "; fix: "].iter().all(|part| text.contains(part)), "{text}");
}

fn a_good_model_comes_back_with_what_it_is() {
    let info = child::check(&golden(), Limits::default()).expect("a good model");
    assert_eq!((info.forests.len(), info.inputs[0].width, info.outputs[0].width), (3, 6, 3));
}

fn a_net_is_loaded_and_run_under_the_limits() {
    for name in ["rtt-lstm", "rtt-transformer"] {
        let bytes = netprecursor_models::builtin::model(name).expect("it ships");
        let info = child::check(bytes, Limits::default()).expect("a good net");
        assert!(info.reads_sequences() && info.net.is_some_and(|net| net.weights > 1_000), "{info:?}");
    }
}

fn a_refusal_keeps_its_code_and_its_words() {
    let error = child::check(&golden()[..500], Limits::default()).expect_err("half a model");
    assert!(matches!(&error, CheckError::Refused { code, .. } if code == "Truncated"), "{error:?}");
    speaks_plainly(&error);
}

fn a_child_without_memory_dies_and_that_is_said() {
    // Larger than what the allocator has at hand when the limit comes.
    let model = onnx::model(64, vec![onnx::Trees::perfect(300, 6, 64).node()], vec![]).0;
    child::check(&model, Limits::default()).expect("a good model under the usual limits");
    let limits = Limits { memory_bytes: 1 << 20, ..Limits::default() };
    let error = child::check(&model, limits).expect_err("a megabyte is not enough");
    assert!(matches!(error, CheckError::Died { .. }), "{error:?}");
    speaks_plainly(&error);
}

fn a_child_that_hangs_is_ended_in_time() {
    let limits = Limits { wall: Duration::from_millis(100), ..Limits::default() };
    let error = child::check_with(shell("exec tail -f /dev/null"), &golden(), limits).expect_err("no verdict");
    assert!(matches!(error, CheckError::TimedOut(_)), "{error:?}");
    speaks_plainly(&error);
}

fn a_child_that_is_killed_is_no_verdict() {
    let error = child::check_with(shell("kill -KILL $$"), &golden(), Limits::default()).expect_err("killed");
    assert!(matches!(&error, CheckError::Died { how, .. } if how == "signal 9"), "{error:?}");
    speaks_plainly(&error);
}

fn a_program_that_is_not_there_is_said() {
    let command = Command::new("/nonexistent/netprecursor");
    let error = child::check_with(command, &golden(), Limits::default()).expect_err("no such program");
    assert!(matches!(error, CheckError::Start(_)), "{error:?}");
    speaks_plainly(&error);
}
