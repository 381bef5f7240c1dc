//! Child processes of a command: asked to end before they are killed, with their output in a file.

use std::{fs::File, io, path::Path, process::Command, time::Duration};

use netprecursor_child::Ending;
pub(crate) use netprecursor_child::Running;

/// How long a child may take to end when asked.
const GRACE: Duration = Duration::from_secs(20);
/// Last words kept of a child that failed, bytes.
const TAIL: u64 = 800;

/// Starts `command` with its output in `log`.
pub(crate) fn start(command: &mut Command, log: &Path) -> io::Result<Running> {
    Running::start(command, File::create(log)?, Ending::Asked(GRACE))
}

/// The end of a child's output.
pub(crate) fn last_words(log: &Path) -> String {
    netprecursor_child::last_words(log, TAIL)
}
