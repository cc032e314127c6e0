//! Files are read again by what is written here from the description of the format, with no code of the writer.

use super::*;
use std::collections::BTreeMap;

/// A value of the compact protocol.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    Int(i64),
    Text(Vec<u8>),
    List(Vec<Told>),
    Struct(BTreeMap<i16, Told>),
}

impl Told {
    fn get(&self, number: i16) -> &Self {
        match self {
            Self::Struct(fields) => &fields[&number],
            other => panic!("{other:?} is no structure"),
        }
    }

    fn int(&self) -> i64 {
        match self {
            Self::Int(value) => *value,
            other => panic!("{other:?} is no number"),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Text(bytes) => String::from_utf8(bytes.clone()).unwrap(),
            other => panic!("{other:?} is no text"),
        }
    }

    fn list(&self) -> &[Self] {
        match self {
            Self::List(all) => all,
            other => panic!("{other:?} is no list"),
        }
    }
}

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap();
        self.0 = rest;
        *first
    }

    fn varint(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
            shift += 7;
        }
    }

    fn signed(&mut self) -> i64 {
        let value = self.varint();
        (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
    }

    fn value(&mut self, kind: u8) -> Told {
        match kind {
            4..=6 => Told::Int(self.signed()),
            8 => {
                let len = self.varint() as usize;
                let (text, rest) = self.0.split_at(len);
                self.0 = rest;
                Told::Text(text.to_vec())
            }
            9 => {
                let head = self.byte();
                let len = if head >> 4 == 15 { self.varint() as usize } else { usize::from(head >> 4) };
                Told::List((0..len).map(|_| self.value(head & 15)).collect())
            }
            12 => self.structure(),
            other => panic!("kind {other}"),
        }
    }

    fn structure(&mut self) -> Told {
        let (mut fields, mut last) = (BTreeMap::new(), 0_i16);
        loop {
            let head = self.byte();
            if head == 0 {
                return Told::Struct(fields);
            }
            last = if head >> 4 == 0 { self.signed() as i16 } else { last + i16::from(head >> 4) };
            let value = self.value(head & 15);
            fields.insert(last, value);
        }
    }
}

/// Which of `count` values are there.
fn levels(bytes: &[u8], count: usize) -> Vec<bool> {
    let (mut reader, mut there) = (Reader(bytes), Vec::new());
    while there.len() < count {
        let run = reader.varint();
        assert_eq!(run & 1, 0, "a run of equal ones");
        let value = reader.byte();
        there.extend(std::iter::repeat_n(value == 1, (run >> 1) as usize));
    }
    there
}

fn read(file: &[u8]) -> Table {
    assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"));
    let end = file.len() - 8;
    let size = u32::from_le_bytes(file[end..end + 4].try_into().unwrap()) as usize;
    let footer = Reader(&file[end - size..end]).structure();
    let rows = footer.get(3).int();
    let schema = footer.get(2).list();
    assert_eq!(schema[0].get(5).int() as usize, schema.len() - 1);
    let mut table = Table::default();
    let Some(group) = footer.get(4).list().first() else {
        assert_eq!(rows, 0);
        return table;
    };
    assert_eq!(group.get(3).int(), rows);
    for (element, column) in schema[1..].iter().zip(group.get(1).list()) {
        let about = column.get(3);
        assert_eq!(about.get(3).list()[0].text(), element.get(4).text());
        assert_eq!((about.get(4).int(), about.get(5).int(), element.get(3).int()), (0, rows, 1));
        let offset = about.get(9).int() as usize;
        let mut reader = Reader(&file[offset..]);
        let header = reader.structure();
        let page = &reader.0[..header.get(3).int() as usize];
        assert_eq!(offset + about.get(7).int() as usize, file.len() - reader.0.len() + page.len());
        let data = header.get(5);
        assert_eq!((header.get(1).int(), data.get(2).int(), data.get(3).int()), (0, 0, 3));
        let levels_len = u32::from_le_bytes(page[..4].try_into().unwrap()) as usize;
        let there = levels(&page[4..4 + levels_len], rows as usize);
        let mut plain = &page[4 + levels_len..];
        let mut next = |len: usize| {
            let (value, rest) = plain.split_at(len);
            plain = rest;
            value.to_vec()
        };
        let eight = |bytes: Vec<u8>| <[u8; 8]>::try_from(bytes).unwrap();
        let values = match element.get(1).int() {
            0 => {
                let (mut at, bits) = (0, next(there.iter().filter(|there| **there).count().div_ceil(8)));
                let mut bit = || {
                    at += 1;
                    bits[(at - 1) / 8] >> ((at - 1) % 8) & 1 == 1
                };
                Values::Flag(there.iter().map(|there| there.then(&mut bit)).collect())
            }
            2 => {
                Values::Whole(there.iter().map(|it| it.then(|| i64::from_le_bytes(eight(next(8))))).collect())
            }
            5 => {
                Values::Real(there.iter().map(|it| it.then(|| f64::from_le_bytes(eight(next(8))))).collect())
            }
            6 => {
                assert_eq!(element.get(6).int(), 0, "UTF-8");
                let mut text = || {
                    let len = u32::from_le_bytes(next(4).try_into().unwrap());
                    String::from_utf8(next(len as usize)).unwrap()
                };
                Values::Text(there.iter().map(|there| there.then(&mut text)).collect())
            }
            other => panic!("type {other}"),
        };
        table.columns.push((element.get(4).text(), values));
    }
    table
}

