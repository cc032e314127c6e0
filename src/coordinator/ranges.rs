//! Settings that are numbers within bounds.

/// Reports a number that is out of its bounds.
pub(crate) fn in_range(
    path: &str,
    value: f64,
    (least, most): (f64, f64),
    wrong: &mut (impl FnMut(&str, String) + ?Sized),
) {
    if !(least..=most).contains(&value) {
        wrong(path, format!("must be from {} to {}, is {}", number(least), number(most), number(value)));
    }
}

/// What another setting is bounded by: this one, or `instead` where this one is refused itself.
pub(crate) fn bound(value: f64, (least, most): (f64, f64), instead: f64) -> f64 {
    if (least..=most).contains(&value) { value } else { instead }
}

/// A number as people write it: 1e300, not its 301 digits.
pub(crate) fn number(value: f64) -> String {
    let plain = !value.is_finite() || value == 0.0 || (1e-6..1e9).contains(&value.abs());
    if plain { format!("{value}") } else { format!("{value:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_do() {
        let written = [0.0, 0.8, 1e7, 86_400.0, 1e300, -2.5e-9, f64::NAN, f64::INFINITY].map(number);
        assert_eq!(written, ["0", "0.8", "10000000", "86400", "1e300", "-2.5e-9", "NaN", "inf"]);
    }
}
