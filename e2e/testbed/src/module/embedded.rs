//! A Go module that embeds what its archive lacks, such as web pages that only upstream's own build makes. Go neither builds it
//! as it is nor lays anything over its cache of modules, so it is built from a copy with a file in that place.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Runner, read};
use crate::TestbedError;

/// The file; what it says is all that there is to see.
const PLACEHOLDER: &str = "README.txt";

/// What a module embeds and lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Embedded {
    /// The module.
    pub(super) module: &'static str,
    /// The folder in it.
    pub(super) folder: &'static str,
}

impl Embedded {
    /// Where Go keeps the module that `source` pins, after downloading it; `log` is for what Go says.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub(super) fn fetch(self, source: &Path, log: &File, run: Runner<'_>) -> Result<PathBuf, String> {
        let output = || log.try_clone().map_err(|error| error.to_string());
        let mut download = Command::new("go");
        download.args(["mod", "download", self.module]).current_dir(source);
        run(download.stdin(Stdio::null()).stdout(output()?).stderr(output()?))?;
        let mut list = Command::new("go");
        list.args(["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", self.module]).current_dir(source);
        let output = list.output().map_err(|error| error.to_string())?;
        let directory = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || directory.is_empty() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!("go list -m {}: {}: {}", self.module, output.status, errors.trim()));
        }
        Ok(directory.into())
    }

    /// Completes a copy of the module at `original` in `place`, and returns a `go.mod` there that is the one of `source` but for
    /// taking the copy.
    ///
    /// # Errors
    /// [`TestbedError::File`].
    pub(super) fn complete(self, original: &Path, source: &Path, place: &Path) -> Result<PathBuf, TestbedError> {
        let own = place.join("module");
        copy(original, &own).map_err(TestbedError::file(&own))?;
        let folder = own.join(self.folder);
        fs::create_dir_all(&folder).map_err(TestbedError::file(&folder))?;
        let placeholder = folder.join(PLACEHOLDER);
        fs::write(&placeholder, "Not built.\n").map_err(TestbedError::file(&placeholder))?;
        // Go finds the checksums beside it, by this name.
        let sums = place.join("go.sum");
        fs::copy(source.join("go.sum"), &sums).map_err(TestbedError::file(&sums))?;
        let go_mod = place.join("go.mod");
        let text = read(&source.join("go.mod"))? + &format!("\nreplace {} => {:?}\n", self.module, own);
        fs::write(&go_mod, text).map_err(TestbedError::file(&go_mod))?;
        Ok(go_mod)
    }
}

/// Copies a tree. Files stay read-only as they are in Go's cache; folders do not, or nobody could add to them.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_read_only_module_is_completed_in_a_copy_which_go_mod_names() {
        let scratch = tempfile::tempdir().unwrap();
        let [original, source, place] = ["original", "source", "place"].map(|name| scratch.path().join(name));
        fs::create_dir_all(original.join("ui")).unwrap();
        fs::write(original.join("ui/web.go"), "package ui").unwrap();
        for directory in [original.join("ui"), original.clone()] {
            fs::set_permissions(directory, Permissions::from_mode(0o555)).unwrap();
        }
        for directory in [&source, &place] {
            fs::create_dir(directory).unwrap();
        }
        fs::write(source.join("go.mod"), "module x\n").unwrap();
        fs::write(source.join("go.sum"), "sums\n").unwrap();
        let embedded = Embedded { module: "example.com/m", folder: "ui/app/dist" };
        let go_mod = embedded.complete(&original, &source, &place).unwrap();
        let own = place.join("module");
        let expected = format!("module x\n\nreplace example.com/m => \"{}\"\n", own.display());
        assert_eq!(fs::read_to_string(&go_mod).unwrap(), expected);
        assert_eq!(fs::read_to_string(go_mod.with_extension("sum")).unwrap(), "sums\n");
        assert_eq!(fs::read_to_string(own.join("ui/web.go")).unwrap(), "package ui");
        assert!(own.join("ui/app/dist").join(PLACEHOLDER).is_file());
        // Otherwise only root could remove it.
        for directory in [original.clone(), original.join("ui")] {
            fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
        }
    }
}
