//! How many more VMs of one size fit: as things are, and with a number of migrations.
//!
//! What fits is shown by a placement or by a checked plan. What cannot is proved by counting (`bound`), and
//! where that leaves a gap, by the bound of a solve in which as many VMs wait as counting allows.
//!
//! States and rules are kept, with a few exceptions, which are told: hosts to be emptied keep their VMs (nothing
//! enters them), VMs that wait or are down are left as they are, soft rules and rules that are broken now are
//! left aside. A host that is powered down counts where the limits of the problem allow to boot it.

mod bound;
mod question;
#[cfg(test)]
mod tests;

use crate::constraints::Rules;
use crate::file::{self, Plan, Problem};
use crate::model::{self, HostId, Rejected};
use crate::objective;
use crate::screen::Space;
use crate::search::State;
use question::{Asked, MOST_NAMED, Question};
use serde::Serialize;
use std::collections::BTreeMap;

/// The VMs in question.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wish {
    /// What each is like; name, host and priority do not matter.
    pub vm: file::Vm,
    /// A label of hosts, and how many of the VMs may share one of its values.
    pub spread: Option<(String, u32)>,
    /// The only hosts that they may run on; empty = all.
    pub hosts: Vec<String>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fit {
    /// Nothing moves.
    pub as_it_is: Room,
    /// With migrations, where they were asked for.
    pub with_moves: Option<Room>,
    /// What was left aside.
    pub notes: Vec<String>,
}

/// How many fit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Room {
    /// Most migrations.
    pub moves: u64,
    /// So many fit.
    pub fits: u64,
    /// More surely do not.
    pub bound: u64,
    /// Both are the same.
    pub proved: bool,
    /// What has the bound: `counting` or `solver`.
    pub bound_by: &'static str,
    /// How many come to each host that takes some.
    pub hosts: BTreeMap<String, u64>,
    /// Those of them that are powered down, and booted for it.
    pub boots: Vec<String>,
    /// The migrations that make room, and the starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
}

/// Why nothing can be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The problem is not one, or not with these VMs.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// They need nothing: any number fits.
    #[error("the VM needs nothing of any resource, so that any number fits")]
    Nothing,
}

/// Finds out. `solve` solves a problem: under which limits is the caller's to know.
///
/// # Errors
/// The problem is not one, or not with these VMs.
pub fn fit(
    problem: &Problem,
    wish: &Wish,
    moves: Option<u64>,
    solve: &mut dyn FnMut(&Problem) -> Result<Plan, Rejected>,
) -> Result<Fit, Unfit> {
    let question = Question::new(problem, wish)?;
    let as_it_is = room(&question, 0, None, solve)?;
    let with_moves = match moves {
        None => None,
        Some(moves) => Some(room(&question, moves, Some(&as_it_is), solve)?),
    };
    let mut notes = question.notes;
    let rooms = || std::iter::once(&as_it_is).chain(&with_moves);
    if rooms().any(|room| !room.proved && room.fits >= MOST_NAMED) {
        notes.push(format!("no more than {MOST_NAMED} are placed; what is beyond is only counted"));
    }
    Ok(Fit { as_it_is, with_moves, notes })
}

fn room(
    question: &Question,
    moves: u64,
    without: Option<&Room>,
    solve: &mut dyn FnMut(&Problem) -> Result<Plan, Rejected>,
) -> Result<Room, Unfit> {
    let bound = bound::count(question, moves);
    let asked = question.ask(bound, moves);
    let model = model::Problem::new(&asked.problem)?;
    let mut room = match without {
        Some(without) => Room { moves, bound, bound_by: "counting", ..without.clone() },
        None => filled(&model, &asked.names, bound),
    };
    let named = asked.names.len() as u64;
    if room.fits < room.bound.min(named)
        && let Some(eased) = asked.without_excess(&model)
    {
        let plan = solve(&eased)?;
        take(&mut room, &asked, &asked.judged(plan));
    }
    // Where all that are named fit, a solve has nothing to add.
    if room.fits < room.bound.min(named) {
        let plan = solve(&asked.problem)?;
        if let Some(proved) = asked.most_by(&model, &plan)
            && proved < room.bound
        {
            // What a placement shows is possible whatever a bound says.
            (room.bound, room.bound_by) = (proved.max(room.fits), "solver");
        }
        take(&mut room, &asked, &plan);
    }
    room.proved = room.fits == room.bound;
    let boots = model.host_ids().filter(|host| model.boots(*host)).map(|host| &model.host(host).name);
    room.boots = boots.filter(|host| room.hosts.contains_key(*host)).cloned().collect();
    Ok(room)
}

/// Fills host after host while nothing moves.
fn filled(model: &model::Problem, names: &[String], bound: u64) -> Room {
    let rules = Rules::new(model);
    let space = Space::new(model, &rules);
    let mut state = State::new(&space);
    let first = model.vms.len() - names.len();
    let mut hosts: BTreeMap<String, u64> = BTreeMap::new();
    let mut next = first;
    // Nothing is booted without need.
    let (off, on): (Vec<HostId>, Vec<HostId>) = space.open.iter().partition(|host| model.boots(**host));
    for host in on.into_iter().chain(off) {
        while next < model.vms.len() && state.may_enter(next.into(), host) {
            state.set(next.into(), Some(host));
            next += 1;
            *hosts.entry(model.host(host).name.clone()).or_default() += 1;
        }
    }
    let mut fits = (next - first) as u64;
    if objective::fault(model, &rules, state.placement()).is_some() {
        // Not a placement that a plan may end in: left to the solver.
        (fits, hosts) = (0, BTreeMap::new());
    }
    let boots = Vec::new();
    Room { moves: 0, fits, bound, proved: false, bound_by: "counting", hosts, boots, plan: None }
}

/// Takes what a plan shows, if it is more.
fn take(room: &mut Room, asked: &Asked, plan: &Plan) {
    let placed: Vec<&String> = asked.names.iter().filter_map(|name| plan.placement.get(name)).collect();
    if !plan.status.has_plan() || placed.len() as u64 <= room.fits {
        return;
    }
    room.fits = placed.len() as u64;
    room.hosts.clear();
    for host in placed {
        *room.hosts.entry(host.clone()).or_default() += 1;
    }
    room.plan = Some(plan.clone());
}

/// The hosts that the VMs may run on.
fn open(model: &model::Problem, wish: &Wish) -> Vec<HostId> {
    let takes = |host: &HostId| {
        model.takes_vms(*host) && (wish.hosts.is_empty() || wish.hosts.contains(&model.host(*host).name))
    };
    model.host_ids().filter(takes).collect()
}
