//! A disk that forgets on a crash what nobody synced, as the strictest file systems may.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use fastrand::Rng;
use netprecursor_agent::publish::queue::disk::Disk;

/// Shared by the queue and the test.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct File {
    content: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<File>,
    /// Which file has which name.
    names: BTreeMap<String, usize>,
    /// Names as of the last sync, and each later state of them: a crash leaves any one.
    since_sync: Vec<BTreeMap<String, usize>>,
    steps: usize,
    dies_at: Option<usize>,
    is_dead: bool,
    is_full: bool,
    ignores_syncs: bool,
}

impl MemoryDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Steps done so far.
    pub(crate) fn steps(&self) -> usize {
        self.state().steps
    }

    /// The process dies in step `step`: it happens by half, and nothing happens after it.
    pub(crate) fn die_at(&self, step: usize) {
        self.state().dies_at = Some(step);
    }

    /// Whether the process has not died.
    pub(crate) fn is_alive(&self) -> bool {
        !self.state().is_dead
    }

    /// No room for content, or room again.
    pub(crate) fn fill_up(&self, is_full: bool) {
        self.state().is_full = is_full;
    }

    /// Syncs do nothing any more.
    pub(crate) fn ignore_syncs(&self) {
        self.state().ignores_syncs = true;
    }

    /// The machine goes down and comes back; `rng` says what of the unsynced is left.
    pub(crate) fn crash(&self, rng: &mut Rng) {
        let mut state = self.state();
        if !state.since_sync.is_empty() {
            let choice = rng.usize(..=state.since_sync.len());
            if choice < state.since_sync.len() {
                state.names = state.since_sync[choice].clone();
            }
        }
        state.since_sync.clear();
        for file in &mut state.files {
            if file.content != file.durable {
                file.content = match rng.u8(..4) {
                    0 => file.durable.clone(),
                    1 => Vec::new(),
                    2 => file.content[..rng.usize(..=file.content.len())].to_vec(),
                    _ => file.content.clone(),
                };
                file.durable = file.content.clone();
            }
        }
        (state.dies_at, state.is_dead) = (None, false);
    }
}

impl State {
    /// Counts a step. `Ok(true)`: the process dies in it.
    fn step(&mut self) -> io::Result<bool> {
        if self.is_dead {
            return Err(io::Error::other("the process is dead"));
        }
        self.is_dead = self.dies_at == Some(self.steps);
        self.steps += 1;
        Ok(self.is_dead)
    }

    fn remember_names(&mut self) {
        self.since_sync.push(self.names.clone());
    }
}

fn dead<T>() -> io::Result<T> {
    Err(io::Error::other("the process died"))
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let state = self.state();
        state.names.get(name).map(|file| state.files[*file].content.clone()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn write(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let dies = state.step()?;
        if state.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = match state.names.get(name) {
            Some(file) => *file,
            None => {
                state.remember_names();
                state.files.push(File::default());
                let file = state.files.len() - 1;
                state.names.insert(name.to_owned(), file);
                file
            }
        };
        state.files[file].content = if dies { content[..content.len() / 2].to_vec() } else { content.to_vec() };
        if dies { dead() } else { Ok(()) }
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if state.step()? {
            return dead();
        }
        let file = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        if !state.ignores_syncs {
            state.files[file].durable = state.files[file].content.clone();
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        let dies = state.step()?;
        state.remember_names();
        let file = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), file);
        if dies { dead() } else { Ok(()) }
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if state.step()? {
            return dead();
        }
        state.remember_names();
        state.names.remove(name);
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        let mut state = self.state();
        if state.step()? {
            return dead();
        }
        if !state.ignores_syncs {
            state.since_sync.clear();
        }
        Ok(())
    }
}
