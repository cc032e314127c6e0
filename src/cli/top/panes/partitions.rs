//! Partitions of the ring, with how they have grown.

use super::{Item, WIDE};
use crate::cli::bars::bar;
use crate::cli::format::{count, safe, seconds, system_time};
use crate::cli::growth_view::{lack, most, stage, steps};
use crate::cli::line::{Line, wrap};
use crate::cli::paint::Tone;
use dvms_proto::v1::{Partition, Ring};
use std::time::SystemTime;

/// Hosts that are named.
const NAMED: usize = 24;

pub(super) fn partitions(ring: &Ring, now: SystemTime, width: usize) -> (Option<String>, Vec<Item>) {
    let all =
        || ring.members.iter().flat_map(|member| member.partitions.iter().map(move |led| (member, led)));
    let size = |partition: &Partition| (partition.host_count as usize).max(partition.hosts.len());
    let largest = all().map(|(_, partition)| most(partition)).max().unwrap_or(0).max(1);
    let bar_width = if width >= WIDE { 16 } else { 6 };
    let mut items = Vec::new();
    for (leader, partition) in all() {
        let (tone, stage) = stage(partition);
        let passed = |time: Option<prost_types::Timestamp>| {
            let passed = now.duration_since(time.and_then(system_time)?).unwrap_or_default();
            Some(seconds(passed.as_secs_f64().floor()))
        };
        let share = size(partition) as f64 / f64::from(largest);
        let mut line = Line::default().toned(Tone::Strong, safe(&partition.id)).text("  ").toned(tone, stage);
        if let Some(passed) = passed(partition.since) {
            line = line.text(format!(" for {passed}"));
        }
        let hosts = count(size(partition), "host");
        line = line.text("  ").toned(tone, bar(share, bar_width)).text(format!(" {hosts}"));
        let mut lines = vec![line];
        let mut more = vec![format!("led by {}", safe(&leader.name))];
        more.extend(passed(partition.began).map(|passed| format!("began {passed} ago")));
        let lacks = lack(partition);
        if !lacks.is_empty() {
            more.push(format!("lacks {lacks}"));
        }
        if !partition.plan_id.is_empty() {
            more.push(format!("plan {}", safe(&partition.plan_id)));
        }
        more.push(format!("for {}", safe(&partition.events.join(" "))));
        let told = |text: String| Line::default().text(format!("  {text}"));
        lines.extend(wrap(&more.join(" · "), width.saturating_sub(2)).into_iter().map(told));
        for step in steps(partition, largest) {
            let line = Line::default().toned(Tone::Faint, format!("  {:>8}  ", step.after));
            let line = line.toned(step.tone, step.bar(bar_width)).text(format!(" {:<22}", step.size));
            lines.push(line.text(" ").text(step.why));
        }
        lines.extend(wrap(&names(partition), width.saturating_sub(2)).into_iter().map(told));
        items.push(Item { lines, words: String::new() });
    }
    let heading = format!("A full bar is {}.", count(largest as usize, "host"));
    ((!items.is_empty()).then_some(heading), items)
}

/// Its hosts by name, as many as are named.
fn names(partition: &Partition) -> String {
    let name = |host: &dvms_proto::v1::PartitionHost| safe(&format!("{}@{}", host.name, host.owner));
    let mut names: Vec<String> = partition.hosts.iter().take(NAMED).map(name).collect();
    let all = (partition.host_count as usize).max(partition.hosts.len());
    if all > names.len() {
        names.push(format!("and {} more", all - names.len()));
    }
    names.join(" ")
}
