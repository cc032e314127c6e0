//! `dvms explain`: why a VM is where it is, and what would have to change for it to be elsewhere.

use super::exit::Exit;
use super::failure::{Failure, Fault};
use super::format::{amount, count, safe};
use super::input::Input;
use super::output::Output;
use super::paint::Tone;
use super::plan_view;
use super::searching::{Effort, Search};
use super::table::{Cell, Column, Look, Table};
use dvms_solver::explain::{
    Asked, Bond, Change, Changes, Explanation, Need, Solved, Unexplained, Verdict, explain, solved,
};
use dvms_solver::file::{Plan, Problem, Status};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Rules that are shown, beside those that name it; more are counted.
const RULES_SHOWN: usize = 8;

/// Hosts that are shown; more are counted.
const HOSTS_SHOWN: usize = 40;

/// Says why a VM is where it is, why it cannot go to other hosts, and what would have to change
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What speaks against each host is told with all other VMs where they are. With --host, also the
least that would have to change: as few changes as can be that only an operator can make (states,
pins, rules, capacity), and with these as few other VMs that leave as can be; and whether a solve
that holds the VM to that host finds a plan.

Exit status: 0 it is explained; 2 bad input; 1 anything else.

Examples:
  dvms explain rack.json --vm web1
  dvms explain rack.json --vm web1 --host h3
  dvms explain rack.json --vm web1 --host h3 --no-solve --output json")]
pub(crate) struct Arguments {
    /// The problem, JSON; `-` = standard input
    file: String,
    /// The VM to explain
    #[arg(long, value_name = "NAME")]
    vm: String,
    /// The host that it is to go to
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Tell only what needs no search
    #[arg(long)]
    no_solve: bool,
    #[command(flatten)]
    effort: Effort,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let input = Input::read(&arguments.file)?;
    let problem = input.problem()?;
    let explanation = explain(&problem, &arguments.vm, arguments.host.as_deref())
        .map_err(|error| refused(&input, &error))?;
    let solved = if arguments.no_solve {
        None
    } else {
        let search = Search::new(&arguments.effort, !output.is_json())?;
        Some(solve(&search, &problem, &explanation).map_err(|error| refused(&input, &error))?)
    };
    if output.is_json() {
        output.value(&value(&explanation, solved.as_ref()))?;
    } else {
        let text = text(output.look, &problem, &explanation, solved.as_ref(), arguments.host.as_deref());
        output.text(&text)?;
    }
    Ok(Exit::Success)
}

/// What is wrong with what was asked.
fn refused(input: &Input, error: &Unexplained) -> Failure {
    let path = match error {
        Unexplained::Rejected(rejected) => return input.rejected(rejected),
        Unexplained::NoVm(_) => "--vm",
        Unexplained::NoHost(_) => "--host",
    };
    let fault = Fault { path: path.to_owned(), message: error.to_string(), ..Fault::default() };
    Failure::bad_input(format!("{} has nothing of that name:", input.name)).faults(vec![fault])
}

fn solve(search: &Search, problem: &Problem, explanation: &Explanation) -> Result<Solved, Unexplained> {
    let vm = &explanation.vm;
    solved(problem, explanation, &mut |problem, held| {
        let what =
            held.map_or_else(|| "solving as it is".to_owned(), |host| format!("solving with {vm} on {host}"));
        search.solve(problem, &what)
    })
}

/// Where a plan leaves a VM, and why it moves it.
fn outcome<'p>(plan: &'p Plan, vm: &str) -> (Option<&'p str>, Option<&'p str>) {
    let last = plan.actions.iter().rfind(|action| action.vm == vm);
    (plan.placement.get(vm).map(String::as_str), last.map(|action| action.because.as_str()))
}

fn value(explanation: &Explanation, solved: Option<&Solved>) -> Value {
    let mut value = json!(explanation);
    if let Some(solved) = solved {
        let (host, because) = outcome(&solved.plan, &explanation.vm);
        value["solve"] = json!({"status": solved.plan.status, "host": host, "because": because});
        if let Some(asked) = &solved.asked {
            value["asked"] = json!({"rule": asked.rule, "changed": asked.changed, "plan": asked.plan});
        }
    }
    value
}

