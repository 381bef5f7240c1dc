//! What the other targets of a rule did: they share networks, and where one of them is in a queue the next one will be. Seen
//! a tick late, so that no target has to wait for the others of its own tick.

/// What a target shows the others: inputs of a chance, bounded by whoever makes them.
pub(super) const SHOWN: usize = 6;

/// Inputs that come of it: the mean of each over the other targets, and whether there are any.
pub(super) const PEERS: usize = SHOWN + 1;

/// What the others of a target showed in the tick before: means, and 1 where there are any.
pub type Seen = [f32; PEERS];

/// What one target showed in one tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    values: [f32; SHOWN],
    /// The tick, by [`Peers::ticks`].
    tick: u32,
}

/// The targets of a rule in the last tick and in this one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Peers {
    last: Sum,
    open: Sum,
    /// Ticks that were closed; wraps.
    ticks: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sum {
    values: [f64; SHOWN],
    targets: u32,
}

impl Peers {
    /// The means over the others in the last tick, for the target that showed `own` last; zeros when it is alone.
    pub(super) fn seen(&self, own: Option<&Shown>) -> Seen {
        let own = own.filter(|own| own.tick.wrapping_add(1) == self.ticks);
        let others = self.last.targets - u32::from(own.is_some() && self.last.targets > 0);
        let mut seen = [0.0; PEERS];
        if others > 0 {
            for (position, (slot, sum)) in seen.iter_mut().zip(self.last.values).enumerate() {
                let of_others = sum - own.map_or(0.0, |own| f64::from(own.values[position]));
                *slot = (of_others / f64::from(others)) as f32;
            }
            seen[SHOWN] = 1.0;
        }
        seen
    }

    /// Takes in what a target shows in this tick; the others see it in the next.
    pub(super) fn show(&mut self, values: [f32; SHOWN]) -> Shown {
        self.open.values.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(value));
        self.open.targets += 1;
        Shown { values, tick: self.ticks }
    }

    /// Ends a tick.
    pub fn close(&mut self) {
        self.last = std::mem::take(&mut self.open);
        self.ticks = self.ticks.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_sees_the_mean_of_the_others_a_tick_late_and_never_itself() {
        let mut peers = Peers::default();
        assert_eq!(peers.seen(None), [0.0; PEERS]);
        let shown = [1.0, 2.0, 6.0].map(|value| peers.show([value; SHOWN]));
        assert_eq!(peers.seen(Some(&shown[0])), [0.0; PEERS]);
        peers.close();
        let seen = shown.map(|own| peers.seen(Some(&own)));
        assert_eq!(seen.map(|seen| seen[0]), [4.0, 3.5, 1.5]);
        assert!(seen.iter().all(|seen| seen[SHOWN] == 1.0));
        // One that is new sees all of them, and so does one that was silent in the last tick.
        assert_eq!(peers.seen(None)[0], 3.0);
        peers.show([5.0; SHOWN]);
        peers.close();
        assert_eq!(peers.seen(Some(&shown[0]))[0], 5.0);
    }

    #[test]
    fn a_target_that_is_alone_sees_nothing() {
        let mut peers = Peers::default();
        for _ in 0..3 {
            let own = peers.show([1.0; SHOWN]);
            peers.close();
            assert_eq!(peers.seen(Some(&own)), [0.0; PEERS]);
        }
    }
}
