//! JSON that is nearly right: what is changed is mostly a value, so that most of it still means something.

use serde_json::Value;

/// What is put in place of a value.
const VALUES: [&str; 35] = [
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1",
    "2",
    "3",
    "1000",
    "4294967295",
    "4294967296",
    "9007199254740992",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "1e300",
    "1e-300",
    "0.5",
    "\"12\"",
    "\"\"",
    "\"-0\"",
    "[]",
    "{}",
    "\"h1\"",
    "\"v1\"",
    "\"rack\"",
    "\"OFFLINE\"",
    "\"FAILED\"",
    "\"DRAINING\"",
    "\"CORDONED\"",
    "\"ONLINE\"",
    "\"CONSOLIDATE\"",
    "\"BALANCE\"",
    "\"POWER\"",
    "\"cpu\"",
];

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most.max(1)
    }
}

/// A text that differs from this one in a few places, chosen by the seed.
#[must_use]
pub fn mutated(text: &str, seed: u64) -> String {
    let mut random = Random(seed);
    random.below(1);
    let Ok(mut value) = serde_json::from_str::<Value>(text) else { return bytes(text, &mut random) };
    for _ in 0..=random.below(3) {
        step(&mut value, &mut random);
    }
    let text = value.to_string();
    if random.below(16) == 0 { bytes(&text, &mut random) } else { text }
}

/// One change of one value.
fn step(value: &mut Value, random: &mut Random) {
    let other = part(value, random).clone();
    let known: Value = serde_json::from_str(VALUES[random.below(VALUES.len())]).unwrap_or_default();
    let what = random.below(8);
    let at = part(value, random);
    match (what, at) {
        (0, at) => *at = other,
        (1, Value::Array(list)) if !list.is_empty() => _ = list.remove(random.below(list.len())),
        (2, Value::Array(list)) => list.push(other),
        (3, Value::Array(list)) if !list.is_empty() => {
            // Once more, under another name.
            let mut copy = list[random.below(list.len())].clone();
            if let Some(name) = copy.get_mut("name") {
                *name = format!("x{}", random.below(1000)).into();
            }
            list.push(copy);
        }
        (1..=3, Value::Object(map)) if !map.is_empty() => {
            let key = map.keys().nth(random.below(map.len())).cloned().unwrap_or_default();
            map.remove(&key);
        }
        (4, at @ Value::Number(_)) => {
            // About as large.
            let times = [1, 2, 3, 4][random.below(4)];
            let near = at.as_i64().map(|n| n.wrapping_mul(times) / 2);
            *at = near.map_or(known, Value::from);
        }
        (_, at) => *at = known,
    }
}

/// Some part: the deeper, the likelier.
fn part<'v>(value: &'v mut Value, random: &mut Random) -> &'v mut Value {
    let count = match value {
        Value::Array(list) => list.len(),
        Value::Object(map) => map.len(),
        _ => 0,
    };
    if count == 0 || random.below(6) == 0 {
        return value;
    }
    let chosen = random.below(count);
    match value {
        Value::Array(list) => part(&mut list[chosen], random),
        Value::Object(map) => match map.values_mut().nth(chosen) {
            Some(inner) => part(inner, random),
            None => unreachable!("there are so many"),
        },
        _ => unreachable!("others have no parts"),
    }
}

/// Some bytes left out, or given twice.
fn bytes(text: &str, random: &mut Random) -> String {
    let all: Vec<char> = text.chars().collect();
    let from = random.below(all.len() + 1);
    let to = (from + random.below(8)).min(all.len());
    let (head, middle, tail) = (&all[..from], &all[from..to], &all[to..]);
    let again: &[char] = if random.below(2) == 0 { middle } else { &[] };
    [head, again, again, tail].concat().into_iter().collect()
}
