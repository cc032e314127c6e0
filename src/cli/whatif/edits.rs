//! What the command line wants to be different.

use super::Arguments;
use crate::cli::failure::{Failure, Fault};
use crate::cli::input::Input;
use dvms_solver::file::{Constraint, Problem, ReadError, read};
use dvms_solver::whatif::{Edit, edit};
use serde_json::Value;

/// An edit with the option that asks for it.
#[derive(Debug)]
pub(crate) struct Asked {
    option: &'static str,
    edit: Edit,
}

/// All edits, in the order in which they are made.
pub(super) fn list(arguments: &Arguments) -> Result<Vec<Asked>, Failure> {
    let mut list = Vec::new();
    let mut add = |option, edit| list.push(Asked { option, edit });
    arguments.drop_rule.iter().for_each(|name| add("--drop-rule", Edit::DropRule(name.clone())));
    for many in &arguments.add_hosts {
        add("--add-hosts", Edit::AddHosts { count: many.count, like: many.of.clone() });
    }
    for many in &arguments.add_vms {
        let (like, demand) = (many.of.like.clone(), many.of.demand.clone());
        add("--add-vms", Edit::AddVms { count: many.count, like, demand });
    }
    arguments.remove_host.iter().for_each(|name| add("--remove-host", Edit::RemoveHost(name.clone())));
    for pair in &arguments.lose {
        add("--lose", Edit::Lose { scope: pair.name.clone(), value: pair.value.clone() });
    }
    for given in &arguments.add_rule {
        rules(given)?.into_iter().for_each(|rule| add("--add-rule", Edit::AddRule(rule)));
    }
    Ok(list)
}

/// Whether `--add-rule` names a file rather than being a rule itself.
pub(super) fn is_file(given: &str) -> bool {
    !given.trim_start().starts_with(['{', '['])
}

/// The rules of a file or of a text: one, or a list.
fn rules(given: &str) -> Result<Vec<Constraint>, Failure> {
    let (name, text) = if is_file(given) {
        let input = Input::read(given)?;
        (format!("--add-rule {}", input.name), input.text().to_owned())
    } else {
        ("--add-rule".to_owned(), given.to_owned())
    };
    let refused = |what: &str, path: &str, error: &ReadError, before: usize| {
        let place = (error.line > 0).then_some(error);
        // What was put before the text is in its first line.
        let before = if error.line == 1 { before } else { 0 };
        let fault = Fault {
            line: place.map(|at| at.line),
            column: place.map(|at| at.column.saturating_sub(before).max(1)),
            path: path.to_owned(),
            message: error.message.clone(),
        };
        Failure::bad_input(format!("{name} is not {what}:")).faults(vec![fault])
    };
    // Else it could end what is put around it.
    read::<Value>(&text).map_err(|error| refused("JSON", "", &error, 0))?;
    // As in a problem, so that it is read as strictly.
    let is_list = text.trim_start().starts_with('[');
    let [begin, end] = if is_list { ["{\"constraints\": ", "}"] } else { ["{\"constraints\": [", "]}"] };
    let problem = Problem::from_json(&format!("{begin}{text}{end}")).map_err(|error| {
        let path = error.path.trim_start_matches("constraints");
        let path = if is_list { path } else { path.trim_start_matches("[0]") };
        refused("a rule", path.trim_end_matches(".?").trim_matches('.'), &error, begin.len())
    })?;
    Ok(problem.constraints)
}

/// The problem with all edits made.
pub(super) fn apply(problem: &Problem, edits: &[Asked]) -> Result<Problem, Failure> {
    let mut edited = problem.clone();
    for asked in edits {
        edit(&mut edited, &asked.edit).map_err(|refused| {
            let fault = Fault { path: asked.option.into(), message: refused.to_string(), ..Fault::default() };
            Failure::bad_input("the problem cannot be edited like this:").faults(vec![fault])
        })?;
    }
    let Err(rejected) = dvms_solver::Problem::new(&edited) else { return Ok(edited) };
    let dropped = edits.iter().filter(|asked| matches!(asked.edit, Edit::DropRule(_))).count();
    let kept = [
        ("hosts", problem.hosts.len(), "--add-hosts"),
        ("vms", problem.vms.len(), "--add-vms"),
        ("constraints", problem.constraints.len() - dropped, "--add-rule"),
    ];
    let mut faults: Vec<Fault> = Vec::new();
    for fault in rejected.faults {
        let path = by_option(&fault.path, &kept);
        // Of many that are alike one is enough.
        if !faults.iter().any(|known| known.path == path && known.message == fault.message) {
            faults.push(Fault { path, message: fault.message, ..Fault::default() });
        }
    }
    Err(Failure::bad_input("the problem cannot be edited like this:").faults(faults))
}

/// The path of what an option has added begins with that option.
fn by_option(path: &str, kept: &[(&str, usize, &str)]) -> String {
    for (list, count, option) in kept {
        let place = path
            .strip_prefix(list)
            .and_then(|rest| rest.strip_prefix('['))
            .and_then(|rest| rest.split_once(']'));
        if let Some((index, rest)) = place
            && index.parse::<usize>().is_ok_and(|index| index >= *count)
        {
            return format!("{option}: {}", rest.trim_start_matches('.')).trim_end_matches(": ").to_owned();
        }
    }
    path.to_owned()
}

/// An edit in a few words.
pub(crate) fn in_words(asked: &Asked) -> String {
    match &asked.edit {
        Edit::AddHosts { count, like: Some(like) } => format!("{count} more hosts like {like}"),
        Edit::AddHosts { count, like: None } => format!("{count} more hosts"),
        Edit::RemoveHost(name) => format!("{name} is drained"),
        Edit::Lose { scope, value } => format!("{scope} {value} has failed"),
        Edit::AddVms { count, like, demand } => {
            let like = like.as_ref().map_or_else(String::new, |like| format!(" like {like}"));
            let demand: Vec<String> =
                demand.iter().map(|(name, amount)| format!("{name} {amount}")).collect();
            let demand = if demand.is_empty() { String::new() } else { format!(" of {}", demand.join(", ")) };
            format!("{count} more VMs{like}{demand}")
        }
        Edit::DropRule(name) => format!("without the rule {name}"),
        Edit::AddRule(rule) => format!("with the rule {}", rule.name),
    }
}

#[cfg(test)]
mod tests {
    use super::by_option;

    #[test]
    fn what_was_added_is_told_by_its_option() {
        let kept = [("hosts", 2, "--add-hosts"), ("constraints", 0, "--add-rule")];
        for (path, told) in [
            ("hosts[1].name", "hosts[1].name"),
            ("hosts[2].name", "--add-hosts: name"),
            ("hosts", "hosts"),
            ("constraints[0]", "--add-rule"),
            ("constraints[0].ban.vms[1]", "--add-rule: ban.vms[1]"),
            ("objectives[7]", "objectives[7]"),
        ] {
            assert_eq!(by_option(path, &kept), told);
        }
    }
}
