//! 100 MiB of garbage on the port: in every disguise it costs neither life nor memory, nor anybody's time.

use crate::support::{PATIENCE, Server, within};
use dvms_proto::v1 as pb;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const MEGABYTES: usize = 100;
/// How an HTTP/2 connection begins, with empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Memory that the process may use more than before. The client's own megabyte is in it.
const MOST_GROWTH_MIB: usize = 40;

/// Bytes without an order.
fn noise() -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    (0..1 << 20).map(|_| byte()).collect()
}

fn resident_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

/// Writes as much as the server takes, reading what it answers; tells how many bytes it took.
async fn pour(server: &Server, beginning: &[u8], each: &[u8]) -> usize {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut answers, mut bytes) = stream.into_split();
    let reading = tokio::spawn(async move {
        let mut sink = vec![0; 1 << 16];
        while answers.read(&mut sink).await.is_ok_and(|read| read > 0) {}
    });
    let mut taken = 0;
    if bytes.write_all(beginning).await.is_ok() {
        while taken < MEGABYTES << 20 {
            // A server that reads no more is as good as one that hangs up.
            match tokio::time::timeout(Duration::from_secs(2), bytes.write_all(each)).await {
                Ok(Ok(())) => taken += each.len(),
                _ => break,
            }
        }
    }
    drop(bytes);
    reading.abort();
    taken
}

/// Set in the process that runs one test alone.
const ALONE: &str = "DVMS_TEST_ALONE";

/// Runs the test of that name in a process of its own, whose memory is that of this test only. True in that
/// process.
fn alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut process = std::process::Command::new(std::env::current_exe().unwrap());
    let output = process.args([test, "--exact", "--nocapture"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{test} alone:\n{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_harms_nobody() {
    if !alone("garbage::garbage_harms_nobody") {
        return;
    }
    let server = Server::start().await;
    server.assert_alive().await;
    let noise = noise();
    // The head of a frame of the largest size that is allowed, of a type that nobody knows.
    let mut unknown_frame = vec![0x00, 0x40, 0x00, 0xee, 0, 0, 0, 0, 0];
    unknown_frame.extend(&noise[..0x4000]);
    // DATA for a stream that was never opened.
    let mut stray_data = vec![0x00, 0x40, 0x00, 0x00, 0, 0, 0, 0, 1];
    stray_data.extend(&noise[..0x4000]);
    let before = resident_mib();
    let disguises: [(&[u8], &[u8]); 4] =
        [(b"", &noise), (PREFACE, &noise), (PREFACE, &unknown_frame), (PREFACE, &stray_data)];
    for (beginning, each) in disguises {
        let pouring = async {
            tokio::time::timeout(PATIENCE, pour(&server, beginning, each)).await.unwrap_or_default()
        };
        // Others are served meanwhile.
        let others = async {
            for _ in 0..5 {
                server.assert_alive().await;
            }
        };
        tokio::join!(pouring, others);
    }
    server.assert_alive().await;
    let growth = resident_mib().saturating_sub(before);
    assert!(growth <= MOST_GROWTH_MIB, "the process grew by {growth} MiB");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_100_mib_is_refused_before_it_is_read() {
    let server = Server::start().await;
    let mut client = tonic::client::Grpc::new(server.channel().await);
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Vec<u8>, pb::SolveResponse>::default();
    let path = "/dvms.v1.PlacementService/Solve".parse().unwrap();
    let call = client.server_streaming(tonic::Request::new(vec![7; MEGABYTES << 20]), path, codec);
    let status = match within("an answer", call).await {
        Ok(stream) => within("the end", stream.into_inner().message()).await.unwrap_err(),
        Err(status) => status,
    };
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("the limit is"), "{status:?}");
    server.assert_alive().await;
    server.stop().await;
}
