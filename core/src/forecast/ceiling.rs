//! The upper bound on every forecast: no path and no kernel timer leads to more within the horizon.
//!
//! What is measured in the horizon was sent before its end. Either it was sent within it, and has waited no longer than the
//! horizon; or it waits already, about as long as the longest wait so far. Where that is short, growth bounds it sooner: a
//! retransmission timer doubles with each attempt (RFC 6298, 5.5), and [`GROWTH`] is four of them. Nothing below [`LEAST_US`]
//! is cut: on any path the loss of a first packet costs that.

use crate::tick::HORIZON;

/// The first retransmission timeout of a connection, µs (RFC 6298, 2.1).
const LEAST_US: f32 = 1_000_000.0;

/// How many times the largest RTT so far a forecast may be.
const GROWTH: f32 = 16.0;

const HORIZON_US: f32 = HORIZON as f32 * 1e6;

/// The most that is forecast in µs, after the largest RTT that was ever measured.
pub fn ceiling_us(largest_us: f32) -> f32 {
    (GROWTH * largest_us).min(HORIZON_US + largest_us).max(LEAST_US)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::forecast::Forecast;

    #[test]
    fn two_minutes_are_not_forecast_after_a_third_of_a_second() {
        for (largest_us, most_us) in [(375_000.0, 6e6), (50.0, 1e6), (2e6, 12e6), (118e6, 128e6)] {
            assert_eq!(ceiling_us(largest_us), most_us, "{largest_us}");
        }
    }

    proptest! {
        #[test]
        fn a_bounded_forecast_is_never_above_the_ceiling_and_else_what_it_was(
            ln_us in prop::array::uniform3(-5.0_f32..25.0),
            largest_us in 1.0_f32..1e9,
        ) {
            let ceiling_us = ceiling_us(largest_us);
            prop_assert!(ceiling_us >= largest_us, "what was seen may come again");
            let forecast = Forecast::from_ln(ln_us).unwrap();
            let bounded = forecast.at_most(ceiling_us);
            prop_assert!(bounded.quantiles_us().is_sorted());
            for (was, is) in forecast.quantiles_us().into_iter().zip(bounded.quantiles_us()) {
                prop_assert_eq!(is, was.min(ceiling_us));
            }
            prop_assert_eq!(bounded.at_most(ceiling_us), bounded);
        }
    }
}
