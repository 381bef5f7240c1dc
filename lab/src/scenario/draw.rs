//! A number of a scenario: fixed, or a range that the seed fills in.

use std::{fmt, ops::RangeInclusive};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::LabError;

/// An exponential draw never exceeds its minimum by more than this many means (2 % of draws are cut).
const EXPONENTIAL_CAP: f64 = 4.0;

/// How a number comes about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Draw {
    /// `12`
    Fixed(f64),
    /// `{min: 2, max: 40}`: uniform
    Uniform {
        /// Lower end.
        min: f64,
        /// Upper end.
        max: f64,
    },
    /// `{min: 2, max: 40, log: true}`: uniform in the logarithm, for sizes and rates
    Log {
        /// Lower end, above zero.
        min: f64,
        /// Upper end.
        max: f64,
    },
    /// `{exponential: 15, min: 0, max: 60}`: `min` + exponential with this mean, cut at `max`
    Exponential {
        /// Mean of the exponential part.
        mean: f64,
        /// Added to it.
        min: f64,
        /// Never above this.
        max: f64,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    min: Option<f64>,
    max: Option<f64>,
    #[serde(default)]
    log: bool,
    exponential: Option<f64>,
}

impl Draw {
    /// Smallest and largest value that can come out.
    pub fn span(&self) -> RangeInclusive<f64> {
        match *self {
            Self::Fixed(value) => value..=value,
            Self::Uniform { min, max } | Self::Log { min, max } | Self::Exponential { min, max, .. } => min..=max,
        }
    }

    /// Draws the number.
    ///
    /// # Errors
    /// [`LabError::Range`] when an end of the range is not finite, out of `bounds`, or above the other end.
    pub fn resolve(&self, field: &str, bounds: RangeInclusive<f64>, random: &mut Randomness) -> Result<f64, LabError> {
        let span = self.span();
        let range = |expected: String| LabError::Range { field: field.into(), got: self.to_string(), expected };
        if !(bounds.contains(span.start()) && bounds.contains(span.end())) {
            return Err(range(format!("values from {} to {}", bounds.start(), bounds.end())));
        }
        if span.start() > span.end() {
            return Err(range("min not above max".into()));
        }
        let value = match *self {
            Self::Fixed(value) => value,
            Self::Uniform { min, max } => min + (max - min) * random.unit(),
            Self::Log { min, .. } if min <= 0.0 => return Err(range("min above 0 where log is true".into())),
            Self::Log { min, max } => (min.ln() + (max / min).ln() * random.unit()).exp(),
            Self::Exponential { mean, .. } if !mean.is_finite() || mean <= 0.0 => {
                return Err(range("a finite mean above 0".into()));
            }
            Self::Exponential { mean, min, max } => min + mean * random.exponential().min((max - min) / mean),
        };
        // Four significant digits read well in the resolved file and change nothing.
        let digits = 10f64.powi(3 - value.abs().max(1e-9).log10().floor() as i32);
        Ok(((value * digits).round() / digits).clamp(*span.start(), *span.end()))
    }
}

impl fmt::Display for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(value) => write!(f, "{value}"),
            Self::Uniform { min, max } => write!(f, "{{min: {min}, max: {max}}}"),
            Self::Log { min, max } => write!(f, "{{min: {min}, max: {max}, log: true}}"),
            Self::Exponential { mean, min, max } => write!(f, "{{exponential: {mean}, min: {min}, max: {max}}}"),
        }
    }
}

