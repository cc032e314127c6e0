//! Two plans side by side.

use crate::cli::format::{count, figure, safe};
use crate::cli::paint::Tone;
use crate::cli::table::{Cell, Column, Look, Table};
use dvms_solver::file::{ActionKind, ObjectiveValue, Plan, Problem};
use dvms_solver::whatif::Differing;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A problem's plan with what is compared of it.
#[derive(Debug)]
pub(super) struct Side {
    hosts: usize,
    vms: usize,
    migrations: usize,
    starts: usize,
    boots: usize,
    shutdowns: usize,
    /// Hosts that run a VM at the end.
    in_use: usize,
    pub(super) plan: Plan,
}

impl Side {
    pub(super) fn new(problem: &Problem, plan: Plan) -> Self {
        let count = |kind| plan.actions.iter().filter(|action| action.kind == kind).count();
        Self {
            hosts: problem.hosts.len(),
            vms: problem.vms.len(),
            migrations: count(ActionKind::Migrate),
            starts: count(ActionKind::Start),
            boots: count(ActionKind::Boot),
            shutdowns: count(ActionKind::Shutdown),
            in_use: plan.placement.values().collect::<BTreeSet<_>>().len(),
            plan,
        }
    }

    pub(super) fn value(&self) -> Value {
        let mut value = json!({
            "status": self.plan.status,
            "reason": self.plan.reason,
            "hosts": self.hosts,
            "vms": self.vms,
            "objectives": self.plan.objectives,
            "plan": self.plan,
        });
        if self.plan.status.has_plan() {
            value["unplaced"] = json!(self.plan.unplaced);
            value["migrations"] = json!(self.migrations);
            value["starts"] = json!(self.starts);
            value["boots"] = json!(self.boots);
            value["shutdowns"] = json!(self.shutdowns);
            value["hosts_in_use"] = json!(self.in_use);
        }
        value
    }

    fn level(&self, name: &str) -> Option<&ObjectiveValue> {
        self.plan.objectives.iter().find(|level| level.name == name)
    }

    /// A figure that only a plan has.
    fn of_plan(&self, figure: usize) -> Option<f64> {
        self.plan.status.has_plan().then_some(figure as f64)
    }
}

/// VMs in different places that are shown; more are counted.
const DIFFERING_SHOWN: usize = 20;

/// The VMs that both plans leave in different places, some of them by name.
pub(super) fn differing(look: Look, [what, what_if]: [&'static str; 2], all: &[Differing]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let columns = [Column::Left("DIFFERENT"), Column::Left(what), Column::Left(what_if)];
    let mut table = Table::new(look, &columns);
    let host = |host: &Option<String>| host.as_deref().map_or_else(|| "-".to_owned(), safe);
    for one in all.iter().take(DIFFERING_SHOWN) {
        table.row([safe(&one.vm), host(&one.before), host(&one.after)]);
    }
    let more = all.len().saturating_sub(DIFFERING_SHOWN);
    let more = if more == 0 { String::new() } else { format!("and {}\n", count(more, "other VM")) };
    format!("\n{}{more}", table.render())
}

/// The table; `what` and `what_if` are the headings of the sides.
pub(super) fn table(look: Look, [what, what_if]: [&'static str; 2], before: &Side, after: &Side) -> String {
    let columns =
        [Column::Left(""), Column::Right(what), Column::Right(what_if), Column::Right("DIFFERENCE")];
    let mut table = Table::new(look, &columns);
    table.row(["status", before.plan.status.name(), after.plan.status.name(), ""]);
    let figures: [(&str, [Option<f64>; 2]); 2] = [
        ("hosts", [Some(before.hosts as f64), Some(after.hosts as f64)]),
        ("VMs", [Some(before.vms as f64), Some(after.vms as f64)]),
    ];
    for (name, both) in figures {
        table.row(row(name, both, both.map(shown), false));
    }
    let mut names: Vec<&str> = before.plan.objectives.iter().map(|level| level.name.as_str()).collect();
    names.extend(
        after.plan.objectives.iter().map(|l| l.name.as_str()).filter(|name| before.level(name).is_none()),
    );
    for name in names {
        let both = [before.level(name), after.level(name)];
        let words = both.map(|level| level.map_or_else(|| "-".to_owned(), words));
        table.row(row(name, both.map(|level| level.map(|level| level.value)), words, true));
    }
    let figures = [
        ("VMs without a host", [before, after].map(|side| side.of_plan(side.plan.unplaced.len())), true),
        ("migrations", [before, after].map(|side| side.of_plan(side.migrations)), true),
        ("starts", [before, after].map(|side| side.of_plan(side.starts)), false),
        ("boots", [before, after].map(|side| side.of_plan(side.boots)), false),
        ("shutdowns", [before, after].map(|side| side.of_plan(side.shutdowns)), false),
        ("hosts in use", [before, after].map(|side| side.of_plan(side.in_use)), false),
    ];
    for (name, both, judged) in figures {
        // Power actions are for those who use them.
        if matches!(name, "boots" | "shutdowns") && both.iter().all(|count| count.unwrap_or(0.0) == 0.0) {
            continue;
        }
        table.row(row(name, both, both.map(shown), judged));
    }
    table.render()
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), figure)
}

