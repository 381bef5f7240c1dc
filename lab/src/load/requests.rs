//! Which requests a scenario asks for at which time. Pure.

use crate::{
    fault::load_strength,
    scenario::{Effect, Load, Resolved, Shape},
};

/// Requests of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Requests per second at full strength.
    pub per_second: f64,
    /// Mean size of an answer.
    pub response_bytes: f64,
    /// Share of the requests that open a connection of their own.
    pub fresh_share: f64,
    /// Seconds from the start of the load, and how strength moves between them; `None`: always.
    pub window: Option<(f64, f64, Shape<f64>)>,
}

/// Share of a fault's requests on connections of their own: surges bring new users along.
const FAULT_FRESH_SHARE: f64 = 0.2;
/// What an answer costs on the link besides its body: header of HTTP, and 5 % for TCP, IP and Ethernet.
const HEADER_BYTES: f64 = 330.0;
const FRAMING: f64 = 1.05;

impl Stream {
    /// Requests per second at a time.
    pub fn rate(&self, t: f64) -> f64 {
        match &self.window {
            None => self.per_second,
            Some((from, to, shape)) if (*from..*to).contains(&t) => self.per_second * load_strength(shape, t - from),
            Some(_) => 0.0,
        }
    }
}

/// All streams of a scenario.
pub(crate) fn streams(scenario: &Resolved) -> Vec<Stream> {
    let per_second = |offered: f64, response_bytes: f64| {
        offered * scenario.capacity_bps() / 8.0 / ((response_bytes + HEADER_BYTES) * FRAMING)
    };
    let steady = scenario.loads.iter().filter_map(|load| match load {
        Load::Http(http) => Some(Stream {
            per_second: per_second(http.offered, http.response_bytes),
            response_bytes: http.response_bytes,
            fresh_share: http.fresh_share,
            window: None,
        }),
        Load::Trickle(trickle) => Some(Stream {
            per_second: trickle.requests_per_s,
            response_bytes: trickle.response_bytes,
            fresh_share: trickle.fresh_share,
            window: None,
        }),
        Load::Wrk(_) | Load::Bulk(_) => None,
    });
    let faults = scenario.faults.iter().zip(scenario.spans()).filter_map(|(fault, span)| match &fault.effect {
        Effect::Load { offered, response_bytes, shape } => Some(Stream {
            per_second: per_second(*offered, *response_bytes),
            response_bytes: *response_bytes,
            fresh_share: FAULT_FRESH_SHARE,
            window: Some((span.from, span.to, shape.clone())),
        }),
        _ => None,
    });
    steady.chain(faults).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::find;

    #[test]
    fn the_offered_load_is_a_share_of_the_bottleneck_with_its_headers() {
        let scenario = find("load-ramp-shared").unwrap().resolve(3).unwrap();
        let Load::Http(http) = &scenario.loads[0] else { panic!("an http load first") };
        let stream = &streams(&scenario)[0];
        let bits = stream.per_second * (stream.response_bytes + HEADER_BYTES) * FRAMING * 8.0;
        assert!((bits / (scenario.topology.rate_mbit * 1e6) - http.offered).abs() < 1e-9);
        assert!(stream.per_second <= 301.0);
    }

    #[test]
    fn a_ramp_begins_at_its_onset_and_ends_with_its_fault() {
        let scenario = find("load-ramp-shared").unwrap().resolve(3).unwrap();
        let span = scenario.spans()[0];
        let stream = streams(&scenario).pop().unwrap();
        assert_eq!(stream.rate(span.from - 0.1), 0.0);
        assert!(stream.rate(span.from + 5.0) > 0.0 && stream.rate(span.from + 5.0) < stream.per_second);
        assert_eq!(stream.rate(span.to), 0.0);
    }
}
