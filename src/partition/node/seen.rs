//! What readers see of a partition, beside what its leader works with.

use super::led::{Led, Stage};
use crate::partition::event::Need;
use crate::partition::names::Member;
use std::collections::BTreeMap;

impl Led {
    /// What is lacking, as far as is known.
    #[must_use]
    pub fn need(&self) -> Need {
        self.need
    }

    /// How many hosts it has.
    #[must_use]
    pub fn size(&self) -> usize {
        self.hosts.len()
    }

    /// How many it has of each member.
    #[must_use]
    pub fn owners(&self) -> BTreeMap<&Member, u32> {
        let mut owners = BTreeMap::new();
        for hold in self.hosts.values() {
            *owners.entry(&hold.owner).or_default() += 1;
        }
        owners
    }
}

impl Stage {
    /// Whom it is about: the member that is asked, or the partition that it merges with.
    #[must_use]
    pub fn with(&self) -> String {
        match self {
            Self::Gathering { to, .. } => to.to_string(),
            Self::Offering { into: other, .. }
            | Self::Absorbing { from: other, .. }
            | Self::Adopting { from: other, .. } => other.to_string(),
            Self::Solving { .. } | Self::Blocked { .. } | Self::Committing { .. } | Self::Executing => {
                String::new()
            }
        }
    }
}
