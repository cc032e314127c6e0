//! Amounts and times for people.

use std::time::{Duration, SystemTime};

/// Milli-cores as cores: `1.2`, `16`.
pub(crate) fn cores(millicores: i64) -> String {
    short(millicores as f64 / 1000.0)
}

/// MiB in the unit that keeps it short: `512 MiB`, `64 GiB`, `1.5 TiB`.
pub(crate) fn mib(amount: i64) -> String {
    let (value, unit) = match amount.unsigned_abs() {
        0..=1023 => (amount as f64, "MiB"),
        1024..=1_048_575 => (amount as f64 / 1024.0, "GiB"),
        _ => (amount as f64 / 1_048_576.0, "TiB"),
    };
    format!("{} {unit}", short(value))
}

/// An amount of any resource with its unit, as the contract has it.
pub(crate) fn amount(resource: &str, amount: i64) -> String {
    match resource {
        "cpu" if amount.abs() == 1 => format!("{amount} millicore"),
        "cpu" if (2..1000).contains(&amount.abs()) => format!("{amount} millicores"),
        "cpu" if amount.abs() == 1000 => format!("{} core", cores(amount)),
        "cpu" => format!("{} cores", cores(amount)),
        "memory" => mib(amount),
        "network" => format!("{amount} Mbit/s"),
        "disk" => format!("{amount} GiB"),
        _ => amount.to_string(),
    }
}

/// With one decimal where it says something.
fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A figure without needless decimals: at most two.
pub(crate) fn figure(value: f64) -> String {
    // Adding zero makes of -0 a 0.
    let text = format!("{:.2}", value + 0.0);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Seconds: `0.03 s`, `2.4 s`, `75 s`, `12 min`, `3.5 h`.
pub(crate) fn seconds(value: f64) -> String {
    match value.abs() {
        v if v < 0.1 && v > 0.0 => format!("{value:.2} s"),
        v if v < 99.95 => format!("{} s", short(value)),
        v if v < 5999.5 => format!("{:.0} min", value / 60.0),
        v if v < 172_800.0 => format!("{} h", short(value / 3600.0)),
        _ => format!("{:.0} d", value / 86_400.0),
    }
}

/// A duration as [`seconds`].
pub(crate) fn duration(value: Duration) -> String {
    seconds(value.as_secs_f64())
}

/// How long ago a time was; a time to come is `now`.
pub(crate) fn ago(time: SystemTime, now: SystemTime) -> String {
    match now.duration_since(time) {
        Ok(passed) if passed.as_secs() >= 1 => format!("{} ago", seconds(passed.as_secs_f64().floor())),
        _ => "now".to_owned(),
    }
}

/// A point in time, UTC to the second: `2026-11-26 01:15:59`.
pub(crate) fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

/// A time of the API; `None` for one that no clock has.
pub(crate) fn system_time(time: prost_types::Timestamp) -> Option<SystemTime> {
    let time = SystemTime::try_from(time).ok()?;
    // What is written must have four digits of a year.
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    (SystemTime::UNIX_EPOCH..=last).contains(&time).then_some(time)
}

/// Text of others on its way to a terminal: what could steer it is replaced.
pub(crate) fn safe(text: &str) -> String {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{E0100}'..='\u{E01EF}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| {
            if c == '\t' {
                ' '
            } else if odd(c) {
                '\u{FFFD}'
            } else {
                c
            }
        })
        .collect()
}

/// `1 VM`, `2 VMs`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        assert_eq!([cores(1200), cores(16000), cores(0), cores(40)], ["1.2", "16", "0", "0"]);
        assert_eq!(
            [mib(512), mib(65536), mib(1536), mib(3_145_728)],
            ["512 MiB", "64 GiB", "1.5 GiB", "3 TiB"]
        );
        assert_eq!([figure(1000.0), figure(0.125), figure(2.5), figure(-0.0)], ["1000", "0.12", "2.5", "0"]);
        assert_eq!(amount("gpu", 3), "3");
        assert_eq!(amount("network", 3), "3 Mbit/s");
        let cpu = [0, 1, -1, 999, 1000, 1500].map(|cpu| amount("cpu", cpu));
        let expected = ["0 cores", "1 millicore", "-1 millicore", "999 millicores", "1 core", "1.5 cores"];
        assert_eq!(cpu, expected);
    }

    #[test]
    fn times_are_short() {
        let all = [0.03, 2.4, 75.0, 720.0, 12600.0, 260_000.0].map(seconds);
        assert_eq!(all, ["0.03 s", "2.4 s", "75 s", "12 min", "3.5 h", "3 d"]);
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(time(then), "2023-11-14 22:13:20");
        assert_eq!(ago(then, then + Duration::from_millis(7900)), "7 s ago");
        assert_eq!(ago(then + Duration::from_secs(3), then), "now");
        assert_eq!(system_time(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), None);
    }

    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        assert_eq!(safe("a\x1b[31mb\nc\td\u{202E}"), "a\u{FFFD}[31mb\u{FFFD}c d\u{FFFD}");
    }
}
