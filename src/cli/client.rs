//! The connection to a server, and its errors for people.

use super::exit::Exit;
use super::failure::{Failure, Fault};
use super::format;
use super::input::without_number;
use dvms_proto::v1::cluster_service_client::ClusterServiceClient;
use dvms_proto::v1::plan_service_client::PlanServiceClient;
use dvms_proto::v1::policy_service_client::PolicyServiceClient;
use dvms_proto::v1::ring_service_client::RingServiceClient;
use std::error::Error as _;
use std::future::Future;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

/// Where a server is looked for.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:7600";

/// Where the address of a server names no port.
const DEFAULT_PORT: u16 = 7600;

const CONNECT: Duration = Duration::from_secs(5);
/// For calls that return at once; what is followed has no end.
const CALL: Duration = Duration::from_secs(30);
/// A server that has gone without a word is noticed after this, twice.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Plans of large clusters with their problems are large.
const LARGEST_MESSAGE: usize = 256 << 20;

/// A server that answers.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    address: String,
    channel: Channel,
}

impl Server {
    /// Connects to `HOST`, `HOST:PORT` or `http://HOST:PORT`.
    ///
    /// # Errors
    /// The address is none, or nobody answers there.
    pub(crate) async fn connect(address: &str) -> Result<Self, Failure> {
        let typed = address;
        let address = url(typed)?;
        let endpoint = Endpoint::from_shared(address.clone())
            .map_err(|error| wrong_address(typed, &reason(&error)))?
            .user_agent(concat!("dvms/", env!("CARGO_PKG_VERSION")))
            .map_err(|error| wrong_address(typed, &reason(&error)))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        let channel = endpoint.connect().await.map_err(|error| unreachable(&address, &reason(&error)))?;
        Ok(Self { address, channel })
    }

    /// Hosts, VMs, events.
    pub(crate) fn cluster(&self) -> ClusterServiceClient<Channel> {
        ClusterServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    /// Plans.
    pub(crate) fn plans(&self) -> PlanServiceClient<Channel> {
        PlanServiceClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    /// Rules that can be changed.
    pub(crate) fn policies(&self) -> PolicyServiceClient<Channel> {
        PolicyServiceClient::new(self.channel.clone())
    }

    /// The coordinators.
    pub(crate) fn ring(&self) -> RingServiceClient<Channel> {
        RingServiceClient::new(self.channel.clone())
    }

    /// Where it is.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A server's error for people.
    pub(crate) fn failure(&self, status: &Status) -> Failure {
        failure(&self.address, status)
    }
}

/// A call that ends soon or not at all.
pub(crate) fn call<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL);
    request
}

/// An answer; whose part of it is missing is told on standard error, once.
pub(crate) fn heard<T>(answer: tonic::Response<T>) -> T {
    static TOLD: std::sync::Once = std::sync::Once::new();
    let silent = answer.metadata().get(crate::api::SILENT_HEADER).and_then(|names| names.to_str().ok());
    if let Some(names) = silent {
        let names = format::safe(names);
        TOLD.call_once(|| {
            eprintln!("Note: what coordinator {names} has is missing here: it does not answer");
        });
    }
    answer.into_inner()
}

/// Runs what speaks with a server.
///
/// # Errors
/// Those of the future; that there are no threads to run it.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(format!("cannot start the runtime: {error}")))?.block_on(future)
}

/// `HOST` or `HOST:PORT` with what makes it a URL; this version speaks plain text only.
fn url(typed: &str) -> Result<String, Failure> {
    let (scheme, rest) = typed.split_once("://").unwrap_or(("http", typed));
    if scheme != "http" {
        return Err(wrong_address(typed, &format!("this version speaks http only, not {scheme}")));
    }
    let authority = rest.trim_end_matches('/');
    if authority.is_empty() {
        return Err(wrong_address(typed, "it is empty"));
    }
    // In brackets, or without a port, colons are part of an address.
    if let Some((host, port)) = authority.rsplit_once(':')
        && (host.ends_with(']') || !host.contains([':', '[']))
        && port.parse::<u16>().is_err()
    {
        return Err(wrong_address(
            typed,
            &format!("{port:?} is no port: that is a number, and at most {}", u16::MAX),
        ));
    }
    // Without a port http would mean 80, where no dvms is.
    let parsed = authority.parse::<http::uri::Authority>();
    let port = parsed.is_ok_and(|authority| authority.port().is_none());
    Ok(format!("http://{authority}{}", if port { format!(":{DEFAULT_PORT}") } else { String::new() }))
}

fn wrong_address(address: &str, why: &str) -> Failure {
    Failure::bad_input(format!("--server {address:?} is not the address of a server: {why}"))
        .hint(format!("It is HOST, HOST:PORT or http://HOST:PORT, for example {DEFAULT_SERVER}."))
}

