//! `dvms top`: the whole infrastructure, live, through any coordinator.
//!
//! ```text
//! fetch    asks the coordinator                       ─┐ answers
//! live     the terminal: keys, size, signals, frames  ─┤ keys      ► state: a pure reducer
//!                                                      │                │
//! frame    a state as lines of a screen, of panes     ◄┴────────────────┤ pure
//! once     a state as plain text, and as JSON         ◄─────────────────┘ pure
//! ```

mod data;
mod fetch;
mod figures;
mod frame;
mod keys;
mod live;
mod once;
mod panes;
mod state;
#[cfg(test)]
mod tests;

use super::client::{Server, block_on};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use state::{Input, Sort, State};
use std::time::{Duration, SystemTime};

/// Shows hosts, partitions, plans, coordinators and events live, as seen by any coordinator
///
/// On a terminal it is drawn anew as things change; keys choose what is shown (? lists them). Elsewhere, and with --once,
/// it is printed once, as plain text; with --output json as one object for each look.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Keys:
  q quit   ? help   Tab, 1-5 panes   s sort hosts   / filter   r look now   arrows, PgUp, PgDn, Home, End scroll

Examples:
  dvms top
  dvms top --interval 5 --sort vms
  dvms top --once --filter r1
  dvms top --output json | jq -c '.totals'")]
pub(crate) struct Arguments {
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Look once, print that and end
    #[arg(long)]
    once: bool,
    /// What hosts are sorted by
    #[arg(long, value_enum, value_name = "BY", default_value = "load")]
    sort: Sort,
    /// Only what has this text in it, in whatever case
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    filter: String,
}

pub(crate) fn run(arguments: &Arguments, address: &str, output: Output) -> Result<Exit, Failure> {
    let every = Duration::from_secs(arguments.interval);
    let mut state = State::new(address, every);
    state.view.sort = arguments.sort;
    state.view.filter.clone_from(&arguments.filter);
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    block_on(async {
        let server = Server::connect(address).await?;
        if output.is_json() {
            return Box::pin(objects(&server, state, arguments.once, output)).await;
        }
        if arguments.once || output.look.width.is_none() || dumb {
            let answer = fetch::fetch(&server).await?;
            let now = SystemTime::now();
            state.take(Input::Answer(Box::new(answer)), now);
            output.text(&once::text(&state, now, output.look))?;
            return Ok(Exit::Success);
        }
        live::run(&server, state, output.look.paint).await
    })
}

/// One object for each look; one that fails is told in it, and the next look tries again.
async fn objects(server: &Server, mut state: State, only_one: bool, output: Output) -> Result<Exit, Failure> {
    loop {
        let answer = fetch::fetch(server).await;
        let now = SystemTime::now();
        match answer {
            Ok(answer) => state.take(Input::Answer(Box::new(answer)), now),
            Err(failure) if only_one => return Err(failure),
            Err(failure) => state.take(Input::Failed(failure.message()), now),
        };
        output.line(&once::value(&state, now).to_string())?;
        if only_one {
            return Ok(Exit::Success);
        }
        tokio::time::sleep(state.every).await;
    }
}
