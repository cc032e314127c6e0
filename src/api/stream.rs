//! Streams of answers: a task on one side, the caller on the other, a short queue between them.

use super::error::ApiError;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};

/// A stream of answers on its way to the caller.
pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Where the task of a stream puts its answers.
pub(super) struct Caller<T> {
    queue: mpsc::Sender<Result<T, Status>>,
}

/// The caller does not listen any more.
#[derive(Debug)]
pub(super) struct Gone;

impl<T> Caller<T> {
    /// One whose answers go here.
    pub(super) fn new(queue: mpsc::Sender<Result<T, Status>>) -> Self {
        Self { queue }
    }

    /// Sends an answer; waits while the caller is behind.
    pub(super) async fn send(&self, answer: T) -> Result<(), Gone> {
        self.queue.send(Ok(answer)).await.map_err(|_| Gone)
    }

    /// Sends an answer if the caller keeps up, else drops it.
    pub(super) fn offer(&self, answer: T) {
        let _ = self.queue.try_send(Ok(answer));
    }
}

/// Why the task of a stream ended before its time.
pub(super) enum Ended {
    /// Nobody listens.
    Gone,
    /// The caller is told.
    Error(ApiError),
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<ApiError> for Ended {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

/// What the caller says next.
pub(super) enum Heard<M> {
    /// This.
    Message(M),
    /// Something that is not known here: perhaps a message of a newer version.
    Unknown,
    /// Nothing more.
    End,
}

/// What the caller says next. `message` takes it out of its envelope.
///
/// # Errors
/// The connection broke, or the transport refuses it.
pub(super) async fn receive<E, M>(
    inbox: &mut Streaming<E>,
    message: impl Fn(E) -> Option<M>,
) -> Result<Heard<M>, Ended> {
    match inbox.message().await {
        Ok(None) => Ok(Heard::End),
        Ok(Some(envelope)) => Ok(message(envelope).map_or(Heard::Unknown, Heard::Message)),
        // The connection broke: nobody hears an answer.
        Err(status) if is_broken(&status) => Err(Ended::Gone),
        Err(status) => Err(ApiError::of_transport(&status).into()),
    }
}

fn is_broken(status: &Status) -> bool {
    matches!(status.code(), Code::Cancelled | Code::Unavailable | Code::Unknown)
}

/// What the caller says first, which must be a hello; `None` when it says nothing.
///
/// # Errors
/// As [`receive`]; it says something else, or nothing for too long.
pub(super) async fn first<E, M, H>(
    inbox: &mut Streaming<E>,
    message: impl Fn(E) -> Option<M>,
    hello: impl Fn(M) -> Option<H>,
    patience: Duration,
) -> Result<Option<H>, Ended> {
    let said = tokio::time::timeout(patience, receive(inbox, message)).await;
    let said = said.map_err(|_| ApiError::deadline(format!("no hello within {patience:?}")))?;
    let said = match said? {
        Heard::Message(said) => said,
        Heard::Unknown => {
            return Err(ApiError::invalid_field("message", "is none that this coordinator knows").into());
        }
        Heard::End => return Ok(None),
    };
    match hello(said) {
        Some(hello) => Ok(Some(hello)),
        None => Err(ApiError::invalid_field("hello", "must be the first message").into()),
    }
}

/// Begins a stream whose answers come from a task. The task is dropped when the caller is gone; when `stopped`,
/// the stream ends with UNAVAILABLE.
pub(super) fn answers<T, F>(
    queue: usize,
    stopped: &CancellationToken,
    task: impl FnOnce(Caller<T>) -> F,
) -> Answers<T>
where
    T: Send + 'static,
    F: Future<Output = Result<(), Ended>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(queue);
    let task = task(Caller { queue: sender.clone() });
    let stopped = stopped.clone();
    tokio::spawn(async move {
        let ended = tokio::select! {
            biased;
            ended = task => ended,
            () = sender.closed() => Err(Ended::Gone),
            () = stopped.cancelled() => Err(Ended::Error(ApiError::shutting_down())),
        };
        if let Err(Ended::Error(error)) = ended {
            // Waits at most until the caller has read what was before it, or is gone.
            let _ = sender.send(Err(error.into())).await;
        }
    });
    Box::pin(ReceiverStream::new(receiver))
}
