//! Plans over time, and what their migrations take.

use super::forecast::{mode_to_wire, totals_to_wire};
use dvms_proto::v1 as pb;
use dvms_proto::v1::timeline_response as wire;
use dvms_solver::migration::course::{Step, Totals};
use dvms_solver::timeline::{Bound, Critical, HostTrack, Load, Reason, Timeline, Use, What};

/// The wire form of a plan over time.
#[must_use]
pub fn timeline_to_wire(timeline: &Timeline) -> pb::TimelineResponse {
    let bound = |bound: &Bound| wire::Bound { what: Some(what(&bound.what)), seconds: bound.seconds };
    let bars = timeline.actions.iter().map(|bar| wire::Bar {
        id: bar.action.id,
        start_s: bar.action.start_s,
        end_s: bar.action.end_s,
        rate_mib_s: bar.rate_mib_s,
        critical: bar.critical,
    });
    pb::TimelineResponse {
        makespan_s: timeline.makespan_s,
        bounds: timeline.bounds.iter().map(bound).collect(),
        chain: Some(wire::Chain { actions: timeline.chain.actions.clone(), seconds: timeline.chain.seconds }),
        critical: timeline.critical.iter().map(critical).collect(),
        actions: bars.collect(),
        hosts: timeline.hosts.iter().map(host).collect(),
        loads: timeline.loads.iter().map(load).collect(),
    }
}

fn what(what: &What) -> wire::What {
    use wire::what::Kind;
    let (kind, name, from) = match what {
        What::Out { host } => (Kind::Out, host.clone(), None),
        What::Into { host } => (Kind::Into, host.clone(), None),
        What::Slots { host } => (Kind::Slots, host.clone(), None),
        What::Backbone => (Kind::Backbone, String::new(), None),
        What::Link { name, from } => (Kind::Link, name.clone(), from.clone()),
        What::Move { vm } => (Kind::Move, vm.clone(), None),
        What::Arrival { vm } => (Kind::Arrival, vm.clone(), None),
        What::Boot { host } => (Kind::Boot, host.clone(), None),
    };
    wire::What { kind: kind.into(), name, from: from.unwrap_or_default() }
}

fn critical(critical: &Critical) -> wire::Critical {
    let (other, shares) = match &critical.reason {
        Reason::Nothing => (None, None),
        Reason::After { other } => (Some(*other), None),
        Reason::Shares { other, what: shared } => (Some(*other), Some(what(shared))),
    };
    wire::Critical { id: critical.id, other, shares }
}

fn host(host: &HostTrack) -> wire::Host {
    let state = |(at_s, state): (f64, &str)| wire::State { at_s, state: state.to_owned() };
    let used = |used: &Use| wire::Use {
        resource: used.resource.clone(),
        node: used.node.map(|node| u32::try_from(node).unwrap_or(u32::MAX)),
        usable: used.usable,
        steps: used.steps.steps().map(|(at_s, amount)| wire::Amount { at_s, amount }).collect(),
        finally: used.finally,
    };
    wire::Host {
        name: host.name.clone(),
        states: host.states.steps().map(state).collect(),
        uses: host.uses.iter().map(used).collect(),
        touched: host.touched,
    }
}

fn load(load: &Load) -> wire::Load {
    wire::Load {
        what: Some(what(&load.what)),
        capacity: load.capacity,
        steps: load.steps.steps().map(|(at_s, taken)| wire::Rate { at_s, taken }).collect(),
        busy_s: load.busy_s,
    }
}

/// The wire form of what the migrations of a plan take.
#[must_use]
pub fn forecasts_to_wire(steps: &[Step], totals: &Totals) -> pb::ForecastResponse {
    let migration = |step: &Step| pb::forecast_response::Migration {
        id: step.id,
        vm: step.vm.clone(),
        forecast: Some(pb::Forecast {
            duration_s: step.forecast.duration_s,
            downtime_s: step.forecast.downtime_s,
            moved_mib: step.forecast.moved_mib,
            rounds: step.forecast.rounds,
            mode: mode_to_wire(step.forecast.mode).into(),
            throttle_percent: step.forecast.throttle_percent,
            bandwidth_mib_s: step.rate_mib_s,
        }),
    };
    pb::ForecastResponse {
        migrations: steps.iter().map(migration).collect(),
        plan: Some(totals_to_wire(totals)),
    }
}
