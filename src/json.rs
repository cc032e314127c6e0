//! Messages of the API as proto3-JSON in the house form: field names as in the `.proto` files, enum
//! values by name, 64-bit integers as plain numbers, defaults left out.

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;
use std::sync::LazyLock;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(dvms_proto::v1::DESCRIPTORS)
        .expect("the descriptors are compiled from the same files as the generated code")
});

/// Descriptors of all messages and services of the API.
#[must_use]
pub fn pool() -> &'static DescriptorPool {
    &POOL
}

/// The descriptor of a generated message.
///
/// # Panics
/// Never: generated code and descriptors come from one compilation.
#[must_use]
pub fn descriptor<M: Name>() -> MessageDescriptor {
    POOL.get_message_by_name(&M::full_name()).expect("every generated message has a descriptor")
}

/// The message with its fields known by name.
///
/// # Panics
/// Never: a message decodes from its own encoding.
#[must_use]
pub fn dynamic<M: Message + Name>(message: &M) -> DynamicMessage {
    DynamicMessage::decode(descriptor::<M>(), message.encode_to_vec().as_slice())
        .expect("a message decodes from its own encoding")
}

/// The JSON form of a message.
///
/// # Panics
/// Never: the value is built in memory.
#[must_use]
pub fn to_value<M: Message + Name>(message: &M) -> Value {
    let options = SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false);
    dynamic(message)
        .serialize_with_options(serde_json::value::Serializer, &options)
        .expect("a message of known types has a JSON form")
}

/// Reads a message from its JSON form; unknown fields are errors.
pub fn from_text<M: Message + Name + Default>(text: &str) -> Result<M, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let message = DynamicMessage::deserialize(descriptor::<M>(), &mut reader)?;
    reader.end()?;
    message.transcode_to().map_err(serde::de::Error::custom)
}
