//! Tests of the back-end as a whole.

mod conflicts;
mod exhaustive;
mod limits;
mod oracle;
