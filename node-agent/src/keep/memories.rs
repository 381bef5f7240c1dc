//! What workloads were like in the last hours, on disk: one file, replaced whole.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use netprecursor_core::{
    memory::{Kept, Memory},
    tick::Tick,
};
use serde::{Deserialize, Serialize};

use super::{KeepError, replace};
use crate::tick::memories::CAPACITY;

/// The version of the file. One of another version is not read: its bins would mean something else.
const VERSION: u32 = 1;

/// A file larger than this was not written by us: as many memories as there may be, of some 3,300 numbers of at most 18 characters.
const MAX_FILE: u64 = CAPACITY as u64 * 3_300 * 18;

const NAME: &str = "memories.json";

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    workloads: BTreeMap<String, Kept>,
}

/// The file in the state directory.
#[derive(Debug, Clone)]
pub struct MemoryFile {
    path: PathBuf,
}

impl MemoryFile {
    /// In `directory`, which is made when it is first written.
    pub fn new(directory: &Path) -> Self {
        Self { path: directory.join(NAME) }
    }

    /// What was kept, continued at `now`. What cannot be read is left where it is, logged, and nothing is remembered.
    pub fn read(&self, now: Tick) -> BTreeMap<String, Memory> {
        let path = self.path.display();
        let kept = match self.content() {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(%path, error, "what workloads were like is not remembered");
                return BTreeMap::new();
            }
        };
        let resume = |(workload, kept): (String, Kept)| match Memory::resume(&kept, now) {
            Ok(memory) => Some((workload, memory)),
            Err(error) => {
                tracing::warn!(%path, workload, %error, "what this workload was like is not remembered");
                None
            }
        };
        kept.into_iter().take(CAPACITY).filter_map(resume).collect()
    }

    fn content(&self) -> Result<BTreeMap<String, Kept>, String> {
        let size = match fs::metadata(&self.path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(error.to_string()),
        };
        if size > MAX_FILE {
            return Err(format!("got {size} bytes, expected at most {MAX_FILE}"));
        }
        let json = fs::read(&self.path).map_err(|error| error.to_string())?;
        let not_ours = |error: serde_json::Error| format!("expected memories as the agent writes them: {error}");
        let Versioned { version } = serde_json::from_slice(&json).map_err(not_ours)?;
        if version != VERSION {
            return Err(format!("got version {version}, expected {VERSION}"));
        }
        Ok(serde_json::from_slice::<Content>(&json).map_err(not_ours)?.workloads)
    }

    /// Keeps these.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, memories: &BTreeMap<String, Memory>) -> Result<(), KeepError> {
        let kept = memories.iter().filter_map(|(workload, memory)| Some((workload.clone(), memory.keep()?)));
        let content = Content { version: VERSION, workloads: kept.collect() };
        let written = serde_json::to_vec(&content).map_err(io::Error::from).and_then(|json| replace(&self.path, &json));
        let loss = "what workloads were like is lost";
        written.map_err(|source| KeepError::Write { path: self.path.clone(), loss, source })
    }
}

#[cfg(test)]
mod tests {
    use netprecursor_core::{
        signal::{Signal, Signals},
        window::Window,
    };

    use super::*;

    fn memory(ticks: u64) -> Memory {
        let mut window = Window::new();
        for tick in 0..ticks {
            let mut signals = Signals::ABSENT;
            signals.set(Signal::RttMax, 1_000.1 + tick as f32);
            window.push(Tick(tick), &signals).unwrap();
        }
        window.memory().clone()
    }

    #[test]
    fn what_was_kept_is_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let file = MemoryFile::new(&directory.path().join("made/on/demand"));
        assert!(file.read(Tick(0)).is_empty());
        file.write(&[("shop/Deployment/web".to_owned(), memory(500))].into()).unwrap();
        let read = file.read(Tick(500));
        assert_eq!(read["shop/Deployment/web"].keep(), memory(500).keep());
    }

    #[test]
    fn as_many_memories_as_there_may_be_fit_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = MemoryFile::new(directory.path());
        let full = memory(22_000);
        file.write(&(0..CAPACITY).map(|number| (format!("{number:0253}"), full.clone())).collect()).unwrap();
        assert_eq!(file.read(Tick(22_000)).len(), CAPACITY);
    }

    #[test]
    fn what_is_not_ours_or_from_the_future_is_not_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let file = MemoryFile::new(directory.path());
        file.write(&[("web".to_owned(), memory(500))].into()).unwrap();
        assert!(file.read(Tick(300)).is_empty());
        let json = fs::read_to_string(&file.path).unwrap();
        for (from, to) in [("\"version\":1", "\"version\":2"), ("\"last\"", "\"lost\""), ("}}}", "")] {
            assert!(json.contains(from), "{from}");
            fs::write(&file.path, json.replace(from, to)).unwrap();
            assert!(file.read(Tick(500)).is_empty(), "{to}");
        }
        fs::File::create(&file.path).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert!(file.content().unwrap_err().contains("expected at most"));
    }
}
