//! Tests of the back-end as a whole.

mod conflicts;
mod exhaustive;
mod lateness;
mod limits;
mod oracle;
