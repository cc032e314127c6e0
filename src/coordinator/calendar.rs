//! When VMs may be moved: windows and black-outs, by the clock of a place.

use crate::record::EventKind;
use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// A part of the week, `[[execution.windows]]` or `[[execution.blackouts]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// What it is called in messages.
    pub name: String,
    /// Days on which it begins: `mon`, `tue` …; empty = all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// When it begins, `HH:MM`.
    pub from: String,
    /// When it ends, `HH:MM`. If that is not after `from`, it is on the next day.
    pub to: String,
    /// Name of a time zone, `Europe/Paris`.
    #[serde(default = "utc", skip_serializing_if = "is_utc")]
    pub zone: String,
    /// What asks for the plans that it is about: kinds of events, or `request`; empty = all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<String>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn is_utc(zone: &str) -> bool {
    zone == "UTC"
}

impl Day {
    fn of(weekday: Weekday) -> Self {
        match weekday {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

impl Period {
    /// What is wrong with it: the field, and why.
    pub fn faults(&self, wrong: &mut dyn FnMut(&str, String)) {
        if self.name.is_empty() {
            wrong("name", "must not be empty: messages name the period by it".to_owned());
        }
        for (field, text) in [("from", &self.from), ("to", &self.to)] {
            if time(text).is_none() {
                wrong(field, format!("must be a time of day such as 22:30, is {text:?}"));
            }
        }
        if TimeZone::get(&self.zone).is_err() {
            wrong(
                "zone",
                format!("must be the name of a time zone such as Europe/Paris, is {:?}", self.zone),
            );
        }
        for trigger in &self.triggers {
            if trigger != "request" && !EventKind::TROUBLES.iter().any(|kind| kind.name() == trigger) {
                let names: Vec<&str> = EventKind::TROUBLES.iter().map(|kind| kind.name()).collect();
                let what = format!("must be \"request\" or one of {}", names.join(", "));
                wrong("triggers", format!("{what}, is {trigger:?}"));
            }
        }
    }

    /// Whether it is about plans with this trigger.
    fn is_about(&self, trigger: &str) -> bool {
        self.triggers.is_empty() || self.triggers.iter().any(|own| own == trigger)
    }

    /// Whether it is now. A period that is not valid never is.
    #[must_use]
    pub fn contains(&self, now: SystemTime) -> bool {
        let parts = (time(&self.from), time(&self.to), TimeZone::get(&self.zone), Timestamp::try_from(now));
        let (Some(from), Some(to), Ok(zone), Ok(now)) = parts else { return false };
        let local = now.to_zoned(zone);
        let (clock, today) = (local.time(), local.weekday());
        let on = |day: Weekday| self.days.is_empty() || self.days.contains(&Day::of(day));
        if from < to {
            on(today) && from <= clock && clock < to
        } else {
            on(today) && clock >= from || on(today.previous()) && clock < to
        }
    }
}

fn time(text: &str) -> Option<Time> {
    Time::strptime("%H:%M", text).ok()
}

/// Why VMs are not moved now for plans with this trigger; `None` = they may be. Black-outs go before windows.
#[must_use]
pub fn closed(windows: &[Period], blackouts: &[Period], trigger: &str, now: SystemTime) -> Option<String> {
    if let Some(period) = blackouts.iter().find(|period| period.is_about(trigger) && period.contains(now)) {
        return Some(format!("of the black-out {} until {} {}", period.name, period.to, period.zone));
    }
    let mine: Vec<&Period> = windows.iter().filter(|period| period.is_about(trigger)).collect();
    if mine.is_empty() || mine.iter().any(|period| period.contains(now)) {
        return None;
    }
    let told = |period: &&Period| format!("{} from {} {}", period.name, period.from, period.zone);
    let names: Vec<String> = mine.iter().map(told).collect();
    Some(format!("none of the windows for it is open: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn period(from: &str, to: &str, days: &[Day], zone: &str) -> Period {
        Period {
            name: "p".to_owned(),
            days: days.to_vec(),
            from: from.to_owned(),
            to: to.to_owned(),
            zone: zone.to_owned(),
            triggers: Vec::new(),
        }
    }

    fn at(text: &str) -> SystemTime {
        let stamp: Timestamp = text.parse().unwrap();
        SystemTime::UNIX_EPOCH + Duration::from_secs(stamp.as_second() as u64)
    }

    #[test]
    fn a_period_is_told_by_the_clock_of_its_place() {
        // A Friday.
        let office = period("08:00", "18:00", &[Day::Fri], "Europe/Paris");
        assert!(office.contains(at("2026-11-27T07:00:00Z")) && office.contains(at("2026-11-27T16:59:59Z")));
        assert!(!office.contains(at("2026-11-27T06:59:59Z")) && !office.contains(at("2026-11-27T17:00:00Z")));
        assert!(!office.contains(at("2026-11-28T09:00:00Z")));
        // In summer an hour earlier.
        assert!(office.contains(at("2026-07-31T06:00:00Z")) && !office.contains(at("2026-07-31T16:00:00Z")));
    }

    #[test]
    fn a_period_past_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = period("22:00", "06:00", &[Day::Fri], "UTC");
        assert!(night.contains(at("2026-11-27T22:00:00Z")) && night.contains(at("2026-11-28T05:59:00Z")));
        assert!(!night.contains(at("2026-11-27T05:00:00Z")) && !night.contains(at("2026-11-28T22:30:00Z")));
        let always = period("00:00", "00:00", &[], "UTC");
        assert!(always.contains(at("2026-11-27T00:00:00Z")) && always.contains(at("2026-11-27T23:59:59Z")));
    }

    #[test]
    fn blackouts_go_before_windows_and_both_may_be_about_some_triggers() {
        let now = at("2026-11-27T12:00:00Z");
        let day = period("08:00", "18:00", &[], "UTC");
        let night = Period { name: "night".to_owned(), ..period("22:00", "06:00", &[], "UTC") };
        let thrift = |period: &Period| Period { triggers: vec!["UNDERLOAD".to_owned()], ..period.clone() };
        assert_eq!(closed(&[], &[], "OVERLOAD", now), None);
        assert_eq!(closed(std::slice::from_ref(&day), &[], "OVERLOAD", now), None);
        let told = closed(std::slice::from_ref(&day), std::slice::from_ref(&day), "OVERLOAD", now);
        assert_eq!(told.as_deref(), Some("of the black-out p until 18:00 UTC"));
        let told = closed(std::slice::from_ref(&night), &[], "OVERLOAD", now);
        assert_eq!(told.as_deref(), Some("none of the windows for it is open: night from 22:00 UTC"));
        assert_eq!(closed(&[thrift(&night)], &[], "OVERLOAD", now), None);
        assert!(closed(&[thrift(&night)], &[], "UNDERLOAD", now).is_some());
        assert_eq!(closed(&[], &[thrift(&day)], "request", now), None);
    }

    #[test]
    fn faults_are_told_with_their_field() {
        let told = |period: &Period| {
            let mut all = Vec::new();
            period.faults(&mut |field, why| all.push(format!("{field} {why}")));
            all
        };
        assert!(told(&period("08:00", "18:00", &[], "UTC")).is_empty());
        let bad = Period {
            name: String::new(),
            triggers: vec!["overload".to_owned()],
            ..period("8 o'clock", "24:30", &[], "Mars/Base")
        };
        let told = told(&bad);
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(
            told[1].starts_with("from must be a time of day such as 22:30") && told[3].contains("Mars/Base")
        );
        assert!(!bad.contains(at("2026-11-27T12:00:00Z")));
    }
}
