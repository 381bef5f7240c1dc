//! Where every target stands, on disk every few seconds, so that an agent that starts again goes on where the last one
//! stopped.
//!
//! Two files are written in turn and in place: no rename and no sync, because the page cache outlives the process and nothing
//! of it is of use after the machine has started anew. A file that was torn fails its checksum; the other one is then at
//! most one turn older.

mod content;

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use netprecursor_core::tick::Tick;

use self::content::{Encoded, Refused};
use super::{KeepError, Writer};
use crate::tick::handover::Handover;

/// The files.
const NAMES: [&str; 2] = ["handover.0", "handover.1"];

/// What is older is of no use: nothing of its windows would be in sight, and its alerts are about to be ended.
const MAX_AGE: Duration = Duration::from_secs(180);

/// What ticks and the time of day may differ by: both are cut to whole seconds.
const CLOCK_TOLERANCE: u64 = 2;

/// When a handover is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// By the kernel's monotonic clock.
    pub monotonic_ns: u64,
    /// The time of day as ticks are counted.
    pub now: Tick,
}

/// What was found at the start.
#[derive(Debug, Default)]
pub struct Found {
    /// What the last run handed over.
    pub handover: Option<Handover>,
    /// Files that were refused.
    pub refused: u64,
}

/// The files of a state directory.
#[derive(Debug)]
pub struct HandoverFiles {
    paths: [PathBuf; 2],
    boot: String,
    next: usize,
}

impl HandoverFiles {
    /// Those in `directory`, of this start of the machine.
    pub fn new(directory: &Path, boot: String) -> Self {
        Self { paths: NAMES.map(|name| directory.join(name)), boot, next: 0 }
    }

    /// The latest handover. What cannot be taken up is logged, and left to be written over.
    pub fn read(&mut self, moment: Moment) -> Found {
        let mut found = Found::default();
        for (place, path) in self.paths.iter().enumerate() {
            match read(path)
                .and_then(|bytes| bytes.map(|bytes| content::decode(&bytes, &self.boot, moment)).transpose())
            {
                Ok(Some(handover)) if found.handover.as_ref().is_none_or(|other| other.tick < handover.tick) => {
                    found.handover = Some(handover);
                    self.next = 1 - place;
                }
                Ok(_) => {}
                Err(refused) if refused.is_expected() => {
                    tracing::info!(path = %path.display(), reason = %refused, "cannot resume from the handover file");
                }
                Err(refused) => {
                    found.refused += 1;
                    tracing::warn!(path = %path.display(), error = %refused, "cannot resume from the handover file");
                }
            }
        }
        found
    }

    /// Writes a handover over the older of the two.
    ///
    /// # Errors
    /// The disk's, or it is too large.
    pub fn write(&mut self, handover: &Handover) -> Result<(), KeepError> {
        const LOSS: &str = "open alerts and the last minute of all targets are lost";
        let path = &self.paths[self.next];
        let failed = |source| KeepError::Write { path: path.clone(), loss: LOSS, source };
        let bytes = match content::encode(handover, &self.boot).map_err(failed)? {
            Encoded::Fits(bytes) => bytes,
            Encoded::TooLarge(got) => {
                return Err(KeepError::TooLarge { path: path.clone(), got, most: content::MAX_BYTES, loss: LOSS });
            }
        };
        write_over(path, &bytes).map_err(failed)?;
        self.next = 1 - self.next;
        Ok(())
    }
}

/// Starts the thread that writes handovers; `unwritten` counts those that could not be written.
///
/// # Errors
/// There may be no more threads.
pub fn start(mut files: HandoverFiles, unwritten: Arc<AtomicU64>) -> io::Result<Writer<Handover>> {
    Writer::start("hand-over", move |received| {
        let mut is_failing = false;
        for handover in received {
            let written = files.write(&handover);
            if let Err(error) = &written {
                unwritten.fetch_add(1, Ordering::Relaxed);
                if !is_failing {
                    tracing::warn!(error = %crate::error::chain(error), "nothing is handed over to the next start");
                }
            }
            is_failing = written.is_err();
        }
    })
}

/// The content of a file, if it is there.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Refused> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    let limit = content::MAX_BYTES as u64 + 1;
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn write_over(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)
}

#[cfg(test)]
mod tests;
