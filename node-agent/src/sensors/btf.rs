//! Where the kernel keeps the fields of its structures: offsets differ between kernels, so they come from its own type
//! information (BTF). aya reads BTF as well, but shows no members.
//!
//! The format: <https://docs.kernel.org/bpf/btf.html>.

use std::{fs, io, path::Path};

use thiserror::Error;

/// Why something is not known.
#[derive(Debug, Error)]
pub enum BtfError {
    /// The kernel shows no types.
    #[error("cannot read {path}; expected a kernel that was built with CONFIG_DEBUG_INFO_BTF")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The types are not in the form that is known.
    #[error("got type information that is cut off or of an unknown form, expected BTF version 1")]
    Form,
    /// There is no such field.
    #[error(
        "got no field {structure}.{field} of a known size in the kernel's type information; this kernel is not supported"
    )]
    Field {
        /// The structure.
        structure: &'static str,
        /// The field.
        field: &'static str,
    },
    /// The tracepoint is called with something else.
    #[error("got a tracepoint {tracepoint} that does not pass {expected}; this kernel is not supported")]
    Tracepoint {
        /// The tracepoint.
        tracepoint: &'static str,
        /// What it was to pass.
        expected: &'static str,
    },
}

/// Kinds of types.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

const MAGIC: u16 = 0xeb9f;
/// Type information larger than this is none of a kernel; a distribution's has 5 to 10 MB.
const MAX_BYTES: usize = 64 << 20;
/// Words of a type before what its kind adds: name, kind and number of members, size or other type.
const WORDS: usize = 3;
/// Anonymous structures within each other, and names of one type, that are followed.
const MAX_DEPTH: u32 = 16;

/// The kernel's types.
#[derive(Debug)]
pub struct Btf {
    words: Vec<u32>,
    names: Vec<u8>,
    /// Where each type begins among the words; that of number 0, which is nothing, is left out.
    types: Vec<usize>,
}

/// A type, as its words say.
#[derive(Debug, Clone, Copy)]
struct Type<'a> {
    name: u32,
    kind: u32,
    /// Size, or the type that it is made of.
    other: u32,
    /// Words of its members or parameters.
    members: &'a [u32],
    /// Whether members have their size in bits beside their offset.
    has_bit_sizes: bool,
}

impl Btf {
    /// Reads the kernel's types.
    pub fn read(path: &Path) -> Result<Self, BtfError> {
        let read = |source| BtfError::Read { path: path.display().to_string(), source };
        Self::parse(&fs::read(path).map_err(read)?).ok_or(BtfError::Form)
    }

