//! Names. Cheap to clone, ordered as text.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A coordinator, member of the ring.
    Member
}
name! {
    /// A host.
    Host
}
name! {
    /// An event: what its owner calls it, unique among the events of that owner that stand.
    EventKey
}

/// A partition. The order is by age and decides who absorbs whom: the smaller, hence older, one stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PartitionId {
    /// One more than the greatest that the founder had heard of (a Lamport clock).
    pub number: u64,
    /// Who founded it.
    pub founder: Member,
    /// Which life of the founder it was, so that a restart gives no id twice.
    pub incarnation: u64,
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.number, self.founder, self.incarnation)
    }
}

impl From<PartitionId> for String {
    fn from(id: PartitionId) -> Self {
        id.to_string()
    }
}

/// A text that names no partition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no partition: expected NUMBER.FOUNDER.INCARNATION")]
pub struct NoPartitionId(pub String);

impl TryFrom<String> for PartitionId {
    type Error = NoPartitionId;

    fn try_from(text: String) -> Result<Self, NoPartitionId> {
        let parts = || {
            let (number, rest) = text.split_once('.')?;
            let (founder, incarnation) = rest.rsplit_once('.')?;
            Some(Self {
                number: number.parse().ok()?,
                founder: founder.into(),
                incarnation: incarnation.parse().ok()?,
            })
        };
        parts().ok_or(NoPartitionId(text))
    }
}

/// Fences reservations of one host: a later reservation has a greater one, over restarts of the owner too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Which life of the owner granted it.
    pub incarnation: u64,
    /// The how manieth grant of that life.
    pub number: u64,
}
