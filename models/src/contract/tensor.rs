//! Constant tensors: their size is checked against their dimensions before a number is read.

use super::limits;
use super::wire::Reader;
use crate::Refusal;
use crate::refusal::shown;

/// Element types of `TensorProto.DataType` that a model may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// IEEE 754 single.
    Float,
    /// 8 bits, unsigned.
    Uint8,
    /// 8 bits, signed.
    Int8,
    /// 16 bits, unsigned.
    Uint16,
    /// 16 bits, signed.
    Int16,
    /// 32 bits, signed.
    Int32,
    /// 64 bits, signed.
    Int64,
    /// Byte strings.
    String,
    /// One byte, 0 or 1.
    Bool,
    /// IEEE 754 half.
    Float16,
    /// IEEE 754 double.
    Double,
    /// 32 bits, unsigned.
    Uint32,
    /// 64 bits, unsigned.
    Uint64,
    /// The upper half of a single.
    Bfloat16,
}

impl ElementType {
    /// The type with a number of `TensorProto.DataType`; `None` for complex, 8-bit float and sub-byte types.
    pub const fn from_onnx(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::Float,
            2 => Self::Uint8,
            3 => Self::Int8,
            4 => Self::Uint16,
            5 => Self::Int16,
            6 => Self::Int32,
            7 => Self::Int64,
            8 => Self::String,
            9 => Self::Bool,
            10 => Self::Float16,
            11 => Self::Double,
            12 => Self::Uint32,
            13 => Self::Uint64,
            16 => Self::Bfloat16,
            _ => return None,
        })
    }

    /// Bytes per element in `raw_data`; strings are never raw.
    const fn bytes(self) -> Option<usize> {
        Some(match self {
            Self::Uint8 | Self::Int8 | Self::Bool => 1,
            Self::Uint16 | Self::Int16 | Self::Float16 | Self::Bfloat16 => 2,
            Self::Float | Self::Int32 | Self::Uint32 => 4,
            Self::Double | Self::Int64 | Self::Uint64 => 8,
            Self::String => return None,
        })
    }
}

/// A constant of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<'a> {
    /// Its name; empty inside attributes.
    pub name: &'a str,
    /// Its dimensions; empty for a scalar.
    pub dims: Vec<usize>,
    /// The type of its elements.
    pub element: ElementType,
    data: Data<'a>,
}

#[derive(Debug, Clone, PartialEq)]
enum Data<'a> {
    Raw(&'a [u8]),
    Floats(Vec<f32>),
    Doubles(Vec<f64>),
    Ints(Vec<i64>),
    Strings(usize),
}

/// The fields of a tensor as they come.
#[derive(Default)]
struct Fields<'a> {
    name: &'a str,
    dims: Vec<i64>,
    kind: i64,
    is_external: bool,
    raw: Option<&'a [u8]>,
    strings: usize,
    floats: Vec<f32>,
    doubles: Vec<f64>,
    ints: Vec<i64>,
}

impl<'a> Fields<'a> {
    fn read(mut reader: Reader<'a>) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        while let Some(field) = reader.next()? {
            match field.number {
                1 => {
                    field.ints(&mut fields.dims)?;
                    if fields.dims.len() > limits::RANK {
                        return Err(Refusal::TooMany { what: "dimensions of a tensor", limit: limits::RANK });
                    }
                }
                2 => fields.kind = field.int()?,
                4 => field.floats(&mut fields.floats)?,
                5 | 7 | 11 => field.ints(&mut fields.ints)?,
                6 => {
                    field.bytes()?;
                    fields.strings += 1;
                }
                8 => fields.name = field.text()?,
                9 if fields.raw.is_some() => {
                    let expected = "raw_data once";
                    return Err(Refusal::Malformed { offset: field.offset, got: "raw_data again".into(), expected });
                }
                9 => fields.raw = Some(field.bytes()?),
                10 => field.doubles(&mut fields.doubles)?,
                3 => {
                    let (place, expected) = (shown(fields.name), "whole tensors");
                    return Err(Refusal::Unsupported { place, got: "a tensor segment".into(), expected });
                }
                13 => fields.is_external = true,
                14 => fields.is_external |= field.int()? != 0,
                _ => {}
            }
        }
        Ok(fields)
    }

    /// Whether more than one of them holds data.
    fn is_ambiguous(&self) -> bool {
        let raw = self.raw.map_or(0, <[u8]>::len);
        let kept = [self.floats.len(), self.doubles.len(), self.ints.len(), self.strings, raw];
        kept.iter().filter(|length| **length > 0).count() > 1
    }

    /// The data of as many elements as `expected`.
    fn data(self, place: &str, element: ElementType, expected: usize) -> Result<Data<'a>, Refusal> {
        let mismatch = |got, expected, unit| Refusal::DataLength { place: place.to_owned(), got, expected, unit };
        let data = match (self.raw, element.bytes()) {
            (Some(raw), Some(size)) if !raw.is_empty() || expected == 0 => {
                if raw.len() != expected * size {
                    return Err(mismatch(raw.len(), expected * size, "bytes"));
                }
                Data::Raw(raw)
            }
            _ => match element {
                ElementType::Float => Data::Floats(self.floats),
                ElementType::Double => Data::Doubles(self.doubles),
                ElementType::String => Data::Strings(self.strings),
                _ => Data::Ints(self.ints),
            },
        };
        let got = data.len(element);
        if got == expected { Ok(data) } else { Err(mismatch(got, expected, "elements")) }
    }
}

