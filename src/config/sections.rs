//! The sections of the file.

use crate::coordinator::ranges::{bound, in_range};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Reports a fault of a setting: its path and what is wrong.
type Wrong<'a> = dyn FnMut(&str, String) + 'a;

/// `[server]`: the gRPC endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port; port 0 = any free one.
    pub listen: SocketAddr,
    /// Serve plain text on an address that is not loopback. Whoever reaches it can move VMs.
    pub insecure_plaintext: bool,
    /// Offer server reflection, which lets tools such as grpcurl work without the `.proto` files.
    pub reflection: bool,
    /// Seconds that a stop may take before it is forced.
    pub stop_timeout_s: f64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7600),
            insecure_plaintext: false,
            reflection: true,
            stop_timeout_s: 10.0,
        }
    }
}

impl Server {
    pub(super) fn faults(&self, wrong: &mut Wrong<'_>) {
        if !self.listen.ip().is_loopback() && !self.insecure_plaintext {
            let message = format!(
                "{} is not a loopback address, and this version serves plain text only: whoever reaches it \
                 could move VMs. Listen on 127.0.0.1 (and use a tunnel), or set \
                 server.insecure_plaintext = true on a network that you trust",
                self.listen
            );
            wrong("server.listen", message);
        }
        in_range("server.stop_timeout_s", self.stop_timeout_s, (0.1, 3600.0), wrong);
    }
}

/// `[metrics]`: the Prometheus endpoint, HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Whether there is one.
    pub enabled: bool,
    /// Address and port; port 0 = any free one. It serves figures only and takes no requests that change
    /// anything.
    pub listen: SocketAddr,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { enabled: true, listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7601) }
    }
}

impl Metrics {
    pub(super) fn faults(&self, server: &Server, wrong: &mut Wrong<'_>) {
        if self.enabled && self.listen.port() != 0 && self.listen == server.listen {
            wrong("metrics.listen", format!("{} is taken by server.listen", self.listen));
        }
        if self.enabled && !self.listen.ip().is_loopback() && !server.insecure_plaintext {
            let message = "is not a loopback address; this needs server.insecure_plaintext = true";
            wrong("metrics.listen", message.to_owned());
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged, in the syntax of tracing's `EnvFilter` (`info`, `warn,dvms::coordinator=debug`). The
    /// environment variable `RUST_LOG` wins.
    pub filter: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::default(), filter: "info".into() }
    }
}

impl Log {
    pub(super) fn faults(&self, wrong: &mut Wrong<'_>) {
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.filter) {
            wrong("log.filter", format!("{:?} is not a filter: {error}", self.filter));
        }
    }
}

/// `[solve]`: the stateless `PlacementService`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Solve {
    /// Problems that are solved at once; more are refused with `RESOURCE_EXHAUSTED`.
    pub concurrent: usize,
    /// Threads of one solve.
    pub threads: usize,
    /// Seconds for a problem that names no limit.
    pub default_time_limit_s: f64,
    /// Seconds at most, whatever the problem says.
    pub max_time_limit_s: f64,
}

impl Default for Solve {
    fn default() -> Self {
        Self { concurrent: 2, threads: 2, default_time_limit_s: 10.0, max_time_limit_s: 300.0 }
    }
}

impl Solve {
    pub(super) fn faults(&self, wrong: &mut Wrong<'_>) {
        for (path, value) in [("solve.concurrent", self.concurrent), ("solve.threads", self.threads)] {
            if !(1..=256).contains(&value) {
                wrong(path, format!("must be from 1 to 256, is {value}"));
            }
        }
        let longest = (0.1, 86_400.0);
        in_range("solve.max_time_limit_s", self.max_time_limit_s, longest, wrong);
        let most = bound(self.max_time_limit_s, longest, longest.1);
        in_range("solve.default_time_limit_s", self.default_time_limit_s, (0.1, most), wrong);
    }
}
