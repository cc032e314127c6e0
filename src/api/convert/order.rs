//! What agents are told.

use crate::record::{ActionKey, Order, OrderKind};
use dvms_proto::v1 as pb;
use pb::session_response::Message;

/// The message of an order in the session with this epoch.
#[must_use]
pub fn order_to_wire(order: Order, epoch: u64) -> Message {
    match order {
        Order::Execute { key, vm, vm_uuid, deadline, stall, kind } => Message::Execute(pb::ExecuteAction {
            plan_id: key.plan_id,
            action_id: key.action_id,
            epoch,
            vm,
            vm_uuid,
            deadline_s: deadline.as_secs_f64(),
            stall_s: stall.as_secs_f64(),
            action: Some(match kind {
                OrderKind::Migrate {
                    destination,
                    destination_uri,
                    bandwidth_mib_s,
                    auto_converge,
                    post_copy,
                } => pb::execute_action::Action::Migrate(pb::MigrateAction {
                    destination,
                    destination_uri,
                    bandwidth_mib_s,
                    auto_converge,
                    post_copy,
                }),
                OrderKind::Start { definition } => {
                    pb::execute_action::Action::Start(pb::StartAction { definition })
                }
            }),
        }),
        Order::Cancel(ActionKey { plan_id, action_id }) => {
            Message::Cancel(pb::CancelAction { plan_id, action_id, epoch })
        }
        Order::Acknowledge(keys) => {
            let key = |key: ActionKey| pb::acknowledge::ActionKey {
                plan_id: key.plan_id,
                action_id: key.action_id,
            };
            Message::Acknowledge(pb::Acknowledge { actions: keys.into_iter().map(key).collect() })
        }
        Order::Resync(reason) => Message::Resync(pb::Resync { reason }),
        Order::GoAway { reason, reconnect_after } => Message::GoAway(pb::GoAway {
            reason,
            reconnect_after_ms: u32::try_from(reconnect_after.as_millis()).unwrap_or(u32::MAX),
        }),
    }
}
