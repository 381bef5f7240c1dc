//! netprecursor-agent: the privileged daemon of a node.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    // The agent starts itself to look at a model for the first time, under limits.
    if arguments.next().as_deref() == Some(netprecursor_models::child::ARGUMENT) {
        return netprecursor_models::child::main(arguments);
    }
    netprecursor_agent::cli::main()
}
