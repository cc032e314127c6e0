//! Waiting until hosts are empty.

use crate::cli::client::Server;
use crate::cli::events::{self, watch};
use crate::cli::failure::Failure;
use crate::cli::format::{count, safe};
use crate::cli::output::Output;
use crate::cli::vms::is_up;
use dvms_proto::v1::host::{AdminState, Connection};
use dvms_proto::v1::watch_request::Kind;
use dvms_proto::v1::watch_response::Change;
use dvms_proto::v1::{Event, Host, Vm};
use std::collections::{BTreeMap, BTreeSet};
use tonic::Code;

/// What is known of the hosts that are waited for.
#[derive(Debug, Default)]
struct Waiting {
    /// Hosts that are waited for.
    hosts: BTreeSet<String>,
    /// VMs that run there: VM → host.
    there: BTreeMap<String, String>,
    /// Hosts that migrations touch: a VM that has arrived elsewhere is not gone before its migration has ended.
    moving: BTreeSet<String>,
    /// Everything there is has been told.
    synced: bool,
}

/// What is to be told.
#[derive(Debug, PartialEq)]
enum News {
    Left { vm: String, host: String, rest: usize },
    Happened(Box<Event>),
}

/// Shows what happens on the hosts until no VM runs there.
pub(super) async fn until_empty(server: &Server, hosts: &[String], output: Output) -> Result<(), Failure> {
    loop {
        let mut changes = watch(server, vec![Kind::Hosts, Kind::Vms, Kind::Events], None).await?;
        let mut waiting = Waiting { hosts: hosts.iter().cloned().collect(), ..Waiting::default() };
        loop {
            match changes.message().await {
                Ok(Some(message)) => {
                    let Some(change) = message.change else { continue };
                    for news in waiting.take(change)? {
                        show(&news, output)?;
                    }
                    if waiting.is_over() {
                        return over(hosts, output);
                    }
                }
                Ok(None) => {
                    return Err(Failure::new("the server has ended; the drain goes on when it runs again"));
                }
                // Too slow: from the present state on again.
                Err(status) if status.code() == Code::ResourceExhausted => break,
                Err(status) => return Err(server.failure(&status)),
            }
        }
    }
}

fn show(news: &News, output: Output) -> std::io::Result<()> {
    match news {
        News::Happened(event) if output.is_json() => output.message_line(event.as_ref()),
        News::Happened(event) => output.line(&events::line(output.look.paint, event)),
        News::Left { .. } if output.is_json() => Ok(()),
        News::Left { vm, host, rest } => {
            let rest =
                if *rest == 0 { "none is left".to_owned() } else { format!("{} left", count(*rest, "VM")) };
            output.line(&format!("{} has left {}, {rest}", safe(vm), safe(host)))
        }
    }
}

fn over(hosts: &[String], output: Output) -> Result<(), Failure> {
    if !output.is_json() {
        let are = if hosts.len() == 1 { "is" } else { "are" };
        output.line(&format!(
            "{} {are} empty.",
            hosts.iter().map(|host| safe(host)).collect::<Vec<_>>().join(", ")
        ))?;
    }
    Ok(())
}

impl Waiting {
    fn is_over(&self) -> bool {
        self.synced && self.there.is_empty() && self.moving.is_empty()
    }

    /// Takes a change; gives what is to be told of it.
    fn take(&mut self, change: Change) -> Result<Vec<News>, Failure> {
        match change {
            Change::Vm(vm) => Ok(self.vm(&vm).into_iter().collect()),
            Change::VmGone(name) => Ok(self.gone(&name).into_iter().collect()),
            Change::Host(host) if self.hosts.contains(&host.name) => {
                if host.migrations > 0 {
                    self.moving.insert(host.name.clone());
                } else {
                    self.moving.remove(&host.name);
                }
                still_drained(&host).map(|()| Vec::new())
            }
            Change::HostGone(name) if self.hosts.contains(&name) => {
                Err(Failure::new(format!("the host {name} was removed while its VMs were waited for")))
            }
            Change::Event(event) if self.hosts.contains(&event.host) => {
                Ok(vec![News::Happened(Box::new(event))])
            }
            Change::Synced(_) => {
                self.synced = true;
                Ok(Vec::new())
            }
            Change::Host(_) | Change::HostGone(_) | Change::Event(_) | Change::Silent(_) => Ok(Vec::new()),
        }
    }

