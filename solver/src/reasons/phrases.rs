//! Figures with their units.

use crate::model::Amount;

/// A host that has more in use than it has.
pub(super) fn over(host: &str, resource: &str, excess: Amount) -> String {
    let unit = match resource {
        "cpu" => " millicores",
        "memory" => " MiB",
        "network" => " Mbit/s",
        "disk" => " GiB",
        _ => "",
    };
    format!("{host} is {excess}{unit} over its {resource} limit")
}

/// A host that runs nothing in the end.
pub(super) fn empties(host: &str, vms: u32) -> String {
    match vms {
        1 => format!("empties {host}, whose only VM fits elsewhere"),
        _ => format!("empties {host}, whose {vms} VMs fit elsewhere"),
    }
}