/// `before → after`, with the bound where it is below.
fn words(level: &ObjectiveValue) -> String {
    let (before, value) = (figure(level.before), figure(level.value));
    match level.bound.map(figure) {
        // That it is not below 0 says nothing.
        Some(bound) if bound != value && bound != "0" => format!("{before} → {value} (≥ {bound})"),
        _ => format!("{before} → {value}"),
    }
}

/// A row; `judged` = less is better.
fn row(name: &str, values: [Option<f64>; 2], words: [String; 2], judged: bool) -> [Cell; 4] {
    let [before, after] = words;
    let difference = match values {
        [Some(before), Some(after)] if figure(after - before) != "0" => {
            let difference = after - before;
            let text = format!("{}{}", if difference > 0.0 { "+" } else { "" }, figure(difference));
            match (judged, difference > 0.0) {
                (true, true) => Cell::toned(Tone::Bad, text),
                (true, false) => Cell::toned(Tone::Good, text),
                _ => text.into(),
            }
        }
        [Some(_), Some(_)] => "=".into(),
        _ => "".into(),
    };
    [name.into(), before.into(), after.into(), difference]
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADS: [&str; 2] = ["AS IT IS", "WHAT IF"];

    fn side(text: &str) -> Side {
        Side::new(&Problem::default(), Plan::from_json(text).unwrap())
    }

    #[test]
    fn vms_in_different_places_are_named() {
        let one = |vm: &str, before: Option<&str>| Differing {
            vm: vm.to_owned(),
            before: before.map(str::to_owned),
            after: Some("h2".to_owned()),
        };
        let told = differing(Look::PLAIN, HEADS, &[one("a", Some("h1")), one("b", None)]);
        assert_eq!(
            told,
            "\nDIFFERENT  AS IT IS  WHAT IF\na          h1        h2\nb          -         h2\n"
        );
        assert_eq!(differing(Look::PLAIN, HEADS, &[]), "");
        let many: Vec<Differing> = (0..23).map(|i| one(&format!("v{i}"), None)).collect();
        assert!(differing(Look::PLAIN, HEADS, &many).ends_with("and 3 other VMs\n"));
    }

    #[test]
    fn both_sides_and_their_difference_are_shown() {
        let before = side(
            r#"{"status": "OPTIMAL", "placement": {"a": "h1", "b": "h2"},
                "actions": [{"id": 1, "type": "MIGRATE", "vm": "a", "because": "x"}],
                "objectives": [{"name": "VIOLATIONS", "before": 2000, "value": 0, "bound": 0}]}"#,
        );
        let after = side(
            r#"{"status": "FEASIBLE", "placement": {"a": "h1", "b": "h1"}, "unplaced": ["c"],
                "actions": [{"id": 1, "type": "BOOT", "destination": "h1", "because": "x"}],
                "objectives": [{"name": "VIOLATIONS", "before": 2000, "value": 100, "bound": 50}]}"#,
        );
        let expected = "                    AS IT IS            WHAT IF  DIFFERENCE
status               OPTIMAL           FEASIBLE
hosts                      0                  0           =
VMs                        0                  0           =
VIOLATIONS          2000 → 0  2000 → 100 (≥ 50)        +100
VMs without a host         0                  1          +1
migrations                 1                  0          -1
starts                     0                  0           =
boots                      0                  1          +1
hosts in use               2                  1          -1
";
        assert_eq!(table(Look::PLAIN, HEADS, &before, &after), expected);
        let none = side(r#"{"status": "INFEASIBLE", "reason": "so it is"}"#);
        let told = table(Look::PLAIN, HEADS, &before, &none);
        assert!(
            told.contains("migrations                 1           -") && !told.contains("boots"),
            "{told}"
        );
        assert!(none.value()["migrations"].is_null() && before.value()["migrations"] == 1);
    }
}
