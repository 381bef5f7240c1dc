//! The established sockets of a network namespace that is not entered: `/proc/PID/net/tcp` and `tcp6` of a process in it
//! (proc(5)), which takes no capability.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    net::{IpAddr, Ipv6Addr},
};

use super::ends::{Ends, Remotes};

/// Lines looked at in one file; a node's ephemeral ports give half of that.
const MAX_LINES: usize = 65_536;
/// include/net/tcp_states.h
const ESTABLISHED: &str = "01";

/// Established sockets in the namespace of `process` that lead out of it.
///
/// # Errors
/// The process is gone, or its files cannot be read.
pub fn established(process: u32) -> io::Result<u32> {
    let mut all = Vec::new();
    list(File::open(format!("/proc/{process}/net/tcp"))?, &mut all)?;
    match File::open(format!("/proc/{process}/net/tcp6")) {
        Ok(file) => list(file, &mut all)?,
        // A kernel without IPv6.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(leading_out(&all))
}

fn leading_out(all: &[Ends]) -> u32 {
    let remotes = Remotes::of(all.iter().copied());
    all.iter().filter(|ends| remotes.is_elsewhere(ends)).count() as u32
}

/// Adds the established sockets of one file.
fn list(file: impl io::Read, all: &mut Vec<Ends>) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut line = String::new();
    for _ in 0..MAX_LINES {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            break;
        }
        all.extend(connection(&line));
    }
    Ok(())
}

/// The ends of the established socket that a line describes; `None` for others and for the heading.
fn connection(line: &str) -> Option<Ends> {
    let mut columns = line.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (columns.next()?, columns.next()?, columns.next()?);
    (state == ESTABLISHED).then_some(Ends::new(end(local)?, end(remote)?))
}

/// `ADDRESS:PORT`; the address is one or four words in hex, each as this machine keeps it.
fn end(column: &str) -> Option<(IpAddr, u16)> {
    let (hex, port) = column.split_once(':')?;
    Some((address(hex)?.into(), u16::from_str_radix(port, 16).ok()?))
}

fn address(hex: &str) -> Option<Ipv6Addr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(std::net::Ipv4Addr::from(word(0)?).to_ipv6_mapped()),
        32 => {
            let mut bytes = [0; 16];
            for (at, bytes) in bytes.chunks_exact_mut(4).enumerate() {
                bytes.copy_from_slice(&word(at)?);
            }
            Some(bytes.into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid";

    fn line(local: &str, remote: &str, state: &str) -> String {
        format!(
            "   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0 20 4 30 10\n"
        )
    }

    fn count(text: &str) -> u32 {
        let mut all = Vec::new();
        list(text.as_bytes(), &mut all).unwrap();
        leading_out(&all)
    }

    /// Addresses as a little-endian machine prints them.
    #[cfg(target_endian = "little")]
    #[test]
    fn established_sockets_that_lead_out_are_counted() {
        let text = [
            HEADING.to_owned() + "\n",
            line("0100000A:0050", "0200000A:C350", "01"),
            line("0100000A:0050", "00000000:0000", "0A"),
            line("0100007F:0050", "0100007F:C350", "01"),
            line("0100000A:0050", "0100000A:C350", "01"),
            // ::ffff:10.0.0.1 and ::ffff:127.0.0.1
            line("0000000000000000FFFF00000100000A:0050", "0000000000000000FFFF00000200000A:C350", "01"),
            line("0000000000000000FFFF00000100007F:0050", "0000000000000000FFFF00000100007F:C350", "01"),
        ]
        .concat();
        assert_eq!(count(&text), 2);
        assert_eq!(end("0100000A:0050").unwrap(), ("::ffff:10.0.0.1".parse().unwrap(), 80));
    }

    #[test]
    fn the_heading_and_torn_lines_count_as_nothing() {
        assert_eq!(count(&format!("{HEADING}\n   1: 0100\n   2: xyz:1 0:1 01\n")), 0);
    }

    #[test]
    fn the_own_process_has_a_readable_list() {
        established(std::process::id()).unwrap();
    }
}
