//! Scorecards as lists of numbers: for differences, and small on paper because most numbers are zero.

use netprecursor_core::score::{LEAD_BUCKETS, Scorecard};

/// Counters besides the histogram of lead times.
const COUNTERS: usize = 11;

/// Numbers in a card.
pub(super) const NUMBERS: usize = COUNTERS + LEAD_BUCKETS;

/// All numbers of a card. Their order is part of the snapshots' format: new ones go to the end.
pub(super) fn numbers(card: &Scorecard) -> [u64; NUMBERS] {
    // Spelled out, so that a new counter does not compile before it is kept.
    let Scorecard {
        alerts,
        confirmed,
        late,
        unconfirmed,
        unjudged,
        incidents,
        warned,
        missed,
        ongoing,
        gated,
        lead_seconds,
        target_seconds,
    } = card;
    let mut numbers = [0; NUMBERS];
    let counters =
        [alerts, confirmed, late, unconfirmed, unjudged, incidents, warned, missed, ongoing, gated, target_seconds];
    numbers.iter_mut().zip(counters.into_iter().chain(lead_seconds)).for_each(|(number, counter)| *number = *counter);
    numbers
}

/// The card of these numbers.
pub(super) fn card(numbers: [u64; NUMBERS]) -> Scorecard {
    let mut lead_seconds = [0; LEAD_BUCKETS];
    lead_seconds.copy_from_slice(&numbers[COUNTERS..]);
    let [alerts, confirmed, late, unconfirmed, unjudged, incidents, warned, missed, ongoing, gated, target_seconds, ..] =
        numbers;
    Scorecard {
        alerts,
        confirmed,
        late,
        unconfirmed,
        unjudged,
        incidents,
        warned,
        missed,
        ongoing,
        gated,
        lead_seconds,
        target_seconds,
    }
}

/// What `new` has more than `old`; `None` when any counter fell: then counting was reset.
pub(super) fn gained(old: &Scorecard, new: &Scorecard) -> Option<Scorecard> {
    let (old, mut gained) = (numbers(old), numbers(new));
    for (number, old) in gained.iter_mut().zip(old) {
        *number = number.checked_sub(old)?;
    }
    Some(card(gained))
}

/// Positions and values of what is not zero, one after the other.
pub(super) fn sparse(card: &Scorecard) -> Vec<u64> {
    let numbers = numbers(card).into_iter().enumerate().filter(|(_, number)| *number > 0);
    numbers.flat_map(|(position, number)| [position as u64, number]).collect()
}

/// The card of what [`sparse`] gave; positions that this release does not know are left out.
pub(super) fn dense(sparse: &[u64]) -> Scorecard {
    let mut numbers = [0; NUMBERS];
    for pair in sparse.chunks_exact(2) {
        if let Some(number) = usize::try_from(pair[0]).ok().and_then(|position| numbers.get_mut(position)) {
            *number = pair[1];
        }
    }
    card(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted() -> Scorecard {
        let mut numbers = [0; NUMBERS];
        numbers.iter_mut().zip(1..).for_each(|(number, value)| *number = value);
        card(numbers)
    }

    #[test]
    fn a_card_is_its_numbers() {
        let card = counted();
        assert_eq!((card.alerts, card.target_seconds, card.lead_seconds[0]), (1, 11, 12));
        assert_eq!(dense(&sparse(&card)), card);
        assert_eq!(sparse(&Scorecard { gated: 7, ..Scorecard::default() }), [9, 7]);
    }

    #[test]
    fn a_counter_that_fell_means_that_counting_began_anew() {
        let (old, mut new) = (counted(), counted());
        new.alerts += 2;
        assert_eq!(gained(&old, &new), Some(Scorecard { alerts: 2, ..Scorecard::default() }));
        new.lead_seconds[3] = 0;
        assert_eq!(gained(&old, &new), None);
    }
}
