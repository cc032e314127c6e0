//! Hypervisors of the test bed have no way to this machine's loopback, but they see its files: a unix socket
//! that leads to the server.

use anyhow::Context as _;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

/// Lets whoever connects to the socket speak with the server. Ends with the process.
///
/// # Errors
/// The socket cannot be made.
pub(super) fn lead(socket: &Path, server: SocketAddr) -> anyhow::Result<()> {
    let listener = UnixListener::bind(socket).with_context(|| format!("cannot make {}", socket.display()))?;
    let serve = move || {
        for agent in listener.incoming() {
            if let Err(error) = agent.and_then(|agent| join(agent, server)) {
                tracing::warn!("an agent could not be led to the server: {error}");
            }
        }
    };
    thread::Builder::new().name("socket".into()).spawn(serve).context("cannot start a thread")?;
    Ok(())
}

/// Copies both ways until both ends have said all.
fn join(agent: UnixStream, server: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    server.set_nodelay(true)?;
    let (mut to_server, mut from_server) = (server.try_clone()?, server);
    let (mut from_agent, mut to_agent) = (agent.try_clone()?, agent);
    thread::Builder::new().name("to-server".into()).spawn(move || {
        // An end that is gone ends the copying; the agent connects again.
        let _ = io::copy(&mut from_agent, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    })?;
    thread::Builder::new().name("to-agent".into()).spawn(move || {
        let _ = io::copy(&mut from_server, &mut to_agent);
        let _ = to_agent.shutdown(Shutdown::Write);
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    #[test]
    fn both_ends_hear_each_other_and_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = folder.path().join("s");
        lead(&socket, server.local_addr().unwrap()).unwrap();
        let mut agent = UnixStream::connect(&socket).unwrap();
        agent.write_all(b"hello").unwrap();
        agent.shutdown(Shutdown::Write).unwrap();
        let (mut peer, _) = server.accept().unwrap();
        let mut heard = String::new();
        peer.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "hello");
        peer.write_all(b"welcome").unwrap();
        drop(peer);
        let mut answer = String::new();
        agent.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "welcome");
    }
}
