//! `dvms forget`: hosts and coordinators that will not come back.

use super::client::{Server, block_on, call};
use super::exit::Exit;
use super::failure::Failure;
use super::format::{count, safe};
use super::output::Output;
use dvms_proto::v1::{ForgetCoordinatorRequest, ForgetHostRequest, Host};

/// Forgets hosts, or a coordinator, that will not come back
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Only for hosts whose agents are not connected. Should one come back, it is a new host. Hosts where VMs count, or whose
VMs wait to be started elsewhere, are kept unless --with-vms is given: those VMs are then never started again.

A coordinator that has left the ring without a word may have VMs, so that VMs that are down wait for an operator as long
as it cannot be asked (dvms ring names it). With --coordinator it is not asked any more, by any of the others that can be
reached: make sure first that nothing runs under it.

Examples:
  dvms forget h7 --reason 'scrapped'
  dvms forget h7 --with-vms
  dvms forget --coordinator east --reason 'its rack burned'")]
pub(crate) struct Arguments {
    /// The hosts
    #[arg(required_unless_present = "coordinator", value_name = "HOST")]
    hosts: Vec<String>,
    /// A coordinator that has left the ring without a word
    #[arg(long, value_name = "NAME", conflicts_with_all = ["hosts", "with_vms"])]
    coordinator: Option<String>,
    /// Forget also the VMs that count there or wait since it failed
    #[arg(long)]
    with_vms: bool,
    /// Why, for the log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

/// Forgets a coordinator, or hosts in the order given until one is refused.
///
/// # Errors
/// The server is not there or refuses.
pub(crate) fn run(arguments: &Arguments, server: &str, output: Output) -> Result<Exit, Failure> {
    block_on(async {
        let server = Server::connect(server).await?;
        if let Some(name) = &arguments.coordinator {
            let request = ForgetCoordinatorRequest { name: name.clone(), reason: arguments.reason.clone() };
            let answer = server.ring().forget_coordinator(call(request)).await;
            let answer = answer.map_err(|status| server.failure(&status))?.into_inner();
            if output.is_json() {
                output.message(&answer)?;
            } else {
                output.line(&format!("coordinator {} is forgotten", safe(name)))?;
            }
            return Ok(Exit::Success);
        }
        let mut gone: Vec<Host> = Vec::new();
        for name in &arguments.hosts {
            let (name, reason) = (name.clone(), arguments.reason.clone());
            let request = ForgetHostRequest { name, with_vms: arguments.with_vms, reason };
            let host = server.cluster().forget_host(call(request)).await;
            let host = host.map_err(|status| server.failure(&status))?.into_inner();
            if !output.is_json() {
                let vms = count(host.vm_count as usize, "VM");
                output.line(&format!("{} is forgotten, with {vms}", safe(&host.name)))?;
            }
            gone.push(host);
        }
        if output.is_json() {
            output.messages(&gone)?;
        }
        Ok(Exit::Success)
    })
}
