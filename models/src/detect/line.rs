//! A line of numbers, in order or by name.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Unexpected, Visitor},
};

/// What a line has, as messages put it.
const NUMBER: &str = "a finite number, or null for what was not measured";

/// A line of numbers, NaN for null. `[1.5, null]`, or `{"rtt_max_us": 1.5}`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    Ordered(Vec<f64>),
    Named(Vec<(String, f64)>),
}

/// A number that is finite in single precision; null is NaN. As it was posted, so that bounds are not rounded to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number(pub(super) f64);

struct Lines;
struct Numbers;

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lines)
    }
}

impl<'de> Visitor<'de> for Lines {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers in the order of the schema, or an object of numbers by name")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Line, A::Error> {
        let mut values = Vec::new();
        while let Some(Number(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Line::Ordered(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        let mut values = Vec::new();
        while let Some((name, Number(value))) = map.next_entry()? {
            values.push((name, value));
        }
        Ok(Line::Named(values))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Numbers)
    }
}

impl Visitor<'_> for Numbers {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NUMBER)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
        if value.abs() <= f64::from(f32::MAX) {
            Ok(Number(value))
        } else {
            Err(E::invalid_value(Unexpected::Float(value), &self))
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
        Ok(Number(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
        Ok(Number(value as f64))
    }

    fn visit_unit<E: Error>(self) -> Result<Number, E> {
        Ok(Number(f64::NAN))
    }
}
