//! `dvms version`: versions of the command and of the server.

use super::client::{Server, block_on, call};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use dvms_proto::v1::ListHostsRequest;
use serde_json::json;

/// Response header in which a server tells its version.
const HEADER: &str = "dvms-version";

/// Prints the versions of this command and of the server
#[derive(Debug, clap::Args)]
#[command(after_help = "\
That no server answers is no failure.

Examples:
  dvms version
  dvms version --server 10.0.0.7:7600 --output json")]
pub(crate) struct Arguments {}

/// What is known of the server.
enum Answer {
    Version(String),
    /// It is older than the header, or no dvms.
    Silent,
    Nobody,
}

pub(crate) fn run(_arguments: &Arguments, server: &str, output: Output) -> Result<Exit, Failure> {
    let own = env!("CARGO_PKG_VERSION");
    let answer = block_on(async { Ok(ask(server).await) })?;
    if output.is_json() {
        let version = match &answer {
            Answer::Version(version) => json!({"address": server, "version": version}),
            Answer::Silent => json!({"address": server}),
            Answer::Nobody => serde_json::Value::Null,
        };
        output.value(&json!({"dvms": own, "server": version}))?;
        return Ok(Exit::Success);
    }
    let told = match answer {
        Answer::Version(version) => format!("{version} at {server}"),
        Answer::Silent => format!("at {server}, does not tell its version"),
        Answer::Nobody => format!("none answers at {server}"),
    };
    output.text(&format!("dvms    {own}\nserver  {told}\n"))?;
    Ok(Exit::Success)
}

async fn ask(address: &str) -> Answer {
    let Ok(server) = Server::connect(address).await else { return Answer::Nobody };
    let request = ListHostsRequest { page_size: 1, ..ListHostsRequest::default() };
    let header = match server.cluster().list_hosts(call(request)).await {
        Ok(response) => response.metadata().get(HEADER).cloned(),
        Err(status) => status.metadata().get(HEADER).cloned(),
    };
    let version = header.and_then(|value| value.to_str().map(str::to_owned).ok());
    version.map_or(Answer::Silent, Answer::Version)
}
