//! The totals of what is known.

use super::data::{Data, is_under_way};
use crate::cli::bars::share;
use crate::cli::format::system_time;
use dvms_proto::v1::action_status::State;
use dvms_proto::v1::host::{AdminState, Connection};
use dvms_proto::v1::plan::Action;
use dvms_proto::v1::plan::action::Type;
use dvms_proto::v1::{ActionStatus, Event, Host, PlanRecord};
use std::time::{Duration, SystemTime};

/// Over how long events are counted.
const MINUTE: Duration = Duration::from_mins(1);

/// The totals.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Totals {
    pub(super) hosts: usize,
    pub(super) overloaded: usize,
    pub(super) underloaded: usize,
    pub(super) draining: usize,
    /// Whose agents are not connected.
    pub(super) down: usize,
    pub(super) vms: u32,
    /// Expected use of all hosts as a part of what VMs may use.
    pub(super) cpu: f64,
    pub(super) memory: f64,
    /// Under way.
    pub(super) plans: usize,
    /// In flight.
    pub(super) migrations: usize,
    pub(super) partitions: usize,
    /// Coordinators.
    pub(super) members: usize,
    pub(super) silent: usize,
    /// In the last minute.
    pub(super) events: usize,
}

impl Totals {
    pub(super) fn of(data: &Data, now: SystemTime) -> Self {
        let hosts = || data.hosts.iter();
        let with = |condition: &str| hosts().filter(|host| has(host, condition)).count();
        let up = || hosts().filter(|host| !is_down(host));
        let part = |resource: &str| {
            let sum = |amounts: fn(&Host) -> &std::collections::BTreeMap<String, i64>| -> i64 {
                up().map(|host| amounts(host).get(resource).copied().unwrap_or(0)).sum()
            };
            share(sum(|host| &host.expected), sum(|host| &host.usable))
        };
        let members = &data.ring.members;
        Self {
            hosts: data.hosts.len(),
            overloaded: with("OVERLOAD"),
            underloaded: with("UNDERLOAD"),
            draining: hosts().filter(|host| host.state() == AdminState::Draining).count(),
            down: hosts().filter(|host| is_down(host)).count(),
            vms: data.vms,
            cpu: part("cpu"),
            memory: part("memory"),
            plans: data.plans.iter().filter(|plan| is_under_way(plan)).count(),
            migrations: data.plans.iter().map(|plan| in_flight(plan).count()).sum(),
            partitions: members.iter().map(|member| member.partitions.len()).sum(),
            members: members.len(),
            silent: members.iter().filter(|member| !member.reachable).count(),
            events: in_the_last_minute(&data.events, now),
        }
    }
}

/// Whether something was detected on a host.
pub(super) fn has(host: &Host, condition: &str) -> bool {
    host.conditions.iter().any(|name| name == condition)
}

/// Whether its agent is not connected.
pub(super) fn is_down(host: &Host) -> bool {
    matches!(host.connection(), Connection::Lost | Connection::Failed)
}

/// The part of a resource that VMs are expected to use.
pub(super) fn load(host: &Host, resource: &str) -> f64 {
    let amount =
        |amounts: &std::collections::BTreeMap<String, i64>| amounts.get(resource).copied().unwrap_or(0);
    share(amount(&host.expected), amount(&host.usable))
}

/// Migrations of a plan that an agent has.
pub(super) fn in_flight(plan: &PlanRecord) -> impl Iterator<Item = (&Action, &ActionStatus)> {
    let actions = plan.plan.as_ref().map(|plan| plan.actions.as_slice()).unwrap_or_default();
    let flies = |status: &&ActionStatus| {
        matches!(status.state(), State::Sent | State::Running | State::Uncertain) && is_under_way(plan)
    };
    plan.actions.iter().filter(flies).filter_map(move |status| {
        let action = actions.iter().find(|action| action.id == status.action_id)?;
        (action.r#type() == Type::Migrate).then_some((action, status))
    })
}

/// Events of the last minute; where fewer are known than there were, as many as at that pace.
fn in_the_last_minute(events: &[Event], now: SystemTime) -> usize {
    let age = |event: &Event| now.duration_since(event.time.and_then(system_time)?).ok();
    // Clocks differ a little: what is to come is now.
    let young = |event: &&Event| age(event).unwrap_or_default() < MINUTE;
    let counted = events.iter().take_while(young).count();
    if counted < events.len() || counted < 200 {
        return counted;
    }
    let span = events.last().and_then(age).unwrap_or(MINUTE).max(Duration::from_secs(1));
    (counted as f64 * MINUTE.as_secs_f64() / span.as_secs_f64()).round() as usize
}
