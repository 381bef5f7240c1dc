//! Child processes that never outlive their parent, and processes that are never mistaken for later ones.
//!
//! A process id alone names whoever has it now. A [`Process`] adds the start time; signals go through a pidfd (Linux 5.3),
//! which stays with its process. A [`Running`] child leads a process group that ends with it. [`Prepare`] has all that a
//! child does between fork and exec.

mod prepare;
mod process;
mod running;
mod starter;

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

pub use prepare::Prepare;
pub use process::Process;
pub use running::{Ending, Running};

/// The last `bytes` of a log, without blank ends; nothing of a log that cannot be read.
pub fn last_words(log: &Path, bytes: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
        let mut tail = Vec::new();
        file.take(bytes).read_to_end(&mut tail)?;
        Ok(tail)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn last_words_are_the_end_of_the_log() {
        let log = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(log.path(), format!("{}\nthe end\n\n", "y\n".repeat(5000))).unwrap();
        let words = super::last_words(log.path(), 800);
        assert!(words.ends_with("the end") && words.len() <= 800, "{words}");
    }
}
