//! Wire messages to domain types and back. Only form is judged here (known enum values, present
//! messages); what a value may be is judged where it is used.

mod constraint;
mod plan;
mod problem;

pub use constraint::{constraint_from_wire, constraint_to_wire};
pub use plan::{plan_from_wire, plan_to_wire};
pub use problem::{goal_from_wire, limits_from_wire, problem_from_wire, problem_to_wire};

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
