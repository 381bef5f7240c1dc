//! How long connections have been waiting for an ACK by now. The kernel side notes when a wait began, and reports only
//! when a retransmission timer fires, at intervals that double; in between the time is read off the sockets' lines.

use std::time::Duration;

use netprecursor_agent_common::{
    MAX_SLOTS,
    identity::Stamp,
    tcp::{LINES, Line},
    view::View,
};

use super::{mapped::Mapped, views::Views};

/// Longer than any TCP waits (tcp_retries2 gives up after 13 to 30 minutes): a line that stayed behind.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// The longest wait per slot, in µs.
#[derive(Debug)]
pub struct Stalls {
    longest_us: Vec<u32>,
    is_looking: bool,
}

impl Default for Stalls {
    fn default() -> Self {
        Self { longest_us: vec![0; MAX_SLOTS as usize], is_looking: false }
    }
}

impl Stalls {
    /// A timer fired in this tick: from now on the lines are looked through, until no connection waits.
    pub const fn note(&mut self) {
        self.is_looking = true;
    }

    /// Looks through the lines, if there is a reason to, at `now_ns` on the monotonic clock. Lines that were stamped for
    /// a slot's previous target do not count: `is_current` knows.
    pub fn look(
        &mut self,
        lines: &Mapped<Line>,
        views: Option<&Views>,
        is_current: impl Fn(Stamp) -> bool,
        now_ns: u64,
    ) {
        if !self.is_looking {
            return;
        }
        self.longest_us.fill(0);
        self.is_looking = false;
        for line in (0..LINES as usize).filter_map(|index| lines.read(index)) {
            if let Some((stamp, us)) = waiting(&line, now_ns)
                && is_current(stamp)
            {
                let views = views.into_iter().flat_map(|views| views.of(stamp.slot()));
                let seen = views.filter(|view| view.peers() == 0 || view.peers() & line.peers != 0);
                for slot in seen.map(View::slot).chain([stamp.slot()]) {
                    if let Some(longest) = self.longest_us.get_mut(slot as usize) {
                        *longest = us.max(*longest);
                    }
                }
                self.is_looking = true;
            }
        }
    }

    /// The longest wait of a connection of `slot`, in µs; zero: none waits.
    pub fn longest_us(&self, slot: u32) -> u32 {
        self.longest_us.get(slot as usize).copied().unwrap_or_default()
    }
}

/// The stamp and wait of a line's socket, if its timer has fired and nothing came since: neither a sample nor, when the
/// next timer was due, that timer.
fn waiting(line: &Line, now_ns: u64) -> Option<(Stamp, u32)> {
    if line.cookie == 0 || line.stalled_since_ns == 0 {
        return None;
    }
    let waited = Duration::from_nanos(now_ns.saturating_sub(line.stalled_since_ns));
    let believed = Duration::from_micros(line.believed_us.into());
    (waited < LONGEST.min(believed)).then_some((Stamp(line.stamp), waited.as_micros() as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cookie: u64, since: Duration) -> Line {
        let mut line = Line::new(cookie, 0, 0, 7);
        line.stalled_since_ns = since.as_nanos() as u64;
        line.believed_us = u32::MAX;
        line
    }

    #[test]
    fn a_socket_whose_timer_fired_waits_since_the_segment_was_sent() {
        let now = Duration::from_secs(5000).as_nanos() as u64;
        assert_eq!(waiting(&line(9, Duration::from_secs(4998)), now), Some((Stamp(7), 2_000_000)));
    }

    #[test]
    fn a_free_line_an_answered_socket_and_one_left_behind_do_not_wait() {
        let now = Duration::from_secs(5000).as_nanos() as u64;
        assert_eq!(waiting(&line(0, Duration::from_secs(4998)), now), None);
        assert_eq!(waiting(&line(9, Duration::ZERO), now), None);
        assert_eq!(waiting(&line(9, Duration::from_secs(100)), now), None);
    }

    #[test]
    fn a_socket_whose_next_timer_is_overdue_was_answered_without_a_sample() {
        let second = |at: u64| Duration::from_secs(at).as_nanos() as u64;
        let mut line = line(9, Duration::from_secs(1000));
        line.believed_us = 3_250_000;
        assert_eq!(waiting(&line, second(1003)), Some((Stamp(7), 3_000_000)));
        assert_eq!(waiting(&line, second(1004)), None);
    }
}
