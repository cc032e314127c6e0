//! The coordinators.

use super::{Item, WIDE, column, widest};
use crate::cli::format::safe;
use crate::cli::line::Line;
use crate::cli::paint::Tone;
use dvms_proto::v1::{Ring, RingMember};

pub(super) fn members(ring: &Ring, width: usize) -> (Option<String>, Vec<Item>) {
    let wide = width >= WIDE;
    let of = |text: fn(&RingMember) -> &str| ring.members.iter().map(text);
    let name = widest(of(|member| &member.name), 6, width / 4);
    let site = widest(of(|member| &member.site), 4, 12);
    let heading = if wide {
        format!(
            "{:<name$}  {:<site$}  {:<9} {:>9} {:>6} {:>6} {:>7} {:>5}  ASKS HELP FOR",
            "MEMBER", "SITE", "STATE", "AWAY", "HOSTS", "FREE", "VMS", "LEADS"
        )
    } else {
        format!("{:<name$} {:<9} {:>5} {:>6} {:>5}", "MEMBER", "STATE", "HOSTS", "VMS", "LEADS")
    };
    let item = |member: &RingMember| {
        let (tone, state) = match () {
            () if member.name == ring.name => (Tone::Good, "answers"),
            () if member.reachable => (Tone::Good, "reachable"),
            () => (Tone::Bad, "SILENT"),
        };
        let known = |figure: u32| if member.reachable { figure.to_string() } else { "-".to_owned() };
        let (hosts, free, vms) = (known(member.hosts), known(member.free_hosts), known(member.vms));
        let leads = known(u32::try_from(member.partitions.len()).unwrap_or(u32::MAX));
        let line = Line::default().text(column(&safe(&member.name), name));
        let line = if wide {
            let away = member.round_trip_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
            let line = line.text(format!("  {}  ", column(&safe(&member.site), site)));
            let line = line.toned(tone, format!("{state:<9}"));
            let line = line.text(format!(" {away:>9} {hosts:>6} {free:>6} {vms:>7} {leads:>5}  "));
            line.toned(Tone::Warning, safe(&member.events.join(" ")))
        } else {
            let line = line.text(" ").toned(tone, format!("{state:<9}"));
            line.text(format!(" {hosts:>5} {vms:>6} {leads:>5}"))
        };
        Item { lines: vec![line], words: member.address.clone() }
    };
    (Some(heading), ring.members.iter().map(item).collect())
}
