//! The coordinator of the demo, served as `dvms serve` does it.

use crate::api::server::{self, Options};
use crate::cli::line::Line;
use crate::cli::paint::Tone;
use crate::coordinator::{Coordinator, Settings};
use crate::solving::Engine;
use crate::store::Store;
use anyhow::Context as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long the server has to end.
const END_WITHIN: Duration = Duration::from_secs(3);

/// A coordinator that is served.
pub(super) struct Server {
    pub(super) coordinator: Coordinator,
    pub(super) address: SocketAddr,
    /// The port that was wanted and is in use.
    pub(super) taken: Option<u16>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), server::ServeError>>,
}

impl Server {
    /// Starts a coordinator with its state in a folder, on the port if it is free, else on any.
    ///
    /// # Errors
    /// There is no port, or the folder cannot be used.
    pub(super) async fn start(settings: Settings, folder: &Path, port: u16) -> anyhow::Result<Self> {
        let (listener, taken) = listen(port).await?;
        let address = listener.local_addr().context("cannot tell the port of the server")?;
        let store = Store::open(folder).context("cannot keep the coordinator's state")?;
        let solver = Arc::new(Engine);
        let coordinator = Coordinator::start("demo", settings, store, solver.clone())
            .context("cannot start the coordinator")?;
        let stop = CancellationToken::new();
        let options = Options { stop_timeout: END_WITHIN, ..Options::default() };
        let serving =
            server::serve(listener, coordinator.clone(), solver, options, stop.clone().cancelled_owned());
        Ok(Self { coordinator, address, taken, stop, task: tokio::spawn(serving) })
    }

    /// What can be tried while it runs.
    pub(super) fn invitation(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        if let Some(port) = self.taken {
            let text = format!("port {port} is in use, {} was taken instead", self.address.port());
            lines.push(Line::default().toned(Tone::Warning, text));
        }
        let Self { address, .. } = self;
        lines.push(Line::default().text(format!("served at {address}; to try while it runs:")));
        let commands = [
            format!("grpcurl -plaintext {address} list"),
            format!(
                "grpcurl -plaintext -d '{{\"page_size\": 3}}' {address} dvms.v1.ClusterService/ListHosts"
            ),
            format!("grpcurl -plaintext {address} dvms.v1.PlanService/ListPlans"),
        ];
        lines.extend(commands.into_iter().map(|command| Line::default().text(format!("  {command}"))));
        lines.push(Line::default().text(if address.port() == 7600 {
            "  dvms hosts; dvms events --follow; dvms plans list".to_owned()
        } else {
            format!("  export DVMS_SERVER={address}; dvms hosts; dvms events --follow; dvms plans list")
        }));
        lines
    }

    /// Ends it in order, but not at any length.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        // What has not ended then ends with the process.
        match tokio::time::timeout(2 * END_WITHIN, self.task).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::error!("the server ended: {error}"),
            Ok(Err(error)) => tracing::error!("the server's task ended: {error}"),
            Err(_) => tracing::error!("the server did not end in time"),
        }
    }
}

/// A listener, and the port if it was in use.
async fn listen(port: u16) -> anyhow::Result<(TcpListener, Option<u16>)> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(loopback(port)).await {
        Ok(listener) => Ok((listener, None)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let listener = TcpListener::bind(loopback(0)).await.context("no port of 127.0.0.1 can be had")?;
            Ok((listener, Some(port)))
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on 127.0.0.1:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_told_and_another_taken() {
        let (first, taken) = listen(0).await.unwrap();
        assert_eq!(taken, None);
        let port = first.local_addr().unwrap().port();
        let (second, taken) = listen(port).await.unwrap();
        assert_eq!(taken, Some(port));
        assert_ne!(second.local_addr().unwrap().port(), port);
    }
}
