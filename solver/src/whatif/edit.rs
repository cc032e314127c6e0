//! Edits of a problem.

use crate::file::{Amounts, Constraint, Host, Link, Problem, Vm};
use std::collections::BTreeSet;

/// More of a kind are surely a mistake.
const MOST_ADDED: u32 = 100_000;

/// Something to be different.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// More hosts, ONLINE and empty, else like one that there is; `None` = like the first.
    AddHosts {
        /// How many.
        count: u32,
        /// The host that they are like, labels included.
        like: Option<String>,
    },
    /// A host is to be taken away in an orderly way: it becomes DRAINING, so that its VMs leave by migration.
    RemoveHost(String),
    /// All hosts with a label of that value become FAILED, as a rack that loses its power. The scope `host` is the
    /// host's name.
    Lose {
        /// The label.
        scope: String,
        /// Its value.
        value: String,
    },
    /// More VMs that wait to be placed.
    AddVms {
        /// How many.
        count: u32,
        /// The VM that they are like, labels included.
        like: Option<String>,
        /// What they need, instead of or besides what the other one does.
        demand: Amounts,
    },
    /// A rule is no longer there.
    DropRule(String),
    /// A rule more.
    AddRule(Constraint),
}

/// Why an edit cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such thing.
    #[error("there is no {kind} {name:?} in the problem")]
    Missing {
        /// `host`, `VM`, `rule`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// No host has a label of that value.
    #[error("no host has the label {scope} = {value}")]
    NoScope {
        /// The label.
        scope: String,
        /// Its value.
        value: String,
    },
    /// The name is taken.
    #[error("there is a rule {0:?} in the problem already")]
    Taken(String),
    /// None or very many.
    #[error("it is a number of at least 1 and at most {MOST_ADDED}")]
    Count,
}

/// Makes an edit. Whether the result is a problem is for [`crate::Problem::new`] to say.
///
/// # Errors
/// What the edit names is not there.
pub fn edit(problem: &mut Problem, edit: &Edit) -> Result<(), Refused> {
    match edit {
        Edit::AddHosts { count, like } => add_hosts(problem, *count, like.as_deref()),
        Edit::RemoveHost(name) => {
            let host = problem.hosts.iter_mut().find(|host| host.name == *name);
            let host = host.ok_or_else(|| missing("host", name))?;
            // What is down holds nothing that could migrate; and nobody boots it any more.
            let state = if host.state == "FAILED" || host.state == "OFFLINE" { "FAILED" } else { "DRAINING" };
            state.clone_into(&mut host.state);
            Ok(())
        }
        Edit::Lose { scope, value } => lose(problem, scope, value),
        Edit::AddVms { count, like, demand } => add_vms(problem, *count, like.as_deref(), demand),
        Edit::DropRule(name) => {
            let before = problem.constraints.len();
            problem.constraints.retain(|rule| rule.name != *name);
            if problem.constraints.len() < before { Ok(()) } else { Err(missing("rule", name)) }
        }
        Edit::AddRule(rule) => {
            if problem.constraints.iter().any(|other| other.name == rule.name) {
                return Err(Refused::Taken(rule.name.clone()));
            }
            problem.constraints.push(rule.clone());
            Ok(())
        }
    }
}

fn missing(kind: &'static str, name: &str) -> Refused {
    Refused::Missing { kind, name: name.to_owned() }
}

fn add_hosts(problem: &mut Problem, count: u32, like: Option<&str>) -> Result<(), Refused> {
    let model = match like {
        Some(name) => {
            problem.hosts.iter().find(|host| host.name == name).ok_or_else(|| missing("host", name))?
        }
        None => problem.hosts.first().ok_or_else(|| missing("host", "to be like"))?,
    };
    let model = Host { state: String::new(), ..model.clone() };
    let taken = problem.hosts.iter().map(|host| host.name.as_str());
    let names = fresh_names("new-host", taken, count)?;
    for name in &names {
        attach(problem, &model.name, name)?;
    }
    problem.hosts.extend(names.into_iter().map(|name| Host { name, ..model.clone() }));
    Ok(())
}

/// Gives a new host the links of another one.
fn attach(problem: &mut Problem, model: &str, name: &str) -> Result<(), Refused> {
    let Some(network) = &mut problem.network else { return Ok(()) };
    let mine = |link: &&Link| link.a == model || link.b == model;
    let mut links: Vec<Link> = network.links.iter().filter(mine).cloned().collect();
    if links.is_empty() {
        return Ok(());
    }
    let taken = network.links.iter().map(|link| link.name.as_str());
    let names = fresh_names("new-link", taken, links.len() as u32)?;
    for (link, fresh) in links.iter_mut().zip(names) {
        let end = if link.a == model { &mut link.a } else { &mut link.b };
        name.clone_into(end);
        link.name = fresh;
    }
    network.links.extend(links);
    Ok(())
}

fn add_vms(problem: &mut Problem, count: u32, like: Option<&str>, demand: &Amounts) -> Result<(), Refused> {
    let mut model = match like {
        Some(name) => {
            problem.vms.iter().find(|vm| vm.name == name).ok_or_else(|| missing("VM", name))?.clone()
        }
        None => Vm::default(),
    };
    model.host.clear();
    model.pinned = false;
    if let Some(numa) = &mut model.numa {
        numa.nodes.clear();
    }
    // What is asked for is what they have, at the end as well.
    model.arrival_demand.retain(|name, _| !demand.contains_key(name));
    model.demand.extend(demand.iter().map(|(name, amount)| (name.clone(), *amount)));
    let taken = problem.vms.iter().map(|vm| vm.name.as_str());
    let names = fresh_names("new-vm", taken, count)?;
    problem.vms.extend(names.into_iter().map(|name| Vm { name, ..model.clone() }));
    Ok(())
}

fn lose(problem: &mut Problem, scope: &str, value: &str) -> Result<(), Refused> {
    let mut lost = 0;
    for host in &mut problem.hosts {
        let own = if scope == "host" { Some(&host.name) } else { host.labels.get(scope) };
        if own.is_some_and(|own| own == value) {
            "FAILED".clone_into(&mut host.state);
            lost += 1;
        }
    }
    if lost > 0 { Ok(()) } else { Err(Refused::NoScope { scope: scope.to_owned(), value: value.to_owned() }) }
}

/// Names that nobody has: `stem-1`, `stem-2` …
pub(crate) fn fresh_names<'a>(
    stem: &str,
    taken: impl Iterator<Item = &'a str>,
    count: u32,
) -> Result<Vec<String>, Refused> {
    if !(1..=MOST_ADDED).contains(&count) {
        return Err(Refused::Count);
    }
    let taken: BTreeSet<&str> = taken.collect();
    let names = (1_u32..).map(|i| format!("{stem}-{i}")).filter(|name| !taken.contains(name.as_str()));
    Ok(names.take(count as usize).collect())
}
