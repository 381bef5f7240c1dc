//! `cargo xtask cluster`: a three-node cluster by kind. Where Docker and an image registry are, with kind's own node image;
//! else with a Docker daemon and a node image of our own. Several can be up side by side, each under its name.

mod commands;
mod instance;
mod kind;
mod own;
mod tools_image;

use std::{
    env, fs,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
pub(crate) use commands::Work;
use instance::{Instance, Record, State, addresses, free_link, lock};
use kind::{Surroundings, place};
use netprecursor_child::Process;
use own::{node, sandbox};

use crate::{
    process::{Log, Stop, program},
    vm::Missing,
};

/// Clusters for the stories: three nodes on this machine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which one: several can be up side by side [default: the one that `run` was called for, else `default`]
    #[arg(long, global = true)]
    name: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Builds what is missing in the cache, without starting anything
    Build,
    /// Makes the cluster, and prints where its kubeconfig is
    Up,
    /// Takes it down with all that belongs to it
    Down,
    /// What is up, and what a killed run left
    Status,
    /// Gives archives of images to the nodes
    Load {
        /// As `docker save` or `cargo xtask images` writes them
        #[arg(required = true)]
        archives: Vec<PathBuf>,
    },
    /// Runs a command with KUBECONFIG, E2E_KUBECONFIG, and kind, kubectl, helm and helm3 in PATH
    Run {
        /// The command and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
}

/// The Docker daemon that runs the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// The machine's, with kind's own node image.
    Machine,
    /// One of our own, with our node image.
    Own,
}

/// A cluster that goes when this value is dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    surroundings: Surroundings,
    instance: Instance,
    work: Work,
}

