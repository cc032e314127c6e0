//! Tests of the back-end as a whole.

mod exhaustive;
mod oracle;