fn text(
    look: Look,
    problem: &Problem,
    explanation: &Explanation,
    solved: Option<&Solved>,
    host: Option<&str>,
) -> String {
    let mut text = whereabouts(look, problem, explanation);
    if let Some(solved) = solved {
        let _ = writeln!(text, "{}", future(explanation, &solved.plan));
    }
    text.push_str(&bonds(look, explanation));
    text.push_str(&elsewhere(look, problem, explanation, host));
    if let Some(changes) = &explanation.changes {
        text.push_str(&least(look, explanation, changes));
        if let Some(asked) = solved.and_then(|solved| solved.asked.as_ref()) {
            text.push_str(&asked_for(explanation, changes, asked));
        }
    }
    text
}

fn whereabouts(look: Look, problem: &Problem, explanation: &Explanation) -> String {
    let vm = look.paint.tone(Tone::Strong, &explanation.vm);
    let pinned = problem.vms.iter().any(|vm| vm.name == explanation.vm && vm.pinned);
    let mut text = match &explanation.host {
        None => format!("{vm} waits to be placed.\n"),
        Some(host) if explanation.running => {
            format!("{vm} runs on {host}{}.\n", if pinned { ", and is pinned to it" } else { "" })
        }
        Some(host) => format!("{vm} is down: {host} has failed.\n"),
    };
    for cause in &explanation.wrong {
        let _ = writeln!(text, "  {}", look.paint.tone(Tone::Bad, &safe(&cause.text)));
    }
    if explanation.running && explanation.wrong.is_empty() {
        text.push_str("  Nothing makes it leave.\n");
    }
    text
}

/// What a solve would do with it.
fn future(explanation: &Explanation, plan: &Plan) -> String {
    if !plan.status.has_plan() {
        return format!(
            "A solve of the whole says {}: {}",
            plan.status.name(),
            plan_view::sentence(&plan.reason)
        );
    }
    let running = explanation.host.as_deref().filter(|_| explanation.running);
    match outcome(plan, &explanation.vm) {
        (Some(to), _) if running == Some(to) => {
            format!("A solve of the whole ({}) leaves it there.", plan.status.name())
        }
        (Some(to), because) => {
            let because = because.map_or_else(String::new, |because| format!(": {}", safe(because)));
            let verb = if running.is_some() { "moves it to" } else { "starts it on" };
            format!("A solve of the whole ({}) {verb} {}{because}.", plan.status.name(), safe(to))
        }
        (None, _) => format!("A solve of the whole ({}) finds no place for it.", plan.status.name()),
    }
}

/// The rules and resources that bind it.
fn bonds(look: Look, explanation: &Explanation) -> String {
    if explanation.rules.is_empty() && explanation.resources.is_empty() {
        return String::new();
    }
    let columns = [
        Column::Left("BOUND BY"),
        Column::Left("KIND"),
        Column::Left("NOW"),
        Column::Right("EXCLUDES"),
        Column::Right("ALONE"),
    ];
    let mut table = Table::new(look, &columns);
    // Those that name it first, then those that keep it from most hosts.
    let mut rules: Vec<&Bond> = explanation.rules.iter().collect();
    rules.sort_by_key(|bond| (!bond.names, if bond.names { 0 } else { usize::MAX - bond.excludes }));
    let shown = rules.len().min(RULES_SHOWN.max(rules.iter().filter(|bond| bond.names).count()));
    for Bond { rule, kind, soft_weight, continuous, holds, excludes, alone, .. } in &rules[..shown] {
        let soft = soft_weight.map_or_else(String::new, |weight| format!(", soft {weight}"));
        let always = if *continuous { ", continuous" } else { "" };
        let now = if *holds { Cell::from("holds") } else { Cell::toned(Tone::Bad, "broken") };
        table.row([
            rule.clone().into(),
            format!("{kind}{always}{soft}").into(),
            now,
            count(*excludes, "host").into(),
            if soft_weight.is_some() { "-".into() } else { Cell::from(alone.to_string()) },
        ]);
    }
    for Need { resource, demand, excludes, alone } in &explanation.resources {
        table.row([
            resource.clone().into(),
            "resource".into(),
            amount(resource, *demand).into(),
            count(*excludes, "host").into(),
            Cell::from(alone.to_string()),
        ]);
    }
    let mut text = format!("\n{}", table.render());
    if let Some(more) = rules.len().checked_sub(shown).filter(|more| *more > 0) {
        let _ = writeln!(text, "… and {more} more rules that keep it from hosts; --output json has them all");
    }
    text
}

