//! Where in a JSON text a path is: what was read well but means something wrong is shown at its place, too.

/// Line and column, from 1, of the value at a path such as `vms[3].demand.cpu`; where the path goes on below
/// what is there, those of the innermost value that is. `None` for text that is not JSON.
pub(crate) fn position(text: &str, path: &str) -> Option<(usize, usize)> {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    reader.blank();
    let mut found = reader.at;
    for step in steps(path) {
        match reader.enter(&step) {
            Some(true) => found = reader.at,
            Some(false) => break,
            None => return None,
        }
    }
    text.get(..found).map(end_of)
}

/// Line and column, from 1, of what would follow a text. Columns are characters, as editors count them.
pub(crate) fn end_of(text: &str) -> (usize, usize) {
    let last = text.rsplit('\n').next().unwrap_or_default();
    (text.matches('\n').count() + 1, last.chars().count() + 1)
}

#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

/// A key of a map that holds dots is taken apart and not found: then its map is the innermost that is there.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let mut part = part;
        let bracket = part.find('[').unwrap_or(part.len());
        if bracket > 0 {
            steps.push(Step::Key(part[..bracket].to_owned()));
        }
        part = &part[bracket..];
        while let Some((index, rest)) = part.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let Ok(index) = index.parse() else { break };
            steps.push(Step::Index(index));
            part = rest;
        }
    }
    steps
}

struct Reader<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Goes from the start of a value to the start of one inside it; `Some(false)` = there is none.
    fn enter(&mut self, step: &Step) -> Option<bool> {
        match (step, self.peek()?) {
            (Step::Key(wanted), b'{') => self.enter_object(wanted),
            (Step::Index(wanted), b'[') => self.enter_list(*wanted),
            _ => Some(false),
        }
    }

    fn enter_object(&mut self, wanted: &str) -> Option<bool> {
        self.at += 1;
        loop {
            self.blank();
            if self.peek()? == b'}' {
                return Some(false);
            }
            let key = self.string()?;
            self.blank();
            self.expect(b':')?;
            self.blank();
            if same_name(&key, wanted) {
                return Some(true);
            }
            self.skip()?;
            if !self.comma()? {
                return Some(false);
            }
        }
    }

    fn enter_list(&mut self, wanted: usize) -> Option<bool> {
        self.at += 1;
        self.blank();
        if self.peek()? == b']' {
            return Some(false);
        }
        for _ in 0..wanted {
            self.skip()?;
            if !self.comma()? {
                return Some(false);
            }
            self.blank();
        }
        Some(true)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// After an element: whether another one follows.
    fn comma(&mut self) -> Option<bool> {
        self.blank();
        let more = self.peek()? == b',';
        self.at += usize::from(more);
        Some(more)
    }

    /// Reads a string from its opening quote to behind its closing one.
    fn string(&mut self) -> Option<String> {
        let start = self.at;
        self.skip_string()?;
        serde_json::from_slice(&self.bytes[start..self.at]).ok()
    }

    fn skip_string(&mut self) -> Option<()> {
        self.expect(b'"')?;
        loop {
            match self.peek()? {
                b'"' => break self.at += 1,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        Some(())
    }

    /// Goes behind a value of any depth.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                byte if byte.is_ascii_whitespace() => self.at += 1,
                b',' | b':' => return None,
                _ => {
                    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
                    let start = self.at;
                    while self.peek().is_some_and(part) {
                        self.at += 1;
                    }
                    if self.at == start {
                        return None;
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// The same field in `snake_case` and `lowerCamelCase`.
fn same_name(key: &str, wanted: &str) -> bool {
    key == wanted || {
        let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
        wanted.contains('_') && plain(key) == plain(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = r#"{
  "name": "a\"},{[",
  "vms": [
    {"name": "v1", "demand": {"cpu": 1}},
    {"name": "ü", "demand": {"memory": -3, "cpu": -5}, "memoryDirtyRate": 1e2}
  ]
}"#;

    #[test]
    fn values_are_found_by_their_path() {
        for (path, line, starts) in [
            ("vms[1].demand.cpu", 5, "-5"),
            ("vms[1].demand.memory", 5, "-3"),
            ("vms[1].memory_dirty_rate", 5, "1e2"),
            ("vms[0]", 4, "{\"name\": \"v1\""),
            ("name", 2, "\"a"),
            ("", 1, "{"),
            // Innermost that is there.
            ("vms[1].host", 5, "{\"name\": \"ü\""),
            ("vms[9]", 3, "[\n"),
            ("hosts[0].name", 1, "{"),
        ] {
            let (found_line, column) = position(TEXT, path).unwrap();
            let rest: String = TEXT.lines().nth(found_line - 1).unwrap().chars().skip(column - 1).collect();
            assert_eq!(found_line, line, "{path}");
            assert!(format!("{rest}\n").starts_with(starts), "{path}: {rest}");
        }
    }

    #[test]
    fn what_is_not_json_has_no_places() {
        for text in ["", "{", "{\"vms\": [1,", "{\"vms\" 3}", "{,}", "{\"a\": ]}"] {
            assert_eq!(position(text, "vms[1].x"), None, "{text}");
        }
    }

    proptest! {
        /// Any text is read to an end, without a panic.
        #[test]
        fn no_text_is_too_odd(text in "[{}\\[\\]:,\"\\\\a0 \n-]{0,60}", path in "[a\\[\\]0.]{0,12}") {
            let _ = position(&text, &path);
        }
    }
}