/// `cargo xtask cluster`.
///
/// # Errors
/// The cluster does not come up or go down; the error says what to do.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let instance = Instance::named(&name(args.name.as_deref(), env::var(kind::CLUSTER).ok().as_deref()))?;
    let work = || -> anyhow::Result<Work> {
        let log = Log::create(PathBuf::from("out/cluster").join(format!("{}.log", instance.name)))?;
        Ok(Work { log, stop: Stop::on_signals()? })
    };
    match &args.verb {
        Verb::Build => build(&work()?)?,
        Verb::Up => {
            if let Some(missing) = missing() {
                bail!("{}", missing.reason);
            }
            let begun = Instant::now();
            up(&instance, None, &work()?)?;
            println!("cluster {} is up ({:.0} s)", instance.name, begun.elapsed().as_secs_f64());
            println!("export KUBECONFIG={}", instance.kubeconfig().display());
        }
        Verb::Down => {
            let work = work()?;
            match down(&instance, &work)? {
                true => println!("cluster {} is down", instance.name),
                false => println!("there is no cluster {}", instance.name),
            }
        }
        Verb::Status => status()?,
        Verb::Load { archives } => {
            let work = work()?;
            let surroundings = running(&instance, &work)?;
            archives.iter().try_for_each(|archive| surroundings.load(archive, &work))?;
        }
        Verb::Run { command } => {
            let surroundings = running(&instance, &work()?)?;
            let (program, arguments) = command.split_first().context("got no command, expected one")?;
            let error = surroundings.command(program).args(arguments).exec();
            return Err(error).with_context(|| format!("starting {program}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The cluster that is meant: as given, else the one around this process.
fn name(given: Option<&str>, around: Option<&str>) -> String {
    given.or(around.filter(|name| !name.is_empty())).unwrap_or("default").to_owned()
}

/// What this machine lacks for a cluster; `None` if nothing.
pub(crate) fn missing() -> Option<Missing> {
    if program("go").is_none() {
        let reason = "Go is not installed: kind and kubectl are built from their Go modules".to_owned();
        return Some(Missing { reason, able: false });
    }
    if machines_docker() {
        return None;
    }
    if !fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        let reason = "no Docker answers, and a daemon of our own needs root".to_owned();
        return Some(Missing { reason, able: false });
    }
    let needs = sandbox::NEEDS.iter().chain(tools_image::PROGRAMS).copied().chain([("debootstrap", "debootstrap")]);
    let absent: Vec<&str> = needs.filter(|(name, _)| program(name).is_none()).map(|(_, of)| of).collect();
    if absent.is_empty() {
        return None;
    }
    let reason = format!("not installed: {}; scripts/setup.sh installs them on Debian 12", absent.join(", "));
    Some(Missing { reason, able: program("apt-get").is_some() })
}

/// Whether the machine's own Docker answers.
fn machines_docker() -> bool {
    commands::output(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"])).is_ok()
}

impl Means {
    /// The machine's Docker where it answers and kind's node image is there or can be had, else our own.
    fn find(work: &Work) -> anyhow::Result<Self> {
        if !machines_docker() {
            return Ok(Self::Own);
        }
        let is_there = commands::output(Command::new("docker").args(["image", "inspect", kind::NODE_IMAGE])).is_ok();
        let mut pull = Command::new("docker");
        if is_there || work.run(pull.args(["pull", kind::NODE_IMAGE]), Duration::from_secs(15 * 60)).is_ok() {
            return Ok(Self::Machine);
        }
        println!("Docker cannot pull {}: using a node image of our own", kind::NODE_IMAGE);
        Ok(Self::Own)
    }
}

/// Fills the cache.
fn build(work: &Work) -> anyhow::Result<()> {
    if Means::find(work)? == Means::Own {
        println!("node image: {}", node::provide(work)?.display());
    }
    Ok(())
}

/// Makes the cluster; when `owner` is given, it goes with that process.
fn up(instance: &Instance, owner: Option<Process>, work: &Work) -> anyhow::Result<Surroundings> {
    sweep(work)?;
    let means = Means::find(work)?;
    // Takes long and is shared: before anything has to be cleared up.
    let image = if means == Means::Own { Some(node::provide(work)?) } else { None };
    let mut record = Record {
        owner,
        starter: Some(Process::this()),
        sandbox: None,
        on_machine: means == Means::Machine,
        link: None,
    };
    {
        let _held = lock()?;
        match instance.record()? {
            Some(other) if other.state() == State::Up && owner.is_none() => {
                println!("cluster {} is up already", instance.name);
                return Surroundings::of(instance, &other, work);
            }
            Some(other) => bail!(
                "got a cluster {} already ({}), expected none: give another --name, or take it down",
                instance.name,
                other.state().name()
            ),
            None => {}
        }
        if means == Means::Own {
            record.link = Some(free_link()?);
        }
        instance.write(&record)?;
    }
    match start(instance, &mut record, image.as_deref(), work) {
        Ok(surroundings) => Ok(surroundings),
        Err(error) => {
            // The first error matters more than one of the clean-up.
            remove(instance, &record, &Work { log: work.log.clone(), stop: Stop::never() })
                .with_context(|| format!("clearing up after: {error:#}"))?;
            Err(error)
        }
    }
}

fn start(instance: &Instance, record: &mut Record, image: Option<&Path>, work: &Work) -> anyhow::Result<Surroundings> {
    if let (Some(image), Some(link)) = (image, record.link) {
        let place = place(instance);
        node::copy_data(image, &place.data(), work)?;
        let holder = place.start(work, record.owner.is_some())?;
        record.sandbox = Some(holder);
        instance.write(record)?;
        place.connect(holder, link)?;
    }
    let surroundings = Surroundings::of(instance, record, work)?;
    surroundings.create(record, work)?;
    tools_image::load(&surroundings, instance, work)?;
    record.starter = None;
    instance.write(record)?;
    Ok(surroundings)
}

/// Takes a cluster down; false when there is none.
fn down(instance: &Instance, work: &Work) -> anyhow::Result<bool> {
    let _held = lock()?;
    let Some(record) = instance.record()? else { return Ok(false) };
    remove(instance, &record, work)?;
    Ok(true)
}

/// Removes everything that the record names, and then the record.
fn remove(instance: &Instance, record: &Record, work: &Work) -> anyhow::Result<()> {
    if record.on_machine {
        Surroundings::of(instance, record, work)?.delete(work)?;
    } else {
        place(instance).end(record.sandbox)?;
        // The kernel has taken it with the sandbox, unless there was none yet.
        if let Some(link) = record.link {
            commands::output(Command::new("ip").args(["link", "delete", &instance::host_end(link)])).ok();
        }
    }
    node::remove(&instance.directory)
}

/// Removes the leftovers of dead runs.
fn sweep(work: &Work) -> anyhow::Result<()> {
    let _held = lock()?;
    for instance in Instance::all()? {
        match instance.record()? {
            Some(record) if record.state() == State::Abandoned => {
                println!("removing cluster {}, which a killed run left", instance.name);
                remove(&instance, &record, work)?;
            }
            Some(_) => {}
            // Records are written before anything is made, under the lock.
            None => node::remove(&instance.directory)?,
        }
    }
    Ok(())
}

fn status() -> anyhow::Result<()> {
    let all = Instance::all()?;
    if all.is_empty() {
        println!("no cluster");
    }
    for instance in all {
        let Some(record) = instance.record()? else { continue };
        let docker = if record.on_machine { "the machine's Docker" } else { "a Docker of its own" };
        println!("{:<24} {:<9} {docker}", instance.name, record.state().name());
        if record.state() == State::Up {
            println!("{:<24} KUBECONFIG={}", "", instance.kubeconfig().display());
            if let Some(link) = record.link {
                println!("{:<24} DOCKER_HOST={} network {}", "", place(&instance).host(), addresses(link).1);
            }
        }
    }
    Ok(())
}

fn running(instance: &Instance, work: &Work) -> anyhow::Result<Surroundings> {
    match instance.record()? {
        Some(record) if record.state() == State::Up => Surroundings::of(instance, &record, work),
        _ => bail!("got no cluster {0} that is up, expected one: cargo xtask cluster up --name {0}", instance.name),
    }
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Abandoned => "abandoned",
        }
    }
}

impl Cluster {
    /// A cluster for this process alone.
    ///
    /// # Errors
    /// It does not come up.
    pub(crate) fn for_this_process(work: &Work) -> anyhow::Result<Self> {
        let instance = Instance::named(&format!("test-{}", std::process::id()))?;
        let surroundings = up(&instance, Some(Process::this()), work)?;
        Ok(Self { surroundings, instance, work: work.clone() })
    }

    /// A command that finds it.
    pub(crate) fn command(&self, program: &Path) -> Command {
        self.surroundings.command(&program.to_string_lossy())
    }

    /// Gives an archive of images to every node.
    ///
    /// # Errors
    /// As kind says.
    pub(crate) fn load(&self, archive: &Path) -> anyhow::Result<()> {
        self.surroundings.load(archive, &self.work)
    }

    /// Takes it down.
    ///
    /// # Errors
    /// Something does not go; the next start tries again.
    pub(crate) fn down(self) -> anyhow::Result<()> {
        self.clear()
    }

    fn clear(&self) -> anyhow::Result<()> {
        let work = Work { log: self.work.log.clone(), stop: Stop::never() };
        down(&self.instance, &work).map(|_| ())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            println!("cluster {}: {error:#}; the next start tries again", self.instance.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_the_one_that_is_named_else_the_one_around_this_process() {
        assert_eq!(name(Some("a"), Some("b")), "a");
        assert_eq!(name(None, Some("b")), "b");
        assert_eq!(name(None, Some("")), "default");
        assert_eq!(name(None, None), "default");
    }
}
