//! `dvms demo`: a whole cluster at work, in a minute. The same coordinator, server and agents as elsewhere, with
//! simulated hypervisors (`simulated`) or with QEMU and libvirt on a test bed (`libvirt`).
//!
//! ```text
//! story ──changes──► site (hosts, VMs) ◄──agents──► server, coordinator
//!   │ looks at ◄───────┘                                  │
//!   └─tells─► stage (screen or lines) ◄──────changes──────┘
//! ```
//!
//! The story judges its goals by looking at the site, never by what the coordinator says of itself.

mod arguments;
mod libvirt;
mod outcome;
mod plans;
mod rules;
mod server;
mod settings;
mod simulated;
mod site;
mod stage;
mod story;
mod truth;

pub(crate) use arguments::Arguments;

use super::exit::Exit;
use super::failure::Failure;
use super::line::Line;
use super::output::Output;
use super::screen;
use crate::coordinator::Settings;
use anyhow::{Context as _, anyhow};
use libvirt::Libvirt;
use outcome::Outcome;
use server::Server;
use simulated::Simulated;
use site::Site;
use stage::{Eyes, Setting, Stage};
use std::io;
use std::path::Path;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Standard output cannot be written to. A type of its own, as other things that cannot be written to are no
/// sign that nobody reads.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
struct Unheard(#[from] io::Error);

/// The story is over, or the wish that it were.
enum End {
    Told(Box<Outcome>),
    Interrupted,
}

/// Runs the demo.
///
/// # Errors
/// What prevented it.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let result = runtime.block_on(in_folder(arguments, output));
    // Whatever still blocks a thread ends with the process.
    runtime.shutdown_background();
    result
}

/// Everything that is kept lives in a temporary folder, which stays when it can tell why the demo failed.
async fn in_folder(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let folder = tempfile::Builder::new().prefix("dvms-demo-").tempdir();
    let folder =
        folder.map_err(|error| Failure::new(format!("cannot make a temporary directory: {error}")))?;
    let log = folder.path().join("log");
    let quit = quit_on_signals();
    let result = match start_log(&log) {
        Ok(()) => on_site(arguments, output, folder.path(), &quit).await,
        Err(error) => Err(error),
    };
    let unheard = result.as_ref().is_err_and(anyhow::Error::is::<Unheard>);
    let logged = std::fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    if matches!(result, Ok(Exit::Success)) || quit.is_cancelled() || unheard || !logged {
        return result.map_err(failure);
    }
    let kept = folder.keep();
    let hint = format!("The logs and the coordinator's state are kept in {}", kept.display());
    match result {
        Ok(exit) => {
            eprintln!("{hint}");
            Ok(exit)
        }
        Err(error) => Err(failure(error).hint(hint)),
    }
}

fn failure(error: anyhow::Error) -> Failure {
    match error.downcast::<Unheard>() {
        Ok(Unheard(error)) => error.into(),
        Err(error) => Failure::new(format!("{error:#}")),
    }
}

async fn on_site(
    arguments: &Arguments,
    output: Output,
    folder: &Path,
    quit: &CancellationToken,
) -> anyhow::Result<Exit> {
    if arguments.libvirt {
        if !output.is_json() {
            output.line("dvms demo: starting hypervisors and guests").map_err(Unheard)?;
        }
        let place = folder.to_owned();
        let booted = tokio::task::spawn_blocking(move || Libvirt::boot(&place)).await;
        let mut site = booted.context("the task that starts hypervisors has ended")??;
        let (hosts, vms) = Libvirt::size();
        let inventory = format!("{hosts} libvirt hypervisors, {vms} QEMU guests");
        let settings = site.settings().clone();
        // Should it not start, the site goes down as it is dropped.
        let server = Server::start(settings.clone(), folder, arguments.port).await?;
        let result = match site.connect(server.address) {
            Ok(()) => perform(&mut site, &server, &settings, inventory, arguments, output, quit).await,
            Err(error) => Err(error),
        };
        server.stop().await;
        site.disconnect().await;
        return result;
    }
    let settings = settings::simulated(arguments.seed);
    let mut site = Simulated::new(arguments.seed, &settings);
    let (hosts, vms) = site.size();
    let inventory = format!("{hosts} simulated hypervisors, {vms} VMs");
    let server = Server::start(settings.clone(), folder, arguments.port).await?;
    let result = match site.connect(server.address, folder) {
        Ok(()) => perform(&mut site, &server, &settings, inventory, arguments, output, quit).await,
        Err(error) => Err(error),
    };
    server.stop().await;
    site.disconnect().await;
    result
}

