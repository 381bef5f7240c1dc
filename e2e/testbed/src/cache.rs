//! The cache outside the checkout.

use std::{env, fs, path::PathBuf, time::SystemTime};

use crate::TestbedError;

/// `kind/` in `$NETPRECURSOR_CACHE`, else in the place that scripts/setup.sh chooses; made when it is not there.
///
/// # Errors
/// No place is known, or it cannot be made.
pub fn kind() -> Result<PathBuf, TestbedError> {
    let of = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = || of("XDG_CACHE_HOME").or_else(|| of("HOME").map(|home| home.join(".cache")));
    let cache = of("NETPRECURSOR_CACHE").or_else(|| base().map(|base| base.join("netprecursor")));
    let directory = cache.ok_or(TestbedError::NoCache)?.join("kind");
    fs::create_dir_all(&directory).map_err(TestbedError::file(&directory))?;
    Ok(directory)
}

/// Of what was made from other sources removes all but the last: two checkouts may differ, a long line of them is waste.
pub fn keep_last(others: impl IntoIterator<Item = PathBuf>) {
    let age = |path: PathBuf| Some((fs::metadata(&path).ok()?.modified().ok()?, path));
    let mut others: Vec<(SystemTime, PathBuf)> = others.into_iter().filter_map(age).collect();
    others.sort();
    others.pop();
    for (_, path) in others {
        // Leftovers waste space but do no harm.
        let _ = fs::remove_dir_all(path);
    }
}
