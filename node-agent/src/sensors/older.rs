//! The smoothed RTT of sockets that are older than the agent, which the egress program of `traffic` looks at.

use aya::Ebpf;
use netprecursor_agent_common::{
    names::map,
    older::{OlderExtremes, OlderSlot},
};
use netprecursor_core::source::Smoothed;

use super::mapped::{Mapped, MappedError};

/// The slots. Nothing is counted in them that has to be subtracted: what they hold is of one epoch.
#[derive(Debug)]
pub struct Older {
    slots: Mapped<OlderSlot>,
    cpus: usize,
}

impl Older {
    /// Takes the slots of the loaded object.
    pub fn take(bpf: &mut Ebpf, cpus: u32) -> Result<Self, MappedError> {
        Ok(Self { slots: Mapped::take(bpf, map::OLDER_SLOTS)?, cpus: cpus as usize })
    }

    /// What `slot` held in the epoch that ended.
    pub fn read(&self, slot: u32, ended: u32) -> Smoothed {
        let copies = (0..self.cpus).filter_map(|cpu| self.slots.read(slot as usize * self.cpus + cpu));
        merge(copies.map(|slot| slot.extremes[(ended & 1) as usize]).filter(|extremes| extremes.epoch == ended))
    }
}

/// What the CPUs saw in one epoch.
fn merge(copies: impl Iterator<Item = OlderExtremes>) -> Smoothed {
    let all = copies.fold(OlderExtremes::empty(0), |all, cpu| OlderExtremes {
        epoch: 0,
        samples: all.samples.saturating_add(cpu.samples),
        low_us: all.low_us.min(cpu.low_us),
        bulk_max_us: all.bulk_max_us.max(cpu.bulk_max_us),
        floor_min_us: all.floor_min_us.min(cpu.floor_min_us),
    });
    // Slots that nothing was ever counted in are zeroes.
    if all.samples == 0 {
        return Smoothed::NONE;
    }
    let known = |us: u32, absent: u32| if us == absent { f32::NAN } else { us as f32 };
    Smoothed {
        samples: all.samples as f32,
        low_us: known(all.low_us, u32::MAX),
        bulk_us: known(all.bulk_max_us, 0),
        floor_us: known(all.floor_min_us, u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpus_add_up_and_what_was_not_seen_is_no_number() {
        let (mut one, mut other) = (OlderExtremes::empty(7), OlderExtremes::empty(7));
        (one.samples, one.low_us, one.floor_min_us) = (2, 900, 500);
        (other.samples, other.bulk_max_us, other.floor_min_us) = (1, 80_000, 400);
        let expected = Smoothed { samples: 3.0, low_us: 900.0, bulk_us: 80_000.0, floor_us: 400.0 };
        assert_eq!(merge([one, other].into_iter()), expected);
        assert!(merge([one].into_iter()).bulk_us.is_nan());
        assert_eq!(merge(std::iter::empty()).samples, 0.0);
    }
}
