//! The established sockets of a network namespace that is not entered: `/proc/PID/net/tcp` and `tcp6` of a process in it
//! (proc(5)), which takes no capability.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    net::Ipv6Addr,
};

/// Lines looked at in one file; a node's ephemeral ports give half of that.
const MAX_LINES: usize = 65_536;
/// include/net/tcp_states.h
const ESTABLISHED: &str = "01";

/// Established sockets in the namespace of `process` that do not talk to their own address.
///
/// # Errors
/// The process is gone, or its files cannot be read.
pub fn established(process: u32) -> io::Result<u32> {
    let mut count = count(File::open(format!("/proc/{process}/net/tcp"))?)?;
    match File::open(format!("/proc/{process}/net/tcp6")) {
        Ok(file) => count += self::count(file)?,
        // A kernel without IPv6.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(count)
}

fn count(file: impl io::Read) -> io::Result<u32> {
    let mut reader = BufReader::new(file);
    let (mut line, mut count) = (String::new(), 0);
    for _ in 0..MAX_LINES {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            break;
        }
        count += u32::from(is_counted(&line).unwrap_or(false));
    }
    Ok(count)
}

/// Whether a line is an established socket's with somebody else; `None` for the heading.
fn is_counted(line: &str) -> Option<bool> {
    let mut columns = line.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (columns.next()?, columns.next()?, columns.next()?);
    let (local, remote) = (address(local)?, address(remote)?);
    let is_loopback = remote.is_loopback() || remote.to_ipv4_mapped().is_some_and(|address| address.is_loopback());
    Some(state == ESTABLISHED && local != remote && !is_loopback)
}

/// `ADDRESS:PORT`; the address is one or four words in hex, each as this machine keeps it.
fn address(column: &str) -> Option<Ipv6Addr> {
    let (hex, _) = column.split_once(':')?;
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

    /// Addresses as a little-endian machine prints them.
    #[cfg(target_endian = "little")]
    #[test]
    fn established_sockets_with_others_are_counted() {
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
        assert_eq!(count(text.as_bytes()).unwrap(), 2);
        assert_eq!(address("0100000A:0050").unwrap(), "::ffff:10.0.0.1".parse::<Ipv6Addr>().unwrap());
    }

    #[test]
    fn the_heading_and_torn_lines_count_as_nothing() {
        assert_eq!(count(format!("{HEADING}\n   1: 0100\n   2: xyz:1 0:1 01\n").as_bytes()).unwrap(), 0);
    }

    #[test]
    fn the_own_process_has_a_readable_list() {
        established(std::process::id()).unwrap();
    }
}
