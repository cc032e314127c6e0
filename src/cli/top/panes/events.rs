//! What has happened.

use super::{Item, WIDE, column, widest};
use crate::cli::format::{safe, system_time, time};
use crate::cli::line::Line;
use crate::cli::paint::Tone;
use dvms_proto::v1::Event;
use dvms_proto::v1::event::Severity;

/// Newest first; `several` = there are several coordinators, which are named then.
pub(super) fn events(events: &[Event], several: bool, width: usize) -> (Option<String>, Vec<Item>) {
    let wide = width >= WIDE;
    let coordinator = widest(events.iter().map(|event| event.coordinator.as_str()), 2, 12);
    let at = several && wide;
    let heading = if at {
        format!("TIME      {:<coordinator$}  {:<14}  EVENT", "AT", "KIND")
    } else {
        format!("TIME      {:<14}  EVENT", "KIND")
    };
    let item = |event: &Event| {
        let when = event.time.and_then(system_time).map_or_else(|| "-".to_owned(), time);
        let clock = when.split(' ').next_back().unwrap_or_default();
        let tone = match event.severity() {
            Severity::Error => Tone::Bad,
            Severity::Warning => Tone::Warning,
            Severity::Info | Severity::Unspecified => Tone::Good,
        };
        let line = Line::default().toned(Tone::Faint, format!("{clock:<8}  "));
        let line =
            if at { line.text(column(&safe(&event.coordinator), coordinator)).text("  ") } else { line };
        let line = line.toned(tone, format!("{:<14}", event.kind().as_str_name())).text("  ");
        let words = format!("{} {} {}", event.host, event.vm, event.severity().as_str_name());
        Item { words, ..Item::of(line.text(safe(&event.message))) }
    };
    (Some(heading), events.iter().map(item).collect())
}
