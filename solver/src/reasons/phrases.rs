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