fn sample() -> Table {
    let flags = (0..20).map(|i| (i % 7 != 3).then_some(i % 3 == 0)).collect();
    let words = (0..20).map(|i| (i % 5 != 0).then(|| "ä,\n".repeat(i))).collect();
    Table {
        columns: vec![
            ("whole".to_owned(), Values::Whole((0..20).map(|i| Some(i * i - 300 + (i << 40))).collect())),
            (
                "real".to_owned(),
                Values::Real((0..20).map(|i| (i > 17).then_some(f64::from(i) / 7.0)).collect()),
            ),
            ("flag".to_owned(), Values::Flag(flags)),
            ("text".to_owned(), Values::Text(words)),
            ("none".to_owned(), Values::Real(vec![None; 20])),
        ],
    }
}

#[test]
fn a_table_is_read_again_as_it_was() {
    assert_eq!(read(&sample().bytes()), sample());
    let none = Table { columns: vec![("x".to_owned(), Values::Whole(Vec::new()))] };
    assert_eq!(read(&none.bytes()), Table::default());
    let many = |i: usize| (format!("column {i}"), Values::Whole(vec![i64::try_from(i).ok(); 3]));
    let wide = Table { columns: (0..300).map(many).collect() };
    assert_eq!(read(&wide.bytes()), wide);
}

/// The crate `parquet` 60.1 has read this file, with these values; another file that says the same would be read anew.
#[test]
fn the_file_is_the_one_that_others_have_read() {
    use sha2::{Digest as _, Sha256};
    let mut file = sample().bytes();
    // The version of dvms is in it.
    let version = concat!("dvms version ", env!("CARGO_PKG_VERSION"));
    let at = file.windows(version.len()).position(|part| part == version.as_bytes()).unwrap();
    file.splice(at..at + version.len(), *b"dvms");
    if let Ok(path) = std::env::var("DVMS_PARQUET_SAMPLE") {
        std::fs::write(path, sample().bytes()).unwrap();
    }
    assert_eq!(
        format!("{:x}", Sha256::digest(&file)),
        "99750b9dccaa5f96bd468b6d8fa4d3ac5aca179b83f86b3f01c9d7573c28bc9c"
    );
}

#[test]
fn figures_keep_their_types() {
    use crate::simulator::experiment::{Experiment, Report, run};
    let text = "seconds = 400\n[hosts]\ncount = 8\ncpu = 6500\n[[run]]\nstrategy = 'none'\n[[run]]\nstrategy = 'drs'\n";
    let experiment = Experiment::from_toml(text).unwrap();
    let all = experiment.runs.iter().map(|it| run(&experiment, it, &mut |_| true).unwrap()).collect();
    let report = Report { version: "1".to_owned(), experiment, runs: all };
    let table = read(&runs(&report).bytes());
    let column = |name: &str| &table.columns.iter().find(|(it, _)| it == name).unwrap().1;
    assert_eq!(column("name"), &Values::Text(vec![Some("none".to_owned()), Some("drs".to_owned())]));
    assert_eq!(column("complete"), &Values::Flag(vec![Some(true); 2]));
    assert_eq!(column("hosts"), &Values::Whole(vec![Some(8); 2]));
    let totals = report.runs.iter().map(|run| Some(run.violations.all.total)).collect();
    assert_eq!(column("violations.all.total"), &Values::Real(totals));
    // As many rows and columns as the CSV has.
    let csv = report.series_csv();
    let of_time = read(&series(&report.runs, true).bytes());
    let names: Vec<&str> = of_time.columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        (names.join(",").as_str(), of_time.rows() + 1),
        (csv.lines().next().unwrap(), csv.lines().count())
    );
    assert_eq!(table.columns.len(), report.runs_csv().lines().next().unwrap().split(',').count());
    let first = violations(&report.runs[0]);
    let csv = report.runs[0].violations_csv();
    assert_eq!(first.rows() + 1, csv.lines().count());
    let detected = &first.columns[3];
    assert_eq!(detected, &("detected".to_owned(), Values::Real(vec![None; first.rows()])), "nobody looks");
    assert_eq!(read(&first.bytes()).columns.len(), if first.rows() == 0 { 0 } else { 5 });
}
