//! Files of BtrPlace, read into problems and plans and written from them, so that its public instances, its
//! users' files and its tools can be used beside ours.
//!
//! `format` is its JSON as it is; `import` says an instance in our terms, `export` ours in its. What the other
//! side has no words for is named ([`Gaps`]), all of it at once; who asks for it gets the rest without it, which
//! is then less strict than the original.
//!
//! Sources of the format and of the meaning of rules: BtrPlace's public classes `org.btrplace.json` and
//! `org.btrplace.model.constraint` (version 1.12).

mod export;
mod format;
mod gaps;
mod import;

#[cfg(test)]
mod tests;

pub use export::{Exported, export, export_plan};
pub use format::{Constraint, Instance, Model, ReconfigurationPlan};
pub use gaps::{Gap, Gaps};
pub use import::{Imported, Options, Unit, import, import_plan};
