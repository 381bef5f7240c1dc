//! Files that the operator deals to agents by a ConfigMap, which the kubelet mounts and keeps up to date.

use std::{
    error::Error,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use crate::error::chain;

/// What `parse` makes of a file's text. Never more than `longest` bytes and one are read: the file is not ours.
///
/// # Errors
/// The file, what is wrong with it, and what to do, in words.
pub fn read<T, E: Error>(path: &Path, longest: usize, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, String> {
    let of = |error: &dyn Error| {
        format!(
            "{}: {}; the operator's ConfigMap should be mounted there: see the operator's log and `kubectl get events`",
            path.display(),
            chain(error)
        )
    };
    let mut text = String::new();
    let length: io::Result<usize> =
        File::open(path).and_then(|file| file.take(longest as u64 + 1).read_to_string(&mut text));
    length.map_err(|error| of(&error))?;
    parse(text.trim_end()).map_err(|error| of(&error))
}
