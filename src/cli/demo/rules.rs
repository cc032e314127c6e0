//! The rules of the demo, in the form in which an operator writes them.

use dvms_solver::file::{Body, Constraint, Hosts, Labels, Vms};

fn labelled(key: &str, value: &str) -> Labels {
    Labels::from([(key.to_owned(), value.to_owned())])
}

fn vms(app: &str) -> Vms {
    Vms { vm_selector: labelled("app", app), ..Vms::default() }
}

/// No host runs two VMs of the application, at no instant of a plan either.
pub(super) fn apart(name: &str, app: &str) -> Constraint {
    let body = Body::Spread { vms: vms(app), scope: None, max: None };
    Constraint { name: name.to_owned(), continuous: true, body: Some(body), ..Constraint::default() }
}

/// The VMs of an application run on hosts with a label only.
pub(super) fn only_on(name: &str, app: &str, key: &str, value: &str) -> Constraint {
    let hosts = Hosts { host_selector: labelled(key, value), ..Hosts::default() };
    let body = Body::Fence { vms: vms(app), hosts };
    Constraint { name: name.to_owned(), continuous: true, body: Some(body), ..Constraint::default() }
}
