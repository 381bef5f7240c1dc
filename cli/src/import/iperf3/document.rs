//! The parts of iperf3's JSON that matter, and how they are read one interval at a time.

use std::fmt;

use netprecursor_core::policy::MAX_THRESHOLD_US;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The part before the first interval.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Start {
    pub(super) timestamp: Option<Timestamp>,
    pub(super) connecting_to: Option<Host>,
    pub(super) tcp_mss_default: Option<f64>,
    pub(super) test_start: Option<Test>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Timestamp {
    pub(super) timesecs: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Host {
    pub(super) host: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Test {
    pub(super) protocol: String,
}

/// What was measured from one report to the next.
#[derive(Debug, Deserialize)]
pub(super) struct Interval {
    #[serde(deserialize_with = "few")]
    pub(super) streams: Vec<Stream>,
}

/// One connection of an interval.
#[derive(Debug, Deserialize)]
pub(super) struct Stream {
    pub(super) start: f64,
    pub(super) end: f64,
    /// In µs; 0 where the kernel has none yet.
    #[serde(default, deserialize_with = "round_trip")]
    pub(super) rtt: Option<f64>,
    #[serde(default, deserialize_with = "not_negative")]
    pub(super) retransmits: Option<f64>,
    /// In bytes.
    #[serde(default, deserialize_with = "not_negative")]
    pub(super) snd_cwnd: Option<f64>,
    /// Whether it belongs to the beginning that --omit leaves out, after which time begins anew.
    #[serde(default)]
    pub(super) omitted: bool,
}

/// Streams of a run; iperf3 makes 128 at most.
const MAX_STREAMS: usize = 1_024;

/// As many streams as a run can have.
fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Stream>, D::Error> {
    struct Few;
    impl<'de> Visitor<'de> for Few {
        type Value = Vec<Stream>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("streams of iperf3")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Stream>, A::Error> {
            let mut streams = Vec::new();
            while let Some(stream) = seq.next_element()? {
                if streams.len() == MAX_STREAMS {
                    return Err(A::Error::custom(format!("more than {MAX_STREAMS} streams")));
                }
                streams.push(stream);
            }
            Ok(streams)
        }
    }
    deserializer.deserialize_seq(Few)
}

/// A number, refused on its own line.
fn not_negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let number = Option::<f64>::deserialize(deserializer)?;
    match number {
        Some(number) if number < 0.0 => Err(D::Error::custom(format!("{number} below 0"))),
        number => Ok(number),
    }
}

fn round_trip<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match not_negative(deserializer)? {
        Some(us) if us > MAX_THRESHOLD_US as f64 => Err(D::Error::custom(format!("a round trip of {us} µs"))),
        number => Ok(number),
    }
}

/// Who takes in what is read. An error is kept by them; what is returned stops the reading.
pub(super) trait Reader {
    fn start(&mut self, start: Start) -> Result<(), Stop>;
    fn interval(&mut self, interval: &Interval) -> Result<(), Stop>;
    fn failed(&mut self, error: String) -> Result<(), Stop>;
}

/// Reading stops for a reason that the reader has kept.
#[derive(Debug)]
pub(super) struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped")
    }
}

/// A document of `-J`, or a line of `--json-stream`, read into a reader.
pub(super) struct Document<'a, R>(pub(super) &'a mut R);

impl<'de, R: Reader> DeserializeSeed<'de> for Document<'_, R> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, R: Reader> Visitor<'de> for Document<'_, R> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of iperf3")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut event = None;
        while let Some(key) = map.next_key::<String>()? {
            match (key.as_str(), event.as_deref()) {
                ("event", _) => event = Some(map.next_value::<String>()?),
                ("start", None) | ("data", Some("start")) => {
                    self.0.start(map.next_value()?).map_err(A::Error::custom)?;
                }
                ("intervals", None) => map.next_value_seed(Intervals(&mut *self.0))?,
                ("data", Some("interval")) => {
                    let interval = map.next_value()?;
                    self.0.interval(&interval).map_err(A::Error::custom)?;
                }
                ("error", None) | ("data", Some("error")) => {
                    self.0.failed(map.next_value()?).map_err(A::Error::custom)?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

struct Intervals<'a, R>(&'a mut R);

impl<'de, R: Reader> DeserializeSeed<'de> for Intervals<'_, R> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, R: Reader> Visitor<'de> for Intervals<'_, R> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("intervals of iperf3")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(interval) = seq.next_element::<Interval>()? {
            self.0.interval(&interval).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}
