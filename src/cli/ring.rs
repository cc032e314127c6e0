//! `dvms ring`: the coordinators that serve one infrastructure together.

use super::client::{Server, block_on, call};
use super::exit::Exit;
use super::failure::Failure;
use super::format::{ago, count, safe, system_time};
use super::growth_view::{lack, most, stage, steps};
use super::output::Output;
use super::paint::Tone;
use super::table::{Cell, Column, Look, Table};
use dvms_proto::v1::{GetRingRequest, Partition, Ring, RingMember};
use std::fmt::Write as _;
use std::time::SystemTime;

/// Hosts that a line names.
const NAMED: usize = 8;
/// Length of the bars of growth.
const BAR: usize = 12;

/// Shows the coordinators, their cells, and the partitions that go over several of them
///
/// A partition is what hosts are reserved in when the hosts of one coordinator cannot absorb a trouble alone. Its stage
/// is GATHERING hosts, SOLVING, BLOCKED (others hold what is lacking), OFFERING, ABSORBING or ADOPTING (two become
/// one), COMMITTING, or EXECUTING its plan. Below each partition is how it has become what it is, step by step, with
/// the hosts that it had then. The same live, with hosts and plans: dvms top.
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
                output.text(&picture(output.look, &ring, SystemTime::now()))?;
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
fn picture(look: Look, ring: &Ring, now: SystemTime) -> String {
    let mut text = members(look, ring);
    for member in ring.members.iter().filter(|member| !member.no_link.is_empty()) {
        let _ = write!(text, "\nNo link from {} to {}: {}\n", ring.name, member.name, safe(&member.no_link));
    }
    text.push_str(&costs(ring));
    for name in &ring.departed {
        let name = safe(name);
        let _ = write!(
            text,
            "\n{name} has left without a word: VMs that are down wait for an operator, as they may run there. If it will not come \
             back: dvms forget --coordinator {name}\n"
        );
    }
    let led = ring.members.iter().flat_map(|member| member.partitions.iter().map(move |led| (member, led)));
    let led: Vec<_> = led.collect();
    if led.is_empty() {
        text.push_str("\nNo partition goes over several coordinators now.\n");
    } else {
        text.push('\n');
        text.push_str(&partitions(look, &led, now));
        for (_, partition) in led.iter().filter(|(_, partition)| !partition.steps.is_empty()) {
            let grown = growth(look, partition);
            let _ = write!(text, "\n{} has grown:\n{grown}", safe(&partition.id));
        }
    }
    let differences = super::policies::differences(ring);
    if !differences.is_empty() {
        text.push('\n');
        text.push_str(&differences);
    }
    text
}

