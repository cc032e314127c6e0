//! The compact protocol of Apache Thrift, in which Parquet describes itself: writing only.

/// What a field is; the numbers are the protocol's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number of 32 bits.
    I32 = 5,
    /// A number of 64 bits.
    I64 = 6,
    /// A text.
    Binary = 8,
    /// A list.
    List = 9,
    /// A structure.
    Struct = 12,
}

/// A structure; its fields are given in the order of their numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

/// Seven bits a byte, the lowest first.
pub(super) fn varint(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// Small numbers of either sign become small ones.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

impl Struct {
    fn field(&mut self, number: u8, kind: Kind) {
        debug_assert!(number > self.last && number - self.last < 16);
        self.bytes.push((number - self.last) << 4 | kind as u8);
        self.last = number;
    }

    fn list(&mut self, number: u8, kind: Kind, len: usize) {
        self.field(number, Kind::List);
        if len < 15 {
            self.bytes.push((len as u8) << 4 | kind as u8);
        } else {
            self.bytes.push(0xf0 | kind as u8);
            varint(len as u64, &mut self.bytes);
        }
    }

    /// A number.
    pub(super) fn int(mut self, number: u8, kind: Kind, value: i64) -> Self {
        self.field(number, kind);
        varint(zigzag(value), &mut self.bytes);
        self
    }

    /// A text.
    pub(super) fn text(mut self, number: u8, text: &str) -> Self {
        self.field(number, Kind::Binary);
        self.put(text);
        self
    }

    fn put(&mut self, text: &str) {
        varint(text.len() as u64, &mut self.bytes);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// A list of texts.
    pub(super) fn texts(mut self, number: u8, texts: &[&str]) -> Self {
        self.list(number, Kind::Binary, texts.len());
        for text in texts {
            self.put(text);
        }
        self
    }

    /// A list of numbers of 32 bits.
    pub(super) fn ints(mut self, number: u8, values: &[i64]) -> Self {
        self.list(number, Kind::I32, values.len());
        for value in values {
            varint(zigzag(*value), &mut self.bytes);
        }
        self
    }

    /// A structure in it.
    pub(super) fn inner(mut self, number: u8, inner: Self) -> Self {
        self.field(number, Kind::Struct);
        self.bytes.extend(inner.end());
        self
    }

    /// A list of structures.
    pub(super) fn structs(mut self, number: u8, all: &[Self]) -> Self {
        self.list(number, Kind::Struct, all.len());
        for one in all {
            self.bytes.extend(one.clone().end());
        }
        self
    }

    /// The whole.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}
