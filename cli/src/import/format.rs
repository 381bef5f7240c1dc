//! What a file holds, by the beginning of its text.

/// A kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Rows of cells under names of columns
    Csv,
    /// What ping -D -O writes
    Ping,
    /// What iperf3 -J or --json-stream writes
    Iperf3,
}

impl Format {
    /// The format of a text, from its first lines; CSV when they say nothing.
    pub(super) fn guess(head: &[u8]) -> Self {
        let head = String::from_utf8_lossy(head);
        let mut lines = head.lines().map(str::trim).filter(|line| !line.is_empty()).take(5);
        if head.trim_start().starts_with('{') {
            Self::Iperf3
        } else if lines.any(is_ping) {
            Self::Ping
        } else {
            Self::Csv
        }
    }

    /// How a message names it.
    pub(super) const fn found(self) -> &'static str {
        match self {
            Self::Csv => "this is CSV",
            Self::Ping => "this is output of ping",
            Self::Iperf3 => "this is JSON of iperf3",
        }
    }
}

fn is_ping(line: &str) -> bool {
    let is_time = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_stamped =
        line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).is_some_and(|(time, _)| is_time(time));
    is_stamped || line.starts_with("PING ") || line.contains("icmp_seq=") || line.contains(": seq=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_shows_in_the_first_lines() {
        for (head, format) in [
            ("series,t,rtt_max_ms\na,0,1\n", Format::Csv),
            ("time;rtt\n0;1\n", Format::Csv),
            ("", Format::Csv),
            ("PING 1.1.1.1 (1.1.1.1) 56(84) bytes of data.\n", Format::Ping),
            ("\n[1700000000.123456] 64 bytes from 1.1.1.1: icmp_seq=1 ttl=57 time=12.3 ms\n", Format::Ping),
            ("64 bytes from 1.1.1.1: seq=0 ttl=57 time=12.3 ms\n", Format::Ping),
            ("{\n\t\"start\":\t{\n", Format::Iperf3),
            ("  {\"event\":\"start\"}\n", Format::Iperf3),
        ] {
            assert_eq!(Format::guess(head.as_bytes()), format, "{head}");
        }
    }
}