    /// The types in a file; `None` when it is not BTF of this machine's byte order.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = Some(bytes).filter(|bytes| bytes.len() <= MAX_BYTES)?;
        let (magic, rest) = bytes.split_first_chunk()?;
        if u16::from_ne_bytes(*magic) != MAGIC || rest.first() != Some(&1) {
            return None;
        }
        let number = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
        let [header, types_at, types_length, names_at, names_length] =
            [number(4)?, number(8)?, number(12)?, number(16)?, number(20)?];
        let section = |at: usize, length: usize| bytes.get(header.checked_add(at)?..)?.get(..length);
        let words = section(types_at, types_length)?.chunks_exact(4);
        let words: Vec<u32> = words.filter_map(|word| Some(u32::from_ne_bytes(word.try_into().ok()?))).collect();
        let names = section(names_at, names_length)?.to_vec();
        let mut types = Vec::new();
        let mut at = 0;
        while at < words.len() {
            types.push(at);
            at += WORDS + added(*words.get(at + 1)?)?;
        }
        (at == words.len()).then_some(Self { words, names, types })
    }

    /// Offset in bytes and size of a number in a structure, also where it is in an anonymous part of it.
    pub fn field(&self, structure: &'static str, field: &'static str) -> Result<(u32, u32), BtfError> {
        let found = self.named(structure, kind::STRUCT).and_then(|found| self.member(found, field, 0));
        let offset_and_size = found.and_then(|(bits, of)| Some((bits / 8, self.size(of)?)).filter(|_| bits % 8 == 0));
        offset_and_size.ok_or(BtfError::Field { structure, field })
    }

    /// Whether a tracepoint passes pointers to `structure` at these places.
    pub fn passes(&self, tracepoint: &'static str, structure: &'static str, places: &[usize]) -> bool {
        let name = format!("btf_trace_{tracepoint}");
        let function = self.named(&name, kind::TYPEDEF).and_then(|known| self.resolved(self.pointee(known.other)?));
        let Some(function) = function.filter(|function| function.kind == kind::FUNC_PROTO) else { return false };
        places.iter().all(|place| {
            // The first parameter is the program's own.
            let parameter = function.members.chunks_exact(2).nth(place + 1).map(|parameter| parameter[1]);
            let pointee = parameter.and_then(|parameter| self.resolved(self.pointee(parameter)?));
            pointee.is_some_and(|pointee| pointee.kind == kind::STRUCT && self.is_named(&pointee, structure))
        })
    }

    fn of(&self, number: u32) -> Option<Type<'_>> {
        let at = *self.types.get((number as usize).checked_sub(1)?)?;
        let [name, info, other] = *self.words.get(at..)?.first_chunk()?;
        let members = self.words.get(at + WORDS..)?.get(..added(info)?)?;
        Some(Type { name, kind: kind_of(info), other, members, has_bit_sizes: info >> 31 == 1 })
    }

    fn named(&self, name: &str, kind: u32) -> Option<Type<'_>> {
        let types = (1..=self.types.len() as u32).filter_map(|number| self.of(number));
        types.into_iter().find(|found| found.kind == kind && self.is_named(found, name))
    }

    fn is_named(&self, found: &Type<'_>, name: &str) -> bool {
        let rest = self.names.get(found.name as usize..).and_then(|rest| rest.strip_prefix(name.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }

    /// The type behind its other names.
    fn resolved(&self, mut number: u32) -> Option<Type<'_>> {
        for _ in 0..MAX_DEPTH {
            let found = self.of(number)?;
            if !matches!(found.kind, kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG) {
                return Some(found);
            }
            number = found.other;
        }
        None
    }

    fn pointee(&self, number: u32) -> Option<u32> {
        self.resolved(number).filter(|found| found.kind == kind::PTR).map(|found| found.other)
    }

    fn size(&self, number: u32) -> Option<u32> {
        let found = self.resolved(number)?;
        matches!(found.kind, kind::INT | kind::ENUM | kind::ENUM64).then_some(found.other)
    }

    /// Offset in bits and type of a member.
    fn member(&self, of: Type<'_>, name: &str, depth: u32) -> Option<(u32, u32)> {
        if depth > MAX_DEPTH || !matches!(of.kind, kind::STRUCT | kind::UNION) {
            return None;
        }
        of.members.chunks_exact(3).find_map(|member| {
            let [called, number, place] = *member.first_chunk()?;
            let (bits, width) = if of.has_bit_sizes { (place & 0x00ff_ffff, place >> 24) } else { (place, 0) };
            let is_it = Type { name: called, ..of };
            if called != 0 {
                return (width == 0 && self.is_named(&is_it, name)).then_some((bits, number));
            }
            let (inner, found) = self.member(self.resolved(number)?, name, depth + 1)?;
            Some((bits.checked_add(inner)?, found))
        })
    }
}

const fn kind_of(info: u32) -> u32 {
    info >> 24 & 0x1f
}

