//! From text to comparisons.
//!
//! ```text
//! filter     = [ comparison { "AND" comparison } ]
//! comparison = field op value
//! field      = name { "." key }        characters of field: A-Z a-z 0-9 _ - / . @
//! op         = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"
//! value      = word | '"' { any character, \" or \\ } '"'
//! ```

use super::FilterFault;

/// Longest filter that is read, in bytes.
const LONGEST: usize = 4096;

/// `field OP value`, with the positions for errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) field: String,
    pub(super) field_position: usize,
    pub(super) op: Op,
    pub(super) op_position: usize,
    pub(super) value: String,
    pub(super) value_position: usize,
}

/// How field and value are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
}

/// Longer ones first, so that `<=` is not read as `<`.
const OPS: [(&str, Op); 7] = [
    ("!=", Op::NotEqual),
    ("<=", Op::LessOrEqual),
    (">=", Op::GreaterOrEqual),
    ("=", Op::Equal),
    ("<", Op::Less),
    (">", Op::Greater),
    (":", Op::Contains),
];

pub(super) fn parse(text: &str) -> Result<Vec<Comparison>, FilterFault> {
    if text.len() > LONGEST {
        let message = format!("a filter has at most {LONGEST} bytes, this one has {}", text.len());
        return Err(FilterFault { position: 1, message });
    }
    let mut reader = Reader { characters: text.chars().collect(), next: 0 };
    let mut comparisons = Vec::new();
    reader.skip_space();
    if reader.at_end() {
        return Ok(comparisons);
    }
    loop {
        comparisons.push(reader.comparison()?);
        if reader.at_end() {
            return Ok(comparisons);
        }
        reader.keyword_and()?;
    }
}

struct Reader {
    characters: Vec<char>,
    next: usize,
}

impl Reader {
    fn at_end(&self) -> bool {
        self.next >= self.characters.len()
    }

    fn position(&self) -> usize {
        self.next + 1
    }

    fn fault<T>(&self, message: impl Into<String>) -> Result<T, FilterFault> {
        Err(FilterFault { position: self.position(), message: message.into() })
    }

    fn skip_space(&mut self) {
        while self.characters.get(self.next).is_some_and(|c| c.is_whitespace()) {
            self.next += 1;
        }
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let rest = &self.characters[self.next..];
        let taken: String = rest.iter().take_while(|c| wanted(**c)).collect();
        self.next += taken.chars().count();
        taken
    }

    fn comparison(&mut self) -> Result<Comparison, FilterFault> {
        let field_position = self.position();
        let field = self.take_while(|c| c.is_ascii_alphanumeric() || "_-/.@".contains(c));
        if field.is_empty() {
            return self.fault("the name of a field is expected, for example `state = ONLINE`");
        }
        self.skip_space();
        let op_position = self.position();
        let op = self.op()?;
        self.skip_space();
        let value_position = self.position();
        let value = self.value()?;
        self.skip_space();
        Ok(Comparison { field, field_position, op, op_position, value, value_position })
    }

    fn op(&mut self) -> Result<Op, FilterFault> {
        for (sign, op) in OPS {
            let end = self.next + sign.len();
            if self.characters.get(self.next..end).is_some_and(|s| s.iter().copied().eq(sign.chars())) {
                self.next = end;
                return Ok(op);
            }
        }
        self.fault("one of = != < <= > >= : is expected")
    }

    fn value(&mut self) -> Result<String, FilterFault> {
        if self.characters.get(self.next) == Some(&'"') {
            return self.quoted();
        }
        let word = self.take_while(|c| !c.is_whitespace() && c != '"');
        if word.is_empty() {
            self.fault("a value is expected; write \"\" for an empty one")
        } else {
            Ok(word)
        }
    }

    fn quoted(&mut self) -> Result<String, FilterFault> {
        let opening = self.position();
        self.next += 1;
        let mut value = String::new();
        loop {
            match self.characters.get(self.next) {
                None => {
                    return Err(FilterFault {
                        position: opening,
                        message: "the quotation mark is never closed".into(),
                    });
                }
                Some('"') => {
                    self.next += 1;
                    return Ok(value);
                }
                Some('\\') => {
                    match self.characters.get(self.next + 1) {
                        Some(c @ ('"' | '\\')) => value.push(*c),
                        _ => return self.fault("\\ must be followed by \" or \\"),
                    }
                    self.next += 2;
                }
                Some(c) => {
                    value.push(*c);
                    self.next += 1;
                }
            }
        }
    }

    fn keyword_and(&mut self) -> Result<(), FilterFault> {
        let position = self.position();
        let word = self.take_while(|c| !c.is_whitespace());
        let spaced = position == 1 || self.characters[position - 2].is_whitespace();
        if word != "AND" || !spaced {
            let message =
                "AND is expected between two comparisons; a value with spaces needs quotation marks";
            return Err(FilterFault { position, message: message.into() });
        }
        self.skip_space();
        if self.at_end() {
            return self.fault("a comparison is expected after AND");
        }
        Ok(())
    }
}
