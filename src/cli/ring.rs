//! `dvms ring`: the coordinators that serve one infrastructure together.

use super::client::{Server, block_on, call};
use super::exit::Exit;
use super::failure::Failure;
use super::format::{count, safe};
use super::output::Output;
use super::paint::Tone;
use super::table::{Cell, Column, Look, Table};
use dvms_proto::v1::{GetRingRequest, Partition, Ring, RingMember};
use std::fmt::Write as _;

/// Hosts that a line names.
const NAMED: usize = 8;

/// Shows the coordinators, their cells, and the partitions that go over several of them
///
/// A partition is what hosts are reserved in when the hosts of one coordinator cannot absorb a trouble alone. Its stage
/// is GATHERING hosts, SOLVING, BLOCKED (others hold what is lacking), OFFERING, ABSORBING or ADOPTING (two become
/// one), COMMITTING, or EXECUTING its plan.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dvms ring
  dvms ring --watch 1
  dvms ring --output json | jq '.members[].partitions'")]
pub(crate) struct Arguments {
    /// Show it again every so many seconds, until interrupted
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
}

/// Shows the ring.
///
/// # Errors
/// The server is not there or refuses.
pub(crate) fn run(arguments: &Arguments, server: &str, output: Output) -> Result<Exit, Failure> {
    block_on(async {
        let server = Server::connect(server).await?;
        loop {
            let ring = server.ring().get_ring(call(GetRingRequest { local: false })).await;
            let ring = ring.map_err(|status| server.failure(&status))?.into_inner();
            if output.is_json() {
                output.message(&ring)?;
            } else {
                output.text(&picture(output.look, &ring))?;
            }
            let Some(seconds) = arguments.watch else { return Ok(Exit::Success) };
            tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
            if !output.is_json() {
                output.line("")?;
            }
        }
    })
}

/// Members, then partitions.
fn picture(look: Look, ring: &Ring) -> String {
    let mut text = members(look, ring);
    for member in ring.members.iter().filter(|member| !member.no_link.is_empty()) {
        let _ = write!(text, "\nNo link from {} to {}: {}\n", ring.name, member.name, safe(&member.no_link));
    }
    let led = ring.members.iter().flat_map(|member| member.partitions.iter().map(move |led| (member, led)));
    let led: Vec<_> = led.collect();
    if led.is_empty() {
        text.push_str("\nNo partition goes over several coordinators now.\n");
    } else {
        text.push('\n');
        text.push_str(&partitions(look, &led));
    }
    text
}

fn members(look: Look, ring: &Ring) -> String {
    let columns = [
        Column::Left("COORDINATOR"),
        Column::Left("SITE"),
        Column::Left("ADDRESS"),
        Column::Left("STATE"),
        Column::Right("AWAY"),
        Column::Right("HOSTS"),
        Column::Right("FREE"),
        Column::Right("VMS"),
        Column::Right("LEADS"),
        Column::Text("ASKS HELP FOR"),
    ];
    let mut table = Table::new(look, &columns);
    for member in &ring.members {
        let known = |figure: u32| if member.reachable { figure.to_string() } else { "-".to_owned() };
        table.row([
            member.name.clone().into(),
            or_dash(&member.site).into(),
            or_dash(&member.address).into(),
            state(ring, member),
            member.round_trip_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms")).into(),
            known(member.hosts).into(),
            known(member.free_hosts).into(),
            known(member.vms).into(),
            known(member.partitions.len() as u32).into(),
            member.events.join(" ").into(),
        ]);
    }
    table.render()
}

fn state(ring: &Ring, member: &RingMember) -> Cell {
    if member.name == ring.name {
        Cell::toned(Tone::Good, "answers")
    } else if member.reachable && !member.no_link.is_empty() {
        Cell::toned(Tone::Bad, "NO LINK")
    } else if member.reachable {
        Cell::toned(Tone::Good, "reachable")
    } else {
        Cell::toned(Tone::Bad, "SILENT")
    }
}

fn partitions(look: Look, led: &[(&RingMember, &Partition)]) -> String {
    let columns = [
        Column::Left("PARTITION"),
        Column::Left("LEADER"),
        Column::Left("STAGE"),
        Column::Left("PLAN"),
        Column::Left("FOR"),
        Column::Text("HOSTS"),
    ];
    let mut table = Table::new(look, &columns);
    for (member, partition) in led {
        let name = |host: &dvms_proto::v1::PartitionHost| format!("{}@{}", host.name, host.owner);
        let mut hosts: Vec<String> = partition.hosts.iter().take(NAMED).map(name).collect();
        if partition.hosts.len() > NAMED {
            hosts.push(format!("and {} more", partition.hosts.len() - NAMED));
        }
        let tone = match partition.stage.as_str() {
            "BLOCKED" => Tone::Warning,
            "EXECUTING" => Tone::Good,
            _ => Tone::Busy,
        };
        table.row([
            partition.id.clone().into(),
            member.name.clone().into(),
            Cell::toned(tone, partition.stage.clone()),
            or_dash(&partition.plan_id).into(),
            partition.events.join(" ").into(),
            format!("{}: {}", count(partition.hosts.len(), "host"), hosts.join(" ")).into(),
        ]);
    }
    table.render()
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { safe(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvms_proto::v1::PartitionHost;

    fn member(name: &str, reachable: bool) -> RingMember {
        RingMember {
            name: name.into(),
            address: format!("{name}:7600"),
            reachable,
            hosts: 3,
            ..RingMember::default()
        }
    }

    #[test]
    fn members_and_what_they_lead_are_shown() {
        let host = |i: usize| PartitionHost { name: format!("h{i}"), owner: "west".into() };
        let partition = Partition {
            id: "7.east.1".into(),
            stage: "EXECUTING".into(),
            kind: "OVERLOAD".into(),
            hosts: (0..10).map(host).collect(),
            events: vec!["OVERLOAD:h0@east".into()],
            plan_id: "p-1-east".into(),
            version: 2,
        };
        let mut east = member("east", true);
        (east.round_trip_ms, east.partitions) = (None, vec![partition]);
        let mut north = member("north", true);
        north.round_trip_ms = Some(1.26);
        let ring = Ring { name: "east".into(), members: vec![east, north, member("west", false)] };
        let look = Look::PLAIN;
        let text = picture(look, &ring);
        for words in [
            "answers",
            "reachable",
            "1.3 ms",
            "SILENT",
            "7.east.1",
            "p-1-east",
            "10 hosts: h0@west",
            "and 2 more",
        ] {
            assert!(text.contains(words), "{words} in\n{text}");
        }
        // What a silent one has is not known.
        let west = text.lines().find(|line| line.starts_with("west")).unwrap();
        assert!(!west.contains('3'), "{west}");
        let mut strange = member("north", true);
        strange.no_link = "north speaks version 9".into();
        let ring = Ring { name: "east".into(), members: vec![member("east", true), strange] };
        let text = picture(look, &ring);
        assert!(
            text.contains("NO LINK") && text.contains("from east to north: north speaks version 9\n"),
            "{text}"
        );
        let calm = picture(look, &Ring { name: "east".into(), members: vec![member("east", true)] });
        assert!(calm.contains("No partition goes over several coordinators now."), "{calm}");
    }
}