    fn vm(&mut self, vm: &Vm) -> Option<News> {
        if is_up(vm) && self.hosts.contains(&vm.host) {
            self.there.insert(vm.name.clone(), vm.host.clone());
            None
        } else {
            self.gone(&vm.name)
        }
    }

    fn gone(&mut self, vm: &str) -> Option<News> {
        let host = self.there.remove(vm)?;
        let rest = self.there.values().filter(|other| **other == host).count();
        Some(News::Left { vm: vm.to_owned(), host, rest })
    }
}

/// A host that nobody drains any more is not waited for; nor is one that cannot be asked.
fn still_drained(host: &Host) -> Result<(), Failure> {
    if host.state() != AdminState::Draining {
        let (name, state) = (&host.name, host.state().as_str_name());
        return Err(Failure::new(format!("the host {name} is {state} again; nothing drains it any more")));
    }
    if host.connection() == Connection::Failed {
        return Err(Failure::new(format!("the host {} has failed; nothing can be moved from it", host.name)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(name: &str, host: &str) -> Change {
        Change::Vm(Vm { name: name.into(), host: host.into(), ..Vm::default() })
    }

    fn waiting() -> Waiting {
        Waiting { hosts: ["h1".to_owned()].into(), ..Waiting::default() }
    }

    #[test]
    fn a_host_is_empty_when_the_last_vm_has_left() {
        let mut waiting = waiting();
        for change in [vm("a", "h1"), vm("b", "h1"), vm("c", "h2")] {
            assert_eq!(waiting.take(change).unwrap(), []);
            assert!(!waiting.is_over(), "not everything was told yet");
        }
        waiting.take(Change::Synced(true)).unwrap();
        assert!(!waiting.is_over());
        let left = News::Left { vm: "a".into(), host: "h1".into(), rest: 1 };
        assert_eq!(waiting.take(vm("a", "h2")).unwrap(), [left]);
        assert!(!waiting.is_over());
        waiting.take(Change::VmGone("b".into())).unwrap();
        assert!(waiting.is_over());
    }

    #[test]
    fn a_host_is_empty_when_the_last_migration_has_ended() {
        let host = |migrations| {
            let (name, state) = ("h1".to_owned(), AdminState::Draining.into());
            Change::Host(Host { name, state, migrations, ..Host::default() })
        };
        let mut waiting = waiting();
        for change in [host(1), vm("a", "h1"), Change::Synced(true), vm("a", "h2")] {
            waiting.take(change).unwrap();
            assert!(!waiting.is_over(), "the migration has not ended");
        }
        waiting.take(host(0)).unwrap();
        assert!(waiting.is_over());
    }

    #[test]
    fn vms_that_are_off_are_not_waited_for() {
        let mut waiting = waiting();
        let off = Vm {
            name: "a".into(),
            host: "h1".into(),
            state: dvms_proto::v1::vm_report::State::Off.into(),
            ..Vm::default()
        };
        waiting.take(Change::Vm(off)).unwrap();
        waiting.take(Change::Synced(true)).unwrap();
        assert!(waiting.is_over());
    }

    #[test]
    fn what_cannot_come_is_not_waited_for() {
        let host = |state: AdminState, connection: Connection| {
            Change::Host(Host {
                name: "h1".into(),
                state: state.into(),
                connection: connection.into(),
                ..Host::default()
            })
        };
        waiting().take(host(AdminState::Draining, Connection::Lost)).unwrap();
        waiting().take(host(AdminState::Online, Connection::Connected)).unwrap_err();
        waiting().take(host(AdminState::Draining, Connection::Failed)).unwrap_err();
        waiting().take(Change::HostGone("h1".into())).unwrap_err();
        waiting().take(Change::HostGone("h2".into())).unwrap();
    }
}
