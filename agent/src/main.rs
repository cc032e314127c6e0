//! The `dvms-agent` binary: an agent for this machine's libvirt.

use anyhow::Context as _;
use clap::Parser;
use dvms_agent::config::{Config, ConfigError, LogFormat};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
#[cfg(feature = "libvirt")]
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Read when `--config` is not given, if it is there.
const DEFAULT_CONFIG: &str = "/etc/dvms/agent.toml";
const BAD_INPUT: u8 = 2;

/// Reports what this hypervisor and its virtual machines use, and carries out live migrations.
#[derive(Debug, Parser)]
#[command(name = "dvms-agent", version, max_term_width = 100)]
struct Arguments {
    /// The configuration, TOML. Default: /etc/dvms/agent.toml if it is there, else every default.
    #[arg(long, env = "DVMS_AGENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say whether the configuration can be used, with all its faults, and end.
    #[arg(long)]
    check_config: bool,
    /// Print the effective configuration and end.
    #[arg(long)]
    print_config: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dvms-agent: {error:#}");
            ExitCode::from(if error.is::<ConfigError>() { BAD_INPUT } else { 1 })
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let default = Path::new(DEFAULT_CONFIG);
    let path = arguments.config.as_deref().or_else(|| default.exists().then_some(default));
    let config = path.map_or_else(|| Ok(Config::default()), Config::from_file)?;
    if arguments.print_config {
        print!("{}", config.to_toml());
        return Ok(());
    }
    if arguments.check_config {
        println!("the configuration is valid");
        return Ok(());
    }
    start_log(&config)?;
    // One thread: the agent mostly waits, and a hypervisor's cores belong to its VMs.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(config))
}

fn start_log(config: &Config) -> anyhow::Result<()> {
    use tracing_subscriber::EnvFilter;
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => EnvFilter::try_new(&filter).context("RUST_LOG")?,
        _ => EnvFilter::try_new(&config.log.filter).context("log.filter")?,
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match config.log.format {
        LogFormat::Human => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping; migrations that are under way go on");
        stopping.cancel();
    });
    tracing::info!(version = env!("CARGO_PKG_VERSION"), coordinators = ?config.coordinators, "starting");
    with_hypervisor(config, stop).await?;
    tracing::info!("stopped");
    Ok(())
}

#[cfg(feature = "libvirt")]
async fn with_hypervisor(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    use dvms_agent::hypervisor::libvirt::{LibvirtHypervisor, LibvirtSettings};
    let settings = LibvirtSettings {
        uri: config.libvirt.uri.clone(),
        balloon_period_s: config.libvirt.balloon_period_s,
        overhead_mib_per_vm: config.libvirt.overhead_mib_per_vm,
        memory_overcommit_permille: config.libvirt.memory_overcommit_permille,
        max_migrations: config.max_actions,
    };
    let hypervisor = LibvirtHypervisor::start(settings)?;
    tokio::spawn(stay_small());
    Ok(dvms_agent::run(config.identity(), std::sync::Arc::new(hypervisor), stop).await?)
}

/// Gives back memory that only the start needed, and now and then what only a migration did.
#[cfg(feature = "libvirt")]
async fn stay_small() {
    const STARTED: Duration = Duration::from_secs(5);
    const EACH: Duration = Duration::from_mins(10);
    tokio::time::sleep(STARTED).await;
    loop {
        let bytes = dvms_agent::hypervisor::libvirt::ffi::give_back_unused();
        tracing::debug!(bytes, "gave back pages of code that is not used");
        tokio::time::sleep(EACH).await;
    }
}

#[cfg(not(feature = "libvirt"))]
async fn with_hypervisor(_config: Config, _stop: CancellationToken) -> anyhow::Result<()> {
    anyhow::bail!(
        "this dvms-agent was built without libvirt, so that there is no hypervisor it could work with"
    )
}
