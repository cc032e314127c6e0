//! Every value of every enum keeps its name on its way: the records' names are those of the wire.

use crate::api::convert::{
    cluster, forecast, inventory_from_wire, life, progress_from_wire, report, vm_to_wire,
};
use crate::record::{
    ActionState, ActionStatus, EventKind, FailureReason, Mode as PlanMode, PlanState, ProgressState, Report,
    VmRecord, VmState,
};
use dvms_proto::v1 as pb;
use dvms_solver::migration::Mode;
use serde::de::DeserializeOwned;

/// The values of a wire enum but the unspecified one, each with its name.
fn values<E: TryFrom<i32>>(name: impl Fn(&E) -> &'static str) -> Vec<(i32, E, &'static str)> {
    let named = |number| E::try_from(number).ok().map(|value| (number, name(&value), value));
    let found: Vec<_> =
        (1..100).map_while(named).map(|(number, name, value)| (number, value, name)).collect();
    assert!(found.len() > 2);
    found
}

/// The record's value of that name.
fn record<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_value(name.into()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn events_and_plans() {
    for (_, wire, name) in values(pb::event::Kind::as_str_name) {
        let kind: EventKind = record(name);
        assert_eq!((cluster::kind_to_wire(kind), kind.name()), (wire, name));
    }
    for (_, wire, name) in values(pb::plan_record::State::as_str_name) {
        let state: PlanState = record(name);
        assert_eq!((life::state_to_wire(state), state.name()), (wire, name));
    }
    for (number, _, name) in values(pb::plan_record::Mode::as_str_name) {
        let mode: PlanMode = record(&name.to_lowercase());
        assert_eq!(life::mode_from_wire(number), Some(Some(mode)));
    }
    assert_eq!((life::mode_from_wire(0), life::mode_from_wire(99)), (Some(None), None));
    for (_, wire, name) in values(pb::action_status::State::as_str_name) {
        let state: ActionState = record(name);
        let status = ActionStatus {
            action_id: 1,
            state,
            progress: None,
            started: None,
            ended: None,
            message: String::new(),
            forecast: None,
        };
        assert_eq!(life::status_to_wire(&status, "p").state(), wire);
    }
}

#[test]
fn how_migrations_end() {
    for (_, wire, name) in values(pb::forecast::Mode::as_str_name) {
        let mode: Mode = record(name);
        assert_eq!((forecast::mode_to_wire(mode), mode.name()), (wire, name));
    }
}

#[test]
fn what_agents_say() {
    for (_, wire, name) in values(pb::action_progress::Reason::as_str_name) {
        let reason: FailureReason = record(name);
        assert_eq!(life::failure_to_wire(reason), wire);
        assert_eq!(report::failure_from_wire(wire), Some(reason));
    }
    assert_eq!(report::failure_from_wire(pb::action_progress::Reason::Unspecified), None);
    for (number, wire, name) in values(pb::action_progress::State::as_str_name) {
        let said = pb::ActionProgress {
            plan_id: "p".into(),
            action_id: 7,
            state: number,
            vm: "v".into(),
            bytes_remaining: 5,
            downtime_ms: Some(3),
            ..Default::default()
        };
        let Report::Progress(progress) = progress_from_wire(said.clone()).unwrap() else { panic!() };
        assert_eq!(progress.state, record::<ProgressState>(name));
        let status = ActionStatus {
            action_id: 7,
            state: ActionState::Running,
            progress: Some(progress),
            started: None,
            ended: None,
            message: String::new(),
            forecast: None,
        };
        let told = life::status_to_wire(&status, "p").progress.unwrap();
        assert_eq!((told.state(), told), (wire, said));
    }
    for (state, wire, name) in values(pb::vm_report::State::as_str_name) {
        let vms = vec![pb::VmReport { name: "v".into(), state, ..Default::default() }];
        let said = pb::HostInventory { vms, ..Default::default() };
        let Report::Inventory(inventory) = inventory_from_wire(said).unwrap() else { panic!() };
        assert_eq!(inventory.vms[0].state, record::<VmState>(name));
        let vm = VmRecord { state: inventory.vms[0].state, ..VmRecord::default() };
        assert_eq!(vm_to_wire(&vm).state(), wire);
    }
}
