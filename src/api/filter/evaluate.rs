//! From comparisons to tests of a message: fields are looked up in its descriptor once.

use super::FilterFault;
use super::parse::{Comparison, Op};
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use prost_types::Timestamp;
use std::cmp::Ordering;

/// A comparison that fits the message it is for.
#[derive(Debug)]
pub(super) struct Test {
    steps: Vec<Step>,
    op: Op,
    wanted: Wanted,
}

#[derive(Debug)]
enum Step {
    Field(FieldDescriptor),
    Key(String),
}

/// The value to compare with, in the type of the field.
#[derive(Debug)]
enum Wanted {
    Text(String),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Bool(bool),
    Enum(i32),
    Time(Timestamp),
    /// An element of a list.
    Element(Box<Wanted>),
}

impl Test {
    pub(super) fn new(message: &MessageDescriptor, comparison: &Comparison) -> Result<Self, FilterFault> {
        let (steps, field) = resolve(message, comparison)?;
        let wanted = wanted(&field, &steps, comparison)?;
        Ok(Self { steps, op: comparison.op, wanted })
    }

    pub(super) fn holds(&self, message: &DynamicMessage) -> bool {
        match find(message, &self.steps) {
            Some(value) => self.compare(&value),
            None => self.op == Op::NotEqual,
        }
    }

    fn compare(&self, value: &Value) -> bool {
        if let (Wanted::Element(wanted), Value::List(list)) = (&self.wanted, value) {
            return list.iter().any(|value| order(value, wanted) == Some(Ordering::Equal));
        }
        if let (Op::Contains, Wanted::Text(wanted), Value::String(text)) = (self.op, &self.wanted, value) {
            return text.contains(wanted.as_str());
        }
        let Some(order) = order(value, &self.wanted) else { return self.op == Op::NotEqual };
        match self.op {
            Op::Equal => order.is_eq(),
            Op::NotEqual => order.is_ne(),
            Op::Less => order.is_lt(),
            Op::LessOrEqual => order.is_le(),
            Op::Greater => order.is_gt(),
            Op::GreaterOrEqual => order.is_ge(),
            Op::Contains => false,
        }
    }
}

/// Follows the path of a field; a key of a map takes the rest of the path, dots included.
fn resolve(
    message: &MessageDescriptor,
    comparison: &Comparison,
) -> Result<(Vec<Step>, FieldDescriptor), FilterFault> {
    let fault = |message: String| Err(FilterFault { position: comparison.field_position, message });
    let mut steps = Vec::new();
    let mut message = message.clone();
    let mut rest = comparison.field.as_str();
    loop {
        let (name, tail) = rest.split_once('.').map_or((rest, None), |(name, tail)| (name, Some(tail)));
        let Some(field) = message.get_field_by_name(name) else {
            let known: Vec<_> = message.fields().map(|field| field.name().to_owned()).collect();
            let kind = message.name();
            return fault(format!("{name:?} is not a field of {kind}; it has {}", known.join(", ")));
        };
        steps.push(Step::Field(field.clone()));
        if field.is_map() {
            let Some(key) = tail.filter(|key| !key.is_empty()) else {
                return fault(format!("{name} is a map, a key is needed: `{name}.key`"));
            };
            steps.push(Step::Key(key.to_owned()));
            let Kind::Message(entry) = field.kind() else { return fault("not a map".into()) };
            return Ok((steps, entry.map_entry_value_field()));
        }
        match (field.kind(), tail) {
            (Kind::Message(inner), Some(tail)) if !field.is_list() && !is_time(&inner) => {
                message = inner;
                rest = tail;
            }
            (_, Some(_)) => return fault(format!("{name} has no fields of its own")),
            (_, None) => return Ok((steps, field)),
        }
    }
}

fn is_time(message: &MessageDescriptor) -> bool {
    message.full_name() == "google.protobuf.Timestamp"
}

