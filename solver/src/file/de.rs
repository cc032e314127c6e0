//! How proto3 JSON is read: integers as numbers or strings, `null` as the default, keys once.

use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Reads `null` as the type's default.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a list of names, `null` as none; a list without any is refused, as one that is given asks for something.
pub(super) fn none_or_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    match Option::<Vec<String>>::deserialize(deserializer)? {
        Some(list) if list.is_empty() => {
            Err(de::Error::custom("the list names nothing: leave it out, or name what is wanted"))
        }
        list => Ok(list.unwrap_or_default()),
    }
}

/// Lets records be read from objects only. Serde's derived code also takes an array, by position, which
/// no JSON mapping of protobuf knows and no reader expects. Each type derives with `remote = "Self"`.
macro_rules! strict_object {
    ($($name:ident),+) => {$(
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ObjectVisitor;
                impl<'de> serde::de::Visitor<'de> for ObjectVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        $name::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    }
                }
                deserializer.deserialize_map(ObjectVisitor)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, serializer)
            }
        }
    )+};
}
pub(super) use strict_object;

/// An integer written as a number, as a whole float or as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Int(pub(super) i64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntVisitor;
        impl Visitor<'_> for IntVisitor {
            type Value = Int;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer, as a number or a string")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Int, E> {
                Ok(Int(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Int, E> {
                i64::try_from(value).map(Int).map_err(|_| E::custom("the integer is larger than 2^63 - 1"))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Int, E> {
                if value.fract() == 0.0 && value.abs() < 9.0e18 {
                    Ok(Int(value as i64))
                } else {
                    Err(E::custom(format_args!("{value} is not an integer of 64 bits")))
                }
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Int, E> {
                let wrong = || E::custom(format_args!("{value:?} is not an integer of 64 bits"));
                if value.starts_with('+') {
                    Err(wrong())
                } else {
                    value.parse().map(Int).map_err(|_| wrong())
                }
            }
        }
        deserializer.deserialize_any(IntVisitor)
    }
}

pub(super) fn int<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Ok(Option::<Int>::deserialize(deserializer)?.unwrap_or_default().0)
}

pub(super) fn maybe_int<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(Option::<Int>::deserialize(deserializer)?.map(|Int(value)| value))
}

/// A number written as such or as a string; finite.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Float(f64);

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FloatVisitor;
        impl Visitor<'_> for FloatVisitor {
            type Value = Float;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, as such or as a string")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Float, E> {
                Ok(Float(value as f64))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Float, E> {
                Ok(Float(value as f64))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Float, E> {
                Ok(Float(value))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Float, E> {
                // Rust also parses "inf", "nan", ".5" and "+1", which are no JSON numbers.
                let decimal = value.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c))
                    && value.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
                let number = if decimal { value.parse().ok().filter(|n: &f64| n.is_finite()) } else { None };
                number.map(Float).ok_or_else(|| E::custom(format_args!("{value:?} is not a finite number")))
            }
        }
        deserializer.deserialize_any(FloatVisitor)
    }
}

pub(super) fn float<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<Float>::deserialize(deserializer)?.unwrap_or_default().0)
}

pub(super) fn maybe_float<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Ok(Option::<Float>::deserialize(deserializer)?.map(|Float(value)| value))
}

pub(super) fn floats<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
    Ok(map::<D, Float>(deserializer)?.into_iter().map(|(key, Float(value))| (key, value)).collect())
}

/// An id: an integer that is not negative.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let Int(value) = Int::deserialize(deserializer)?;
    u64::try_from(value).map_err(|_| de::Error::custom("must not be negative"))
}

pub(super) fn ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    integers(deserializer)?
        .into_iter()
        .map(|value| u64::try_from(value).map_err(|_| de::Error::custom("must not be negative")))
        .collect()
}

pub(super) fn integers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
    let values = Option::<Vec<Int>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(values.into_iter().map(|Int(value)| value).collect())
}

/// A map whose keys occur once.
struct Unique<T>(BTreeMap<String, T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor<T>(PhantomData<T>);
        impl<'de, T: DeserializeOwned> Visitor<'de> for MapVisitor<T> {
            type Value = Unique<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Unique<T>, A::Error> {
                let mut map = BTreeMap::new();
                while let Some((key, value)) = access.next_entry::<String, T>()? {
                    if map.contains_key(&key) {
                        return Err(de::Error::custom(format_args!("the key {key:?} is given twice")));
                    }
                    map.insert(key, value);
                }
                Ok(Unique(map))
            }
        }
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

pub(super) fn map<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(Option::<Unique<T>>::deserialize(deserializer)?.map(|unique| unique.0).unwrap_or_default())
}

pub(super) fn amounts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, i64>, D::Error> {
    Ok(map::<D, Int>(deserializer)?.into_iter().map(|(key, Int(value))| (key, value)).collect())
}

pub(super) fn node_lists<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Vec<i64>>, D::Error> {
    let lists = map::<D, Vec<Int>>(deserializer)?;
    Ok(lists.into_iter().map(|(key, list)| (key, list.into_iter().map(|Int(n)| n).collect())).collect())
}
