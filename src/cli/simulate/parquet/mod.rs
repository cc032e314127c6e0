//! Tables as Parquet files (the Apache Parquet format, version 1): what data tools read with the types of the columns. Of the
//! format what flat tables of some megabytes need, and nothing more: one row group, one page a column, plain values, no
//! compression; every column may have gaps. The library for it would bring a dozen crates for this.

mod tables;
#[cfg(test)]
mod tests;
mod thrift;

pub(super) use tables::{rows, runs, series, violations};

use thrift::{Kind, Struct};

/// What begins and ends a file.
const MAGIC: &[u8] = b"PAR1";
/// Numbers that the format gives to encodings of values: of values as they are, and of runs.
const PLAIN: i64 = 0;
const RLE: i64 = 3;

/// The values of a column; `None` = there is none.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    /// Whole numbers.
    Whole(Vec<Option<i64>>),
    /// Numbers.
    Real(Vec<Option<f64>>),
    /// Yes or no.
    Flag(Vec<Option<bool>>),
    /// Words.
    Text(Vec<Option<String>>),
}

/// A table; all columns have as many values.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Table {
    /// Each with its name.
    pub(super) columns: Vec<(String, Values)>,
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Whole(values) => values.len(),
            Self::Real(values) => values.len(),
            Self::Flag(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// The format's number of its type.
    fn number(&self) -> i64 {
        match self {
            Self::Flag(_) => 0,
            Self::Whole(_) => 2,
            Self::Real(_) => 5,
            Self::Text(_) => 6,
        }
    }

    /// Which values are there, as runs of equal answers: how many, and which.
    fn runs(&self) -> Vec<(usize, bool)> {
        let mut runs: Vec<(usize, bool)> = Vec::new();
        let mut add = |there: bool| match runs.last_mut() {
            Some((count, same)) if *same == there => *count += 1,
            _ => runs.push((1, there)),
        };
        match self {
            Self::Whole(values) => values.iter().for_each(|value| add(value.is_some())),
            Self::Real(values) => values.iter().for_each(|value| add(value.is_some())),
            Self::Flag(values) => values.iter().for_each(|value| add(value.is_some())),
            Self::Text(values) => values.iter().for_each(|value| add(value.is_some())),
        }
        runs
    }

    /// Those that are there, one after the other.
    fn plain(&self, into: &mut Vec<u8>) {
        match self {
            Self::Whole(values) => {
                values.iter().flatten().for_each(|value| into.extend_from_slice(&value.to_le_bytes()));
            }
            Self::Real(values) => {
                values.iter().flatten().for_each(|value| into.extend_from_slice(&value.to_le_bytes()));
            }
            Self::Flag(values) => {
                let flags: Vec<bool> = values.iter().flatten().copied().collect();
                let byte =
                    |eight: &[bool]| eight.iter().rev().fold(0, |byte, flag| byte << 1 | u8::from(*flag));
                into.extend(flags.chunks(8).map(byte));
            }
            Self::Text(values) => {
                for value in values.iter().flatten() {
                    into.extend_from_slice(&(value.len() as u32).to_le_bytes());
                    into.extend_from_slice(value.as_bytes());
                }
            }
        }
    }

    /// What a page holds: which values are there, then these.
    fn page(&self) -> Vec<u8> {
        let mut levels = Vec::new();
        for (count, there) in self.runs() {
            thrift::varint((count as u64) << 1, &mut levels);
            levels.push(u8::from(there));
        }
        let mut page = (levels.len() as u32).to_le_bytes().to_vec();
        page.extend(levels);
        self.plain(&mut page);
        page
    }
}

/// Where a column is in the file, and how much it takes.
struct Chunk {
    offset: usize,
    bytes: usize,
}

impl Table {
    /// How many rows it has.
    fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, values)| values.len())
    }

    /// The file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        let chunks: Vec<Chunk> = self.columns.iter().map(|(_, values)| chunk(values, &mut file)).collect();
        let footer = self.footer(&chunks);
        file.extend_from_slice(&footer);
        file.extend_from_slice(&(footer.len() as u32).to_le_bytes());
        file.extend_from_slice(MAGIC);
        file
    }

    fn footer(&self, chunks: &[Chunk]) -> Vec<u8> {
        let rows = size(self.rows());
        let root = Struct::default().text(4, "table").int(5, Kind::I32, size(self.columns.len()));
        let schema =
            std::iter::once(root).chain(self.columns.iter().map(|(name, values)| element(name, values)));
        let schema: Vec<Struct> = schema.collect();
        let columns: Vec<Struct> =
            self.columns.iter().zip(chunks).map(|((name, values), at)| column(name, values, at)).collect();
        let total: usize = chunks.iter().map(|chunk| chunk.bytes).sum();
        let group =
            Struct::default().structs(1, &columns).int(2, Kind::I64, size(total)).int(3, Kind::I64, rows);
        let groups = if rows == 0 { Vec::new() } else { vec![group] };
        Struct::default()
            .int(1, Kind::I32, 1)
            .structs(2, &schema)
            .int(3, Kind::I64, rows)
            .structs(4, &groups)
            .text(6, concat!("dvms version ", env!("CARGO_PKG_VERSION")))
            .end()
    }
}

/// A number of things as the format has it.
fn size(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Writes a column as one page.
fn chunk(values: &Values, file: &mut Vec<u8>) -> Chunk {
    let (offset, page) = (file.len(), values.page());
    let bytes = size(page.len());
    let about = Struct::default()
        .int(1, Kind::I32, size(values.len()))
        .int(2, Kind::I32, PLAIN)
        .int(3, Kind::I32, RLE)
        .int(4, Kind::I32, RLE);
    let header = Struct::default()
        .int(1, Kind::I32, 0)
        .int(2, Kind::I32, bytes)
        .int(3, Kind::I32, bytes)
        .inner(5, about)
        .end();
    file.extend(header);
    file.extend(page);
    Chunk { offset, bytes: file.len() - offset }
}

/// A column in the schema.
fn element(name: &str, values: &Values) -> Struct {
    let element = Struct::default().int(1, Kind::I32, values.number()).int(3, Kind::I32, 1).text(4, name);
    if matches!(values, Values::Text(_)) { element.int(6, Kind::I32, 0) } else { element }
}

/// A column in the row group.
fn column(name: &str, values: &Values, at: &Chunk) -> Struct {
    let about = Struct::default()
        .int(1, Kind::I32, values.number())
        .ints(2, &[PLAIN, RLE])
        .texts(3, &[name])
        .int(4, Kind::I32, 0)
        .int(5, Kind::I64, size(values.len()))
        .int(6, Kind::I64, size(at.bytes))
        .int(7, Kind::I64, size(at.bytes))
        .int(9, Kind::I64, size(at.offset));
    Struct::default().int(2, Kind::I64, size(at.offset)).inner(3, about)
}
