//! Connections between two hosts, each end in processes of its own: one process may not have as many files as there are
//! ends.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::Context;

use super::hosts::{Family, Path};

/// Connections of one pair of processes.
const PER_PROCESS: usize = 15_000;
const MESSAGE: usize = 64;

/// One end of some connections, in a process of its own that does as it is asked, a line at a time.
struct End {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl End {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take().context("no pipe")?;
        let answers = BufReader::new(child.stdout.take().context("no pipe")?);
        Ok(Self { child, orders, answers })
    }

    fn order(&mut self) -> io::Result<()> {
        self.orders.write_all(b"round\n")
    }

    fn answer(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        anyhow::ensure!(self.answers.read_line(&mut line)? > 0, "an end of the connections ended early");
        Ok(line.trim().to_owned())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Connections that carry requests at once.
pub(crate) struct Crowd {
    near: Vec<End>,
    far: Vec<End>,
}

impl Crowd {
    /// Connects.
    pub(crate) fn connect(path: &Path, connections: usize) -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let own = own.to_str().context("a path that is no text")?;
        let mut crowd = Self { near: Vec::new(), far: Vec::new() };
        let mut left = connections;
        while left > 0 {
            let number = left.min(PER_PROCESS);
            left -= number;
            let mut command = path.far.command(own);
            command.args(["--far", &Path::far_address(Family::V4, 0).to_string(), &number.to_string()]);
            let mut far = End::start(command)?;
            let server = far.answer()?;
            let mut command = path.near.command(own);
            command.args(["--near", &server, &number.to_string()]);
            let mut near = End::start(command)?;
            // Both say so when all are connected.
            near.answer()?;
            far.answer()?;
            crowd.near.push(near);
            crowd.far.push(far);
        }
        Ok(crowd)
    }

    /// A request and an answer on every connection.
    pub(crate) fn round(&mut self) -> anyhow::Result<()> {
        let mut ends: Vec<&mut End> = self.near.iter_mut().chain(&mut self.far).collect();
        for end in &mut ends {
            end.order()?;
        }
        ends.into_iter().try_for_each(|end| end.answer().map(drop))
    }
}

/// What a process does that was started as one of the ends; `None`: it was not.
pub(crate) fn end(mut arguments: impl Iterator<Item = String>) -> Option<anyhow::Result<()>> {
    let side = arguments.find(|argument| argument == "--near" || argument == "--far")?;
    let (address, number) = arguments.next().zip(arguments.next())?;
    let run = || {
        let (address, number): (SocketAddr, usize) = (address.parse()?, number.parse()?);
        if side == "--near" { near(address, number) } else { far(address, number) }
    };
    Some(run())
}

fn near(server: SocketAddr, number: usize) -> anyhow::Result<()> {
    let mut streams = (0..number).map(|_| TcpStream::connect(server)).collect::<io::Result<Vec<_>>>()?;
    serve(&mut streams, |streams, message| {
        streams.iter_mut().try_for_each(|stream| stream.write_all(message))?;
        streams.iter_mut().try_for_each(|stream| stream.read_exact(message))
    })
}

fn far(address: SocketAddr, number: usize) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address)?;
    say(&listener.local_addr()?.to_string())?;
    let accept = |_| listener.accept().map(|(stream, _)| stream);
    let mut streams = (0..number).map(accept).collect::<io::Result<Vec<_>>>()?;
    serve(&mut streams, |streams, message| {
        streams.iter_mut().try_for_each(|stream| {
            stream.read_exact(message)?;
            stream.write_all(message)
        })
    })
}

/// Does a round for each line that comes, until none does.
fn serve(
    streams: &mut [TcpStream],
    mut round: impl FnMut(&mut [TcpStream], &mut [u8; MESSAGE]) -> io::Result<()>,
) -> anyhow::Result<()> {
    streams.iter().try_for_each(|stream| stream.set_nodelay(true))?;
    say("connected")?;
    let mut message = [b'x'; MESSAGE];
    for line in io::stdin().lines() {
        line?;
        round(streams, &mut message)?;
        say("done")?;
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
