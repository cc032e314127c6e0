//! `dvms simulate FILE --replay WHAT`: a run once more, and all that happens in a part of it.

use super::batch::Line;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::searching::stop_on_interrupt;
use crate::simulator::engine::{Entry, Happening, Step};
use crate::simulator::experiment::{Around, Experiment, Missing, replay};
use crate::solving::Stop;
use std::cell::RefCell;
use std::time::Instant;

/// Reads what is to be looked at.
pub(super) fn around(text: &str) -> Result<Around, String> {
    let wrong = || {
        "must be the number of a violation, from 1, or from when to when, seconds: `17`, `600..660`"
            .to_owned()
    };
    let Some((from, to)) = text.split_once("..") else {
        return match text.parse() {
            Ok(number) if number > 0 => Ok(Around::Violation(number)),
            _ => Err(wrong()),
        };
    };
    match (from.parse::<f64>(), to.parse::<f64>()) {
        (Ok(from), Ok(to)) if (0.0..=to).contains(&from) && to.is_finite() => Ok(Around::Window(from, to)),
        _ => Err(wrong()),
    }
}

pub(super) fn run(experiment: &Experiment, around: Around, output: Output) -> Result<Exit, Failure> {
    let [run] = &experiment.runs[..] else {
        let names: Vec<&str> = experiment.runs.iter().map(|run| run.name.as_str()).collect();
        let message = format!("--replay looks at one run; there are {}", names.join(", "));
        return Err(Failure::bad_input(message).hint("Say which with --run NAME."));
    };
    let stop = Stop::default();
    stop_on_interrupt(&stop)?;
    let line = RefCell::new(Line::new(1, !output.is_json()));
    let (mut broken, began) = (None, Instant::now());
    let hosts = experiment.hosts.count;
    let mut go_on = |progress| {
        // What is told takes the place of the line.
        line.borrow_mut().show(&run.name, experiment.seconds, began.elapsed(), &progress);
        !stop.is_asked()
    };
    let told = replay(experiment, run, around, &mut go_on, &mut |entry| {
        line.borrow_mut().clear();
        let text = if output.is_json() {
            serde_json::to_string(entry).unwrap_or_default()
        } else {
            format!("{:>12.6}  {}", entry.time_s, sentence(entry, hosts))
        };
        broken = output.line(&text).err();
        broken.is_none() && !stop.is_asked()
    });
    line.borrow_mut().clear();
    if let Some(error) = broken {
        return Err(error.into());
    }
    match told {
        Ok(()) => Ok(Exit::Success),
        Err(Missing::Interrupted) => Ok(Exit::Failure),
        Err(missing) => Err(Failure::bad_input(missing.to_string())),
    }
}

/// An agent: that of a host, or a service.
fn agent(number: u32, hosts: u32) -> String {
    if number < hosts { format!("host {number}") } else { format!("service {}", number - hosts) }
}

fn plan(moves: &[Step]) -> String {
    let step = |it: &Step| format!("VM {} from host {} to {}", it.vm, it.from, it.to);
    moves.iter().map(step).collect::<Vec<_>>().join(", ")
}

/// What happened, for people.
fn sentence(entry: &Entry, hosts: u32) -> String {
    use Happening as H;
    let who = |number: &u32| agent(*number, hosts);
    match &entry.what {
        H::Demand { vm, host: Some(host), before, now } => {
            format!("VM {vm} on host {host} needs {now} instead of {before} milli-cores")
        }
        H::Demand { vm, host: None, now, .. } => {
            format!("VM {vm}, which is not there, would need {now} milli-cores")
        }
        H::Arrival { vm, host: Some(host) } => format!("VM {vm} begins to run on host {host}"),
        H::Arrival { vm, host: None } => format!("VM {vm} comes"),
        H::Departure { vm } => format!("VM {vm} leaves"),
        H::HostDown { host } => format!("host {host} fails"),
        H::HostUp { host } => format!("host {host} is up"),
        H::AgentDown { host } => format!("the agent of host {host} fails"),
        H::AgentUp { host } => format!("the agent of host {host} runs again"),
        H::LinkDown { host } => format!("the link of host {host} fails"),
        H::LinkUp { host } => format!("the link of host {host} carries again"),
        H::SiteDown { site } => format!("the link of site {site} to others fails"),
        H::SiteUp { site } => format!("the link of site {site} to others carries again"),
        H::CoordinatorDown { coordinator, agent } => {
            format!("coordinator {coordinator} fails, at {}", who(agent))
        }
        H::CoordinatorUp { coordinator, agent } => {
            format!("coordinator {coordinator} runs again, at {}", who(agent))
        }
        H::HostOff { host } => format!("host {host} is switched off"),
        H::HostWakes { host } => format!("host {host} is switched on"),
        H::Over { violation, host, demand, cpu } => {
            format!("violation {violation} begins: {demand} of {cpu} milli-cores are needed on host {host}")
        }
        H::Relieved { violation, host, lasted_s } => {
            format!("violation {violation} of host {host} ends after {lasted_s:.3} s")
        }
        H::Known { violation, host, after_s } => {
            format!("violation {violation} of host {host} is known after {after_s:.3} s")
        }
        H::Message { from, to, bytes, arrives_s, says } => {
            let arrives = arrives_s.map_or("is lost".to_owned(), |at| format!("arrives at {at:.6}"));
            format!("{} to {}, {bytes} bytes, {arrives}: {says}", who(from), who(to))
        }
        H::Undelivered { from, to, says } => {
            format!("{} does not run or is cut off, and what {} sent is lost: {says}", who(to), who(from))
        }
        H::Heartbeat { from, to, bytes } => {
            format!("{} to {}, {bytes} bytes, nothing new", who(from), who(to))
        }
        H::Asks { agent, hosts } => format!("{} asks {} hosts how they are", who(agent), hosts.len()),
        H::Answers { agent, hosts, vms } => format!("{} knows {hosts} hosts with {vms} VMs", who(agent)),
        H::Computes { agent, tag, hosts, took_s } => {
            format!("{} computes {tag} on {hosts} hosts, {:.3} ms", who(agent), took_s * 1e3)
        }
        H::Decides { agent, tag, verdict, moves } if moves.is_empty() => {
            let verdict = if *verdict == "nothing" { "nothing to do" } else { "no plan" };
            format!("{} has decided {tag}: {verdict}", who(agent))
        }
        H::Decides { agent, tag, moves, .. } => format!("{} has decided {tag}: {}", who(agent), plan(moves)),
        H::Plan { agent, tag, moves } => {
            format!("{} has plan {tag} carried out: {}", who(agent), plan(moves))
        }
        H::PlanEnds { agent, tag, done, failed, not_begun } => {
            format!("plan {tag} of {} ends: {done} done, {failed} failed, {not_begun} not begun", who(agent))
        }
        H::Migration { vm, from, to } => format!("VM {vm} begins to move from host {from} to {to}"),
        H::MigrationEnds { vm, from, to, well: true, took_s } => {
            format!("VM {vm} has moved from host {from} to {to} in {took_s:.3} s")
        }
        H::MigrationEnds { vm, from, to, took_s, .. } => {
            format!("VM {vm} has not moved from host {from} to {to}: it ends after {took_s:.3} s")
        }
    }
}
