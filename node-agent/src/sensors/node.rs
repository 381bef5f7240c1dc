//! Pressure of the node, from `/proc`: no BPF, no privilege.

use std::{fs, io};

use netprecursor_core::signal::{Signal, Signals};

use crate::status::State;

/// Cumulative counters of the node.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    cpu_us: Option<u64>,
    memory_us: Option<u64>,
    io_us: Option<u64>,
    dropped: Option<u64>,
    squeezed: Option<u64>,
}

/// The sensor: the last values of the files.
#[derive(Debug)]
pub struct Node {
    before: Totals,
    signals: Signals,
}

impl Node {
    /// Reads the files once; the first tick is measured against this.
    pub fn start() -> (Self, State) {
        let before = Totals::read();
        let mut missing = Vec::new();
        if before.cpu_us.is_none() {
            missing.push("/proc/pressure (kernel without CONFIG_PSI, or psi=0)");
        }
        if before.dropped.is_none() {
            missing.push("/proc/net/softnet_stat");
        }
        let state = match missing.len() {
            0 => State::Active,
            1 => State::Degraded(format!("no {}", missing[0])),
            _ => State::Unavailable(format!("no {}", missing.join(", no "))),
        };
        (Self { before, signals: Signals::ABSENT }, state)
    }

    /// Measures the tick that ended, of `seconds` length.
    pub fn tick(&mut self, seconds: f64) {
        self.advance(Totals::read(), seconds);
    }

    fn advance(&mut self, now: Totals, seconds: f64) {
        let share = |now: Option<u64>, before: Option<u64>| match (now, before) {
            (Some(now), Some(before)) => (now.wrapping_sub(before) as f64 / 1e6 / seconds).clamp(0.0, 1.0) as f32,
            _ => f32::NAN,
        };
        // softnet counters are 32 bits wide.
        let added = |now: Option<u64>, before: Option<u64>| match (now, before) {
            (Some(now), Some(before)) => (now as u32).wrapping_sub(before as u32) as f32,
            _ => 0.0,
        };
        self.signals.set(Signal::PressureCpu, share(now.cpu_us, self.before.cpu_us));
        self.signals.set(Signal::PressureMemory, share(now.memory_us, self.before.memory_us));
        self.signals.set(Signal::PressureIo, share(now.io_us, self.before.io_us));
        self.signals.set(Signal::SoftnetDropped, added(now.dropped, self.before.dropped));
        self.signals.set(Signal::SoftnetSqueezed, added(now.squeezed, self.before.squeezed));
        self.before = now;
    }

    /// The node's part of a target's signals.
    pub fn read(&self, signals: &mut Signals) {
        for signal in [
            Signal::PressureCpu,
            Signal::PressureMemory,
            Signal::PressureIo,
            Signal::SoftnetDropped,
            Signal::SoftnetSqueezed,
        ] {
            signals.set(signal, self.signals.get(signal));
        }
    }
}

impl Totals {
    fn read() -> Self {
        let pressure = |resource: &str| {
            some_total_us(&fs::read_to_string(format!("/proc/pressure/{resource}")).unwrap_or_default())
        };
        let softnet = softnet().ok();
        Self {
            cpu_us: pressure("cpu"),
            memory_us: pressure("memory"),
            io_us: pressure("io"),
            dropped: softnet.map(|(dropped, _)| dropped),
            squeezed: softnet.map(|(_, squeezed)| squeezed),
        }
    }
}

/// `total` of the `some` line: µs in which at least one task waited (Documentation/accounting/psi.rst).
fn some_total_us(pressure: &str) -> Option<u64> {
    let some = pressure.lines().find(|line| line.starts_with("some "))?;
    some.rsplit(' ').next()?.strip_prefix("total=")?.parse().ok()
}

/// Dropped packets and exhausted budgets, summed over the CPUs: the second and third column of softnet_stat, in hex.
fn softnet() -> io::Result<(u64, u64)> {
    let text = fs::read_to_string("/proc/net/softnet_stat")?;
    Ok(text.lines().fold((0, 0), |(dropped, squeezed), line| {
        let mut columns = line.split(' ').skip(1).map(|column| u64::from_str_radix(column, 16).unwrap_or(0));
        (dropped + columns.next().unwrap_or(0), squeezed + columns.next().unwrap_or(0))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_some_is_read_from_a_pressure_file() {
        let text =
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234567\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n";
        assert_eq!(some_total_us(text), Some(1_234_567));
        assert_eq!(some_total_us(""), None);
    }

    #[test]
    fn pressure_is_a_share_of_the_tick_and_a_32_bit_counter_may_wrap() {
        let before =
            Totals { cpu_us: Some(1_000_000), io_us: Some(0), dropped: Some(0xffff_ffff), ..Totals::default() };
        let mut node = Node { before, signals: Signals::ABSENT };
        let now = Totals { cpu_us: Some(1_500_000), io_us: Some(9_000_000), dropped: Some(2), ..Totals::default() };
        node.advance(now, 2.0);
        let mut signals = Signals::ABSENT;
        node.read(&mut signals);
        assert_eq!((signals.get(Signal::PressureCpu), signals.get(Signal::PressureIo)), (0.25, 1.0));
        assert!(signals.get(Signal::PressureMemory).is_nan());
        assert_eq!((signals.get(Signal::SoftnetDropped), signals.get(Signal::SoftnetSqueezed)), (3.0, 0.0));
    }
}
