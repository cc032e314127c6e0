//! `dvms drain`, `undrain`, `cordon`, `uncordon`: what an operator wants of hosts.

use super::client::{Server, block_on, call};
use super::exit::Exit;
use super::failure::Failure;
use super::format::{count, safe};
use super::output::Output;
use super::searching::limit;
use dvms_proto::v1::host::AdminState;
use dvms_proto::v1::{Host, SetHostStateRequest};
use std::collections::BTreeSet;
use std::time::Duration;

mod wait;

/// Which hosts, and why.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The state is kept over restarts of the server. Repeating the command changes nothing.

Examples:
  dvms cordon h1 h2 --reason 'new kernel on trial'
  dvms uncordon h1 h2
  dvms undrain h3")]
pub(crate) struct Arguments {
    /// The hosts
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,
    /// Why, for the log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

/// Which hosts, why, and whether to wait.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
VMs that are off stay where they are. Ending the command does not end the drain; `dvms undrain` does.

Examples:
  dvms drain h3 --wait --reason 'new memory'
  dvms drain h3 h4 --wait --timeout 600 && ssh h3 poweroff")]
pub(crate) struct Drain {
    /// The hosts
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,
    /// Why, for the log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Follow the hosts until no VM runs on them
    #[arg(long)]
    wait: bool,
    /// Seconds after which to stop waiting, with exit status 1 [default: none]
    #[arg(long, value_name = "SECONDS", requires = "wait", value_parser = limit)]
    timeout: Option<f64>,
}

pub(crate) fn drain(arguments: &Drain, server: &str, output: Output) -> Result<Exit, Failure> {
    block_on(async {
        let server = Server::connect(server).await?;
        let Drain { hosts, reason, wait, timeout } = arguments;
        let hosts = set(&server, hosts, AdminState::Draining, reason, output).await?;
        if !wait {
            return Ok(Exit::Success);
        }
        let waiting = wait::until_empty(&server, &hosts, output);
        match timeout {
            None => waiting.await?,
            Some(seconds) => {
                let limit = Duration::try_from_secs_f64(*seconds).unwrap_or(Duration::MAX);
                tokio::time::timeout(limit, waiting).await.unwrap_or_else(|_| Err(late(*seconds)))?;
            }
        }
        Ok(Exit::Success)
    })
}

fn late(seconds: f64) -> Failure {
    Failure::new(format!("VMs still run there after {seconds} s; the drain goes on"))
        .hint("`dvms events` and `dvms plans list` tell what holds it up; `dvms undrain` ends it.")
}

pub(crate) fn cordon(arguments: &Arguments, server: &str, output: Output) -> Result<Exit, Failure> {
    change(arguments, AdminState::Cordoned, server, output)
}

pub(crate) fn online(arguments: &Arguments, server: &str, output: Output) -> Result<Exit, Failure> {
    change(arguments, AdminState::Online, server, output)
}

fn change(arguments: &Arguments, state: AdminState, server: &str, output: Output) -> Result<Exit, Failure> {
    block_on(async {
        let server = Server::connect(server).await?;
        set(&server, &arguments.hosts, state, &arguments.reason, output).await?;
        Ok(Exit::Success)
    })
}

/// Sets the state of hosts, each once, and shows them. Stops at the first that is refused.
async fn set(
    server: &Server,
    names: &[String],
    state: AdminState,
    reason: &str,
    output: Output,
) -> Result<Vec<String>, Failure> {
    let names: Vec<_> = names.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    // None is changed when one does not exist.
    for name in &names {
        super::hosts::get(server, name).await?;
    }
    let mut changed: Vec<Host> = Vec::new();
    for name in &names {
        let request =
            SetHostStateRequest { name: name.clone(), state: state.into(), reason: reason.to_owned() };
        let answer = server.cluster().set_host_state(call(request)).await;
        changed.push(answer.map_err(|status| server.failure(&status))?.into_inner());
    }
    if output.is_json() {
        output.messages(&changed)?;
    } else {
        for host in &changed {
            let state = host.state().as_str_name();
            output.line(&format!(
                "{} is {state}, with {}",
                safe(&host.name),
                count(host.vm_count as usize, "VM")
            ))?;
        }
    }
    Ok(names)
}
