//! `dvms hosts`: hosts and their load.

use super::bars::{bar, percent, share, tone_of_load};
use super::client::{Server, block_on, call, heard};
use super::exit::Exit;
use super::failure::Failure;
use super::format::{ago, amount, count, figure, safe, seconds, system_time};
use super::list;
use super::output::Output;
use super::paint::Tone;
use super::table::{Cell, Column, Look, Table};
use super::vms;
use dvms_proto::v1::host::{AdminState, Connection};
use dvms_proto::v1::{GetHostRequest, Host, ListHostsRequest, MigrationEstimate};
use std::fmt::Write as _;
use std::time::SystemTime;

const BAR: usize = 10;

/// Shows hosts and their load
///
/// The load is what VMs are expected to use when the migrations under way have ended (those that arrive are
/// counted, those that leave still are), as a share of what they may use.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dvms hosts
  dvms hosts h1
  dvms hosts --filter 'state = DRAINING AND labels.rack = r1'
  dvms hosts --output json | jq '.[].name'")]
pub(crate) struct Arguments {
    /// One host, with everything known of it
    #[arg(conflicts_with = "filter")]
    name: Option<String>,
    /// Only those for which this holds: `FIELD OP VALUE`, joined by AND; OP is one of = != < <= > >= : (contains).
    /// Fields are those of the JSON form
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
}

pub(crate) fn run(arguments: &Arguments, server: &str, output: Output) -> Result<Exit, Failure> {
    block_on(async {
        let server = Server::connect(server).await?;
        match &arguments.name {
            Some(name) => one(&server, name, output).await,
            None => all(&server, &arguments.filter, output).await,
        }
    })
}

async fn all(server: &Server, filter: &str, output: Output) -> Result<Exit, Failure> {
    let hosts = hosts(server, filter).await?;
    if output.is_json() {
        output.messages(&hosts)?;
    } else if hosts.is_empty() && filter.is_empty() {
        output.line("There are no hosts: no agent has connected yet.")?;
    } else if hosts.is_empty() {
        output.line("No host matches the filter.")?;
    } else {
        output.text(&table(output.look, &hosts))?;
    }
    Ok(Exit::Success)
}

/// Hosts by name.
pub(crate) async fn hosts(server: &Server, filter: &str) -> Result<Vec<Host>, Failure> {
    let fetched = list::all(None, async |page_size, page_token| {
        let request = ListHostsRequest { page_size, page_token, filter: filter.to_owned() };
        let page = heard(server.cluster().list_hosts(call(request)).await?);
        Ok((page.hosts, page.next_page_token))
    });
    fetched.await.map_err(|status| server.failure(&status))
}

/// The table of hosts: state, load as bars on a terminal, VMs, migrations, what is wrong.
pub(crate) fn table(look: Look, hosts: &[Host]) -> String {
    // Bars begin at the same place, plain figures end there.
    let load_of = if look.width.is_some() { Column::Left } else { Column::Right };
    let columns = [
        Column::Left("HOST"),
        Column::Left("STATE"),
        load_of("CPU"),
        Column::Right("OF"),
        load_of("MEMORY"),
        Column::Right("OF"),
        Column::Right("VMS"),
        Column::Right("MOVES"),
        Column::Text("CONDITIONS"),
    ];
    let mut table = Table::new(look, &columns);
    for host in hosts {
        table.row([
            host.name.clone().into(),
            state(host),
            load(look, host, "cpu"),
            usable(host, "cpu"),
            load(look, host, "memory"),
            usable(host, "memory"),
            host.vm_count.to_string().into(),
            host.migrations.to_string().into(),
            conditions(host),
        ]);
    }
    table.render()
}

/// What the operator wants, unless the host is not there.
pub(crate) fn state(host: &Host) -> Cell {
    let admin = match host.state() {
        AdminState::Unspecified | AdminState::Online => None,
        AdminState::Draining => Some(Cell::toned(Tone::Busy, "DRAINING")),
        AdminState::Cordoned => Some(Cell::toned(Tone::Warning, "CORDONED")),
    };
    let gone = match host.connection() {
        Connection::Lost => Some(Cell::toned(Tone::Warning, "LOST")),
        Connection::Failed => Some(Cell::toned(Tone::Bad, "FAILED")),
        Connection::Connected | Connection::Unspecified => None,
    };
    match (gone, admin) {
        (Some(gone), Some(admin)) => gone.then(" ").then(admin),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => Cell::toned(Tone::Good, "ONLINE"),
    }
}

/// How full the host is: a bar on a terminal, and percent.
pub(crate) fn load(look: Look, host: &Host, resource: &str) -> Cell {
    let of = |amounts: &std::collections::BTreeMap<String, i64>| amounts.get(resource).copied().unwrap_or(0);
    let share = share(of(&host.expected), of(&host.usable));
    let overloaded = host.conditions.iter().any(|condition| condition == "OVERLOAD");
    let tone = tone_of_load(share, if overloaded && share > 0.8 { 0.8 } else { 1.0 });
    let percent = format!("{:>5}", percent(share));
    if look.width.is_some() {
        Cell::toned(tone, bar(share, BAR)).then(percent)
    } else {
        percent.trim().into()
    }
}

