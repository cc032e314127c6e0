//! `dvms policies`: the operator's rules that can be changed while coordinators run.

mod view;

use super::client::{Server, block_on, call};
use super::exit::Exit;
use super::failure::{Failure, Fault};
use super::format::{count, safe};
use super::input::Input;
use super::locate::position;
use super::output::Output;
use crate::api::convert::{constraint_from_wire, constraint_to_wire};
use crate::config::Config;
use crate::coordinator::policies::faults;
use dvms_proto::v1::{ApplyPoliciesRequest, DeletePolicyRequest, ListPoliciesRequest, Policies, PolicyPlace};
use dvms_solver::file::{self, Constraint};
use serde::{Deserialize, Serialize};

pub(crate) use view::differences;

/// Lists, keeps and takes away rules while coordinators run
///
/// A policy is a rule (spread, gather, fence, ban or before) that is not in the configuration file. Those of the file hold too. In a
/// ring whose members are told by etcd they are kept there and hold at all coordinators; a coordinator that is alone keeps
/// them in its state directory.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists the rules in force, and those that are refused
    #[command(after_help = "\
Examples:
  dvms policies list
  dvms policies list --toml > policies.toml")]
    List {
        /// Those that can be changed, in the form of a file for `apply`
        #[arg(long)]
        toml: bool,
    },
    /// Keeps the rules of a file, each in the place of the one of its name
    #[command(after_help = "\
The file is TOML with a table [[constraints]] for each rule, as in the configuration, or JSON with a list `constraints`,
as in a problem; at most 100 rules. All are kept or none. While etcd does not answer nothing can be changed; what is in
force stays.

Examples:
  dvms policies apply policies.toml
  dvms policies apply - < policies.json")]
    Apply {
        /// The rules; `-` = standard input
        file: String,
    },
    /// Takes rules away
    #[command(after_help = "\
Example:
  dvms policies delete web-apart db-near-storage")]
    Delete {
        /// Names of rules
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

/// The form of a file of rules.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    constraints: Vec<Constraint>,
}

/// Does what is asked for.
///
/// # Errors
/// The file cannot be used; the server is not there or refuses.
pub(crate) fn run(arguments: &Arguments, server: &str, output: Output) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::List { toml } => list(*toml, server, output),
        Command::Apply { file } => apply(&rules_of(file)?, server, output),
        Command::Delete { names } => delete(names, server, output),
    }
}

fn list(toml: bool, server: &str, output: Output) -> Result<Exit, Failure> {
    let policies = block_on(async {
        let server = Server::connect(server).await?;
        let listed = server.policies().list_policies(call(ListPoliciesRequest {})).await;
        Ok(listed.map_err(|status| server.failure(&status))?.into_inner())
    })?;
    if toml {
        let kept = policies.policies.into_iter().filter(|policy| policy.source() != PolicyPlace::File);
        let constraints = kept.filter_map(|policy| policy.rule).map(constraint_from_wire).collect();
        let text = toml::to_string_pretty(&Rules { constraints });
        output.text(&text.map_err(|error| Failure::new(format!("the rules have no TOML form: {error}")))?)?;
    } else if output.is_json() {
        output.message(&policies)?;
    } else {
        output.text(&view::picture(output.look, &policies))?;
    }
    Ok(Exit::Success)
}

fn apply(rules: &[Constraint], server: &str, output: Output) -> Result<Exit, Failure> {
    let request = ApplyPoliciesRequest { rules: rules.iter().map(constraint_to_wire).collect() };
    let policies = block_on(async {
        let server = Server::connect(server).await?;
        let applied = server.policies().apply_policies(call(request)).await;
        Ok(applied.map_err(|status| server.failure(&status))?.into_inner())
    })?;
    tell(&format!("{} kept", count(rules.len(), "rule")), &policies, output)
}

fn delete(names: &[String], server: &str, output: Output) -> Result<Exit, Failure> {
    let policies = block_on(async {
        let server = Server::connect(server).await?;
        let mut last = Policies::default();
        for name in names {
            let request = DeletePolicyRequest { name: name.clone() };
            let deleted = server.policies().delete_policy(call(request)).await;
            last = deleted.map_err(|status| server.failure(&status))?.into_inner();
        }
        Ok(last)
    })?;
    tell(&format!("{} taken away: {}", count(names.len(), "rule"), names.join(" ")), &policies, output)
}

fn tell(done: &str, policies: &Policies, output: Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.message(policies)?;
    } else {
        let where_kept = view::place(policies.place());
        let Policies { revision, coordinator, .. } = policies;
        let coordinator = safe(coordinator);
        output
            .line(&format!("{}, {where_kept}; {coordinator} has revision {revision} in force", safe(done)))?;
    }
    Ok(Exit::Success)
}

/// The rules of a file.
fn rules_of(path: &str) -> Result<Vec<Constraint>, Failure> {
    let input = Input::read(path)?;
    let rules = if input.text().trim_start().starts_with('{') { of_json(&input)? } else { of_toml(&input)? };
    if rules.is_empty() {
        return Err(Failure::bad_input(format!("{} has no rules", input.name))
            .hint("Each is a table [[constraints]], as in the configuration."));
    }
    Ok(rules)
}

fn of_toml(input: &Input) -> Result<Vec<Constraint>, Failure> {
    Config::rules_from_toml(input.text()).map_err(|wrong| {
        let fault = |fault: crate::config::Fault| Fault {
            line: fault.line,
            column: None,
            path: fault.path,
            message: fault.message,
        };
        Failure::bad_input(format!("the rules of {} cannot be used:", input.name))
            .faults(wrong.into_iter().map(fault).collect())
    })
}

fn of_json(input: &Input) -> Result<Vec<Constraint>, Failure> {
    let Rules { constraints } = input.json("list of rules", file::read::<Rules>)?;
    let mut wrong = Vec::new();
    faults(&constraints, &mut |path, message| {
        let (line, column) = position(input.text(), path).unzip();
        wrong.push(Fault { line, column, path: path.to_owned(), message });
    });
    if wrong.is_empty() {
        return Ok(constraints);
    }
    Err(Failure::bad_input(format!("the rules of {} cannot be used:", input.name)).faults(wrong))
}