/// Words that follow those that every type has; `None` for a kind that is not known.
fn added(info: u32) -> Option<usize> {
    let members = (info & 0xffff) as usize;
    Some(match kind_of(info) {
        kind::INT | kind::VAR | kind::DECL_TAG => 1,
        kind::ARRAY => 3,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 3 * members,
        kind::ENUM | kind::FUNC_PROTO => 2 * members,
        // Pointers, other names, forward declarations, functions, floating-point numbers.
        2 | 7..=12 | 16 | kind::TYPE_TAG => 0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types as a compiler would write them.
    #[derive(Default)]
    struct Written {
        words: Vec<u32>,
        names: Vec<u8>,
        count: u32,
    }

    impl Written {
        fn name(&mut self, name: &str) -> u32 {
            if self.names.is_empty() {
                self.names.push(0);
            }
            if name.is_empty() {
                return 0;
            }
            let at = self.names.len() as u32;
            self.names.extend(name.bytes().chain([0]));
            at
        }

        /// Adds a type; its number.
        fn add(&mut self, name: &str, kind: u32, members: u32, other: u32, more: &[u32]) -> u32 {
            let name = self.name(name);
            self.words.extend([name, kind << 24 | members, other]);
            self.words.extend(more);
            self.count += 1;
            self.count
        }

        fn bytes(&self) -> Vec<u8> {
            let types: Vec<u8> = self.words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let mut bytes = MAGIC.to_ne_bytes().to_vec();
            bytes.extend([1, 0]);
            let numbers = [24, 0, types.len() as u32, types.len() as u32, self.names.len() as u32];
            bytes.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
            [bytes, types, self.names.clone()].concat()
        }
    }

    /// `struct task_struct { char comm[16]; struct { volatile unsigned __state; }; union { pid_t pid; }; flag:1; }` and
    /// `typedef void (*btf_trace_sched_switch)(void *, bool, struct task_struct *, struct task_struct *)`.
    fn written() -> Written {
        let mut written = Written::default();
        let int = written.add("unsigned int", kind::INT, 0, 4, &[32]);
        let pid = written.add("pid_t", kind::TYPEDEF, 0, int, &[]);
        let volatile = written.add("", kind::VOLATILE, 0, int, &[]);
        let text = written.add("", kind::ARRAY, 0, 0, &[int, int, 4]);
        let (state, pid_name) = (written.name("__state"), written.name("pid"));
        let inner = written.add("", kind::STRUCT, 1, 4, &[state, volatile, 0]);
        let other = written.add("", kind::UNION, 1, 4, &[pid_name, pid, 0]);
        let (comm, flag) = (written.name("comm"), written.name("flag"));
        let members = [comm, text, 0, 0, inner, 128, 0, other, 160, flag, int, 1 << 24 | 192];
        let task = written.add("task_struct", kind::STRUCT, 1 << 7 << 24 | 4, 28, &members);
        let pointer = written.add("", kind::PTR, 0, task, &[]);
        let nothing = written.add("", kind::PTR, 0, 0, &[]);
        let function = written.add("", kind::FUNC_PROTO, 4, 0, &[0, nothing, 0, int, 0, pointer, 0, pointer]);
        let called = written.add("", kind::PTR, 0, function, &[]);
        written.add("btf_trace_sched_switch", kind::TYPEDEF, 0, called, &[]);
        written
    }

    #[test]
    fn fields_are_found_behind_other_names_and_in_anonymous_parts() {
        let btf = Btf::parse(&written().bytes()).unwrap();
        assert_eq!(btf.field("task_struct", "__state").unwrap(), (16, 4));
        assert_eq!(btf.field("task_struct", "pid").unwrap(), (20, 4));
        for (structure, field) in
            [("task_struct", "state"), ("task_struct", "flag"), ("task_struct", "comm"), ("task", "pid")]
        {
            let error = btf.field(structure, field).unwrap_err().to_string();
            assert!(error.contains(&format!("{structure}.{field}")), "{error}");
        }
    }

    #[test]
    fn what_a_tracepoint_passes_is_known_by_place() {
        let btf = Btf::parse(&written().bytes()).unwrap();
        assert!(btf.passes("sched_switch", "task_struct", &[1, 2]));
        assert!(!btf.passes("sched_switch", "task_struct", &[0]));
        assert!(!btf.passes("sched_switch", "task_struct", &[3]));
        assert!(!btf.passes("sched_switch", "task", &[1]));
        assert!(!btf.passes("sched_wakeup", "task_struct", &[0]));
    }

    #[test]
    fn what_is_cut_off_or_no_btf_is_refused_wherever_it_is_cut() {
        let bytes = written().bytes();
        let names = written().names.len();
        for length in 0..bytes.len() {
            assert!(Btf::parse(&bytes[..length]).is_none(), "{length} of {}, {names} of names", bytes.len());
        }
        let unknown = written()
            .bytes()
            .iter()
            .enumerate()
            .map(|(at, byte)| if at == 31 { 0x1f } else { *byte })
            .collect::<Vec<_>>();
        assert!(Btf::parse(&unknown).is_none(), "a kind that nobody knows");
        assert!(Btf::parse(&[0; 100]).is_none());
    }

    #[test]
    fn types_that_contain_themselves_end_somewhere() {
        let mut written = Written::default();
        written.add("loop", kind::TYPEDEF, 0, 1, &[]);
        written.add("task_struct", kind::STRUCT, 1, 4, &[0, 2, 0]);
        let btf = Btf::parse(&written.bytes()).unwrap();
        assert!(btf.field("task_struct", "pid").is_err());
        assert!(btf.resolved(1).is_none());
    }
}
