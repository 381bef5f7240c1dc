//! How far a signal lies above what is usual for its target.

use crate::{
    signal::Signal,
    window::{LENGTH, Window},
};

/// Ticks over which the present is averaged: what has just begun shows in two, what wavers needs four.
const SPANS: [usize; 2] = [2, 4];

/// The newest ticks, of which nothing counts as usual: when an alert fires its fault has often begun already.
const RECENT: usize = 16;

/// Spans that have to be known of the time before.
const LEAST: usize = 5;

/// A signal beside what is usual for it, in its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Excess {
    /// Its mean over the newest ticks.
    pub(super) now: f32,
    /// The upper quartile of such means over the minute before them.
    pub(super) usual: f32,
    /// ln of one over the other, each with the floor added: below it nothing is large.
    pub(super) ln: f32,
}

/// The larger excess of the two spans; `None` when the signal was not measured now, or hardly before.
pub(super) fn of(window: &Window, signal: Signal, floor: f32) -> Option<Excess> {
    let mut values = [f32::NAN; LENGTH];
    let len = window.len().min(LENGTH);
    for (slot, value) in values.iter_mut().zip(window.signal(signal)) {
        *slot = value;
    }
    let values = &values[..len];
    let excess = SPANS.into_iter().filter_map(|span| against(values, span, floor));
    excess.max_by(|a, b| a.ln.total_cmp(&b.ln))
}

fn against(values: &[f32], span: usize, floor: f32) -> Option<Excess> {
    let now = mean(values.get(values.len().checked_sub(span)?..)?)?;
    let mut before = [0.0; LENGTH];
    let mut count = 0;
    for value in values[..values.len().saturating_sub(RECENT)].windows(span).filter_map(mean) {
        before[count] = value;
        count += 1;
    }
    if count < LEAST {
        return None;
    }
    let before = &mut before[..count];
    before.sort_unstable_by(f32::total_cmp);
    let usual = upper_quartile(before);
    Some(Excess { now, usual, ln: ((now + floor) / (usual + floor)).ln() })
}

/// The mean of what was measured.
fn mean(values: &[f32]) -> Option<f32> {
    let (mut sum, mut count) = (0.0, 0_u8);
    for value in values.iter().filter(|value| value.is_finite()) {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / f32::from(count))
}

/// Of sorted values, interpolated between neighbours.
fn upper_quartile(sorted: &[f32]) -> f32 {
    let last = sorted.len() - 1;
    let (below, rest) = (3 * last / 4, (3 * last % 4) as f32 / 4.0);
    sorted[below] + rest * (sorted[(below + 1).min(last)] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{signal::Signals, tick::Tick};

    fn window(ticks: u64, opens: impl Fn(u64) -> f32) -> Window {
        let mut window = Window::new();
        for tick in 0..ticks {
            let mut signals = Signals::ABSENT;
            signals.set(Signal::Opens, opens(tick));
            if tick % 3 == 0 {
                signals.set(Signal::RttP50, 10.0 * opens(tick));
            }
            window.push(Tick(tick), &signals).unwrap();
        }
        window
    }

    #[test]
    fn a_signal_stands_beside_the_upper_quartile_of_its_own_minute() {
        let window = window(60, |tick| if tick < 58 { (tick % 5) as f32 } else { 40.0 });
        let excess = of(&window, Signal::Opens, 3.0).unwrap();
        assert_eq!((excess.now, excess.usual), (40.0, 2.5), "two ticks of forty; means of two of 0 1 2 3 4 0 1 …");
        assert!((excess.ln - (43_f32 / 5.5).ln()).abs() < 1e-6);
    }

    #[test]
    fn what_wavers_is_judged_by_four_ticks_and_gaps_are_skipped() {
        let window = window(60, |tick| match tick {
            0..=55 => 10.0,
            tick if tick % 2 == 0 => 60.0,
            _ => 0.0,
        });
        assert_eq!(of(&window, Signal::Opens, 3.0).unwrap().now, 30.0);
        assert_eq!(of(&window, Signal::RttP50, 1.0).unwrap().now, 0.0, "measured at tick 57 alone of the last four");
    }

    #[test]
    fn sixteen_seconds_of_fault_do_not_become_usual() {
        let window = window(60, |tick| if tick < 44 { 5.0 } else { 50.0 });
        assert_eq!(of(&window, Signal::Opens, 3.0).unwrap().usual, 5.0);
    }

    #[test]
    fn without_a_time_before_or_a_present_nothing_is_said() {
        assert_eq!(of(&Window::new(), Signal::Opens, 3.0), None);
        assert_eq!(of(&window(20, |_| 5.0), Signal::Opens, 3.0), None);
        assert_eq!(of(&window(60, |tick| if tick < 50 { 5.0 } else { f32::NAN }), Signal::RttP50, 3.0), None);
    }

    #[test]
    fn below_its_floor_nothing_is_large() {
        let window = window(60, |tick| if tick < 58 { 0.0 } else { 1.0 });
        assert!(of(&window, Signal::Opens, 30.0).unwrap().ln < 0.04);
    }
}