fn unreachable(address: &str, why: &str) -> Failure {
    Failure::new(format!("no dvms server answers at {address}: {why}")).hint(
        "Start one with `dvms serve` (or `dvms demo --keep`), or name another with --server ADDR or DVMS_SERVER.",
    )
}

/// The innermost cause says most.
fn reason(error: &tonic::transport::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    without_number(&text).to_owned()
}

fn failure(address: &str, status: &Status) -> Failure {
    let details = status.get_error_details();
    let info = details.error_info();
    let ours = info.is_some_and(|info| info.domain == crate::api::error::DOMAIN);
    if !ours {
        match status.code() {
            Code::Unavailable | Code::Unknown => return gone(address, status),
            Code::DeadlineExceeded | Code::Cancelled => {
                let limit = format::duration(CALL);
                return Failure::new(format!("the server at {address} did not answer within {limit}"));
            }
            Code::Unimplemented => {
                return Failure::new(format!("the server at {address} does not know this call"))
                    .hint("It is no dvms server, or one of another version; `dvms version` tells.");
            }
            _ => {}
        }
    }
    let exit = match status.code() {
        Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => Exit::BadInput,
        _ => Exit::Failure,
    };
    let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    let faults: Vec<_> = (violations.into_iter())
        .map(|v| Fault { path: v.field, message: v.description, ..Fault::default() })
        .collect();
    // The message of a bad request repeats its faults.
    let message = match faults.as_slice() {
        [] if status.message().is_empty() => format!("the server refused: {}", status.code().description()),
        [] => status.message().to_owned(),
        [_] => "the server cannot use the request:".to_owned(),
        faults => format!("the server cannot use the request; it has {} faults:", faults.len()),
    };
    let failure = Failure::with(exit, message).faults(faults);
    match details.retry_info().and_then(|retry| retry.retry_delay) {
        Some(delay) => failure.hint(format!("Try again in {}.", format::duration(delay))),
        None => failure,
    }
}

fn gone(address: &str, status: &Status) -> Failure {
    let mut why = status.message().to_owned();
    let mut cause = status.source();
    while let Some(inner) = cause {
        why = inner.to_string();
        cause = inner.source();
    }
    let why = without_number(&why);
    Failure::new(format!("the connection to the server at {address} has ended: {why}"))
        .hint("Is it being stopped? Try again when it runs.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::error::{ApiError, Violation};
    use crate::cli::output::Format;

    fn told(failure: &Failure) -> String {
        failure.tell(Format::Table, crate::cli::paint::Paint::PLAIN);
        format!("{failure:?}")
    }

    #[test]
    fn addresses_may_leave_out_the_scheme() {
        assert_eq!(url("10.0.0.1:7600").unwrap(), "http://10.0.0.1:7600");
        assert_eq!(url("http://h:1/").unwrap(), "http://h:1");
        assert_eq!(url("h").unwrap(), "http://h:7600");
        assert_eq!(url("http://[::1]/").unwrap(), "http://[::1]:7600");
        assert_eq!(url("[::1]:80").unwrap(), "http://[::1]:80");
        for wrong in ["https://h:1", "unix:///x", ""] {
            assert_eq!(url(wrong).unwrap_err().exit(), Exit::BadInput, "{wrong}");
        }
        for wrong in ["127.0.0.1:99999", "http://[::1]:99999/", "h:http", "h:"] {
            let told = told(&url(wrong).unwrap_err());
            assert!(told.contains(&format!("{wrong:?} is not").replace('"', "\\\"")), "{told}");
            assert!(told.contains("at most 65535") && !told.contains("7600 is not"), "{told}");
        }
    }

    #[test]
    fn errors_carry_faults_and_when_to_come_back() {
        let faults = vec![Violation::new("filter", "at character 3: no such field")];
        let failure = failure("http://x", &Status::from(ApiError::invalid(faults)));
        assert_eq!(failure.exit(), Exit::BadInput);
        assert!(told(&failure).contains("at character 3: no such field"));

        let busy = ApiError::busy("all solver threads are taken", Duration::from_secs(2));
        let failure = super::failure("http://x", &Status::from(busy));
        assert_eq!(failure.exit(), Exit::Failure);
        assert!(told(&failure).contains("Try again in 2 s."));
        let failure = super::failure("http://x", &Status::from(ApiError::not_found("host", "h9")));
        assert!(told(&failure).contains("there is no host \\\"h9\\\""));
    }

    #[test]
    fn a_server_of_another_kind_is_recognised() {
        let failure = failure("http://x", &Status::unimplemented("no such method"));
        assert!(told(&failure).contains("does not know this call"));
    }

    #[test]
    fn nobody_there_says_what_to_do() {
        let failure = block_on(async { Server::connect("127.0.0.1:1").await.map(|_| ()) }).unwrap_err();
        let told = told(&failure);
        assert!(told.contains("no dvms server answers at http://127.0.0.1:1"), "{told}");
        assert!(told.contains("dvms serve"), "{told}");
    }
}