impl<'de> Deserialize<'de> for Draw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Draw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, {min, max}, {min, max, log: true} or {exponential: mean}")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Draw, E> {
                Ok(Draw::Fixed(value))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Draw, E> {
                Ok(Draw::Fixed(value as f64))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Draw, E> {
                Ok(Draw::Fixed(value as f64))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Draw, A::Error> {
                match Fields::deserialize(de::value::MapAccessDeserializer::new(map))? {
                    Fields { min, max, log: false, exponential: Some(mean) } => {
                        let min = min.unwrap_or(0.0);
                        Ok(Draw::Exponential { mean, min, max: max.unwrap_or(min + EXPONENTIAL_CAP * mean) })
                    }
                    Fields { min: Some(min), max: Some(max), log: true, exponential: None } => {
                        Ok(Draw::Log { min, max })
                    }
                    Fields { min: Some(min), max: Some(max), log: false, exponential: None } => {
                        Ok(Draw::Uniform { min, max })
                    }
                    _ => Err(de::Error::custom("expected {min, max}, {min, max, log: true} or {exponential: mean}")),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Draw {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = match *self {
            Self::Fixed(value) => return serializer.serialize_f64(value),
            _ => serializer.serialize_map(None)?,
        };
        if let Self::Exponential { mean, .. } = self {
            map.serialize_entry("exponential", mean)?;
        }
        map.serialize_entry("min", self.span().start())?;
        map.serialize_entry("max", self.span().end())?;
        if let Self::Log { .. } = self {
            map.serialize_entry("log", &true)?;
        }
        map.end()
    }
}

impl JsonSchema for Draw {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Draw".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = || json_schema!({"type": "number"});
        json_schema!({
            "description": "A number, or a range that the seed fills in.",
            "oneOf": [
                number(),
                {"type": "object", "additionalProperties": false, "required": ["min", "max"],
                 "properties": {"min": number(), "max": number(), "log": {"type": "boolean"}}},
                {"type": "object", "additionalProperties": false, "required": ["exponential"],
                 "properties": {"exponential": number(), "min": number(), "max": number()}},
            ],
        })
    }
}

/// Reproducible randomness: the same seed and stream give the same numbers on every machine.
#[derive(Debug)]
pub struct Randomness(ChaCha8Rng);

impl Randomness {
    /// One of 2⁶⁴ independent streams of a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(stream);
        Self(generator)
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Uniform in `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Draw, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_way_of_writing_a_number_is_read_and_written_back() {
        for text in ["12", "0.5", "{min: 2, max: 40}", "{min: 2, max: 40, log: true}", "{exponential: 15}"] {
            let draw = parse(text).unwrap();
            assert_eq!(parse(&serde_saphyr::to_string(&draw).unwrap()).unwrap(), draw, "{text}");
        }
    }

    #[test]
    fn an_unknown_field_is_named() {
        assert!(parse("{min: 2, maxx: 40}").unwrap_err().contains("maxx"));
    }

    #[test]
    fn draws_stay_in_their_range_and_repeat_with_the_seed() {
        for text in ["{min: 2, max: 40}", "{min: 2, max: 40, log: true}", "{exponential: 15, min: 3, max: 30}"] {
            let draw = parse(text).unwrap();
            let all = |seed| {
                let mut random = Randomness::new(seed, 0);
                (0..500).map(|_| draw.resolve("x", 0.0..=100.0, &mut random).unwrap()).collect::<Vec<_>>()
            };
            assert_eq!(all(7), all(7));
            assert_ne!(all(7), all(8));
            assert!(all(7).iter().all(|value| draw.span().contains(value)), "{text}");
        }
    }

    #[test]
    fn what_is_not_finite_is_refused() {
        assert!(parse(".nan").is_err());
        let error = Draw::Fixed(f64::NAN).resolve("x", 0.0..=1.0, &mut Randomness::new(1, 0)).unwrap_err();
        assert!(error.to_string().contains("values from 0 to 1"), "{error}");
    }

    #[test]
    fn an_impossible_range_says_which_one_and_what_is_allowed() {
        for (text, expected) in [
            ("{min: 40, max: 2}", "min not above max"),
            ("{min: 2, max: 400}", "values from 0 to 100"),
            ("{min: 0, max: 2, log: true}", "min above 0"),
            ("{exponential: 0}", "mean above 0"),
        ] {
            let error =
                parse(text).unwrap().resolve("topology.rate", 0.0..=100.0, &mut Randomness::new(1, 0)).unwrap_err();
            assert!(error.to_string().contains(expected) && error.to_string().contains("topology.rate"), "{error}");
        }
    }
}
