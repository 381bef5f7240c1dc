//! Runs the commands of the project's documents as a reader would type them, in one shell.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use crate::Error;

/// How a block begins whose commands are to be typed.
const CONSOLE: &str = "```console";
/// The prompt.
const PROMPT: &str = "$ ";

/// A command of a document, with the lines that it goes on over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its line in the document, from 1.
    pub line: usize,
    /// What is typed after the prompt.
    pub command: String,
}

/// The checkout, which documents take for the working directory.
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The commands of a document in Markdown, in its order.
pub fn steps(document: &str) -> Vec<Step> {
    let (mut steps, mut inside, mut goes_on): (Vec<Step>, bool, bool) = (Vec::new(), false, false);
    for (index, line) in document.lines().enumerate() {
        if line.starts_with("```") {
            (inside, goes_on) = (line.trim_end() == CONSOLE, false);
            continue;
        }
        let typed = if goes_on { Some(line) } else { line.strip_prefix(PROMPT) };
        let Some(typed) = typed.filter(|_| inside) else { continue };
        match steps.last_mut().filter(|_| goes_on) {
            Some(step) => step.command = format!("{}\n{typed}", step.command),
            None => steps.push(Step { line: index + 1, command: typed.to_owned() }),
        }
        goes_on = typed.ends_with('\\');
    }
    steps
}

/// The part of a document under a heading, down to the next one of the same level.
pub fn section<'a>(document: &'a str, heading: &str) -> Option<&'a str> {
    let level = heading.split(' ').next()?;
    let begin = document.find(&format!("{heading}\n"))?;
    let rest = &document[begin..];
    let end = rest[level.len()..].find(&format!("\n{level} ")).map_or(rest.len(), |end| level.len() + end);
    Some(&rest[..end])
}

/// Types the commands into one shell in the checkout, each when the one before has succeeded, and gives back what the last
/// one printed. `environment` says which cluster is meant.
///
/// # Errors
/// One fails, or all together take longer than `limit`.
pub async fn walk(environment: &[(&str, OsString)], steps: &[Step], limit: Duration) -> Result<String, Error> {
    let directory = tempfile::tempdir().map_err(|error| failed("making a directory", &error))?;
    let (output, at) = (directory.path().join("output"), directory.path().join("at"));
    let mut shell = Command::new("bash");
    shell.args(["-c", &script(steps, &output, &at)]).current_dir(checkout()).envs(environment.iter().cloned());
    // The documents name the place where programs are built when nobody says otherwise.
    shell.env_remove("CARGO_TARGET_DIR").kill_on_drop(true).stdin(Stdio::null());
    let ended = timeout(limit, shell.status()).await;
    let printed = std::fs::read_to_string(&output).unwrap_or_default();
    let at = std::fs::read_to_string(&at).ok().and_then(|at| at.trim().parse::<usize>().ok());
    let current = at.and_then(|at| steps.get(at)).map_or("bash", |step| step.command.as_str());
    match ended {
        Ok(Ok(status)) if status.success() => Ok(printed),
        Ok(Ok(status)) => Err(failed(current, &format!("{status}: {printed}"))),
        Ok(Err(error)) => Err(failed("bash", &error)),
        Err(_) => Err(failed(current, &format!("no end within {} s: {printed}", limit.as_secs()))),
    }
}

fn failed(command: &str, got: &impl ToString) -> Error {
    Error::Command { command: command.to_owned(), got: got.to_string() }
}

