//! Coordinators and agents of different versions side by side: newer ones are played by the test, and say more than this
//! version knows.

use crate::ring::{Members, full_cells, run_agent};
use crate::support::{Server, failure, hello, until, vm, within};
use dvms::coordinator::Coordinator;
use dvms_agent::hypervisor::simulated::SimulatedWorld;
use dvms_proto::v1 as pb;
use pb::cluster_service_client::ClusterServiceClient;
use pb::exchange_request::Message as FromPeer;
use pb::exchange_response::Message as ToPeer;
use pb::peer_service_server::{PeerService, PeerServiceServer};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};

/// What a newer coordinator says: its messages have fields and kinds that this version does not know.
mod newer {
    use dvms_proto::v1 as pb;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ExchangeRequest {
        #[prost(oneof = "Said", tags = "1, 2, 3, 90")]
        pub(super) message: Option<Said>,
        #[prost(string, tag = "91")]
        pub(super) trace: String,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Said {
        #[prost(message, tag = "1")]
        Hello(PeerHello),
        #[prost(message, tag = "2")]
        Frame(pb::PeerFrame),
        #[prost(message, tag = "3")]
        Ping(pb::PeerPing),
        #[prost(message, tag = "90")]
        Digest(pb::PeerPong),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct PeerHello {
        #[prost(string, tag = "1")]
        pub(super) member: String,
        #[prost(string, tag = "2")]
        pub(super) to: String,
        #[prost(uint32, tag = "3")]
        pub(super) oldest_version: u32,
        #[prost(uint32, tag = "4")]
        pub(super) newest_version: u32,
        #[prost(string, tag = "92")]
        pub(super) region: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct SessionRequest {
        #[prost(oneof = "Told", tags = "1, 2, 3, 90")]
        pub(super) message: Option<Told>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Told {
        #[prost(message, tag = "1")]
        Hello(Hello),
        #[prost(message, tag = "2")]
        Inventory(Inventory),
        #[prost(message, tag = "3")]
        Delta(pb::HostDelta),
        #[prost(message, tag = "90")]
        Temperature(pb::PeerPong),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Hello {
        #[prost(string, tag = "1")]
        pub(super) host: String,
        #[prost(string, tag = "2")]
        pub(super) boot_id: String,
        #[prost(string, tag = "3")]
        pub(super) agent_version: String,
        #[prost(uint32, tag = "4")]
        pub(super) protocol_version: u32,
        #[prost(message, tag = "7")]
        pub(super) capacity: Option<pb::HostCapacity>,
        #[prost(uint32, tag = "10")]
        pub(super) newest_protocol_version: u32,
        #[prost(string, tag = "93")]
        pub(super) firmware: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Inventory {
        #[prost(message, repeated, tag = "3")]
        pub(super) vms: Vec<pb::VmReport>,
        #[prost(string, repeated, tag = "94")]
        pub(super) disks: Vec<String>,
    }
}

/// How a coordinator that the test plays takes a hello.
#[derive(Clone, Copy)]
enum Welcomes {
    /// In this version, with more than this version knows.
    In(u32),
    /// Not at all: it speaks this version only.
    Refuses(u32),
}

/// The listening side of a coordinator that the test plays.
struct Played {
    welcomes: Welcomes,
    /// Frames that it hears.
    frames: mpsc::Sender<String>,
}

#[tonic::async_trait]
impl PeerService for Played {
    type ExchangeStream = ReceiverStream<Result<pb::ExchangeResponse, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<pb::ExchangeRequest>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let mut inbox = request.into_inner();
        let (say, said) = mpsc::channel(16);
        let (welcomes, frames) = (self.welcomes, self.frames.clone());
        tokio::spawn(async move {
            while let Ok(Some(pb::ExchangeRequest { message: Some(message) })) = inbox.message().await {
                let answer = match (message, welcomes) {
                    (FromPeer::Hello(hello), Welcomes::Refuses(version)) => {
                        let message = format!(
                            "{} speaks version {} of the protocol, north version {version}: upgrade {}",
                            hello.member, hello.newest_version, hello.member
                        );
                        let _ = say.send(Err(Status::failed_precondition(message))).await;
                        return;
                    }
                    (FromPeer::Hello(_), Welcomes::In(version)) => {
                        let software = "9.9.9".to_owned();
                        let welcome = pb::PeerWelcome {
                            member: "north".into(),
                            version,
                            software,
                            ..Default::default()
                        };
                        let _ = say.send(Ok(answer(ToPeer::Welcome(welcome)))).await;
                        // A kind of answer that this version does not know.
                        pb::ExchangeResponse { message: None }
                    }
                    (FromPeer::Ping(pb::PeerPing { number }), _) => {
                        answer(ToPeer::Pong(pb::PeerPong { number }))
                    }
                    (FromPeer::Frame(frame), _) => {
                        let _ = frames.send(frame.json).await;
                        continue;
                    }
                };
                if say.send(Ok(answer)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(said)))
    }
}

fn answer(message: ToPeer) -> pb::ExchangeResponse {
    pb::ExchangeResponse { message: Some(message) }
}

/// Takes the place of a member; the frames that it hears.
async fn play(members: &mut Members, name: &str, welcomes: Welcomes) -> (mpsc::Receiver<String>, DropGuard) {
    members.stop(name).await;
    let mut listener = TcpListener::bind(members.addresses[name]).await;
    while listener.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        listener = TcpListener::bind(members.addresses[name]).await;
    }
    let (sender, frames) = mpsc::channel(1024);
    let stop = CancellationToken::new();
    let played = PeerServiceServer::new(Played { welcomes, frames: sender });
    let server = tonic::transport::Server::builder().add_service(played);
    let incoming = TcpListenerStream::new(listener.unwrap());
    tokio::spawn(server.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned()));
    (frames, stop.drop_guard())
}

/// A stream of messages that the generated client cannot say.
async fn raw<Q, A>(channel: Channel, path: &'static str, said: mpsc::Receiver<Q>) -> Streaming<A>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Q, A>::default();
    let request = Request::new(ReceiverStream::new(said));
    within("a stream", client.streaming(request, path.parse().unwrap(), codec)).await.unwrap().into_inner()
}

/// The speaking side of "north", which speaks these versions to "east".
async fn speak(
    members: &Members,
    versions: (u32, u32),
) -> (mpsc::Sender<newer::ExchangeRequest>, Streaming<pb::ExchangeResponse>) {
    let (say, said) = mpsc::channel(64);
    let hello = newer::PeerHello {
        member: "north".into(),
        to: "east".into(),
        oldest_version: versions.0,
        newest_version: versions.1,
        region: "moon".into(),
    };
    say.send(newer_message(newer::Said::Hello(hello))).await.unwrap();
    let inbox = raw(members.channel("east").await, "/dvms.v1.PeerService/Exchange", said).await;
    (say, inbox)
}

fn newer_message(message: newer::Said) -> newer::ExchangeRequest {
    newer::ExchangeRequest { message: Some(message), trace: "00-1".into() }
}

fn frame(json: &str) -> newer::ExchangeRequest {
    newer_message(newer::Said::Frame(pb::PeerFrame { json: json.into() }))
}

/// Says a frame until it is answered by the question for the whole cell: the link that carries that may be another one than
/// that of before for a moment.
async fn asked_again(
    say: &mpsc::Sender<newer::ExchangeRequest>,
    frames: &mut mpsc::Receiver<String>,
    json: &str,
) {
    let asked = async {
        loop {
            say.send(frame(json)).await.unwrap();
            let asks = async { while !frames.recv().await.unwrap().contains(r#""type":"again""#) {} };
            if tokio::time::timeout(std::time::Duration::from_millis(500), asks).await.is_ok() {
                return;
            }
        }
    };
    within("the question for the whole cell", asked).await;
}

fn passed_over(coordinator: &Coordinator, by: &str) -> u64 {
    coordinator.figures().passed_over[by]
}

/// What is logged on this thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub(crate) fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn lines_with(&self, words: &str) -> usize {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(words)).count()
    }
}

// One thread, whose log is read.
#[tokio::test]
async fn a_newer_coordinator_is_spoken_with_in_the_common_version_and_what_is_new_is_passed_over() {
    let (log, _logging) = Log::begin();
    let mut members = Members::start().await;
    let (mut frames, _north) = play(&mut members, "north", Welcomes::In(1)).await;
    let linked = |members: &Members| {
        members.of("east").ring().others.iter().any(|other| other.name == "north" && other.up)
    };
    until("a link to the newer one stands", async || linked(&members)).await;

    let (say, mut inbox) = speak(&members, (1, 2)).await;
    let first = within("a welcome", inbox.message()).await.unwrap().unwrap();
    let Some(ToPeer::Welcome(welcome)) = first.message else { panic!("no welcome: {first:?}") };
    assert_eq!(welcome.version, 1, "the newest version that both speak");

    // A frame with fields that are not known is heard.
    asked_again(&say, &mut frames, r#"{"type":"same","digest":17,"since":{"day":[1]},"mood":"fine"}"#).await;
    let before = passed_over(members.of("east"), "coordinator");
    // Frames of a kind that is not known, and a message that is none, are passed over; what is between is heard.
    let body = r#"{"type":"applaud","loud":true}"#;
    for unknown in [
        frame(r#"{"type":"weather","sky":"clear"}"#),
        frame(r#"{"type":"weather","sky":"grey"}"#),
        frame(&format!(r#"{{"type":"protocol","message":{{"free":true,"clock":1,"body":{body}}}}}"#)),
        newer_message(newer::Said::Digest(pb::PeerPong { number: 3 })),
    ] {
        say.send(unknown).await.unwrap();
        asked_again(&say, &mut frames, r#"{"type":"same","digest":18}"#).await;
    }
    say.send(newer_message(newer::Said::Ping(pb::PeerPing { number: 5 }))).await.unwrap();
    let pong = within("a pong", inbox.message()).await.unwrap().unwrap();
    assert_eq!(pong, answer(ToPeer::Pong(pb::PeerPong { number: 5 })), "the same stream goes on");
    assert_eq!(passed_over(members.of("east"), "coordinator") - before, 4);
    for (words, times) in
        [("kind=\"weather\"", 1), ("kind=\"protocol applaud\"", 1), ("a message of the stream", 1)]
    {
        assert_eq!(log.lines_with(words), times, "{words} is told once");
    }
    // So does the other direction, though it began with an answer of an unknown kind.
    until("the round trip is measured", async || {
        let ring = members.of("east").ring();
        ring.others.iter().any(|other| other.name == "north" && other.up && other.round_trip.is_some())
    })
    .await;
    assert!(log.lines_with("an answer of the stream") >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_without_a_common_version_is_named_with_what_to_do_and_the_others_go_on() {
    for (welcomes, words) in
        [(Welcomes::In(9), "upgrade the older of the two, east"), (Welcomes::Refuses(9), "upgrade east")]
    {
        let (world, stop) = (SimulatedWorld::new(1.0), CancellationToken::new());
        let hosts = full_cells(&world);
        let mut members = Members::start().await;
        let (_frames, _north) = play(&mut members, "north", welcomes).await;
        let (_say, mut inbox) = speak(&members, (9, 9)).await;
        let refused = within("an answer", inbox.message()).await.unwrap_err();
        let (code, reason, _) = failure(&refused);
        assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "PROTOCOL_VERSION"));
        assert_eq!(
            refused.message(),
            "north speaks version 9 of the protocol between coordinators, east version 1: they have none in common; \
             upgrade the older of the two, east"
        );
        // `dvms ring` names it.
        until("it is told why there is no link", async || {
            let ring = members.get_ring("east").await;
            let north = ring.members.iter().find(|member| member.name == "north").unwrap();
            let west = ring.members.iter().find(|member| member.name == "west").unwrap();
            let named = ["version 9", "version 1", words].iter().all(|words| north.no_link.contains(words));
            named
                && !north.reachable
                && north.round_trip_ms.is_none()
                && west.reachable
                && west.no_link.is_empty()
        })
        .await;
        // An overload of the cell is answered with a host of another one.
        for (host, member) in hosts.into_iter().filter(|(_, member)| *member != "north") {
            run_agent(&world, &members, host, member, &stop);
        }
        until("a VM has gone to the cell that has room", async || {
            let vms = members.of("west").vms();
            vms.iter().any(|vm| vm.host == "w1" && ["v1", "v2", "v3"].contains(&vm.name.as_str()))
        })
        .await;
        let mut client = ClusterServiceClient::new(members.channel("east").await);
        let listed = client.list_hosts(pb::ListHostsRequest::default()).await.unwrap();
        assert_eq!(listed.metadata().get(dvms::api::SILENT_HEADER).unwrap(), "north");
        assert_eq!(listed.into_inner().hosts.len(), 3);
        stop.cancel();
        for name in ["east", "west"] {
            members.stop(name).await;
        }
    }
}

/// A session of an agent that speaks these versions and is newer.
async fn newer_agent(
    server: &Server,
    host: &str,
    versions: (u32, u32),
) -> (mpsc::Sender<newer::SessionRequest>, Streaming<pb::SessionResponse>) {
    let (say, said) = mpsc::channel(16);
    let hello = newer::Hello {
        host: host.into(),
        boot_id: "1".into(),
        agent_version: "9.9.9".into(),
        protocol_version: versions.0,
        capacity: hello(host).capacity,
        newest_protocol_version: versions.1,
        firmware: "x".into(),
    };
    say.send(newer::SessionRequest { message: Some(newer::Told::Hello(hello)) }).await.unwrap();
    let inbox = raw(server.channel().await, "/dvms.v1.AgentService/Session", said).await;
    (say, inbox)
}

#[tokio::test]
async fn a_newer_agent_is_served_in_the_common_version_and_what_is_new_is_passed_over() {
    let (log, _logging) = Log::begin();
    let server = Server::start().await;
    let (say, mut inbox) = newer_agent(&server, "h1", (1, 2)).await;
    let first = within("a welcome", inbox.message()).await.unwrap().unwrap();
    let Some(pb::session_response::Message::Welcome(welcome)) = first.message else { panic!("{first:?}") };
    assert_eq!((welcome.protocol_version, welcome.epoch > 0), (1, true));
    let unknown = || newer::Told::Temperature(pb::PeerPong { number: 40 });
    let inventory = newer::Inventory { vms: vec![vm("a")], disks: vec!["sda".into()] };
    let delta = |name: &str| pb::HostDelta { changed: vec![vm(name)], ..Default::default() };
    for told in [
        newer::Told::Inventory(inventory),
        unknown(),
        newer::Told::Delta(delta("b")),
        unknown(),
        newer::Told::Delta(delta("c")),
    ] {
        say.send(newer::SessionRequest { message: Some(told) }).await.unwrap();
    }
    let mut cluster = server.cluster().await;
    let everything = pb::ListVmsRequest { filter: "host = h1".into(), ..Default::default() };
    until("all that is known is heard", async || {
        cluster.list_vms(everything.clone()).await.unwrap().into_inner().total_size == 3
    })
    .await;
    assert_eq!(log.lines_with("a message of the session"), 1, "it is told once");
    assert_eq!(passed_over(&server.coordinator, "agent"), 2);
    server.stop().await;
}

#[tokio::test]
async fn an_agent_without_a_common_version_is_refused_with_what_to_do_and_the_others_go_on() {
    let (log, _logging) = Log::begin();
    let server = Server::start().await;
    let _other = crate::support::Agent::with_vms(&server, "h2", &["b"]).await;
    for (versions, spoken, older) in [
        ((7, 9), "versions 7 to 9", "coordinator test ("),
        ((0, 0), "version 0", "the agent of host h1 (9.9.9)"),
    ] {
        let (_say, mut inbox) = newer_agent(&server, "h1", versions).await;
        let refused = within("an answer", inbox.message()).await.unwrap_err();
        let (code, reason, _) = failure(&refused);
        assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "PROTOCOL_VERSION"));
        let words = [format!("the agent of host h1 (9.9.9) speaks {spoken} of"), "version 1:".to_owned()];
        assert!(words.iter().all(|words| refused.message().contains(words)), "{}", refused.message());
        let (_, advice) = refused.message().split_once("upgrade the older of the two, ").unwrap();
        assert!(advice.starts_with(older), "{advice}");
    }
    assert_eq!(log.lines_with("an agent is refused: the agent of host h1"), 2);
    let hosts =
        server.cluster().await.list_hosts(pb::ListHostsRequest::default()).await.unwrap().into_inner();
    assert_eq!(
        hosts.hosts.iter().map(|host| (host.name.as_str(), host.connection)).collect::<Vec<_>>(),
        [("h2", 1)]
    );
    server.stop().await;
}
