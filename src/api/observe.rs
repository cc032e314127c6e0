//! What is done for every call: its time of arrival is noted, it is logged and counted when it ends, its
//! response names the server's version, and errors of the transport get the form that the API promises.

use super::error::ApiError;
use crate::metrics::Calls;
use dvms_proto::v1 as pb;
use http::{HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use pb::placement_service_server::SERVICE_NAME as PLACEMENT;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::codegen::Bytes;
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

/// Header of every response: the version of the server.
pub const VERSION_HEADER: &str = "dvms-version";
/// Under which calls of methods that do not exist are counted.
const OTHER: &str = "other";
/// Requests with problems that are read or judged at once, beyond those that are solved: each may be large.
const LARGE_REQUESTS: usize = 8;

/// When the server saw the first bytes of a request; the deadline of a call counts from here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived(pub(super) Instant);

/// The layer.
#[derive(Clone)]
pub(super) struct Observe {
    calls: Calls,
    methods: Arc<BTreeSet<String>>,
    large: Arc<Semaphore>,
}

impl Observe {
    /// `concurrent` problems are solved at once.
    pub(super) fn new(calls: Calls, concurrent: usize) -> Self {
        let services = crate::json::pool().services();
        let own = services.flat_map(|service| service.methods().collect::<Vec<_>>());
        let own = own.map(|method| format!("{}/{}", method.parent_service().full_name(), method.name()));
        let foreign = [
            "grpc.health.v1.Health/Check",
            "grpc.health.v1.Health/Watch",
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ];
        let methods = own.chain(foreign.map(str::to_owned)).collect();
        let large = Semaphore::new(concurrent.saturating_add(LARGE_REQUESTS));
        Self { calls, methods: Arc::new(methods), large: Arc::new(large) }
    }

    fn begin(&self, path: &str, arrived: Instant) -> Call {
        let path = path.trim_start_matches('/');
        let method = self.methods.get(path).map_or(OTHER, String::as_str).to_owned();
        Call { calls: self.calls.clone(), method, arrived, ended: false }
    }
}

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observed { inner, observe: self.clone() }
    }
}

/// A service whose calls are observed.
#[derive(Clone)]
pub(super) struct Observed<S> {
    inner: S,
    observe: Observe,
}

impl<S> Service<Request<Body>> for Observed<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let arrived = Instant::now();
        request.extensions_mut().insert(Arrived(arrived));
        let call = self.observe.begin(request.uri().path(), arrived);
        let large =
            call.method.starts_with(PLACEMENT).then(|| self.observe.large.clone().try_acquire_owned());
        if let Some(Err(_)) = large {
            let message = "too many problems are being read; come back later";
            let busy: Status = ApiError::busy(message, Duration::from_secs(1)).into();
            return Box::pin(async move { Ok(call.watch(busy.into_http())) });
        }
        let response = self.inner.call(request);
        Box::pin(async move {
            // Held until the request is read and its answer begins.
            let _large = large;
            Ok(call.watch(response.await?))
        })
    }
}

/// A call that goes on. Dropped before it ended, it was cancelled, or its deadline has passed.
struct Call {
    calls: Calls,
    method: String,
    arrived: Instant,
    ended: bool,
}

impl Call {
    fn watch(mut self, mut response: Response<Body>) -> Response<Body> {
        match Status::from_header_map(response.headers()) {
            // No stream follows.
            Some(status) => {
                let status = if status.code() == Code::Ok || !status.details().is_empty() {
                    status
                } else {
                    let dressed = Status::from(ApiError::of_transport(&status));
                    response = dressed.clone().into_http();
                    dressed
                };
                self.end(status.code(), status.message());
            }
            None => response = response.map(|body| Body::new(Watched { body, call: self })),
        }
        response.headers_mut().insert(VERSION_HEADER, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
        response
    }

    fn end(&mut self, code: Code, message: &str) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let duration = self.arrived.elapsed();
        let (method, code_name) = (self.method.as_str(), code_name(code));
        self.calls.count(method, code_name, duration);
        let duration_ms = duration.as_secs_f64() * 1000.0;
        match code {
            Code::Ok | Code::Cancelled if reads(method) => {
                tracing::debug!(method, code = code_name, duration_ms, "call ended");
            }
            Code::Ok | Code::Cancelled => {
                tracing::info!(method, code = code_name, duration_ms, "call ended");
            }
            // A coordinator that is refused tries again each second; who refuses it has told of it.
            Code::PermissionDenied | Code::AlreadyExists if method.ends_with("PeerService/Exchange") => {
                tracing::debug!(method, code = code_name, duration_ms, message, "call failed");
            }
            _ => tracing::info!(method, code = code_name, duration_ms, message, "call failed"),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled, "");
    }
}

/// The body of a response that has begun; its trailers say how the call ended.
struct Watched {
    body: Body,
    call: Call,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(status) = frame.trailers_ref().and_then(Status::from_header_map) {
                    self.call.end(status.code(), status.message());
                }
            }
            Some(Err(status)) => self.call.end(status.code(), status.message()),
            None => self.call.end(Code::Unknown, "the answer ended without a status"),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whether a method changes nothing: such calls come by the hundred.
fn reads(method: &str) -> bool {
    let name = method.rsplit('/').next().unwrap_or(method);
    ["Get", "List", "Watch", "Check", "ServerReflection"].iter().any(|prefix| name.starts_with(prefix))
}

/// As in the specification of gRPC.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
