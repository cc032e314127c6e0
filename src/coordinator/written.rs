//! Members as others have written them, in etcd, in frames and on the disk: a newer version may say more of them.

use super::settings::RingMember;
use serde::{Deserialize, Deserializer};

/// A member, and whatever else.
#[derive(Deserialize)]
struct Written {
    name: String,
    address: String,
    #[serde(default)]
    site: String,
}

impl From<Written> for RingMember {
    fn from(Written { name, address, site }: Written) -> Self {
        Self { name, address, site }
    }
}

/// Reads one.
pub(super) fn member<'de, D: Deserializer<'de>>(from: D) -> Result<RingMember, D::Error> {
    Written::deserialize(from).map(RingMember::from)
}

/// Reads some.
pub(super) fn members<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<RingMember>, D::Error> {
    let written: Vec<Written> = Deserialize::deserialize(from)?;
    Ok(written.into_iter().map(RingMember::from).collect())
}
