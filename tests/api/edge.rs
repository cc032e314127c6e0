//! What is the same for all services: health, reflection, versions, counts, and what the transport refuses.

use crate::support::{Server, failure, until, within};
use dvms::api::VERSION_HEADER;
use dvms::api::server::Options;
use dvms_proto::v1 as pb;
use prost_types::FileDescriptorProto;
use std::sync::Arc;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

#[tokio::test]
async fn health_is_told_until_the_end() {
    let server = Server::start().await;
    let mut client = HealthClient::new(server.channel().await);
    for service in [
        "",
        "dvms.v1.AgentService",
        "dvms.v1.PlacementService",
        "dvms.v1.ClusterService",
        "dvms.v1.PlanService",
        "dvms.v1.PeerService",
        "dvms.v1.RingService",
        "dvms.v1.PolicyService",
    ] {
        let answer = client.check(HealthCheckRequest { service: service.into() }).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving, "{service:?}");
    }
    let unknown = client.check(HealthCheckRequest { service: "x".into() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let mut status = async || within("health", watch.message()).await.unwrap().unwrap().status();
    assert_eq!(status().await, ServingStatus::Serving);
    server.begin_stop();
    assert_eq!(status().await, ServingStatus::NotServing);
    drop(watch);
    server.stop().await;
}

/// Asks both versions of reflection the same.
macro_rules! reflect {
    ($version:ident, $server:expr, $question:ident, $argument:expr) => {{
        use reflection::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version as reflection;
        let mut client =
            reflection::server_reflection_client::ServerReflectionClient::new($server.channel().await);
        let request = reflection::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::$question($argument.to_owned())),
        };
        let stream = client.server_reflection_info(tokio_stream::once(request)).await;
        match stream {
            Ok(stream) => {
                let answer = within("an answer", stream.into_inner().message()).await;
                answer.map(|answer| answer.expect("an answer").message_response.expect("it says something"))
            }
            Err(status) => Err(status),
        }
    }};
}

#[tokio::test]
async fn the_api_describes_itself() {
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::v1alpha::server_reflection_response::MessageResponse as Alpha;
    let server = Server::start().await;
    let MessageResponse::ListServicesResponse(list) = reflect!(v1, server, ListServices, "").unwrap() else {
        panic!("not a list")
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in [
        "dvms.v1.AgentService",
        "dvms.v1.PlacementService",
        "dvms.v1.ClusterService",
        "dvms.v1.PlanService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ] {
        assert!(names.iter().any(|found| found == name), "{name} is not in {names:?}");
    }
    let MessageResponse::FileDescriptorResponse(files) =
        reflect!(v1, server, FileContainingSymbol, "dvms.v1.PlanService").unwrap()
    else {
        panic!("not a file")
    };
    let file: FileDescriptorProto =
        prost::Message::decode(files.file_descriptor_proto[0].as_slice()).unwrap();
    assert_eq!(file.name(), "dvms/v1/plan_service.proto");
    let methods: Vec<_> =
        file.service[0].method.iter().map(prost_types::MethodDescriptorProto::name).collect();
    let all = [
        "CreatePlan",
        "GetPlan",
        "ListPlans",
        "WatchPlan",
        "ApprovePlan",
        "PausePlan",
        "ResumePlan",
        "LimitPlan",
        "CancelPlan",
    ];
    assert_eq!(methods, all);
    // What it imports is there too.
    for import in &file.dependency {
        let MessageResponse::FileDescriptorResponse(_) =
            reflect!(v1, server, FileByFilename, import).unwrap()
        else {
            panic!("{import} is not served")
        };
    }
    let answer = reflect!(v1alpha, server, FileContainingSymbol, "dvms.v1.PlacementService.Solve").unwrap();
    assert!(matches!(answer, Alpha::FileDescriptorResponse(_)));
    server.stop().await;

    let options = Options { reflection: false, ..Options::default() };
    let quiet =
        Server::with(dvms::store::Store::open_in_memory().unwrap(), Arc::new(dvms::solving::Engine), options)
            .await;
    let status = reflect!(v1, quiet, ListServices, "").unwrap_err();
    assert_eq!(failure(&status).0, Code::Unimplemented);
    quiet.stop().await;
}

#[tokio::test]
async fn every_answer_names_the_version_and_every_call_is_counted() {
    let server = Server::start().await;
    let mut cluster = server.cluster().await;
    let answer = cluster.list_hosts(pb::ListHostsRequest::default()).await.unwrap();
    assert_eq!(answer.metadata().get(VERSION_HEADER).unwrap(), env!("CARGO_PKG_VERSION"));
    let status = cluster.get_host(pb::GetHostRequest { name: "x".into() }).await.unwrap_err();
    assert_eq!(status.metadata().get(VERSION_HEADER).unwrap(), env!("CARGO_PKG_VERSION"));
    let watch = cluster.watch(pb::WatchRequest::default()).await.unwrap();
    drop(watch);
    let calls = server.calls.clone();
    let count = |method: &str, code| {
        calls.counts().get(&(format!("dvms.v1.ClusterService/{method}"), code)).map(|count| count.calls)
    };
    until("the calls are counted", async || {
        count("ListHosts", "OK") == Some(1)
            && count("GetHost", "NOT_FOUND") == Some(1)
            && count("Watch", "CANCELLED") == Some(1)
    })
    .await;
    server.stop().await;
}

/// A call of any method with any bytes.
async fn call(server: &Server, path: &'static str, bytes: Vec<u8>) -> tonic::Status {
    let mut client = tonic::client::Grpc::new(server.channel().await);
    client.ready().await.unwrap();
    // As a message, this is field 1 with these bytes.
    let codec = tonic_prost::ProstCodec::<Vec<u8>, pb::Host>::default();
    let call = client.unary(tonic::Request::new(bytes), path.parse().unwrap(), codec);
    within("an answer", call).await.map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn what_cannot_be_read_is_the_callers_fault() {
    let server = Server::start().await;
    // A name that is not UTF-8; hosts that are no messages.
    for path in [
        "/dvms.v1.ClusterService/GetHost",
        "/dvms.v1.PlacementService/Solve",
        "/dvms.v1.PlanService/CancelPlan",
    ] {
        let status = call(&server, path, vec![0xff, 0xfe, 0xfd]).await;
        let (code, reason, _) = failure(&status);
        assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"), "{path}: {status:?}");
    }
    // Larger than is read, and refused before it is.
    let status = call(&server, "/dvms.v1.ClusterService/GetHost", vec![b'x'; 2 << 20]).await;
    let (code, reason, _) = failure(&status);
    assert_eq!((code, reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"), "{status:?}");
    for path in ["/dvms.v1.ClusterService/DropEverything", "/dvms.v1.NoService/Get", "/x"] {
        let (code, reason, _) = failure(&call(&server, path, Vec::new()).await);
        assert_eq!((code, reason.as_str()), (Code::Unimplemented, "UNSUPPORTED"), "{path}");
    }
    // Methods that do not exist are counted under one name, however many are tried.
    let others = server.calls.counts().keys().filter(|(method, _)| method == "other").count();
    assert_eq!(others, 1, "{:?}", server.calls.counts());
    server.assert_alive().await;
    server.stop().await;
}
