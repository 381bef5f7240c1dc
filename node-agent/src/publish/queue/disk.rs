//! The few steps on disk that a crash-safe file takes, each one on its own so that tests can stop between any two.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

/// No file of ours is larger; what is, was not written by us.
pub const MAX_FILE: u64 = 64 * 1024;

/// One flat directory.
pub trait Disk: Send {
    /// Names of all files.
    ///
    /// # Errors
    /// The disk's, as with all of these.
    fn list(&self) -> io::Result<Vec<String>>;
    /// A file's content.
    ///
    /// # Errors
    /// `FileTooLarge` beyond [`MAX_FILE`].
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Makes or overwrites a file. After a crash it may be empty, torn or absent.
    ///
    /// # Errors
    /// The disk is full, for one.
    fn write(&mut self, name: &str, content: &[u8]) -> io::Result<()>;
    /// The content of the file outlives a crash from now on.
    ///
    /// # Errors
    /// The disk's.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Gives a file another name, in one step; a file of that name is gone. After a crash it may not have happened.
    ///
    /// # Errors
    /// The disk's.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; none of that name is fine. After a crash it may not have happened.
    ///
    /// # Errors
    /// The disk's.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// What was renamed and removed so far outlives a crash from now on.
    ///
    /// # Errors
    /// The disk's.
    fn sync_names(&mut self) -> io::Result<()>;
}

/// A directory of the file system, made on demand.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory at `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Disk for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            // Names that are not UTF-8 are not ours; nor are directories.
            if let (Ok(name), true) = (entry.file_name().into_string(), entry.file_type()?.is_file()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        File::open(self.path.join(name))?.take(MAX_FILE + 1).read_to_end(&mut content)?;
        if content.len() as u64 > MAX_FILE { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(content) }
    }

    fn write(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        File::create(self.path.join(name))?.write_all(content)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        File::open(self.path.join(name))?.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn sync_names(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}
