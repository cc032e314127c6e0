//! Reading what is given on the command line: files and standard input, with the place of each fault.

use super::failure::{Failure, Fault};
use super::format::count;
use super::locate::{end_of, position};
use dvms_solver::file::{Problem, ReadError};
use dvms_solver::{Problem as Model, Rejected};
use flate2::read::GzDecoder;
use std::io::{self, Read};

/// Nobody writes problems of this size; it is the wrong file.
const LARGEST: u64 = 1 << 30;
/// What files packed by gzip begin with.
const GZIP: &[u8] = &[0x1f, 0x8b];
/// Faults that get their line and column.
const PLACES: usize = 200;

/// A text with what it is called.
#[derive(Debug)]
pub(crate) struct Input {
    /// The path, or `standard input`.
    pub(crate) name: String,
    text: String,
}

impl Input {
    /// Reads a file, packed by gzip or not; `-` = standard input.
    ///
    /// # Errors
    /// It cannot be read or unpacked, is larger than 1 GiB or no text.
    pub(crate) fn read(path: &str) -> Result<Self, Failure> {
        let name = if path == "-" { "standard input".to_owned() } else { path.to_owned() };
        let mut bytes = Vec::new();
        let read = if path == "-" {
            io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)
        } else {
            std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        };
        if let Err(error) = read {
            return Err(Failure::bad_input(format!("cannot read {name}: {}", plain(&error))));
        }
        if bytes.starts_with(GZIP) {
            let mut packed = GzDecoder::new(bytes.as_slice()).take(LARGEST + 1);
            let mut unpacked = Vec::new();
            if let Err(error) = packed.read_to_end(&mut unpacked) {
                return Err(Failure::bad_input(format!("cannot unpack {name}: {}", plain(&error))));
            }
            bytes = unpacked;
        }
        if bytes.len() as u64 > LARGEST {
            return Err(Failure::bad_input(format!("{name} is larger than 1 GiB: surely the wrong file")));
        }
        let text = String::from_utf8(bytes).map_err(|error| not_text(&name, &error))?;
        if text.trim().is_empty() {
            return Err(Failure::bad_input(format!("{name} is empty")));
        }
        Ok(Self { name, text })
    }

    /// Standard input holds one file.
    ///
    /// # Errors
    /// Both are to be read from it.
    pub(crate) fn not_both(first: &str, second: &str) -> Result<(), Failure> {
        if first == "-" && second == "-" {
            return Err(Failure::bad_input("only one of the files can be standard input"));
        }
        Ok(())
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The JSON document in it, by one of the strict readers of the solver.
    ///
    /// # Errors
    /// The fault with its line, column and path.
    pub(crate) fn json<T>(
        &self,
        what: &str,
        from_json: impl Fn(&str) -> Result<T, ReadError>,
    ) -> Result<T, Failure> {
        from_json(&self.text).map_err(|error| {
            // `?` is a key that could not be read to its end.
            let path = error.path.trim_end_matches(".?").trim_matches('.').trim_end_matches('?').to_owned();
            let known = error.line > 0;
            let fault = Fault {
                line: known.then_some(error.line),
                column: known.then_some(error.column.max(1)),
                path,
                message: error.message,
            };
            Failure::bad_input(format!("{} is not a {what}:", self.name)).faults(vec![fault])
        })
    }

    /// A problem that can be planned with.
    ///
    /// # Errors
    /// Every fault with its place.
    pub(crate) fn problem(&self) -> Result<Problem, Failure> {
        let problem = self.json("problem", Problem::from_json)?;
        Model::new(&problem).map_err(|rejected| self.rejected(&rejected))?;
        Ok(problem)
    }

    /// The faults of a problem with their places.
    pub(crate) fn rejected(&self, rejected: &Rejected) -> Failure {
        // Each place costs a walk through the text.
        let place = |i: usize, path: &str| if i < PLACES { position(&self.text, path) } else { None };
        let fault = |(i, fault): (usize, &dvms_solver::Fault)| {
            let (line, column) = place(i, &fault.path).unzip();
            Fault { line, column, path: fault.path.clone(), message: fault.message.clone() }
        };
        let faults: Vec<_> = rejected.faults.iter().enumerate().map(fault).collect();
        Failure::bad_input(format!("{} has {}:", self.name, count(faults.len(), "fault"))).faults(faults)
    }
}

fn not_text(name: &str, error: &std::string::FromUtf8Error) -> Failure {
    let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
    let (line, column) = end_of(&good);
    let message = "is not UTF-8; JSON text was expected".to_owned();
    let fault = Fault { line: Some(line), column: Some(column), path: String::new(), message };
    Failure::bad_input(format!("{name} is not text:")).faults(vec![fault])
}

/// The error without its number.
pub(crate) fn plain(error: &io::Error) -> String {
    without_number(&error.to_string()).to_owned()
}

/// `No such file or directory (os error 2)`: the number tells people nothing.
pub(crate) fn without_number(text: &str) -> &str {
    text.split_once(" (os error").map_or(text, |(text, _)| text)
}
