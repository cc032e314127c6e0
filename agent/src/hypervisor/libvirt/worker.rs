//! A thread with one libvirt connection, and a bounded queue of short calls to it.
//!
//! Every libvirt call blocks, some of them for ever (a daemon that hangs before keep-alive is agreed). So
//! callers wait with a limit, on a future; a thread that is stuck stays stuck alone, and calls that nobody
//! waits for any more are not made.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    net::{TcpStream, ToSocketAddrs},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use virt::{connect::Connect, error::Error};

use super::ffi::{self, Registrations};
use crate::hypervisor::Later;

const QUEUE: usize = 32;
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// A connection that is used again within this time is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum CallError {
    /// The daemon could not be asked: no connection, no answer in time.
    Unreachable(String),
    /// The daemon said no.
    Refused(Error),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(why) => f.write_str(why),
            Self::Refused(e) => f.write_str(e.message()),
        }
    }
}

type Task = Box<dyn FnOnce(Result<&Connect, &str>) + Send>;
/// Done with each new connection before its first call.
type Setup = Box<dyn FnMut(&Connect) -> Result<Option<Registrations>, Error> + Send>;

/// Handle of the thread, which ends some time after the handle is dropped.
pub(super) struct Worker {
    uri: String,
    queue: SyncSender<Task>,
    busy: Arc<AtomicBool>,
}

impl Worker {
    /// Starts the thread; it connects at the first call, and again whenever the connection is lost.
    pub(super) fn start(role: &str, uri: &str, setup: Setup) -> std::io::Result<Self> {
        let (queue, tasks) = sync_channel(QUEUE);
        let busy = Arc::new(AtomicBool::new(false));
        let mut line = Line {
            uri: uri.to_owned(),
            setup,
            open: None,
            wait: BACK_OFF.0,
            refused: None,
            busy: Arc::clone(&busy),
        };
        thread::Builder::new().name(format!("libvirt-{role}")).spawn(move || line.serve(&tasks))?;
        Ok(Self { uri: uri.to_owned(), queue, busy })
    }

    /// Whether a call is being made now, or the thread is stuck in one.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::SeqCst)
    }

    /// Queues a call now and waits for its answer until `limit`. `what` names it in messages.
    pub(super) fn call<T: Send + 'static>(
        &self,
        what: &str,
        limit: Duration,
        call: impl FnOnce(&Connect) -> Result<T, Error> + Send + 'static,
    ) -> Later<Result<T, CallError>> {
        let (answer, answered) = oneshot::channel();
        let task: Task = Box::new(move |connect| {
            if !answer.is_closed() {
                let _ = answer.send(match connect {
                    Ok(c) => call(c).map_err(CallError::Refused),
                    Err(why) => Err(CallError::Unreachable(why.to_owned())),
                });
            }
        });
        let queued = self.queue.try_send(task).is_ok();
        let (what, uri) = (what.to_owned(), self.uri.clone());
        Box::pin(async move {
            if !queued {
                return Err(CallError::Unreachable(format!("{uri} does not answer: {QUEUE} calls wait")));
            }
            match tokio::time::timeout(limit, answered).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(CallError::Unreachable(format!("{what} at {uri} was broken off"))),
                Err(_) => {
                    Err(CallError::Unreachable(format!("no answer from {uri} within {limit:?}: {what}")))
                }
            }
        })
    }
}

impl Worker {
    /// Queues a call that nobody waits for; its error is logged. Dropped when the queue is full.
    pub(super) fn post(
        &self,
        what: String,
        call: impl FnOnce(&Connect) -> Result<(), Error> + Send + 'static,
    ) {
        let _ = self.queue.try_send(Box::new(move |connect| {
            let outcome =
                connect.map_err(str::to_owned).and_then(|c| call(c).map_err(|e| e.message().into()));
            if let Err(why) = outcome {
                tracing::debug!("{what}: {why}");
            }
        }));
    }
}

/// One worker for each destination asked of late, so that one that hangs holds up no other.
pub(super) struct Peers(Mutex<BTreeMap<String, (Arc<Worker>, Instant)>>);

impl Peers {
    pub(super) fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// The worker of a destination, started if need be.
    pub(super) fn get(&self, uri: &str) -> std::io::Result<Arc<Worker>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // A busy one stays: when it is stuck, a second thread would only be stuck too.
        known.retain(|u, (w, used)| u == uri || w.is_busy() || now - *used < IDLE);
        if let Some((worker, used)) = known.get_mut(uri) {
            *used = now;
            return Ok(Arc::clone(worker));
        }
        let worker = Arc::new(Worker::start("peer", uri, Box::new(|_| Ok(None)))?);
        known.insert(uri.to_owned(), (Arc::clone(&worker), now));
        Ok(worker)
    }
}

struct Open {
    // Before the connection: it must let go of it first.
    _registrations: Option<Registrations>,
    connect: Connect,
}

/// The thread's side.
struct Line {
    uri: String,
    setup: Setup,
    open: Option<Open>,
    wait: Duration,
    /// Why the last attempt to connect failed, and until when that is the answer.
    refused: Option<(Instant, String)>,
    busy: Arc<AtomicBool>,
}