/// A script that shows each command, runs it and stops at the first that fails. `output` has what the current one printed,
/// `at` its position.
fn script(steps: &[Step], output: &Path, at: &Path) -> String {
    let mut script = "set -e -o pipefail\n".to_owned();
    for (position, step) in steps.iter().enumerate() {
        // In this shell, not in one of a pipe: what a command exports is there for the next.
        script += &format!(
            "echo {position} >{at}\nprintf '$ %s\\n' {shown}\n{{\n{command}\n}} >{output} 2>&1\ncat {output}\n",
            at = quoted(&at.display().to_string()),
            shown = quoted(&step.command),
            command = step.command,
            output = quoted(&output.display().to_string()),
        );
    }
    script
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# Page
```console
$ a --b    # why
output
$ c \\
    d \\
    e
$ f
```
```yaml
$ not typed
```
## On Kubernetes
```console
$ g
```
### Part
```console
$ h
```
## Later
```console
$ i
```
";

    fn commands(text: &str) -> Vec<String> {
        steps(text).into_iter().map(|step| step.command).collect()
    }

    #[test]
    fn commands_are_taken_out_with_the_lines_they_go_on_over_and_without_output() {
        assert_eq!(commands(PAGE), ["a --b    # why", "c \\\n    d \\\n    e", "f", "g", "h", "i"]);
        assert_eq!(steps(PAGE)[1].line, 5);
    }

    #[test]
    fn a_section_ends_at_the_next_heading_of_its_level() {
        assert_eq!(commands(section(PAGE, "## On Kubernetes").unwrap()), ["g", "h"]);
        assert_eq!(commands(section(PAGE, "## Later").unwrap()), ["i"]);
        assert_eq!(section(PAGE, "## Nowhere"), None);
    }

    #[test]
    fn one_shell_runs_all_shows_each_and_stops_at_the_first_that_fails() {
        let run = |page: &str| {
            let directory = tempfile::tempdir().unwrap();
            let output = directory.path().join("it's here");
            let script = script(&steps(page), &output, &directory.path().join("at"));
            let ran = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            let text = String::from_utf8(ran.stdout).unwrap();
            (ran.status.success(), text, std::fs::read_to_string(&output).unwrap())
        };
        let page = "```console\n$ export WHO='you'    # kept\n$ echo \"hello \\\n  $WHO\"\n```\n";
        let (ok, shown, last) = run(page);
        assert!(ok);
        assert_eq!(shown, "$ export WHO='you'    # kept\n$ echo \"hello \\\n  $WHO\"\nhello   you\n");
        assert_eq!(last, "hello   you\n");
        let (ok, shown, last) = run("```console\n$ echo one && ls /nowhere/at/all\n$ echo two\n```\n");
        assert!(!ok && !shown.contains("two") && last.contains("/nowhere/at/all"), "{shown}{last}");
    }

    #[tokio::test]
    async fn a_walk_that_fails_names_the_command() {
        let steps = steps("```console\n$ echo one\n$ ls /nowhere/at/all\n$ echo two\n```\n");
        let error = walk(&[], &steps, Duration::from_secs(60)).await.unwrap_err();
        let Error::Command { command, got } = &error else { panic!("{error}") };
        assert!(command == "ls /nowhere/at/all" && got.contains("exit status"), "{error}");
    }

    /// The documents that a story walks along.
    fn walked() -> Vec<(&'static str, String)> {
        let read = |name: &str| std::fs::read_to_string(checkout().join(name)).unwrap();
        let readme = read("README.md");
        let readme = section(&readme, "## On Kubernetes").unwrap().to_owned();
        vec![("README.md", readme), ("docs/install.md", read("docs/install.md"))]
    }

    /// Files of the checkout that a command names.
    fn files(command: &str) -> Vec<&str> {
        let typed = command.split(" #").next().unwrap();
        let tops = ["charts/", "cli/", "deploy/", "docs/", "examples/", "scripts/"];
        typed.split_whitespace().filter(|word| tops.iter().any(|top| word.starts_with(top))).collect()
    }

    #[test]
    fn every_file_that_a_document_names_is_there() {
        for (name, document) in walked() {
            let steps = steps(&document);
            let named: Vec<_> =
                steps.iter().flat_map(|step| files(&step.command).into_iter().map(move |file| (step, file))).collect();
            assert!(named.len() >= 4, "{name}: only {named:?}");
            for (step, file) in named {
                assert!(checkout().join(file).exists(), "{name}: {step:?}: there is no {file}");
            }
        }
    }

    #[test]
    fn what_a_step_needs_comes_before_it() {
        for (name, document) in walked() {
            let commands = commands(&document);
            let at = |part: &str| {
                let found = commands.iter().position(|command| command.contains(part));
                found.unwrap_or_else(|| panic!("{name}: no command with {part} in {commands:#?}"))
            };
            let order = [
                "cargo xtask images",
                "cluster load",
                "deploy/kustomize/namespace.yaml",
                "helm install",
                "examples/shop.yaml",
                "examples/policies/checkout.yaml",
                "kubectl wait",
            ];
            let places: Vec<usize> = order.iter().map(|part| at(part)).collect();
            assert!(places.is_sorted(), "{name}: {order:?} at {places:?}");
        }
    }

    #[test]
    fn nothing_that_looks_like_a_command_is_left_out() {
        for (name, document) in walked() {
            let prompts = document.lines().filter(|line| line.trim_start().starts_with(PROMPT)).count();
            assert_eq!(prompts, steps(&document).len(), "{name}: a command outside of a console block");
            assert!(!document.contains(" … --"), "{name}: a command with something left out");
        }
    }
}