fn wanted(field: &FieldDescriptor, steps: &[Step], comparison: &Comparison) -> Result<Wanted, FilterFault> {
    let name = &comparison.field;
    let bad_op = |allowed: &str| {
        let message = format!("{name} can be compared with {allowed} only");
        Err(FilterFault { position: comparison.op_position, message })
    };
    let listed = field.is_list() && !matches!(steps.last(), Some(Step::Key(_)));
    if listed {
        let element = element(&field.kind(), comparison)?;
        let element = element.filter(|_| comparison.op == Op::Contains);
        return element.map(|wanted| Wanted::Element(Box::new(wanted))).map_or_else(|| bad_op(":"), Ok);
    }
    let Some(wanted) = element(&field.kind(), comparison)? else {
        let message = format!("{name} is a message; name one of its fields, for example `{name}.FIELD`");
        return Err(FilterFault { position: comparison.field_position, message });
    };
    match (&wanted, comparison.op) {
        (Wanted::Text(_), _) | (Wanted::Bool(_) | Wanted::Enum(_), Op::Equal | Op::NotEqual) => Ok(wanted),
        (Wanted::Bool(_) | Wanted::Enum(_), _) => bad_op("= and !="),
        (_, Op::Contains) => bad_op("= != < <= > >="),
        _ => Ok(wanted),
    }
}

/// The value as one of the field's type; `None` for a message.
fn element(kind: &Kind, comparison: &Comparison) -> Result<Option<Wanted>, FilterFault> {
    let text = &comparison.value;
    let expected = |what: String| FilterFault {
        position: comparison.value_position,
        message: format!("{} wants {what}, not {text:?}", comparison.field),
    };
    let number = || expected("an integer".into());
    Ok(Some(match kind {
        Kind::String => Wanted::Text(text.clone()),
        Kind::Bool => Wanted::Bool(text.parse().map_err(|_| expected("true or false".into()))?),
        Kind::Int32 | Kind::Int64 | Kind::Sint32 | Kind::Sint64 | Kind::Sfixed32 | Kind::Sfixed64 => {
            Wanted::Signed(text.parse().map_err(|_| number())?)
        }
        Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => {
            Wanted::Unsigned(text.parse().map_err(|_| number())?)
        }
        Kind::Float | Kind::Double => {
            let value: f64 = text.parse().map_err(|_| expected("a number".into()))?;
            Wanted::Float(value)
        }
        Kind::Enum(names) => Wanted::Enum(enum_number(names, text).map_err(expected)?),
        Kind::Message(message) if is_time(message) => {
            let time = text.parse::<Timestamp>();
            Wanted::Time(time.map_err(|_| expected("a time such as 2026-05-04T12:00:00Z".into()))?)
        }
        Kind::Bytes | Kind::Message(_) => return Ok(None),
    }))
}

fn enum_number(names: &EnumDescriptor, text: &str) -> Result<i32, String> {
    if let Some(value) = names.get_value_by_name(text) {
        return Ok(value.number());
    }
    let known: Vec<_> = names.values().filter(|v| v.number() != 0).map(|v| v.name().to_owned()).collect();
    Err(format!("one of {}", known.join(", ")))
}

/// The value at the end of a path; `None` where an optional field is absent or a map lacks the key.
fn find(message: &DynamicMessage, steps: &[Step]) -> Option<Value> {
    let (first, rest) = steps.split_first()?;
    let Step::Field(field) = first else { return None };
    if field.supports_presence() && !message.has_field(field) {
        return None;
    }
    let value = message.get_field(field);
    match (rest, value.as_ref()) {
        ([], value) => Some(value.clone()),
        ([Step::Key(key)], Value::Map(map)) => map.get(&MapKey::String(key.clone())).cloned(),
        (rest, Value::Message(inner)) => find(inner, rest),
        _ => None,
    }
}

fn order(value: &Value, wanted: &Wanted) -> Option<Ordering> {
    match (value, wanted) {
        (Value::String(a), Wanted::Text(b)) => Some(a.as_str().cmp(b)),
        (Value::Bool(a), Wanted::Bool(b)) => Some(a.cmp(b)),
        (Value::EnumNumber(a), Wanted::Enum(b)) => Some(a.cmp(b)),
        (Value::I32(a), Wanted::Signed(b)) => Some(i64::from(*a).cmp(b)),
        (Value::I64(a), Wanted::Signed(b)) => Some(a.cmp(b)),
        (Value::U32(a), Wanted::Unsigned(b)) => Some(u64::from(*a).cmp(b)),
        (Value::U64(a), Wanted::Unsigned(b)) => Some(a.cmp(b)),
        (Value::F32(a), Wanted::Float(b)) => f64::from(*a).partial_cmp(b),
        (Value::F64(a), Wanted::Float(b)) => a.partial_cmp(b),
        (Value::Message(time), Wanted::Time(wanted)) => {
            let time: Timestamp = time.transcode_to().ok()?;
            Some((time.seconds, time.nanos).cmp(&(wanted.seconds, wanted.nanos)))
        }
        _ => None,
    }
}
