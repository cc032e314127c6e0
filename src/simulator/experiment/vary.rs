//! Settings that take several values: each `[[vary]]` has settings with a list of values each, which go along together; of
//! several such, every combination is a point.

use super::read::{Item, Reader};
use serde::Serialize;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// More points are no experiment, but a mistake.
const MOST_POINTS: usize = 10_000;
/// Where the values of the settings of an experiment come from.
const NOT_HERE: &str = "run, title, vary";

/// Settings that go along together, and what they take, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Axis {
    /// By their dotted names.
    pub settings: Vec<String>,
    /// Of each place along the axis, the value of each setting.
    pub values: Vec<Vec<Value>>,
}

impl Axis {
    /// Whether only seeds change: what differs along it is chance.
    #[must_use]
    pub fn is_chance(&self) -> bool {
        self.settings.iter().all(|name| name.rsplit('.').next() == Some("seed"))
    }

    /// What the settings are at a place, for people: `60, 20`.
    #[must_use]
    pub fn label(&self, place: usize) -> String {
        let told = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.values[place].iter().map(told).collect::<Vec<_>>().join(", ")
    }
}

/// A setting of an axis as the file has it.
pub(super) struct Varied<'t> {
    /// The keys on the way to it.
    keys: Vec<Spanned<std::borrow::Cow<'t, str>>>,
    values: &'t [Item<'t>],
    axis: usize,
}

impl Varied<'_> {
    fn name(&self) -> String {
        self.keys.iter().map(|key| key.get_ref().as_ref()).collect::<Vec<_>>().join(".")
    }

    /// Where its name is in the file.
    fn start(&self) -> usize {
        self.keys.last().map_or(0, |key| key.span().start)
    }

    /// Where its value at a place is in the file, if this is its name.
    pub(super) fn place(&self, name: &str, places: &[usize]) -> Option<String> {
        (self.name() == name).then(|| format!("vary[{}].{name}[{}]", self.axis, places[self.axis]))
    }
}

/// What varies, as the file says.
pub(super) fn axes<'t>(
    reader: &mut Reader<'t>,
    document: &'t DeTable<'t>,
    told: &'t Item<'t>,
) -> (Vec<Axis>, Vec<Varied<'t>>) {
    let (mut axes, mut all): (Vec<Axis>, Vec<Varied>) = (Vec::new(), Vec::new());
    let DeValue::Array(items) = told.get_ref() else {
        let message = "must be a list of tables, each written [[vary]]".to_owned();
        reader.fault("vary", message, told.span().start);
        return (axes, all);
    };
    for (number, item) in items.iter().enumerate() {
        let path = format!("vary[{number}]");
        let DeValue::Table(table) = item.get_ref() else {
            reader.fault(&path, "must be a table, written [[vary]]".to_owned(), item.span().start);
            continue;
        };
        let (mut found, before): (Vec<Varied>, usize) = (Vec::new(), reader.count());
        lists(reader, table, &mut Vec::new(), number, &mut found);
        // In the order of the file.
        found.sort_by_key(Varied::start);
        if found.is_empty() {
            if reader.count() == before {
                reader.fault(&path, "says no setting with a list of values".to_owned(), item.span().start);
            }
            continue;
        }
        let length = found[0].values.len();
        for it in &found {
            let (name, at) = (it.name(), it.start());
            if it.values.len() != length {
                let (first, have) = (found[0].name(), it.values.len());
                let message = format!(
                    "has {have} values, but {first}, which goes along with it, has {length}; lists that are to be combined \
                     are in a [[vary]] each"
                );
                reader.fault(&format!("{path}.{name}"), message, at);
            }
            if all.iter().any(|other| other.name() == name) || is_said(document, &it.keys) {
                let message = "is said elsewhere in the file, too".to_owned();
                reader.fault(&format!("{path}.{name}"), message, at);
            }
        }
        let value =
            |it: &Varied, place: usize| it.values.get(place).and_then(Reader::plain).unwrap_or_default();
        let values: Vec<Vec<Value>> =
            (0..length).map(|place| found.iter().map(|it| value(it, place)).collect()).collect();
        if let Some(place) = (1..length).find(|place| values[..*place].contains(&values[*place])) {
            let told = values[place].iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
            let message = format!("says {told} twice");
            let at = found[0].values.get(place).map_or(found[0].start(), |value| value.span().start);
            reader.fault(&format!("{path}.{}", found[0].name()), message, at);
        }
        axes.push(Axis { settings: found.iter().map(Varied::name).collect(), values });
        all.extend(found);
    }
    let points = axes.iter().fold(1_usize, |points, axis| points.saturating_mul(axis.values.len()));
    if points > MOST_POINTS {
        let message = format!("these are {points} combinations; {MOST_POINTS} are the most");
        reader.fault("vary", message, told.span().start);
    }
    (axes, all)
}

