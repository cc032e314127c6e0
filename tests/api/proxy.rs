//! Makes a way longer: what goes through arrives later, or not at all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A way to a server.
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    to: SocketAddr,
    delay: Duration,
    frozen: Arc<AtomicBool>,
    open: CancellationToken,
}

impl Way {
    /// One on which each byte takes so long, in each direction. It is closed: connections are refused.
    pub(crate) async fn closed(to: SocketAddr, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, to, delay, frozen: Arc::default(), open: CancellationToken::new() }
    }

    /// The same, open.
    pub(crate) async fn open(to: SocketAddr, delay: Duration) -> Self {
        let mut way = Self::closed(to, delay).await;
        way.reopen().await;
        way
    }

    pub(crate) async fn reopen(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.open = CancellationToken::new();
        let (to, delay, frozen, open) = (self.to, self.delay, self.frozen.clone(), self.open.clone());
        let each = open.clone();
        tokio::spawn(open.run_until_cancelled_owned(async move {
            while let Ok((near, _)) = listener.accept().await {
                let frozen = frozen.clone();
                tokio::spawn(each.clone().run_until_cancelled_owned(async move {
                    let Ok(far) = TcpStream::connect(to).await else { return };
                    let _ = (near.set_nodelay(true), far.set_nodelay(true));
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    tokio::select! {
                        () = carry(near_in, far_out, delay, frozen.clone()) => {}
                        () = carry(far_in, near_out, delay, frozen) => {}
                    }
                }));
            }
        }));
    }

    /// All connections break, and new ones are refused.
    pub(crate) fn close(&self) {
        self.open.cancel();
    }

    /// Nothing arrives any more, and nobody is told.
    pub(crate) fn freeze(&self) {
        self.frozen.store(true, Ordering::Relaxed);
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.open.cancel();
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration, frozen: Arc<AtomicBool>) {
    let (sender, mut under_way) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reading = async move {
        let mut bytes = vec![0; 1 << 14];
        while let Ok(read) = from.read(&mut bytes).await {
            let due = Instant::now() + delay;
            if read == 0 || sender.send((due, bytes[..read].to_vec())).is_err() {
                return;
            }
        }
    };
    let writing = async {
        while let Some((due, bytes)) = under_way.recv().await {
            tokio::time::sleep_until(due).await;
            while frozen.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}