impl<'a> Tensor<'a> {
    pub(super) fn read(reader: Reader<'a>) -> Result<Self, Refusal> {
        let offset = reader.offset();
        let fields = Fields::read(reader)?;
        let name = fields.name;
        let place = if name.is_empty() { format!("at byte {offset}") } else { shown(name) };
        if fields.is_external {
            return Err(Refusal::ExternalData { place });
        }
        let element = ElementType::from_onnx(fields.kind).ok_or_else(|| Refusal::Unsupported {
            place: format!("tensor {place}"),
            got: format!("element type {}", fields.kind),
            expected: "float, double, half, bfloat16, bool, string or an integer of 8 to 64 bits",
        })?;
        let dims = dimensions(&place, &fields.dims)?;
        if fields.is_ambiguous() {
            let got = format!("several data fields in tensor {place}");
            return Err(Refusal::Malformed { offset, got, expected: "one data field per tensor" });
        }
        let data = fields.data(&place, element, dims.iter().product())?;
        Ok(Self { name, dims, element, data })
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// The elements of a float tensor.
    pub fn floats(&self) -> Option<Vec<f32>> {
        match (&self.data, self.element) {
            (Data::Floats(values), _) => Some(values.clone()),
            (Data::Raw(raw), ElementType::Float) => {
                Some(raw.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            }
            _ => None,
        }
    }

    /// The elements of an int32, int64 or uint8 tensor.
    pub fn ints(&self) -> Option<Vec<i64>> {
        match (&self.data, self.element) {
            (Data::Ints(values), ElementType::Int64 | ElementType::Int32 | ElementType::Uint8) => Some(values.clone()),
            (Data::Raw(raw), ElementType::Int64) => {
                Some(raw.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
            }
            (Data::Raw(raw), ElementType::Int32) => {
                Some(raw.as_chunks::<4>().0.iter().map(|bytes| i32::from_le_bytes(*bytes).into()).collect())
            }
            (Data::Raw(raw), ElementType::Uint8) => Some(raw.iter().map(|byte| (*byte).into()).collect()),
            _ => None,
        }
    }

    /// Position and value of the first element that is NaN, or infinite where that is not allowed. Of halves, which are
    /// not evaluated, an infinity counts as NaN.
    pub(super) fn first_not_finite(&self, infinity_is_allowed: bool) -> Option<(usize, f64)> {
        let half = |bits: u16, exponent: u16| bits & exponent == exponent;
        let exponent = if self.element == ElementType::Float16 { 0x7c00 } else { 0x7f80 };
        let first = |values: &mut dyn Iterator<Item = f64>| {
            values.enumerate().find(|(_, value)| value.is_nan() || (value.is_infinite() && !infinity_is_allowed))
        };
        match (&self.data, self.element) {
            (Data::Floats(values), _) => first(&mut values.iter().map(|value| f64::from(*value))),
            (Data::Doubles(values), _) => first(&mut values.iter().copied()),
            (Data::Raw(raw), ElementType::Float) => {
                first(&mut raw.as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))))
            }
            (Data::Raw(raw), ElementType::Double) => {
                first(&mut raw.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)))
            }
            (Data::Raw(raw), ElementType::Float16 | ElementType::Bfloat16) => {
                let found = raw.as_chunks::<2>().0.iter().position(|b| half(u16::from_le_bytes(*b), exponent));
                found.map(|at| (at, f64::NAN))
            }
            (Data::Ints(values), ElementType::Float16 | ElementType::Bfloat16) => {
                let found = values.iter().position(|bits| half((*bits & 0xffff) as u16, exponent));
                found.map(|at| (at, f64::NAN))
            }
            _ => None,
        }
    }
}

impl Data<'_> {
    fn len(&self, element: ElementType) -> usize {
        match self {
            Self::Raw(raw) => raw.len() / element.bytes().unwrap_or(1),
            Self::Floats(values) => values.len(),
            Self::Doubles(values) => values.len(),
            Self::Ints(values) => values.len(),
            Self::Strings(count) => *count,
        }
    }
}

/// Dimensions as sizes whose product is within [`limits::TENSOR_ELEMENTS`].
pub(super) fn dimensions(place: &str, dims: &[i64]) -> Result<Vec<usize>, Refusal> {
    if let Some(got) = dims.iter().find(|dim| **dim < 0) {
        return Err(Refusal::NegativeDimension { place: place.into(), got: *got });
    }
    let too_large = || Refusal::TensorTooLarge { place: place.into(), dims: dims.to_vec() };
    let sizes: Vec<usize> =
        dims.iter().map(|dim| usize::try_from(*dim)).collect::<Result<_, _>>().map_err(|_| too_large())?;
    // The product without zeros: [0, 2^62] has no element, but whoever strides over it overflows.
    sizes
        .iter()
        .filter(|size| **size > 0)
        .try_fold(1usize, |product, size| product.checked_mul(*size))
        .filter(|product| *product <= limits::TENSOR_ELEMENTS)
        .ok_or_else(too_large)?;
    Ok(sizes)
}