/// Each other host.
fn elsewhere(look: Look, problem: &Problem, explanation: &Explanation, host: Option<&str>) -> String {
    let admitting = explanation.hosts.iter().filter(|verdict| verdict.admits).count();
    let mut text = format!(
        "\nWith all other VMs where they are, {admitting} of {} would take it.\n",
        count(explanation.hosts.len(), "other host")
    );
    let wanted: Vec<&Verdict> =
        explanation.hosts.iter().filter(|verdict| host.is_none_or(|host| verdict.host == host)).collect();
    if wanted.is_empty() {
        return text;
    }
    let columns =
        [Column::Left("HOST"), Column::Left("STATE"), Column::Left("TAKES IT"), Column::Text("WHY")];
    let mut table = Table::new(look, &columns);
    for verdict in wanted.iter().take(HOSTS_SHOWN) {
        let state = problem.hosts.iter().find(|host| host.name == verdict.host);
        let state = state.map_or("", |host| if host.state.is_empty() { "ONLINE" } else { &host.state });
        let takes = match (verdict.admits, verdict.boots) {
            (true, true) => Cell::toned(Tone::Good, "yes, once booted"),
            (true, false) => Cell::toned(Tone::Good, "yes"),
            (false, _) => Cell::toned(Tone::Bad, "no"),
        };
        table.row([verdict.host.clone().into(), state.into(), takes, why(verdict).into()]);
    }
    text.push_str(&table.render());
    if let Some(more) = wanted.len().checked_sub(HOSTS_SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(text, "… and {more} more; --output json has them all");
    }
    text
}

fn why(verdict: &Verdict) -> String {
    let mut parts: Vec<String> = verdict.causes.iter().map(|cause| cause.text.clone()).collect();
    parts.extend(
        verdict.breaks.iter().map(|(rule, weight)| format!("it would break the soft rule {rule} ({weight})")),
    );
    parts.join("; ")
}

fn least(look: Look, explanation: &Explanation, changes: &Changes) -> String {
    let (vm, host) = (&explanation.vm, &changes.host);
    if explanation.host.as_ref() == Some(host) && explanation.running {
        return format!("\n{vm} is on {host} already.\n");
    }
    if changes.least.is_empty() {
        return format!("\nFor {vm} to go to {host}, nothing has to change.\n");
    }
    let proof = if changes.minimal {
        "proved: nothing smaller is enough"
    } else {
        "nothing of this can be left out; there may be something smaller"
    };
    let mut text = format!("\nFor {vm} to go to {host}, all of this would have to change ({proof}):\n");
    let list = |changes: &[Change], text: &mut String| {
        for change in changes {
            let _ = writeln!(text, "  {} {}", look.paint.tone(Tone::Strong, "-"), safe(&change.text));
        }
    };
    list(&changes.least, &mut text);
    if !changes.in_place.is_empty() {
        text.push_str("Or, with all other VMs where they are:\n");
        list(&changes.in_place, &mut text);
    }
    text
}

/// What a solve says that holds it to the host.
fn asked_for(explanation: &Explanation, changes: &Changes, asked: &Asked) -> String {
    let held = format!("A solve that holds {} to {}", explanation.vm, changes.host);
    let with = if asked.changed { ", once that is changed," } else { "" };
    let plan = &asked.plan;
    match plan.status {
        Status::Optimal | Status::Feasible | Status::NoChange => {
            let vms: std::collections::BTreeSet<_> =
                plan.actions.iter().map(|action| &action.vm).filter(|vm| !vm.is_empty()).collect();
            let others: Vec<_> = vms.into_iter().filter(|vm| **vm != explanation.vm).collect();
            let others = match others.len() {
                0 => "with no other VM".to_owned(),
                _ => format!("with {}", plan_view::named(&others)),
            };
            format!("{held}{with} finds a plan of {} ({others}).\n", count(plan.actions.len(), "action"))
        }
        Status::Infeasible => {
            let conflict = plan.conflict.as_ref().map(plan_view::in_words).unwrap_or_default();
            let rule = format!("The rule {} is what was asked.", asked.rule);
            let rule = if conflict.contains(&asked.rule) { rule } else { String::new() };
            let reason = plan.reason.trim();
            let reason = plan_view::sentence(reason.strip_prefix("proved:").unwrap_or(reason));
            let parts = [reason, conflict, rule];
            let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
            format!("{held}{with} finds no plan, which is proved: {}\n", parts.join(" "))
        }
        Status::Unknown => format!("{held}{with} found no plan: {}\n", plan_view::sentence(&plan.reason)),
    }
}
