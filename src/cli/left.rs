//! What a plan that changes nothing leaves as it is, for people.

use super::format::{count, safe};
use super::paint::{Paint, Tone};
use super::plan_view::named;
use dvms_solver::explain::{Left, left};
use dvms_solver::file::{Plan, Problem, Status};

/// VMs that stay without a host and hosts that stay over, in a line; empty where there are none, or something is done.
pub(crate) fn in_words(paint: Paint, problem: &Problem, plan: &Plan) -> String {
    if plan.status != Status::NoChange {
        return String::new();
    }
    // A problem that has a plan is one.
    let Left { waiting, over, ask } = left(problem).unwrap_or_default();
    let mut parts = Vec::new();
    if !waiting.is_empty() {
        let verb = if waiting.len() == 1 { "waits" } else { "wait" };
        parts.push(format!("{} {verb}", count(waiting.len(), "VM")));
    }
    if !over.is_empty() {
        let verb = if over.len() == 1 { "is" } else { "are" };
        parts.push(format!("{} {verb} over ({})", count(over.len(), "host"), named(&over)));
    }
    let Some(vm) = ask.filter(|_| !parts.is_empty()) else { return String::new() };
    let label = paint.tone(Tone::Warning, "Stays as it is:");
    format!("{label} {}. `dvms explain FILE --vm {}` says why.\n", parts.join(", and "), safe(&vm))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(problem: &str, status: Status) -> String {
        let plan = Plan { status, ..Plan::default() };
        in_words(Paint::PLAIN, &Problem::from_json(problem).unwrap(), &plan)
    }

    #[test]
    fn what_stays_is_told_where_nothing_is_done() {
        let none = r#"{"vms": [{"name": "v", "demand": {"cpu": 100, "memory": 100}}]}"#;
        assert_eq!(
            told(none, Status::NoChange),
            "Stays as it is: 1 VM waits. `dvms explain FILE --vm v` says why.\n"
        );
        assert_eq!(told(none, Status::Feasible), "");
        let full = r#"{"hosts": [{"name": "a", "capacity": {"cpu": 1, "memory": 9}}, {"name": "b", "capacity": {"cpu": 9, "memory": 1}}],
            "vms": [{"name": "v", "host": "a", "demand": {"cpu": 2, "memory": 2}}, {"name": "w", "host": "b", "demand": {"cpu": 2, "memory": 2}}]}"#;
        let says = "Stays as it is: 2 hosts are over (a, b). `dvms explain FILE --vm v` says why.\n";
        assert_eq!(told(full, Status::NoChange), says);
        let both = full.replace("\"host\": \"b\", ", "");
        let says =
            "Stays as it is: 1 VM waits, and 1 host is over (a). `dvms explain FILE --vm w` says why.\n";
        assert_eq!(told(&both, Status::NoChange), says);
        assert_eq!(told(r#"{"hosts": [{"name": "a"}]}"#, Status::NoChange), "");
    }
}
