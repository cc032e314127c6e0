//! What `grpcurl` does with our documentation's commands: everything it knows of the API it learns from the
//! server's reflection.

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, SerializeOptions};
use prost_types::FileDescriptorProto;
use std::collections::{BTreeMap, VecDeque};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

/// Runs a command line of `grpcurl` (its words after `grpcurl`), with what standard input would hold; gives
/// what it would print.
///
/// # Errors
/// What the command would fail with.
pub(crate) async fn grpcurl(words: &[String], stdin: &str) -> Result<String, String> {
    let mut words = words.iter().map(String::as_str).peekable();
    let (mut plaintext, mut data) = (false, None);
    while let Some(option) = words.next_if(|word| word.starts_with('-')) {
        match option {
            "-plaintext" => plaintext = true,
            "-d" => data = Some(words.next().ok_or("-d wants data")?),
            other => return Err(format!("this test knows no option {other}")),
        }
    }
    if !plaintext {
        return Err("the server speaks plain text: -plaintext is missing".into());
    }
    let address = words.next().ok_or("the address is missing")?;
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
    let channel = endpoint.connect().await.map_err(|error| format!("{address}: {error}"))?;
    let rest: Vec<_> = words.collect();
    match rest.as_slice() {
        ["list"] => Ok(services(&channel).await?.join("\n")),
        ["describe", symbol] => describe(&channel, symbol).await,
        [method] => {
            let data = if data == Some("@") { stdin } else { data.unwrap_or("{}") };
            call(&channel, method, data).await
        }
        other => Err(format!("{other:?} is not understood")),
    }
}

async fn ask(channel: &Channel, question: MessageRequest) -> Result<MessageResponse, String> {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = ServerReflectionClient::new(channel.clone());
    let answers = client.server_reflection_info(tokio_stream::once(request)).await;
    let answer = answers
        .map_err(|status| told(&status))?
        .into_inner()
        .message()
        .await
        .map_err(|status| told(&status))?;
    match answer.and_then(|answer| answer.message_response).ok_or("reflection gave no answer")? {
        MessageResponse::ErrorResponse(error) => Err(error.error_message),
        answer => Ok(answer),
    }
}

fn told(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

async fn services(channel: &Channel) -> Result<Vec<String>, String> {
    match ask(channel, MessageRequest::ListServices(String::new())).await? {
        MessageResponse::ListServicesResponse(list) => {
            let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
            names.sort();
            Ok(names)
        }
        other => Err(format!("not a list of services: {other:?}")),
    }
}

/// The descriptors of a symbol and of all it needs.
async fn pool(channel: &Channel, symbol: &str) -> Result<DescriptorPool, String> {
    let mut wanted = VecDeque::from([MessageRequest::FileContainingSymbol(symbol.to_owned())]);
    let mut files: BTreeMap<String, FileDescriptorProto> = BTreeMap::new();
    while let Some(question) = wanted.pop_front() {
        if matches!(&question, MessageRequest::FileByFilename(name) if files.contains_key(name)) {
            continue;
        }
        let MessageResponse::FileDescriptorResponse(answer) = ask(channel, question).await? else {
            return Err(format!("no file for {symbol}"));
        };
        for bytes in answer.file_descriptor_proto {
            let file = FileDescriptorProto::decode(bytes.as_slice()).map_err(|error| error.to_string())?;
            wanted.extend(file.dependency.iter().cloned().map(MessageRequest::FileByFilename));
            files.insert(file.name().to_owned(), file);
        }
    }
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_protos(files.into_values()).map_err(|error| error.to_string())?;
    Ok(pool)
}

async fn describe(channel: &Channel, symbol: &str) -> Result<String, String> {
    let pool = pool(channel, symbol).await?;
    if let Some(service) = pool.get_service_by_name(symbol) {
        let methods = service.methods().map(|method| {
            let stream = |streams: bool| if streams { "stream " } else { "" };
            let (input, output) = (method.input(), method.output());
            format!(
                "  rpc {} ( {}.{} ) returns ( {}.{} );",
                method.name(),
                stream(method.is_client_streaming()),
                input.full_name(),
                stream(method.is_server_streaming()),
                output.full_name()
            )
        });
        return Ok(format!("{symbol} is a service:\n{}", methods.collect::<Vec<_>>().join("\n")));
    }
    let message = pool.get_message_by_name(symbol).ok_or(format!("no {symbol}"))?;
    Ok(message.fields().map(|field| field.name().to_owned()).collect::<Vec<_>>().join("\n"))
}

async fn call(channel: &Channel, method: &str, data: &str) -> Result<String, String> {
    let (service, name) = method.rsplit_once(['/', '.']).ok_or(format!("{method} is not SERVICE/METHOD"))?;
    let pool = pool(channel, service).await?;
    let service = pool.get_service_by_name(service).ok_or(format!("no service {service}"))?;
    let method = service.methods().find(|method| method.name() == name).ok_or(format!("no method {name}"))?;
    let mut reader = serde_json::Deserializer::from_str(data);
    let request =
        DynamicMessage::deserialize(method.input(), &mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    if method.is_client_streaming() {
        return Err(format!("{name} takes a stream; this test sends one message only"));
    }
    let path = format!("/{}/{name}", service.full_name()).parse::<http::uri::PathAndQuery>();
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| error.to_string())?;
    let (path, codec) = (path.map_err(|error| error.to_string())?, Dynamic(method));
    // A call of one answer is a stream of one.
    let answers = grpc.server_streaming(Request::new(request), path, codec).await;
    let mut answers = answers.map_err(|status| told(&status))?.into_inner();
    let mut printed = String::new();
    while let Some(answer) = answers.message().await.map_err(|status| told(&status))? {
        let mut text = Vec::new();
        let mut writer = serde_json::Serializer::pretty(&mut text);
        answer
            .serialize_with_options(&mut writer, &SerializeOptions::new())
            .map_err(|error| error.to_string())?;
        printed.push_str(&String::from_utf8_lossy(&text));
        printed.push('\n');
    }
    Ok(printed)
}

/// Messages whose types are known from their descriptors only.
struct Dynamic(MethodDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Write;
    type Decoder = Read;

    fn encoder(&mut self) -> Write {
        Write
    }

    fn decoder(&mut self) -> Read {
        Read(self.0.clone())
    }
}

struct Write;

impl Encoder for Write {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(into).map_err(|error| Status::internal(error.to_string()))
    }
}

struct Read(MethodDescriptor);

impl Decoder for Read {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.output(), from);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
