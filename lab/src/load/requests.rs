//! Which requests a scenario asks for at which time. Pure.

use std::f64::consts::TAU;

use crate::{
    fault::load_strength,
    scenario::{Effect, Load, Resolved, Shape, Span},
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
    /// The server that is asked, from 0; all of them in turn, by chance, where there is none.
    pub server: Option<usize>,
    /// How the rate moves.
    pub course: Course,
}

/// How the rate of a stream moves over time.
#[derive(Debug, Clone, PartialEq)]
pub enum Course {
    /// Not at all.
    Steady,
    /// A sine around the stream's rate, cut at zero.
    Tide {
        /// Seconds from one high to the next.
        every_s: f64,
        /// Amplitude as a share of the stream's rate.
        swing: f64,
        /// Where in its course it begins, 0–1.
        phase: f64,
    },
    /// Only while a fault lasts.
    Fault {
        /// When.
        span: Span,
        /// How its strength moves.
        shape: Shape<f64>,
    },
}

/// Share of a fault's requests on connections of their own: surges bring new users along.
const FAULT_FRESH_SHARE: f64 = 0.2;
/// What an answer costs on the link besides its body: header of HTTP, and 5 % for TCP, IP and Ethernet.
const HEADER_BYTES: f64 = 330.0;
const FRAMING: f64 = 1.05;

impl Stream {
    /// Requests per second at a time.
    pub fn rate(&self, t: f64) -> f64 {
        self.per_second * self.course.strength(t)
    }
}

impl Course {
    fn strength(&self, t: f64) -> f64 {
        match self {
            Self::Steady => 1.0,
            Self::Tide { every_s, swing, phase } => (1.0 + swing * (TAU * (t / every_s + phase)).sin()).max(0.0),
            Self::Fault { span, shape } if (span.from..span.to).contains(&t) => load_strength(shape, t - span.from),
            Self::Fault { .. } => 0.0,
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
            server: None,
            course: Course::Steady,
        }),
        Load::Trickle(trickle) => Some(Stream {
            per_second: trickle.requests_per_s,
            response_bytes: trickle.response_bytes,
            fresh_share: trickle.fresh_share,
            server: None,
            course: Course::Steady,
        }),
        Load::Tide(tide) => Some(Stream {
            per_second: tide.requests_per_s,
            response_bytes: tide.response_bytes,
            fresh_share: tide.fresh_share,
            server: tide.server.map(|server| (server as usize).saturating_sub(1) % scenario.servers()),
            course: Course::Tide { every_s: tide.every_s, swing: tide.swing, phase: tide.phase },
        }),
        Load::Wrk(_) | Load::Bulk(_) => None,
    });
    let faults = scenario.faults.iter().zip(scenario.spans()).filter_map(|(fault, span)| match &fault.effect {
        Effect::Load { offered, response_bytes, shape, server } => Some(Stream {
            // What leads to one server is its own bottleneck, or the one that all share.
            per_second: per_second(*offered, *response_bytes)
                / if server.is_some() { scenario.bottlenecks() } else { 1.0 },
            response_bytes: *response_bytes,
            fresh_share: FAULT_FRESH_SHARE,
            server: server.map(|server| server as usize - 1),
            course: Course::Fault { span, shape: shape.clone() },
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

    #[test]
    fn a_tide_has_a_high_a_low_and_an_idle_time() {
        let course = Course::Tide { every_s: 100.0, swing: 1.5, phase: 0.25 };
        assert!((course.strength(0.0) - 2.5).abs() < 1e-9 && (course.strength(25.0) - 1.0).abs() < 1e-9);
        assert_eq!(course.strength(50.0), 0.0);
    }

    #[test]
    fn every_server_has_a_tide_of_its_own() {
        let scenario = find("long-calm").unwrap().resolve(3).unwrap();
        let streams = streams(&scenario);
        let mut servers: Vec<usize> = streams
            .iter()
            .filter_map(|stream| match stream.course {
                Course::Tide { .. } => stream.server,
                _ => None,
            })
            .collect();
        servers.sort_unstable();
        servers.dedup();
        assert!(servers.into_iter().eq(0..scenario.servers()));
        assert_ne!(streams[0].per_second, streams[1].per_second);
    }

    #[test]
    fn a_surge_of_one_server_is_a_share_of_its_own_bottleneck() {
        let scenario = find("long-calm").unwrap().resolve(3).unwrap();
        let Effect::Load { offered, .. } = scenario.faults[0].effect else { panic!("a load fault first") };
        let streams = streams(&scenario);
        let surge = streams.iter().find(|stream| matches!(stream.course, Course::Fault { .. })).unwrap();
        let bits = surge.per_second * (surge.response_bytes + HEADER_BYTES) * FRAMING * 8.0;
        assert!((bits / (scenario.topology.rate_mbit * 1e6) - offered).abs() < 1e-9);
        assert!(surge.server.is_some_and(|server| server < scenario.servers()));
    }
}
