//! The set-up script's cache, outside the checkout.

use std::{env, fs, path::PathBuf};

use anyhow::Context as _;

/// `$NETPRECURSOR_CACHE`, else as scripts/setup.sh chooses it; made when it is not there.
///
/// # Errors
/// No place is known, or it cannot be made.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    let of = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = || of("XDG_CACHE_HOME").or_else(|| of("HOME").map(|home| home.join(".cache")));
    let cache = of("NETPRECURSOR_CACHE").or_else(|| base().map(|base| base.join("netprecursor")));
    let cache = cache.context("got no HOME and no NETPRECURSOR_CACHE; expected a place for caches: set one of them")?;
    fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
    Ok(cache)
}
