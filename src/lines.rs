//! On which line of a TOML text something is, for faults of what is in it.

use toml::de::{DeTable, DeValue};

/// The line of a byte, the first is 1.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].split(|byte| *byte == b'\n').count()
}

/// Where a setting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its line, or that of the innermost thing of it that is there.
    pub(crate) line: usize,
    /// All of it is there.
    pub(crate) whole: bool,
}

/// Where a setting is by its path (`server.listen`, `constraints[2].spread`); `None` when not even its first part is there,
/// or the text is no TOML.
pub(crate) fn place_of(text: &str, path: &str) -> Option<Place> {
    let document = DeTable::parse(text).ok()?;
    let mut steps = path.split(['.', '[']).map(|step| step.trim_end_matches(']'));
    let (key, mut value) = document.get_ref().get_key_value(steps.next()?)?;
    let mut place = key.span().start;
    for step in steps {
        let next = match (value.get_ref(), step.parse::<usize>()) {
            (DeValue::Array(items), Ok(i)) => items.get(i).map(|item| (item.span().start, item)),
            (DeValue::Table(table), _) => {
                table.get_key_value(step).map(|(key, item)| (key.span().start, item))
            }
            _ => None,
        };
        let Some((start, item)) = next else {
            return Some(Place { line: line_at(text, place), whole: false });
        };
        (place, value) = (start, item);
    }
    Some(Place { line: line_at(text, place), whole: true })
}
