//! `dvms vms`: virtual machines and where they run.

use super::client::{Server, block_on, call, heard};
use super::exit::Exit;
use super::failure::Failure;
use super::format::{amount, cores, mib, safe};
use super::list;
use super::output::Output;
use super::paint::Tone;
use super::table::{Cell, Column, Look, Table};
use dvms_proto::v1::vm_report::State;
use dvms_proto::v1::{GetVmRequest, ListVmsRequest, Vm};
use std::fmt::Write as _;

/// Shows virtual machines and where they run
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dvms vms
  dvms vms web1
  dvms vms --filter 'host = h1 AND cpu_millicores > 1000'
  dvms vms --filter 'labels.app = web' --output json")]
pub(crate) struct Arguments {
    /// One VM, with everything known of it
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
        if let Some(name) = &arguments.name {
            let request = GetVmRequest { name: name.clone() };
            let vm =
                server.cluster().get_vm(call(request)).await.map_err(|status| server.failure(&status))?;
            let vm = vm.into_inner();
            if output.is_json() {
                output.message(&vm)?;
            } else {
                output.text(&details(&vm))?;
            }
            return Ok(Exit::Success);
        }
        let vms = vms(&server, &arguments.filter).await?;
        if output.is_json() {
            output.messages(&vms)?;
        } else if vms.is_empty() {
            let all = arguments.filter.is_empty();
            output.line(if all { "There are no VMs." } else { "No VM matches the filter." })?;
        } else {
            output.text(&table(output.look, &vms))?;
        }
        Ok(Exit::Success)
    })
}

/// VMs by name.
pub(crate) async fn vms(server: &Server, filter: &str) -> Result<Vec<Vm>, Failure> {
    let fetched = list::all(None, async |page_size, page_token| {
        let request = ListVmsRequest { page_size, page_token, filter: filter.to_owned() };
        let page = heard(server.cluster().list_vms(call(request)).await?);
        Ok((page.vms, page.next_page_token))
    });
    fetched.await.map_err(|status| server.failure(&status))
}

/// Whether a VM runs on its host, or is on its way from or to it: what a drain waits for.
pub(crate) fn is_up(vm: &Vm) -> bool {
    !matches!(vm.state(), State::Off | State::Crashed)
}

/// The table of VMs.
pub(crate) fn table(look: Look, vms: &[Vm]) -> String {
    let columns = [
        Column::Left("VM"),
        Column::Left("HOST"),
        Column::Left("STATE"),
        Column::Right("CORES"),
        Column::Right("MEMORY"),
        Column::Left("MOVES TO"),
        Column::Text("RULES"),
    ];
    let mut table = Table::new(look, &columns);
    for vm in vms {
        let host = if vm.host.is_empty() { Cell::toned(Tone::Bad, "-") } else { vm.host.clone().into() };
        table.row([
            vm.name.clone().into(),
            host,
            state(vm),
            cores(vm.cpu_millicores).into(),
            mib(vm.memory_mib).into(),
            Cell::toned(Tone::Busy, vm.migrating_to.clone()),
            vm.constraints.join(" ").into(),
        ]);
    }
    table.render()
}

fn state(vm: &Vm) -> Cell {
    if vm.host.is_empty() {
        return Cell::toned(Tone::Bad, "WAITING");
    }
    let name = match vm.state() {
        State::Unspecified => "-",
        state => state.as_str_name(),
    };
    let tone = match vm.state() {
        State::Running => Tone::Good,
        State::MigratingOut | State::MigratingIn => Tone::Busy,
        State::Crashed => Tone::Bad,
        State::Paused | State::Off | State::Unspecified => Tone::Warning,
    };
    Cell::toned(tone, name)
}

fn details(vm: &Vm) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{label:<12} {}", safe(&value));
        }
    };
    line("VM", vm.name.clone());
    line("UUID", vm.uuid.clone());
    line("host", if vm.host.is_empty() { "none: it waits".to_owned() } else { vm.host.clone() });
    line("state", vm.state().as_str_name().to_owned());
    line("moves to", vm.migrating_to.clone());
    line("plan", vm.plan_id.clone());
    line("uses", format!("{}, {}", amount("cpu", vm.cpu_millicores), amount("memory", vm.memory_mib)));
    let demand: Vec<_> = vm.demand.iter().map(|(resource, demand)| amount(resource, *demand)).collect();
    line("planned with", demand.join(", "));
    let labels: Vec<_> = vm.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    line("labels", labels.join(" "));
    line("rules", vm.constraints.join(" "));
    text
}
