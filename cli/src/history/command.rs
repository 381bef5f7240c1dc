//! `netprecursor history`: keeps an agent's history without anybody who looks at it, and imports recordings.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use jiff::Timestamp;
use netprecursor_settings::Listen;

use super::{import, size::HistorySize};
use crate::{
    arguments,
    dashboard::{self, Past},
    stream::DEFAULT_AGENT,
    terminal,
};

/// Targets of a recording that are named.
const SHOWN: usize = 10;

/// Keeps history in a file: an hour by the second, a week by ten seconds, every alert
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(ServeArgs),
    Import(ImportArgs),
}

/// Follows an agent, keeps what it says, and answers range queries; the dashboard's page is there as well
#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// Address of the agent
    #[arg(long, value_name = "URL", default_value = DEFAULT_AGENT)]
    agent: String,
    /// The file; begun where there is none
    #[arg(long, value_name = "FILE", value_parser = arguments::file())]
    store: PathBuf,
    /// Bytes that the file may take, oldest first
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    history_size: HistorySize,
    /// Where it listens; beyond this machine it wants --token-file
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9472")]
    listen: Listen,
    /// A file with the token that who asks has to present, at least 16 characters
    #[arg(long, value_name = "FILE", value_parser = arguments::file())]
    token_file: Option<PathBuf>,
}

/// Takes what recordings have measured into a history that no other process has open
#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// Files of 'netprecursor record' or 'netprecursor import'
    #[arg(value_name = "RECORDING", required = true, value_parser = arguments::file())]
    recordings: Vec<PathBuf>,
    /// The file; begun where there is none
    #[arg(long, value_name = "FILE", value_parser = arguments::file())]
    store: PathBuf,
    /// Bytes that the file may take, oldest first
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    history_size: HistorySize,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Serve(args) => serve(args),
        Command::Import(args) => import(args),
    }
}

fn serve(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let dashboard = dashboard::listen(&args.listen, args.token_file.as_deref())?;
    dashboard::serve("history", dashboard, &args.agent, Past::kept(&args.store, args.history_size)?)
}

fn import(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    for recording in &args.recordings {
        let imported = import::import(recording, &args.store, args.history_size)?;
        let span = match imported.span {
            Some((first, last)) => format!(" from {} to {}", time(first)?, time(last)?),
            None => String::new(),
        };
        let silent = match imported.silent {
            0 => String::new(),
            silent => format!("; {silent} had no RTT"),
        };
        let evicted = match imported.evicted {
            0 => String::new(),
            evicted => format!("; {evicted} older ones had to go to make room: give more by --history-size"),
        };
        let line = format!("{}: {} seconds of targets{span}{silent}{evicted}\n", recording.display(), imported.seconds);
        terminal::print(&line)?;
        for (uid, name) in imported.targets.iter().take(SHOWN) {
            terminal::print(&format!("  {name}: {}\n", page(uid)))?;
        }
        if let Some(more @ 1..) = imported.targets.len().checked_sub(SHOWN) {
            terminal::print(&format!("  and {more} more\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the page of a service shows a target.
fn page(uid: &str) -> String {
    let escaped: String = form_urlencoded::byte_serialize(uid.as_bytes()).collect();
    // A space is `+` in forms only.
    format!("#/target/{}", escaped.replace('+', "%20"))
}

fn time(unix: u64) -> anyhow::Result<Timestamp> {
    Timestamp::from_second(unix.cast_signed()).with_context(|| format!("got time {unix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_a_target_is_named_as_the_browser_wants_it() {
        assert_eq!(page("netns:a/b c#d"), "#/target/netns%3Aa%2Fb%20c%23d");
    }
}
