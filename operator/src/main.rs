//! netprecursor-operator: the cluster's part.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    // The operator starts itself to look at a user's model for the first time, under limits.
    if arguments.next().as_deref() == Some(netprecursor_models::child::ARGUMENT) {
        return netprecursor_models::child::main(arguments);
    }
    netprecursor_operator::cli::main()
}
