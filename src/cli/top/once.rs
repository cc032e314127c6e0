//! A state as plain text, and as an object for programs. Pure.

use super::data::Data;
use super::figures::Totals;
use super::frame::{flow, totals};
use super::panes;
use super::state::{Pane, State};
use crate::cli::line::Line;
use crate::cli::paint::Tone;
use crate::cli::table::Look;
use dvms_proto::v1::Event;
use serde_json::{Value, json};
use std::time::SystemTime;

/// Where nobody says how long lines may be.
const WIDTH: usize = 120;
/// Events that are printed.
const EVENTS: usize = 20;

/// Everything, one pane below the other.
pub(super) fn text(state: &State, now: SystemTime, look: Look) -> String {
    let Some(data) = &state.data else { return String::new() };
    let width = look.width.map_or(WIDTH, usize::from);
    let mut lines = flow(&totals(&Totals::of(data, now), &data.silent), width);
    let fewer =
        Data { events: data.events.iter().take(EVENTS).cloned().collect::<Vec<Event>>(), ..data.clone() };
    for pane in Pane::ALL {
        let shown = panes::pane(state, &fewer, pane, now, width);
        lines.push(Line::default());
        lines.push(Line::default().toned(Tone::Strong, pane.name().to_uppercase()));
        if shown.heading.length() > 0 {
            lines.push(shown.heading);
        }
        lines.extend(shown.lines);
    }
    // A terminal has an edge, a file has none.
    let cut = |line: Line| if look.width.is_some() { line.cut(width) } else { line };
    let mut text = String::new();
    for line in lines {
        text.push_str(cut(line).painted(look.paint).trim_end());
        text.push('\n');
    }
    text
}

/// The same as an object: messages of the API in their JSON form, and the totals.
pub(super) fn value(state: &State, now: SystemTime) -> Value {
    let time = humantime::format_rfc3339_millis(now).to_string();
    let trouble = state.trouble.as_ref().map(|trouble| trouble.why.clone());
    let mut value = json!({"time": time, "server": state.server, "trouble": trouble});
    let Some(data) = &state.data else { return value };
    let totals = Totals::of(data, now);
    value["age_s"] = json!((state.age(now).as_secs_f64() * 10.0).round() / 10.0);
    value["silent"] = json!(data.silent);
    value["totals"] = json!({
        "hosts": totals.hosts,
        "overloaded": totals.overloaded,
        "underloaded": totals.underloaded,
        "draining": totals.draining,
        "down": totals.down,
        "vms": totals.vms,
        "cpu": finite(totals.cpu),
        "memory": finite(totals.memory),
        "plans_under_way": totals.plans,
        "migrations": totals.migrations,
        "partitions": totals.partitions,
        "members": totals.members,
        "members_silent": totals.silent,
        "events_per_minute": totals.events,
    });
    value["ring"] = crate::json::to_value(&data.ring);
    value["hosts"] = data.hosts.iter().map(crate::json::to_value).collect();
    value["plans"] = data.plans.iter().map(crate::json::to_value).collect();
    value["events"] = data.events.iter().map(crate::json::to_value).collect();
    value
}

/// JSON has no infinity: where something is used of nothing it is absent.
fn finite(share: f64) -> Option<f64> {
    share.is_finite().then(|| (share * 1000.0).round() / 1000.0)
}
