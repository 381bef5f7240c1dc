//! Protobuf's wire format (<https://protobuf.dev/programming-guides/encoding/>) over borrowed bytes. Nothing here
//! recurses or allocates, except for the lists that the caller passes in.

use super::limits;
use crate::Refusal;

/// A message that is read field by field. Knows its place in the file for messages.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    end: usize,
}

/// One field of a message.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) offset: usize,
    value: Value<'a>,
}

#[derive(Debug)]
enum Value<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(Reader<'a>),
    Fixed32([u8; 4]),
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, end: bytes.len() }
    }

    pub(super) fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    /// The next field, `None` at the end of the message.
    pub(super) fn next(&mut self) -> Result<Option<Field<'a>>, Refusal> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let offset = self.offset();
        let key = self.varint()?;
        let malformed = |got: String, expected| Refusal::Malformed { offset, got, expected };
        let number = u32::try_from(key >> 3)
            .ok()
            .filter(|number| (1..1 << 29).contains(number))
            .ok_or_else(|| malformed(format!("field number {}", key >> 3), "a field number from 1 to 2^29 - 1"))?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(self.array()?),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.message(length)?)
            }
            5 => Value::Fixed32(self.array()?),
            other => return Err(malformed(format!("wire type {other}"), "wire type 0, 1, 2 or 5")),
        };
        Ok(Some(Field { number, offset, value }))
    }

    fn varint(&mut self) -> Result<u64, Refusal> {
        let offset = self.offset();
        let mut value = 0u64;
        for (position, byte) in self.rest.iter().take(10).enumerate() {
            if position == 9 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * position);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[position + 1..];
                return Ok(value);
            }
        }
        if self.rest.len() < 10 {
            return Err(Refusal::Truncated { offset, need: self.rest.len() as u64 + 1, have: self.rest.len() });
        }
        Err(Refusal::Malformed { offset, got: "more than 64 bits".into(), expected: "a varint of at most 64 bits" })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let truncated = Refusal::Truncated { offset: self.offset(), need: N as u64, have: self.rest.len() };
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    fn message(&mut self, length: u64) -> Result<Self, Refusal> {
        let (offset, have) = (self.offset(), self.rest.len());
        let split = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let (head, tail) = split.ok_or(Refusal::Truncated { offset, need: length, have })?;
        self.rest = tail;
        Ok(Self { rest: head, end: offset + head.len() })
    }
}

impl<'a> Field<'a> {
    fn mismatch(&self, expected: &'static str) -> Refusal {
        let got = match self.value {
            Value::Varint(_) => "a varint",
            Value::Fixed64(_) => "8 bytes",
            Value::Bytes(_) => "length-delimited bytes",
            Value::Fixed32(_) => "4 bytes",
        };
        Refusal::Malformed { offset: self.offset, got: format!("{got} in field {}", self.number), expected }
    }

    pub(super) fn message(&self) -> Result<Reader<'a>, Refusal> {
        match &self.value {
            Value::Bytes(reader) => Ok(reader.clone()),
            _ => Err(self.mismatch("a message")),
        }
    }

    pub(super) fn bytes(&self) -> Result<&'a [u8], Refusal> {
        match &self.value {
            Value::Bytes(reader) => Ok(reader.rest),
            _ => Err(self.mismatch("bytes")),
        }
    }

    pub(super) fn text(&self) -> Result<&'a str, Refusal> {
        let expected = "UTF-8 text";
        std::str::from_utf8(self.bytes()?).map_err(|error| Refusal::Malformed {
            offset: self.offset,
            got: error.to_string(),
            expected,
        })
    }

    /// An int32, int64, enum or bool: two's complement in a varint.
    pub(super) fn int(&self) -> Result<i64, Refusal> {
        match self.value {
            Value::Varint(value) => Ok(value.cast_signed()),
            _ => Err(self.mismatch("a varint")),
        }
    }

    pub(super) fn float(&self) -> Result<f32, Refusal> {
        match self.value {
            Value::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err(self.mismatch("4 bytes")),
        }
    }

    /// Integers, packed or one by one.
    pub(super) fn ints(&self, into: &mut Vec<i64>) -> Result<(), Refusal> {
        match &self.value {
            Value::Varint(value) => push(into, value.cast_signed()),
            Value::Bytes(reader) => {
                let mut reader = reader.clone();
                while !reader.rest.is_empty() {
                    push(into, reader.varint()?.cast_signed())?;
                }
                Ok(())
            }
            _ => Err(self.mismatch("integers")),
        }
    }

    /// Floats, packed or one by one.
    pub(super) fn floats(&self, into: &mut Vec<f32>) -> Result<(), Refusal> {
        match &self.value {
            Value::Fixed32(bytes) => push(into, f32::from_le_bytes(*bytes)),
            Value::Bytes(reader) => {
                let mut reader = reader.clone();
                while !reader.rest.is_empty() {
                    push(into, f32::from_le_bytes(reader.array()?))?;
                }
                Ok(())
            }
            _ => Err(self.mismatch("floats")),
        }
    }

    /// Doubles, packed or one by one.
    pub(super) fn doubles(&self, into: &mut Vec<f64>) -> Result<(), Refusal> {
        match &self.value {
            Value::Fixed64(bytes) => push(into, f64::from_le_bytes(*bytes)),
            Value::Bytes(reader) => {
                let mut reader = reader.clone();
                while !reader.rest.is_empty() {
                    push(into, f64::from_le_bytes(reader.array()?))?;
                }
                Ok(())
            }
            _ => Err(self.mismatch("doubles")),
        }
    }
}

/// Appends within [`limits::TENSOR_ELEMENTS`].
pub(super) fn push<T>(into: &mut Vec<T>, value: T) -> Result<(), Refusal> {
    push_within(into, value, "elements of a list", limits::TENSOR_ELEMENTS)
}

/// Appends within a bound.
pub(super) fn push_within<T>(into: &mut Vec<T>, value: T, what: &'static str, limit: usize) -> Result<(), Refusal> {
    if into.len() == limit {
        return Err(Refusal::TooMany { what, limit });
    }
    into.push(value);
    Ok(())
}
