//! Hosts and their load.

use super::{Item, WIDE, column, widest};
use crate::cli::bars::{bar, percent, tone_of_load};
use crate::cli::format::safe;
use crate::cli::line::Line;
use crate::cli::paint::Tone;
use crate::cli::top::figures::{has, is_down, load};
use crate::cli::top::state::Sort;
use dvms_proto::v1::Host;
use dvms_proto::v1::host::{AdminState, Connection};
use std::cmp::Reverse;

pub(super) fn hosts(hosts: &[Host], sort: Sort, width: usize) -> (Option<String>, Vec<Item>) {
    let mut sorted: Vec<&Host> = hosts.iter().collect();
    let fullest = |host: &Host| load(host, "cpu").max(load(host, "memory"));
    match sort {
        Sort::Load => sorted.sort_by(|a, b| fullest(b).total_cmp(&fullest(a)).then(a.name.cmp(&b.name))),
        Sort::Name => sorted.sort_by_key(|host| &host.name),
        Sort::Vms => sorted.sort_by_key(|host| (Reverse(host.vm_count), &host.name)),
        Sort::Moves => sorted.sort_by_key(|host| (Reverse(host.migrations), &host.name)),
        Sort::Trouble => sorted.sort_by_key(|host| (trouble(host), &host.name)),
    }
    let name = widest(hosts.iter().map(|host| host.name.as_str()), 4, width / 4);
    let wide = width >= WIDE;
    let both = width.saturating_sub(name + if wide { 54 } else { 20 });
    let (cpu, memory) = if wide { (both * 3 / 5, both - both * 3 / 5) } else { (both, 0) };
    let (cpu, memory) = (cpu.clamp(4, 40), memory.min(30));
    // Bars with their figures.
    let (of_cpu, of_memory) = (cpu + 6, memory + 6);
    let heading = if wide {
        format!(
            "{:<name$}  {:<9} {:<of_cpu$} {:<of_memory$} {:>5} {:>5}  CONDITIONS",
            "HOST", "STATE", "CPU", "MEMORY", "VMS", "MOVES"
        )
    } else {
        format!("{:<name$} {:<cpu$} {:>5}{:>6}{:>5}", "HOST", "CPU", "", "MEM", "VMS", cpu = cpu)
    };
    let item = |host: &&Host| {
        let (tone, state) = state(host);
        let part = |resource: &str| {
            let share = load(host, resource);
            let over = has(host, "OVERLOAD") && share > 0.8;
            (tone_of_load(share, if over { 0.8 } else { 1.0 }), share)
        };
        let ((cpu_tone, cpu_share), (memory_tone, memory_share)) = (part("cpu"), part("memory"));
        let line = Line::default().text(column(&safe(&host.name), name));
        let line = if wide {
            let line = line.text("  ").toned(tone, format!("{state:<9} "));
            let line = line.toned(cpu_tone, bar(cpu_share, cpu)).text(format!("{:>6} ", percent(cpu_share)));
            let line = line.toned(memory_tone, bar(memory_share, memory));
            let line = line.text(format!("{:>6} {:>5}", percent(memory_share), host.vm_count));
            let moves = if host.migrations > 0 { Tone::Busy } else { Tone::Faint };
            line.toned(moves, format!(" {:>5}", host.migrations))
                .toned(Tone::Warning, format!("  {}", safe(&host.conditions.join(" "))))
        } else {
            let line = line.text(" ").toned(if is_down(host) { tone } else { cpu_tone }, bar(cpu_share, cpu));
            line.text(format!("{:>6}{:>6}{:>5}", percent(cpu_share), percent(memory_share), host.vm_count))
        };
        let labels = host.labels.iter().map(|(key, value)| format!("{key}={value}"));
        let words = labels.chain([state.to_owned()]).chain(host.conditions.iter().cloned());
        Item { lines: vec![line], words: words.collect::<Vec<_>>().join(" ") }
    };
    (Some(heading), sorted.iter().map(item).collect())
}

/// The worse the sooner.
fn trouble(host: &Host) -> u8 {
    match host.connection() {
        Connection::Failed => 0,
        Connection::Lost => 1,
        _ if has(host, "OVERLOAD") => 2,
        _ if host.conditions.iter().any(|condition| condition != "UNDERLOAD") => 3,
        _ if host.state() != AdminState::Online => 4,
        _ if !host.conditions.is_empty() => 5,
        _ => 6,
    }
}

fn state(host: &Host) -> (Tone, &'static str) {
    match (host.connection(), host.state()) {
        (Connection::Failed, _) => (Tone::Bad, "FAILED"),
        (Connection::Lost, _) => (Tone::Bad, "LOST"),
        (_, AdminState::Draining) => (Tone::Busy, "DRAINING"),
        (_, AdminState::Cordoned) => (Tone::Warning, "CORDONED"),
        _ => (Tone::Good, "ONLINE"),
    }
}
