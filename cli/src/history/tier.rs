//! The resolutions in which points are kept, and how a row of points is found. Pure arithmetic of time.

/// Seconds of an hour, and of a week.
const HOUR: u64 = 3_600;
const WEEK: u64 = 7 * 24 * HOUR;

/// Bits of a key that hold the target. 16.7 million targets of one file, and rows of fine points up to the year 89,000.
const TARGET_BITS: u32 = 24;

/// The most that a target's number may be.
pub(super) const MOST_TARGETS: i64 = (1 << TARGET_BITS) - 1;

/// Slots that fit beside a target.
const MOST_SLOTS: u64 = 1 << (63 - TARGET_BITS);

/// A resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    /// Seconds, for an hour.
    Fine,
    /// Steps of ten seconds, for a week.
    Coarse,
}

impl Tier {
    /// Both, the one of short steps first.
    pub(super) const ALL: [Self; 2] = [Self::Fine, Self::Coarse];

    /// Seconds of a step.
    pub(super) const fn step(self) -> u64 {
        match self {
            Self::Fine => 1,
            Self::Coarse => 10,
        }
    }

    /// Steps of a row. Rows of fine points are short, because one is written again with each commit until it is full; those
    /// of coarse points are written once they are.
    pub(super) const fn points(self) -> usize {
        match self {
            Self::Fine => 10,
            Self::Coarse => 60,
        }
    }

    /// Seconds of a row.
    pub(super) const fn row(self) -> u64 {
        self.step() * self.points() as u64
    }

    /// How long rows are kept, s.
    pub(super) const fn age(self) -> u64 {
        match self {
            Self::Fine => HOUR,
            Self::Coarse => WEEK,
        }
    }

    /// The table of its rows.
    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Coarse => "coarse",
        }
    }

    /// The first second of the row that has `unix`.
    pub(super) const fn start(self, unix: u64) -> u64 {
        unix - unix % self.row()
    }

    /// The position of `unix` in its row.
    pub(super) const fn place(self, unix: u64) -> usize {
        (unix % self.row() / self.step()) as usize
    }

    /// The key of a row: time first, so that new rows come last and the oldest lie together. None for a time that no clock
    /// shows.
    pub(super) fn key(self, start: u64, target: i64) -> Option<i64> {
        let slot = start / self.row();
        let is_known = slot < MOST_SLOTS && (0..=MOST_TARGETS).contains(&target);
        is_known.then(|| (slot.cast_signed() << TARGET_BITS) | target)
    }

    /// First second and target of a key.
    pub(super) const fn of_key(self, key: i64) -> (u64, i64) {
        ((key >> TARGET_BITS).cast_unsigned() * self.row(), key & MOST_TARGETS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_ascend_with_time_and_give_back_what_they_were_made_of() {
        for tier in Tier::ALL {
            let start = tier.start(1_764_309_599);
            let (first, last) = (tier.key(start, 0).unwrap(), tier.key(start, MOST_TARGETS).unwrap());
            assert!(first < last && last < tier.key(start + tier.row(), 0).unwrap());
            assert_eq!((tier.of_key(first), tier.of_key(last)), ((start, 0), (start, MOST_TARGETS)));
        }
    }

    #[test]
    fn what_no_clock_shows_has_no_key() {
        assert_eq!(Tier::Fine.key(u64::MAX, 1), None);
        assert_eq!(Tier::Coarse.key(600, MOST_TARGETS + 1), None);
        assert_eq!(Tier::Coarse.key(600, -1), None);
    }

    #[test]
    fn a_second_has_one_place_in_one_row() {
        assert_eq!((Tier::Fine.start(1_239), Tier::Fine.place(1_239)), (1_230, 9));
        assert_eq!((Tier::Coarse.start(1_239), Tier::Coarse.place(1_239)), (1_200, 3));
        assert_eq!((Tier::Fine.row(), Tier::Coarse.row()), (10, 600));
    }
}
