//! Round trips, retransmits and connections of each target, from the sock_ops program.

use aya::{
    Ebpf,
    programs::{CgroupAttachMode, ProgramError, SockOps},
};
use netprecursor_agent_common::{
    MAX_SLOTS,
    epoch::Epoch,
    histogram::BUCKETS,
    names::{map, program},
    tcp::{Extremes, TcpSlot},
};
use netprecursor_core::signal::{Signal, Signals};
use thiserror::Error;

use crate::host::monotonic_ns;

use super::{
    cgroup::{self, CgroupError},
    histogram::Tally,
    mapped::{Mapped, MappedError},
};

/// Why the sensor does not work.
#[derive(Debug, Error)]
pub enum TcpError {
    /// No cgroup2 root.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// Its map cannot be read.
    #[error(transparent)]
    Mapped(#[from] MappedError),
    /// The object has no such program.
    #[error("the BPF object has no such sock_ops program; the agent and its BPF object are from different builds")]
    Missing,
    /// The kernel has no sock_ops programs, or refused this one.
    #[error("the kernel refused the sock_ops program (needs CONFIG_CGROUP_BPF, CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON)")]
    Load(#[source] ProgramError),
    /// Attaching was refused.
    #[error("cannot attach to the cgroup2 root")]
    Attach(#[source] ProgramError),
}

/// Sums of a slot over the CPUs.
#[derive(Debug, Clone)]
struct Reading {
    counters: Counters,
    clean: [u32; BUCKETS],
    unclean: [u32; BUCKETS],
}

macro_rules! counters {
    ($($field:ident),+ $(,)?) => {
        /// The counters of a slot, which are summed over CPUs and subtracted between ticks alike.
        #[derive(Debug, Clone, Copy, Default)]
        struct Counters { $($field: u64),+ }

        impl Counters {
            fn add(&mut self, slot: &TcpSlot) {
                $(self.$field = self.$field.wrapping_add(slot.$field);)+
            }

            fn since(&self, before: &Self) -> Self {
                Self { $($field: self.$field.wrapping_sub(before.$field)),+ }
            }
        }
    };
}

counters!(
    samples,
    clean_sum_us,
    unclean_sum_us,
    handshakes,
    handshake_sum_us,
    cwnd_sum,
    in_flight_sum,
    lost_sum,
    rate_bytes_sum,
    rate_interval_sum_us,
    floor_sum_us,
    retransmits,
    rtos,
    opens,
    closes,
    failed_connects,
);

impl Default for Reading {
    fn default() -> Self {
        Self { counters: Counters::default(), clean: [0; BUCKETS], unclean: [0; BUCKETS] }
    }
}

/// The sensor: the attached program, its slots and their last values.
#[derive(Debug)]
pub struct Tcp {
    slots: Mapped<TcpSlot>,
    epoch: Mapped<Epoch>,
    cpus: usize,
    before: Vec<Reading>,
}

impl Tcp {
    /// Attaches to the cgroup2 root. No target is counted before it has a slot.
    pub fn start(bpf: &mut Ebpf, cpus: u32) -> Result<Self, TcpError> {
        let root = cgroup::root()?;
        let sock_ops: &mut SockOps =
            bpf.program_mut(program::TCP).ok_or(TcpError::Missing)?.try_into().map_err(TcpError::Load)?;
        sock_ops.load().map_err(TcpError::Load)?;
        // A link of mode `Single` still lets others attach beside it; `AllowMultiple` is refused for links.
        sock_ops.attach(root, CgroupAttachMode::Single).map_err(TcpError::Attach)?;
        let epoch: Mapped<Epoch> = Mapped::take(bpf, map::EPOCH)?;
        // Fresh slots are zeroes and so of epoch 0: it must be over, or their zeroes would pass for smallest values.
        epoch.write(0, Epoch::new(1, monotonic_ns()));
        Ok(Self {
            slots: Mapped::take(bpf, map::TCP_SLOTS)?,
            epoch,
            cpus: cpus as usize,
            before: vec![Reading::default(); MAX_SLOTS as usize],
        })
    }

    /// Forgets what the slot counted for its previous target.
    pub fn watch(&mut self, slot: u32) {
        if let Some(before) = self.before.get_mut(slot as usize) {
            sum(&self.slots, self.cpus, slot, 0, before);
        }
    }

    /// Ends the epoch in which events were counted and returns it; later events belong to the next.
    pub fn end_epoch(&mut self) -> u32 {
        let ended = self.epoch.read(0).map_or(0, Epoch::number);
        self.epoch.write(0, Epoch::new(ended.wrapping_add(1), monotonic_ns()));
        ended
    }

    /// What `slot` counted since it was read last, with the extremes of the epoch that ended.
    pub fn read(&mut self, slot: u32, ended: u32, signals: &mut Signals) -> Beside {
        let Some(before) = self.before.get_mut(slot as usize) else { return Beside::NOTHING };
        let mut now = Reading::default();
        let extremes = sum(&self.slots, self.cpus, slot, ended, &mut now);
        let delta = now.counters.since(&before.counters);
        let clean = Tally::between(&now.clean, &before.clean);
        let unclean = Tally::between(&now.unclean, &before.unclean);
        let [low_us] = unclean.quantiles([LOW]);
        *before = now;
        describe(&delta, &unclean.with(&clean), &clean, &extremes, signals);
        Beside { net_opens: delta.opens as i64 - delta.closes as i64, low_us }
    }
}

/// The share of samples that are no more delayed than a low quantile.
const LOW: f32 = 0.1;

/// What is read beside the signals.
#[derive(Debug, Clone, Copy)]
pub struct Beside {
    /// Connections that were opened, net of those closed.
    pub net_opens: i64,
    /// The low quantile of the samples that are not clean, µs; NaN without any.
    pub low_us: f32,
}

impl Beside {
    const NOTHING: Self = Self { net_opens: 0, low_us: f32::NAN };
}

/// Sums the CPUs' copies of a slot into `reading`, which is overwritten, and merges their extremes of one epoch.
fn sum(slots: &Mapped<TcpSlot>, cpus: usize, slot: u32, epoch: u32, reading: &mut Reading) -> Extremes {
    *reading = Reading::default();
    let mut extremes = Extremes::empty(epoch);
    for counts in (0..cpus).filter_map(|cpu| slots.read(slot as usize * cpus + cpu)) {
        reading.counters.add(&counts);
        for (sum, count) in reading.clean.iter_mut().zip(&counts.clean) {
            *sum = sum.wrapping_add(*count);
        }
        for (sum, count) in reading.unclean.iter_mut().zip(&counts.unclean) {
            *sum = sum.wrapping_add(*count);
        }
        let cpu = &counts.extremes[(epoch & 1) as usize];
        if cpu.epoch == epoch {
            extremes.all_max_us = extremes.all_max_us.max(cpu.all_max_us);
            for (max, cpu) in extremes.clean_quarters_us.iter_mut().zip(cpu.clean_quarters_us) {
                *max = (*max).max(cpu);
            }
            extremes.clean_min_us = extremes.clean_min_us.min(cpu.clean_min_us);
            extremes.handshake_max_us = extremes.handshake_max_us.max(cpu.handshake_max_us);
            extremes.stall_max_us = extremes.stall_max_us.max(cpu.stall_max_us);
            extremes.floor_min_us = extremes.floor_min_us.min(cpu.floor_min_us);
        }
    }
    extremes
}

fn mean(sum: u64, count: u64) -> f32 {
    if count == 0 { f32::NAN } else { (sum as f64 / count as f64) as f32 }
}

/// A smallest value that starts at `u32::MAX`.
fn smallest(value: u32) -> f32 {
    if value == u32::MAX { f32::NAN } else { value as f32 }
}

/// The differences of one tick as signals.
fn describe(delta: &Counters, all: &Tally, clean: &Tally, extremes: &Extremes, signals: &mut Signals) {
    let mut set = |signal, value: f32| signals.set(signal, value);
    let [p50, p90, p99] = clean.quantiles([0.5, 0.9, 0.99]);
    // A sample that lands between the two readings may be in the histogram and in the next epoch's extremes.
    let [last_bucket] = clean.quantiles([1.0]);
    let max = if clean.count() == 0 {
        f32::NAN
    } else if extremes.clean_max_us() > 0 {
        extremes.clean_max_us() as f32
    } else {
        last_bucket
    };
    set(Signal::RttCount, clean.count() as f32);
    set(Signal::RttMean, mean(delta.clean_sum_us, clean.count()));
    set(Signal::RttP50, p50.min(max));
    set(Signal::RttP90, p90.min(max));
    set(Signal::RttP99, p99.min(max));
    set(Signal::RttMax, max);
    for (signal, us) in Signal::RTT_QUARTERS.into_iter().zip(extremes.clean_quarters_us) {
        set(signal, if us == 0 { f32::NAN } else { us as f32 });
    }
    set(Signal::RttMin, if clean.count() == 0 { f32::NAN } else { smallest(extremes.clean_min_us) });
    set(Signal::RttJitter, clean.deviation());
    let [all_p99] = all.quantiles([0.99]);
    set(Signal::RttAllCount, all.count() as f32);
    set(Signal::RttAllMean, mean(delta.clean_sum_us.wrapping_add(delta.unclean_sum_us), all.count()));
    set(Signal::RttAllP99, all_p99);
    set(Signal::RttAllMax, if all.count() == 0 { f32::NAN } else { extremes.all_max_us as f32 });
    set(Signal::HandshakeCount, delta.handshakes as f32);
    set(Signal::HandshakeMean, mean(delta.handshake_sum_us, delta.handshakes));
    set(Signal::HandshakeMax, if delta.handshakes == 0 { f32::NAN } else { extremes.handshake_max_us as f32 });
    set(Signal::Stall, extremes.stall_max_us as f32);
    set(Signal::Retransmits, delta.retransmits as f32);
    set(Signal::Rtos, delta.rtos as f32);
    set(Signal::Cwnd, mean(delta.cwnd_sum, delta.samples));
    let in_flight = mean(delta.in_flight_sum, delta.samples);
    set(Signal::InFlight, in_flight);
    set(Signal::Lost, mean(delta.lost_sum, delta.samples));
    let rate_per_us = mean(delta.rate_bytes_sum, delta.rate_interval_sum_us);
    set(Signal::DeliveryRate, rate_per_us * 1e6);
    set(Signal::RttFloor, smallest(extremes.floor_min_us));
    // Little's law on the means: what is in flight beyond one bandwidth-delay product is queued.
    let floor = mean(delta.floor_sum_us, delta.samples);
    let queue = in_flight - rate_per_us * floor;
    set(Signal::StandingQueue, if queue < 0.0 { 0.0 } else { queue });
    set(Signal::Opens, delta.opens as f32);
    set(Signal::Closes, delta.closes as f32);
    set(Signal::FailedConnects, delta.failed_connects as f32);
}