/// Finds the lists in a table, whatever the depth.
fn lists<'t>(
    reader: &mut Reader<'t>,
    table: &'t DeTable<'t>,
    above: &mut Vec<Spanned<std::borrow::Cow<'t, str>>>,
    axis: usize,
    found: &mut Vec<Varied<'t>>,
) {
    for (key, value) in table {
        let whole = above.iter().map(|key| key.get_ref().as_ref()).chain([key.get_ref().as_ref()]);
        let path = format!("vary[{axis}].{}", whole.collect::<Vec<_>>().join("."));
        if above.is_empty() && NOT_HERE.split(", ").any(|not| not == key.get_ref().as_ref()) {
            let message = "is not varied: settings of strategies are compared by a [[run]] each".to_owned();
            reader.fault(&path, message, key.span().start);
            continue;
        }
        above.push(key.clone());
        match value.get_ref() {
            DeValue::Table(inner) => lists(reader, inner, above, axis, found),
            DeValue::Array(values) if !values.is_empty() => {
                found.push(Varied { keys: above.clone(), values, axis });
            }
            _ => {
                reader.fault(&path, "must be a list of values, one at least".to_owned(), value.span().start);
            }
        }
        above.pop();
    }
}

/// Whether the file has this setting outside of what varies.
fn is_said(document: &DeTable, keys: &[Spanned<std::borrow::Cow<str>>]) -> bool {
    let Some((key, below)) = keys.split_first() else { return true };
    let value = document.get(key.get_ref().as_ref()).map(Spanned::get_ref);
    match value {
        None => false,
        Some(DeValue::Table(table)) => is_said(table, below),
        Some(_) => true,
    }
}

/// All combinations of places; the last axis goes through its places first.
pub(super) fn points(axes: &[Axis]) -> Vec<Vec<usize>> {
    let mut points = vec![Vec::new()];
    for axis in axes {
        let longer = |point: &Vec<usize>| {
            let more = |place| point.iter().copied().chain([place]).collect::<Vec<_>>();
            (0..axis.values.len()).map(more).collect::<Vec<_>>()
        };
        points = points.iter().flat_map(longer).collect();
    }
    points
}

/// The document with the values of a point.
pub(super) fn at_point<'t>(document: &DeTable<'t>, varied: &[Varied<'t>], places: &[usize]) -> DeTable<'t> {
    let mut whole = document.clone();
    whole.remove("vary");
    for it in varied {
        let Some(value) = it.values.get(places[it.axis]) else { continue };
        set(&mut whole, &it.keys, value);
    }
    whole
}

fn set<'t>(table: &mut DeTable<'t>, keys: &[Spanned<std::borrow::Cow<'t, str>>], value: &Item<'t>) {
    let Some((key, below)) = keys.split_first() else { return };
    if below.is_empty() {
        table.insert(key.clone(), value.clone());
        return;
    }
    if !table.contains_key(key.get_ref().as_ref()) {
        table.insert(key.clone(), Spanned::new(key.span(), DeValue::Table(DeTable::new())));
    }
    if let Some(DeValue::Table(inner)) = table.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut) {
        set(inner, below, value);
    }
}