/// Plays the story before the eyes of the user, then tells what it came to.
async fn perform(
    site: &mut impl Site,
    server: &Server,
    settings: &Settings,
    inventory: String,
    arguments: &Arguments,
    output: Output,
    quit: &CancellationToken,
) -> anyhow::Result<Exit> {
    let first = Line::default().text(format!("dvms demo: {inventory}"));
    let introduction = std::iter::once(first).chain(server.invitation()).collect();
    let setting = Setting {
        inventory,
        address: server.address.to_string(),
        overload: settings.detection.cpu_overload,
        introduction,
    };
    let done = CancellationToken::new();
    let (stage, mut shown) =
        Stage::open(setting, &server.coordinator, Eyes::of(output), quit.clone(), done.clone());
    let told = tokio::select! {
        told = story::play(site, &server.coordinator, &stage) => told.map(|outcome| End::Told(Box::new(outcome))),
        () = quit.cancelled() => Ok(End::Interrupted),
        ended = &mut shown => {
            // Nobody looks any more: the reader of the pipe is gone.
            return Err(ended?.err().map_or_else(|| anyhow!("the stage has ended"), |error| Unheard(error).into()));
        }
    };
    done.cancel();
    shown.await?.map_err(Unheard)?;
    let outcome = match told? {
        End::Told(outcome) => outcome,
        End::Interrupted => {
            eprintln!("dvms demo: interrupted before the end of the story");
            return Ok(Exit::Failure);
        }
    };
    tell(&outcome, output)?;
    if arguments.keep {
        if !output.is_json() {
            invite(server, output)?;
        }
        quit.cancelled().await;
    }
    Ok(if outcome.is_good() { Exit::Success } else { Exit::Failure })
}

fn invite(server: &Server, output: Output) -> Result<(), Unheard> {
    output.line("")?;
    server.invitation().iter().try_for_each(|line| output.line(&line.painted(output.look.paint)))?;
    Ok(output.line("It goes on until Ctrl-C.")?)
}

fn tell(outcome: &Outcome, output: Output) -> Result<(), Unheard> {
    if output.is_json() {
        return Ok(output.value(&outcome.to_json())?);
    }
    let width = usize::from(output.look.width.unwrap_or(100));
    output.line("")?;
    Ok(outcome.lines(width).iter().try_for_each(|line| output.line(&line.painted(output.look.paint)))?)
}

/// Cancelled by the first signal that asks the process to end; the second one ends it at once.
fn quit_on_signals() -> CancellationToken {
    let quit = CancellationToken::new();
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    for mut signal in signals.into_iter().filter_map(|kind| signal(kind).ok()) {
        let quit = quit.clone();
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                if quit.is_cancelled() {
                    screen::restore();
                    std::process::exit(Exit::Failure as i32);
                }
                quit.cancel();
            }
        });
    }
    quit
}

/// Logs go to a file: the terminal is for the story.
fn start_log(path: &Path) -> anyhow::Result<()> {
    use tracing_subscriber::EnvFilter;
    let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(&filter).context("RUST_LOG")?,
        _ => EnvFilter::new("info"),
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
    // Refused only when there is a log already.
    let _ = log.with_writer(std::sync::Mutex::new(file)).try_init();
    Ok(())
}
