//! What must hold of any bytes that are sent as a problem. A target of the crate in `fuzz/`, and tests, call it.

use super::{problem_from_wire, problem_to_wire};
use dvms_proto::v1 as pb;
use dvms_solver::testing::fuzz;
use prost::Message;

/// Bytes as a message: to the file form, back and again; what the solver takes is written as JSON and solved for a
/// little while.
///
/// # Panics
/// When something does not hold.
pub fn problem(bytes: &[u8]) {
    let Ok(message) = pb::Problem::decode(bytes) else { return };
    let read = match problem_from_wire(message) {
        Err(faults) => {
            assert!(!faults.is_empty());
            return;
        }
        Ok(read) => read,
    };
    let wire = problem_to_wire(&read).expect("it was read from the wire");
    let again = problem_from_wire(wire).expect("it was written to the wire");
    // As text: no number is equal to one that is none.
    assert_eq!(format!("{again:?}"), format!("{read:?}"), "it is read as it was written");
    match dvms_solver::Problem::new(&read) {
        Err(rejected) => assert!(rejected.faults.iter().all(|fault| !fault.path.is_empty())),
        Ok(_) => fuzz::problem(read.to_json().as_bytes()),
    }
}