impl Line {
    fn serve(&mut self, tasks: &Receiver<Task>) {
        loop {
            match tasks.recv_timeout(IDLE) {
                Ok(task) => {
                    self.busy.store(true, Ordering::SeqCst);
                    self.run(task);
                    self.busy.store(false, Ordering::SeqCst);
                }
                Err(RecvTimeoutError::Timeout) => self.open = None,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn run(&mut self, task: Task) {
        if let Err(why) = self.connect() {
            return task(Err(&why));
        }
        if let Some(open) = &self.open {
            task(Ok(&open.connect));
            if !matches!(open.connect.is_alive(), Ok(true)) {
                self.open = None;
            }
        }
    }

    fn connect(&mut self) -> Result<(), String> {
        if let Some(open) = &self.open {
            if matches!(open.connect.is_alive(), Ok(true)) {
                return Ok(());
            }
            self.open = None;
        }
        if let Some((until, why)) = &self.refused
            && Instant::now() < *until
        {
            return Err(why.clone());
        }
        match self.open_now() {
            Ok(open) => {
                (self.open, self.refused, self.wait) = (Some(open), None, BACK_OFF.0);
                Ok(())
            }
            Err(why) => {
                let why = format!("cannot connect to {}: {why}", self.uri);
                self.refused = Some((Instant::now() + jittered(self.wait), why.clone()));
                self.wait = (self.wait * 2).min(BACK_OFF.1);
                Err(why)
            }
        }
    }

    fn open_now(&mut self) -> Result<Open, String> {
        probe(&self.uri)?;
        let connect = ffi::open(&self.uri).map_err(|e| e.message().to_owned())?;
        let registrations = (self.setup)(&connect).map_err(|e| e.message().to_owned())?;
        Ok(Open { _registrations: registrations, connect })
    }
}

/// Half to whole of the time, so that many agents do not come back at once.
fn jittered(time: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 512;
    time * (512 + random as u32) / 1024
}

/// A TCP connection of our own, with a limit: libvirt's has none, and waits 135 s for a host that swallows
/// packets.
fn probe(uri: &str) -> Result<(), String> {
    let Some((host, port)) = tcp_end(uri) else { return Ok(()) };
    let addresses = (host.as_str(), port).to_socket_addrs().map_err(|e| format!("{host}: {e}"))?;
    let mut last = format!("{host} has no address");
    for address in addresses.take(4) {
        match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
            Ok(_) => return Ok(()),
            Err(e) => last = format!("{address}: {e}"),
        }
    }
    Err(last)
}

/// Host and port that a URI leads to over TCP; `None` for local transports.
fn tcp_end(uri: &str) -> Option<(String, u16)> {
    let (scheme, rest) = uri.split_once("://")?;
    let default = match scheme.split_once('+').map(|(_, transport)| transport) {
        Some("tcp") => 16509,
        Some("tls") | None => 16514,
        Some("ssh" | "libssh" | "libssh2") => 22,
        Some(_) => return None,
    };
    let authority = rest.split(['/', '?']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, a)| a);
    if authority.is_empty() {
        return None;
    }
    if let Some(v6) = authority.strip_prefix('[') {
        let (host, port) = v6.split_once(']')?;
        let port = port.strip_prefix(':').map_or(Some(default), |p| p.parse().ok())?;
        return Some((host.to_owned(), port));
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
        None => Some((authority.to_owned(), default)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_uri_leads() {
        let end = |uri| tcp_end(uri).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(end("qemu:///system"), None);
        assert_eq!(end("qemu+unix:///system?socket=/run/x"), None);
        assert_eq!(end("test:///default"), None);
        assert_eq!(end("qemu+tcp://10.0.0.2/system").as_deref(), Some("10.0.0.2 16509"));
        assert_eq!(end("qemu+tcp://10.0.0.2:99/system").as_deref(), Some("10.0.0.2 99"));
        assert_eq!(end("qemu://host/system").as_deref(), Some("host 16514"));
        assert_eq!(end("qemu+tls://host/system").as_deref(), Some("host 16514"));
        assert_eq!(end("qemu+ssh://root@host/system").as_deref(), Some("host 22"));
        assert_eq!(end("qemu+tcp://[fd00::1]:5/system").as_deref(), Some("fd00::1 5"));
        assert_eq!(end("qemu+tcp://[fd00::1]/system").as_deref(), Some("fd00::1 16509"));
    }

    #[test]
    fn jitter_stays_in_its_bounds() {
        for _ in 0..100 {
            let t = jittered(Duration::from_secs(1));
            assert!((500..=1000).contains(&t.as_millis()), "{t:?}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_stuck_thread_holds_nobody_up() {
        ffi::start_event_loop().unwrap();
        let worker = Worker::start("test", "test:///default", Box::new(|_| Ok(None))).unwrap();
        assert!(worker.call("alive", Duration::from_secs(5), Connect::is_alive).await.unwrap());
        let stuck = worker.call("stuck", Duration::from_millis(50), |_| {
            thread::sleep(Duration::from_secs(1));
            Ok(())
        });
        let began = Instant::now();
        assert!(matches!(stuck.await, Err(CallError::Unreachable(_))));
        let behind = worker.call("behind", Duration::from_millis(50), |_| -> Result<(), Error> {
            unreachable!("nobody waits for it any more")
        });
        assert!(matches!(behind.await, Err(CallError::Unreachable(_))));
        assert!(began.elapsed() < Duration::from_millis(900) && worker.is_busy());
        assert!(worker.call("later", Duration::from_secs(5), |_| Ok(())).await.is_ok());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn who_cannot_be_reached_is_not_asked_again_at_once() {
        ffi::start_event_loop().unwrap();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("qemu+tcp://{}/system", closed.local_addr().unwrap());
        drop(closed);
        let worker = Worker::start("test", &uri, Box::new(|_| Ok(None))).unwrap();
        for _ in 0..3 {
            let error = worker.call("x", Duration::from_secs(5), |_| Ok(())).await.unwrap_err();
            let CallError::Unreachable(why) = error else { panic!("{error}") };
            assert!(why.contains("refused") && why.contains(&uri), "{why}");
        }
    }
}
