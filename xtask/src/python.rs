//! Python environments with pinned packages, in the cache, made when something needs them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::cache::cache;

/// The interpreter of the environment `name` that holds what `requirements` pins. An environment with other pins is
/// replaced.
///
/// # Errors
/// Python 3 with venv is missing, or a package cannot be had.
pub(crate) fn provide(name: &str, requirements: &Path) -> anyhow::Result<PathBuf> {
    let wanted = fs::read_to_string(requirements).with_context(|| format!("reading {}", requirements.display()))?;
    let environment = cache()?.join("python").join(name);
    let interpreter = environment.join("bin/python");
    // Written last: with it the environment is whole.
    let stamp = environment.join("requirements.txt");
    if interpreter.exists() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(interpreter);
    }
    println!("making the Python environment {} ({})", environment.display(), requirements.display());
    succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    succeed(Command::new(&interpreter).args(["-m", "pip", "install", "--quiet", "-r"]).arg(requirements))?;
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(interpreter)
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().display().to_string();
    let status = command.status().with_context(|| format!("starting {program}; run scripts/setup.sh"))?;
    if !status.success() {
        bail!("{program} {:?}: {status}", command.get_args().collect::<Vec<_>>());
    }
    Ok(())
}
