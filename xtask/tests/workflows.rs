//! The workflows under `.github/workflows`: what they may do, whose actions they run, and that nothing is published untested.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Workflow {
    concurrency: Concurrency,
    permissions: Option<BTreeMap<String, String>>,
    jobs: BTreeMap<String, Job>,
}

#[derive(Debug, Deserialize)]
struct Concurrency {
    group: String,
}

#[derive(Debug, Deserialize)]
struct Job {
    permissions: Option<BTreeMap<String, String>>,
    #[serde(default)]
    needs: Needs,
    /// Another workflow.
    uses: Option<String>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Needs {
    #[default]
    Nothing,
    One(String),
    All(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct Step {
    uses: Option<String>,
    run: Option<String>,
}

fn workflows() -> BTreeMap<String, Workflow> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let workflow = |file: PathBuf| {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let parsed = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap());
        (name, parsed.unwrap_or_else(|error| panic!("{}: {error}", file.display())))
    };
    files.map(workflow).collect()
}

fn may_write(permissions: Option<&BTreeMap<String, String>>) -> bool {
    permissions.is_some_and(|all| all.values().any(|access| access == "write"))
}

/// What a job waits for, directly or not.
fn awaited<'a>(workflow: &'a Workflow, job: &'a str) -> BTreeSet<&'a str> {
    let direct: Vec<&str> = match &workflow.jobs[job].needs {
        Needs::Nothing => Vec::new(),
        Needs::One(one) => vec![one],
        Needs::All(all) => all.iter().map(String::as_str).collect(),
    };
    let indirect: Vec<&str> = direct.iter().flat_map(|needed| awaited(workflow, needed)).collect();
    direct.into_iter().chain(indirect).collect()
}

#[test]
fn a_workflow_may_only_read_and_a_job_says_what_it_may_write() {
    for (name, workflow) in workflows() {
        let permissions = workflow.permissions.as_ref();
        assert!(permissions.is_some() && !may_write(permissions), "{name}: {permissions:?}");
    }
}

/// Whoever can move a tag or a branch of an action can run code with a workflow's rights. GitHub's own actions are trusted by
/// their major version: GitHub runs every workflow anyway.
#[test]
fn actions_of_others_are_pinned_to_a_commit() {
    for (name, workflow) in workflows() {
        let steps = workflow.jobs.values().flat_map(|job| &job.steps).filter_map(|step| step.uses.as_deref());
        for action in steps.chain(workflow.jobs.values().filter_map(|job| job.uses.as_deref())) {
            let is_trusted = ["./", "actions/"].iter().any(|owner| action.starts_with(owner));
            let commit = action.rsplit_once('@').map(|(_, commit)| commit).unwrap_or_default();
            let is_commit = commit.len() == 40 && commit.chars().all(|digit| digit.is_ascii_hexdigit());
            assert!(is_trusted || is_commit, "{name}: {action}");
        }
    }
}

/// A workflow that another calls has the caller's name in `github.workflow`: two of them would cancel each other.
#[test]
fn runs_wait_for_others_of_the_same_workflow_and_ref_alone() {
    let groups: BTreeSet<String> = workflows().into_values().map(|workflow| workflow.concurrency.group).collect();
    assert_eq!(groups.len(), workflows().len(), "{groups:?}");
    for group in groups {
        assert!(group.contains("github.ref") && !group.contains("github.workflow"), "{group}");
    }
}

#[test]
fn nothing_is_published_before_everything_is_tested_and_built() {
    let all = workflows();
    let release = &all["release"];
    let writers: Vec<&String> =
        release.jobs.iter().filter(|(_, job)| may_write(job.permissions.as_ref())).map(|(name, _)| name).collect();
    assert_eq!(writers, ["chart", "images", "page"]);
    for job in writers {
        let awaited = awaited(release, job);
        assert!(["test", "e2e", "build"].iter().all(|gate| awaited.contains(gate)), "{job} waits for {awaited:?}");
    }
    for (gate, workflow) in [("test", "ci"), ("e2e", "e2e")] {
        assert_eq!(release.jobs[gate].uses.as_deref(), Some(&*format!("./.github/workflows/{workflow}.yml")));
    }
}

#[test]
fn what_may_write_runs_none_of_the_checkouts_code() {
    let all = workflows();
    for (name, job) in all["release"].jobs.iter().filter(|(_, job)| may_write(job.permissions.as_ref())) {
        let runs = |word: &str| job.steps.iter().filter_map(|step| step.run.as_deref()).any(|run| run.contains(word));
        let checks_out = job.steps.iter().filter_map(|step| step.uses.as_deref()).any(|uses| uses.contains("checkout"));
        assert!(!checks_out && !runs("cargo") && !runs("make "), "{name} builds something");
    }
}

#[test]
fn what_is_published_is_signed_with_provenance() {
    let all = workflows();
    for name in ["images", "chart", "page"] {
        let job = &all["release"].jobs[name];
        let signs = job.steps.iter().filter_map(|step| step.run.as_deref()).any(|run| run.contains("cosign sign"));
        let actions: Vec<&str> = job.steps.iter().filter_map(|step| step.uses.as_deref()).collect();
        assert!(
            signs && actions.iter().any(|uses| uses.starts_with("actions/attest-build-provenance@")),
            "{actions:?}"
        );
        let permissions = job.permissions.as_ref().unwrap();
        assert_eq!((&*permissions["id-token"], &*permissions["attestations"]), ("write", "write"));
    }
}
