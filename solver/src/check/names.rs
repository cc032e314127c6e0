//! Tables by name.

use indexmap::IndexMap;

/// Something of hosts or VMs, by their names, in the order in which it was put in: a plan of a hundred thousand VMs is
/// judged several times in a solve, and most of that is looking up names.
pub(super) type ByName<'a, T> = IndexMap<&'a str, T>;