fn usable(host: &Host, resource: &str) -> Cell {
    Cell::toned(Tone::Faint, amount(resource, host.usable.get(resource).copied().unwrap_or(0)))
}

fn conditions(host: &Host) -> Cell {
    Cell::toned(Tone::Warning, host.conditions.join(" "))
}

async fn one(server: &Server, name: &str, output: Output) -> Result<Exit, Failure> {
    let host = get(server, name).await?;
    if output.is_json() {
        output.message(&host)?;
        return Ok(Exit::Success);
    }
    let vms = vms::vms(server, &format!("host = {}", quoted(name))).await?;
    let mut text = table(output.look, std::slice::from_ref(&host));
    text.push('\n');
    text.push_str(&details(&host, SystemTime::now()));
    if !vms.is_empty() {
        let _ = write!(text, "\n{}", vms::table(output.look, &vms));
    }
    output.text(&text)?;
    Ok(Exit::Success)
}

/// One host.
pub(crate) async fn get(server: &Server, name: &str) -> Result<Host, Failure> {
    let request = GetHostRequest { name: name.to_owned() };
    let host = server.cluster().get_host(call(request)).await.map_err(|status| server.failure(&status))?;
    Ok(host.into_inner())
}

/// A value of a filter, whatever is in it.
pub(crate) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

fn details(host: &Host, now: SystemTime) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{label:<12} {}", safe(&value));
        }
    };
    if let Some(usage) = &host.usage {
        let used = format!("{}, {}", amount("cpu", usage.cpu_millicores), amount("memory", usage.memory_mib));
        line("used", used);
    }
    let of = |resource: &str| {
        let of =
            |amounts: &std::collections::BTreeMap<String, i64>| amounts.get(resource).copied().unwrap_or(0);
        format!("{} of {}", amount(resource, of(&host.expected)), amount(resource, of(&host.usable)))
    };
    line("expected", format!("{}, {}", of("cpu"), of("memory")));
    if let Some(capacity) = &host.capacity {
        let has =
            format!("{}, {}", amount("cpu", capacity.cpu_millicores), amount("memory", capacity.memory_mib));
        line("has", has);
    }
    let labels: Vec<_> = host.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    line("labels", labels.join(" "));
    line("reserved by", host.partition.clone());
    let agent = format!("{} {}, epoch {}", host.driver, host.agent_version, host.epoch);
    line("agent", agent);
    let reported = host.last_report.and_then(system_time);
    line("reported", reported.map_or("never".to_owned(), |time| ago(time, now)));
    line("VMs", count(host.vm_count as usize, "VM"));
    line("migrations", host.migration.as_ref().map(learned).unwrap_or_default());
    text
}

/// What migrations from a host have taught, in a line.
fn learned(migration: &MigrationEstimate) -> String {
    let error = match migration.mean_error {
        error if error < 10.0 => format!("{:.1} %", error * 100.0),
        _ => "more than 1000 %".to_owned(),
    };
    format!(
        "{} measured: {:.0} % of the bandwidth they are given and {} of set-up each; forecasts were {error} off on average; \
         planned with {} MiB/s",
        migration.samples,
        migration.efficiency * 100.0,
        seconds(migration.setup_s),
        figure(migration.bandwidth_mib_s),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::paint::Paint;

    fn host(name: &str, cpu: i64) -> Host {
        Host {
            name: name.into(),
            state: AdminState::Online.into(),
            connection: Connection::Connected.into(),
            expected: [("cpu".into(), cpu), ("memory".into(), 16384)].into(),
            usable: [("cpu".into(), 16000), ("memory".into(), 65536)].into(),
            vm_count: 3,
            ..Host::default()
        }
    }

    #[test]
    fn piped_hosts_are_plain() {
        let mut drained = host("h2", 0);
        drained.state = AdminState::Draining.into();
        drained.connection = Connection::Lost.into();
        let mut over = host("h10", 17600);
        over.conditions = vec!["OVERLOAD".into()];
        let expected = "\
HOST  STATE            CPU        OF  MEMORY      OF  VMS  MOVES  CONDITIONS
h1    ONLINE          50 %  16 cores    25 %  64 GiB    3      0
h2    LOST DRAINING    0 %  16 cores    25 %  64 GiB    3      0
h10   ONLINE         110 %  16 cores    25 %  64 GiB    3      0  OVERLOAD
";
        assert_eq!(table(Look::PLAIN, &[host("h1", 8000), drained, over]), expected);
    }

    #[test]
    fn a_terminal_gets_bars() {
        let look = Look { paint: Paint::PLAIN, width: Some(120) };
        assert!(
            table(look, &[host("h1", 8000)]).contains("█████····· 50 %"),
            "{}",
            table(look, &[host("h1", 8000)])
        );
    }

    #[test]
    fn names_are_quoted_for_filters() {
        assert_eq!(quoted(r#"a"b\"#), r#""a\"b\\""#);
    }
}
