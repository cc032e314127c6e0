//! Figures with their units.

use crate::model::Amount;

/// A host that has more in use than it has.
pub(super) fn over(host: &str, resource: &str, excess: Amount) -> String {
    format!("{host} is {excess}{} over its {resource} limit", unit(resource))
}

/// A host that will have more in use than it has, as a VM grows.
pub(super) fn grows(vm: &str, host: &str, resource: &str, to: Amount, excess: Amount) -> String {
    let unit = unit(resource);
    format!("{vm} is to grow to {to}{unit} of {resource}, which puts {host} {excess}{unit} over its limit")
}

fn unit(resource: &str) -> &'static str {
    match resource {
        "cpu" => " millicores",
        "memory" => " MiB",
        "network" => " Mbit/s",
        "disk" => " GiB",
        _ => "",
    }
}

/// A host that runs nothing in the end.
pub(super) fn empties(host: &str, vms: u32) -> String {
    match vms {
        1 => format!("empties {host}, whose only VM fits elsewhere"),
        _ => format!("empties {host}, whose {vms} VMs fit elsewhere"),
    }
}

/// A host that is more loaded than others.
pub(super) fn uneven(host: &str, resource: &str, load: f64, mean: f64) -> String {
    let percent = |share: f64| 100.0 * share;
    format!(
        "{host} uses {:.0} % of its {resource}, where hosts use {:.0} % on average",
        percent(load),
        percent(mean)
    )
}

/// A host that draws less for what it does.
pub(super) fn watts(to: &str, there: f64, from: &str, here: f64) -> String {
    format!("a core in use draws {there:.1} W on {to} and {here:.1} W on {from}")
}

/// A host that has more whole units free.
pub(super) fn whole(host: &str, units: Amount, unit: Amount, resource: &str) -> String {
    match units {
        1 => format!("leaves {host} with a free unit of {unit} {resource}"),
        _ => format!("leaves {host} with {units} free units of {unit} {resource}"),
    }
}

/// A host that is shut down.
pub(super) fn shuts(host: &str, idle: f64, off: f64) -> String {
    format!("{host} runs no VM any more, and draws {off:.0} W instead of {idle:.0} W when it is off")
}

/// A host that is shut down for a rule.
pub(super) fn most_online(host: &str, rule: &str, max: u32) -> String {
    format!("{host} runs no VM, and the rule {rule} lets at most {max} of its hosts be online")
}

/// A host that is booted only for VMs to step aside to.
pub(super) fn is_passed(host: &str) -> String {
    format!("VMs go by way of {host}, as no other order of moves was found")
}

/// The same host once they have gone on.
pub(super) fn was_passed(host: &str) -> String {
    format!("{host} was booted only to be passed through")
}

/// A host that is booted for a rule.
pub(super) fn spare(rule: &str, min: u32) -> String {
    format!("the rule {rule} wants {min} of its hosts online and without VMs")
}
