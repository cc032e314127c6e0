//! `dvms serve`: the coordinator.

use super::exit::Exit;
use super::failure::{Failure, Fault};
use super::input::plain;
use super::output::Output;
use super::paint::Paint;
use crate::api::error::with_causes;
use crate::api::server;
use crate::config::{Config, ConfigError, Log, LogFormat};
use crate::coordinator::Coordinator;
use crate::coordinator::registry;
use crate::metrics;
use crate::solving::Engine;
use crate::store::Store;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Read when `--config` is not given, if it is there.
const DEFAULT_CONFIG: &str = "/etc/dvms/dvms.toml";
/// For threads that still compute when everything else has ended.
const THREADS_END: Duration = Duration::from_millis(500);

/// Runs the coordinator: takes agents' reports, plans, has plans carried out, serves the API
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every setting has a default that works; docs/OPERATIONS.md explains them. SIGTERM and Ctrl-C stop
it in order, within server.stop_timeout_s: migrations that are under way are left to their agents, and
their plans go on when it is started again. Where other coordinators serve on, its plans go on to their
end before, within execution.finish_within_s, and its agents go to the others.
A second signal ends it at once.

Examples:
  dvms serve
  dvms serve --listen 127.0.0.1:0 --state-dir /tmp/dvms
  dvms serve --config dvms.toml --check-config
  dvms serve --print-config > dvms.toml")]
pub(crate) struct Arguments {
    /// The configuration, TOML [default: /etc/dvms/dvms.toml if it is there, else every default]
    #[arg(long, env = "DVMS_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say whether the configuration can be used, with all its faults, and end
    #[arg(long)]
    check_config: bool,
    /// Print the effective configuration, TOML, and end
    #[arg(long, conflicts_with = "check_config")]
    print_config: bool,
    /// Address and port of the API, instead of `server.listen`; port 0 = any free one [default: 127.0.0.1:7600]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Serve plain text on an address that is not loopback, as `server.insecure_plaintext`: whoever reaches it can
    /// move VMs
    #[arg(long)]
    insecure_plaintext: bool,
    /// Address and port of the metrics, instead of `metrics.listen`; port 0 = any free one [default: 127.0.0.1:7601]
    #[arg(long, value_name = "ADDR")]
    metrics_listen: Option<SocketAddr>,
    /// Where plans, events and operators' wishes are kept, instead of `state_dir` [default: what systemd gives,
    /// else /var/lib/dvms for root and its owner, else dvms in the user's state directory]
    #[arg(long, value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,
    /// How log lines on standard error look, instead of `log.format` [default: human]
    #[arg(long, value_enum, value_name = "FORMAT")]
    log_format: Option<LogForm>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LogForm {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

pub(crate) fn run(arguments: &Arguments, output: Output, paint: Paint) -> Result<Exit, Failure> {
    let config = configuration(arguments)?;
    if arguments.print_config {
        output.text(&config.to_toml())?;
        return Ok(Exit::Success);
    }
    if arguments.check_config {
        output.line("the configuration is valid")?;
        return Ok(Exit::Success);
    }
    start_log(&config.log, paint)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(serve(&config, output));
    runtime.shutdown_timeout(THREADS_END);
    ended
}

/// The file, with what the command line says instead.
fn configuration(arguments: &Arguments) -> Result<Config, Failure> {
    let default = Path::new(DEFAULT_CONFIG);
    let path = arguments.config.as_deref().or_else(|| default.exists().then_some(default));
    let mut config = path.map_or_else(|| Ok(Config::default()), Config::from_file).map_err(unusable)?;
    if let Some(listen) = arguments.listen {
        config.server.listen = listen;
    }
    config.server.insecure_plaintext |= arguments.insecure_plaintext;
    if let Some(listen) = arguments.metrics_listen {
        config.metrics.listen = listen;
        config.metrics.enabled = true;
    }
    if let Some(state_dir) = &arguments.state_dir {
        config.state_dir.clone_from(state_dir);
    }
    match arguments.log_format {
        Some(LogForm::Human) => config.log.format = LogFormat::Human,
        Some(LogForm::Json) => config.log.format = LogFormat::Json,
        None => {}
    }
    config.validate().map_err(|faults| {
        Failure::bad_input("these settings of the command line cannot be used:").faults(listed(faults))
    })?;
    Ok(config)
}

fn unusable(error: ConfigError) -> Failure {
    match error {
        ConfigError::Unreadable { path, source } => Failure::bad_input(format!(
            "cannot read the configuration {}: {}",
            path.display(),
            plain(&source)
        )),
        ConfigError::Faulty { path, faults } => {
            Failure::bad_input(format!("the configuration {} cannot be used:", path.display()))
                .faults(listed(faults))
        }
    }
}

fn listed(faults: Vec<crate::config::Fault>) -> Vec<Fault> {
    let fault = |fault: crate::config::Fault| Fault {
        line: fault.line,
        column: None,
        path: fault.path,
        message: fault.message,
    };
    faults.into_iter().map(fault).collect()
}

fn start_log(log: &Log, paint: Paint) -> Result<(), Failure> {
    use tracing_subscriber::EnvFilter;
    let wrong = |name: &str, error: &dyn std::fmt::Display| {
        Failure::bad_input(format!("{name} is not a filter for logs: {error}"))
    };
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => {
            EnvFilter::try_new(&filter).map_err(|error| wrong("RUST_LOG", &error))?
        }
        _ => EnvFilter::try_new(&log.filter).map_err(|error| wrong("log.filter", &error))?,
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Human => lines.with_ansi(paint.is_on()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::new(format!("cannot start the log: {error}")))
}

async fn serve(config: &Config, output: Output) -> Result<Exit, Failure> {
    // From here on signals stop in order; before, they end the process as usual.
    let stop = stop_on_signals()?;
    let store = Store::open(&config.state_dir).map_err(|error| Failure::new(error.to_string()))?;
    let listener = listen(config.server.listen, "--listen or server.listen").await?;
    let address = listener.local_addr().map_err(|error| Failure::new(plain(&error)))?;
    let figures = if config.metrics.enabled {
        Some(listen(config.metrics.listen, "--metrics-listen or metrics.listen").await?)
    } else {
        None
    };
    let figures_at = figures.as_ref().and_then(|listener| listener.local_addr().ok());

    let mut settings = config.coordinator();
    let told = !settings.ring.etcd.endpoints.is_empty();
    if told {
        settings.ring.members = registry::last_known(&config.state_dir).map_err(|error| {
            Failure::new(format!("cannot read the last known members of the ring: {}", plain(&error)))
        })?;
    }
    let entry = if told {
        let entering = registry::enter(&config.ring, &config.state_dir);
        let entered = tokio::select! {
            entered = entering => entered,
            () = stop.cancelled() => return Ok(Exit::Success),
        };
        Some(entered.map_err(|taken| name_taken(&taken))?)
    } else {
        None
    };
    let finish = Duration::try_from_secs_f64(settings.execution.finish_within_s).unwrap_or(Duration::MAX);
    let solver = Arc::new(Engine);
    let coordinator = Coordinator::start(&name(config), settings, store, solver.clone())
        .map_err(|error| Failure::new(error.to_string()))?;
    if let Some(entry) = entry {
        let (ring, state_dir) = (config.ring.clone(), config.state_dir.clone());
        tokio::spawn(registry::keep(coordinator.clone(), ring, state_dir, entry));
    }
    let mut options = server::Options::from(config);
    let limit = options.stop_timeout;
    // Clients that hang on are no reason to fail: they are left before the stop has to be forced.
    options.stop_timeout = limit.mul_f64(0.7);
    if let Some(listener) = figures {
        let mut over = coordinator.stopped();
        let stopped = async move { _ = over.wait_for(|over| *over).await };
        let serving = metrics::serve(listener, coordinator.clone(), options.calls.clone(), stopped);
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the metrics are not served any more");
            }
        });
    }
    announce(config, address, figures_at, output);

    let mut over = coordinator.stopped();
    let serving = server::serve(listener, coordinator, solver, options, stop.clone().cancelled_owned());
    let forced = async {
        stop.cancelled().await;
        // The coordinator keeps this itself, but for what hangs; alone it waits for nothing.
        let _ = tokio::time::timeout(finish, over.wait_for(|over| *over)).await;
        tokio::time::sleep(limit).await;
    };
    tokio::select! {
        served = serving => served.map_err(|error| Failure::new(with_causes(&error)))?,
        () = forced => {
            let seconds = limit.as_secs_f64();
            let why = format!("the stop was forced: it took {seconds} s more than it may (server.stop_timeout_s)");
            return Err(Failure::new(why));
        }
    }
    tracing::info!("stopped");
    Ok(Exit::Success)
}