/// What it costs to be together: empty where nothing was said.
fn costs(ring: &Ring) -> String {
    let reachable = || ring.members.iter().filter(|member| member.reachable && member.up_s > 0.0);
    let hosts: u32 = reachable().map(|member| member.hosts).sum();
    let a_second: f64 = reachable().map(|member| member.bytes_sent as f64 / member.up_s).sum();
    if hosts == 0 || a_second <= 0.0 {
        return String::new();
    }
    let each = a_second / f64::from(hosts);
    let mut text =
        format!("\nBetween coordinators, since they began: {each:.1} bytes a second for each host");
    let answered: u64 = reachable().map(|member| member.events_answered).sum();
    if answered > 0 {
        let said: u64 = reachable().map(|member| member.protocol_messages).sum();
        let each = said as f64 / answered as f64;
        let troubles = count(answered as usize, "trouble");
        let _ = write!(
            text,
            "; {troubles} answered over several cells, {each:.1} messages of the protocol for each"
        );
    }
    text.push_str(".\n");
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

fn partitions(look: Look, led: &[(&RingMember, &Partition)], now: SystemTime) -> String {
    let columns = [
        Column::Left("PARTITION"),
        Column::Left("LEADER"),
        Column::Left("STAGE"),
        Column::Left("SINCE"),
        Column::Left("BEGAN"),
        Column::Left("PLAN"),
        Column::Text("LACKS"),
        Column::Text("FOR"),
        Column::Text("HOSTS"),
    ];
    let mut table = Table::new(look, &columns);
    for (member, partition) in led {
        let name = |host: &dvms_proto::v1::PartitionHost| format!("{}@{}", host.name, host.owner);
        let mut hosts: Vec<String> = partition.hosts.iter().take(NAMED).map(name).collect();
        let all = (partition.host_count as usize).max(partition.hosts.len());
        if all > hosts.len() {
            hosts.push(format!("and {} more", all - hosts.len()));
        }
        let passed = |time: Option<prost_types::Timestamp>| {
            time.and_then(system_time).map_or_else(|| "-".to_owned(), |time| ago(time, now))
        };
        let (tone, stage) = stage(partition);
        table.row([
            partition.id.clone().into(),
            member.name.clone().into(),
            Cell::toned(tone, stage),
            passed(partition.since).into(),
            passed(partition.began).into(),
            or_dash(&partition.plan_id).into(),
            or_dash(&lack(partition)).into(),
            partition.events.join(" ").into(),
            format!("{}: {}", count(all, "host"), hosts.join(" ")).into(),
        ]);
    }
    table.render()
}

/// The steps of one partition, with bars where there is a terminal.
fn growth(look: Look, partition: &Partition) -> String {
    let columns = [Column::Right("AFTER"), Column::Left("HOSTS"), Column::Text("WHY")];
    let mut table = Table::new(look, &columns);
    for step in steps(partition, most(partition)) {
        let bar = if look.width.is_some() { format!("{} ", step.bar(BAR)) } else { String::new() };
        table.row([
            step.after.clone().into(),
            Cell::toned(step.tone, bar).then(step.size.clone()),
            step.why.clone().into(),
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
    use dvms_proto::v1::partition::{Lack, Step};

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
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 500_000_000 });
        let step = Step { members: 1, events: 1, times: 1, ..Step::default() };
        let partition = Partition {
            id: "7.east.1".into(),
            stage: "EXECUTING".into(),
            kind: "OVERLOAD".into(),
            hosts: (0..10).map(host).collect(),
            events: vec!["OVERLOAD:h0@east".into()],
            plan_id: "p-1-east".into(),
            version: 2,
            host_count: 70,
            began: at(100),
            since: at(130),
            lacking: Some(Lack { cpu_millicores: 2500, memory_mib: 0, hosts: 1 }),
            steps: vec![
                Step {
                    time: at(100),
                    why: "BEGAN".into(),
                    with: vec!["east".into()],
                    hosts: 1,
                    ..step.clone()
                },
                Step { time: at(101), why: "ASKED".into(), with: vec!["west".into()], hosts: 10, ..step },
            ],
            ..Partition::default()
        };
        let mut east = member("east", true);
        (east.round_trip_ms, east.partitions) = (None, vec![partition]);
        let mut north = member("north", true);
        north.round_trip_ms = Some(1.26);
        let ring =
            Ring { name: "east".into(), members: vec![east, north, member("west", false)], departed: vec![] };
        let look = Look::PLAIN;
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(140);
        let text = picture(look, &ring, now);
        for words in [
            "answers",
            "reachable",
            "1.3 ms",
            "SILENT",
            "7.east.1",
            "p-1-east",
            "70 hosts: h0@west",
            "and 62 more",
            "9 s ago",
            "39 s ago",
            "2.5 cores, 1 host",
            "7.east.1 has grown:",
            "+1 s",
            "asked west",
        ] {
            assert!(text.contains(words), "{words} in\n{text}");
        }
        // What a silent one has is not known.
        let west = text.lines().find(|line| line.starts_with("west")).unwrap();
        assert!(!west.contains('3'), "{west}");
        let mut strange = member("north", true);
        strange.no_link = "north speaks version 9".into();
        let ring =
            Ring { name: "east".into(), members: vec![member("east", true), strange], departed: vec![] };
        let text = picture(look, &ring, now);
        assert!(
            text.contains("NO LINK") && text.contains("from east to north: north speaks version 9\n"),
            "{text}"
        );
        let calm = picture(
            look,
            &Ring { name: "east".into(), members: vec![member("east", true)], departed: vec![] },
            now,
        );
        assert!(calm.contains("No partition goes over several coordinators now."), "{calm}");
    }
}
