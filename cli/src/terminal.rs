//! The terminal: standard output, a progress bar, and Ctrl-C.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

/// Exit status of a command that was stopped, as shells have it for SIGINT.
pub(crate) const STOPPED: u8 = 130;

/// Prints to standard output. A closed one (`| head`) is an error to report, not a panic.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("writing to standard output")
}

/// A flag that SIGINT and SIGTERM raise.
pub(crate) fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&stop)).context("installing a signal handler")?;
    }
    Ok(stop)
}

/// A progress bar on standard error, hidden unless that is a terminal. Without a length it counts up.
pub(crate) fn bar(length: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(length), "{bar:32} {pos}/{len} {elapsed_precise} {wide_msg}"),
        None => (ProgressBar::new_spinner(), "{spinner} {elapsed_precise} {wide_msg}"),
    };
    bar.enable_steady_tick(Duration::from_millis(500));
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
