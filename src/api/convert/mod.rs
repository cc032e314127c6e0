//! Wire messages to domain types and back. Only form is judged here (known enum values, present
//! messages); what a value may be is judged where it is used.

mod cluster;
mod constraint;
mod forecast;
#[doc(hidden)]
pub mod fuzz;
mod life;
mod order;
mod plan;
mod problem;
mod report;
mod timeline;
mod why;

pub use cluster::{admin_state_from_wire, event_to_wire, host_to_wire, vm_to_wire};
pub use constraint::{constraint_from_wire, constraint_to_wire};
pub use life::{Detail, pace_from_wire, record_to_wire, request_from_wire};
pub use order::order_to_wire;
pub use plan::{plan_from_wire, plan_to_wire};
pub use problem::{goal_from_wire, limits_from_wire, problem_from_wire, problem_to_wire, vm_from_wire};
pub use report::{delta_from_wire, hello_from_wire, inventory_from_wire, progress_from_wire};
pub use timeline::{forecasts_to_wire, timeline_to_wire};
pub use why::{edits_from_wire, explanation_to_wire, fit_to_wire};

use super::error::Violation;

/// Collects the faults of a message.
pub(crate) type Faults = Vec<Violation>;

/// The name of an enum value in the file form: empty for the unspecified one; a fault for a number that
/// has no name.
fn enum_name<E: TryFrom<i32>>(
    number: i32,
    path: &str,
    name: impl Fn(&E) -> &'static str,
    faults: &mut Faults,
) -> String {
    if number == 0 {
        return String::new();
    }
    if let Ok(value) = E::try_from(number) {
        return name(&value).to_owned();
    }
    faults.push(Violation::new(path, format!("{number} is not a value of the enum")));
    String::new()
}

#[cfg(test)]
mod tests;
