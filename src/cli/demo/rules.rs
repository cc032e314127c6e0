//! The rules of the demo, in the form in which an operator writes them.

use dvms_solver::file::{Body, Constraint, Hosts, Labels, Vms};

fn labelled(key: &str, value: &str) -> Labels {
    Labels::from([(key.to_owned(), value.to_owned())])
}

/// The VMs of an application, by their labels.
pub(super) fn of_app(app: &str) -> Vms {
    Vms { vm_selector: labelled("app", app), ..Vms::default() }
}

/// VMs by their names.
pub(super) fn named(names: &[&str]) -> Vms {
    Vms { vms: names.iter().map(|&name| name.to_owned()).collect(), ..Vms::default() }
}

/// No host runs two of the VMs, at no instant of a plan either.
pub(super) fn apart(name: &str, vms: Vms) -> Constraint {
    let body = Body::Spread { vms, scope: None, max: None };
    Constraint { name: name.to_owned(), continuous: true, body: Some(body), ..Constraint::default() }
}

/// The VMs run on hosts with a label only.
pub(super) fn only_on(name: &str, vms: Vms, key: &str, value: &str) -> Constraint {
    let hosts = Hosts { host_selector: labelled(key, value), ..Hosts::default() };
    let body = Body::Fence { vms, hosts };
    Constraint { name: name.to_owned(), continuous: true, body: Some(body), ..Constraint::default() }
}