fn name_taken(taken: &registry::Taken) -> Failure {
    let registry::Taken { address, key, .. } = taken;
    Failure::new(taken.to_string()).hint(format!(
        "Each coordinator needs a ring.name of its own: give this one another, or stop that at {address}. If none runs \
         there, look at the entry: etcdctl get {key}"
    ))
}

async fn listen(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let failure = Failure::new(format!("cannot listen on {address}: {}", plain(&error)));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => failure
                .hint(format!("Does another dvms run? Stop it, or choose another address with {setting}.")),
            _ => failure.hint(format!("Choose another address with {setting}.")),
        }
    })
}

/// Tells where it can be reached, in one line: whoever started it may wait for that.
fn announce(config: &Config, address: SocketAddr, figures: Option<SocketAddr>, output: Output) {
    let version = env!("CARGO_PKG_VERSION");
    let state_dir = config.state_dir.display();
    let api = format!("http://{address}");
    let figures = figures.map(|address| format!("http://{address}/metrics"));
    tracing::info!(version, api, metrics = figures, %state_dir, "serving");
    let line = if output.is_json() {
        json!({"address": api, "metrics": figures, "state_dir": state_dir.to_string()}).to_string()
    } else {
        let figures = figures.map(|address| format!(", metrics at {address}")).unwrap_or_default();
        format!("dvms {version} serves at {api}{figures}, state in {state_dir}")
    };
    if !address.ip().is_loopback() {
        tracing::warn!(api, "plain text without authentication: whoever reaches it can move VMs");
    }
    // It serves all the same when nobody reads this.
    let _ = output.line(&line);
}

/// Cancelled by the first SIGTERM or SIGINT; the next one ends the process.
fn stop_on_signals() -> Result<CancellationToken, Failure> {
    let listen =
        |kind| signal(kind).map_err(|error| Failure::new(format!("cannot listen to signals: {error}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        let mut received = async || {
            tokio::select! {
                _ = terminate.recv() => 143,
                _ = interrupt.recv() => 130,
            }
        };
        received().await;
        tracing::info!("stopping; a second signal ends it at once");
        stopping.cancel();
        let status = received().await;
        tracing::warn!("stopped at once by a second signal");
        std::process::exit(status);
    });
    Ok(stop)
}

/// What agents and logs call this coordinator: its name in the ring, or the machine.
fn name(config: &Config) -> String {
    if !config.ring.name.is_empty() {
        return config.ring.name.clone();
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "coordinator".to_owned() } else { name.to_owned() }
}
