//! Versions of a protocol: what two sides have in common, and what people are told where that is nothing.

use std::fmt;

/// The versions that one side speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Versions {
    /// The oldest one.
    pub(super) oldest: u32,
    /// The newest one.
    pub(super) newest: u32,
}

impl Versions {
    /// The newest version that both speak.
    pub(super) fn common(self, other: Self) -> Option<u32> {
        let version = self.newest.min(other.newest);
        (version >= self.oldest.max(other.oldest)).then_some(version)
    }

    /// Why `other` cannot be spoken with, and what to do.
    pub(super) fn nothing_in_common(self, protocol: &str, own: &str, other: Self, theirs: &str) -> String {
        let older = if other.newest < self.oldest { theirs } else { own };
        format!(
            "{theirs} speaks {other} of the protocol between {protocol}, {own} {self}: they have none in common; upgrade \
             the older of the two, {older}"
        )
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.oldest == self.newest {
            write!(text, "version {}", self.newest)
        } else {
            write!(text, "versions {} to {}", self.oldest, self.newest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(oldest: u32, newest: u32) -> Versions {
        Versions { oldest, newest }
    }

    #[test]
    fn the_newest_version_that_both_speak_is_taken() {
        for (one, other, common) in [
            (of(1, 1), of(1, 1), Some(1)),
            (of(1, 1), of(1, 7), Some(1)),
            (of(2, 4), of(3, 9), Some(4)),
            (of(2, 4), of(4, 4), Some(4)),
            (of(2, 4), of(5, 6), None),
            (of(2, 4), of(0, 1), None),
            (of(1, 1), of(0, 0), None),
        ] {
            assert_eq!((one.common(other), other.common(one)), (common, common), "{one}, {other}");
        }
    }

    #[test]
    fn who_is_to_be_upgraded_is_named() {
        let message = of(2, 4).nothing_in_common("coordinators", "east", of(1, 1), "north");
        assert!(
            message.contains("north speaks version 1 ") && message.ends_with("the two, north"),
            "{message}"
        );
        let message = of(2, 4).nothing_in_common("coordinators", "east", of(5, 6), "north");
        assert!(message.contains("east versions 2 to 4:") && message.ends_with("the two, east"), "{message}");
    }
}
