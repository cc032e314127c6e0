//! The `dvms` command as its users see it: exit statuses, what is printed where, files, and a server with
//! simulated agents behind it.
#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that is not there")]

mod bench;
mod check;
mod client;
mod cluster;
mod command;
mod demo;
mod explain;
mod fit;
mod foreign;
mod gantt;
mod grpcurl;
mod laboratory;
mod live;
mod migration;
mod out_files;
mod plans;
mod policies;
mod readme;
mod serve;
mod simulate;
mod solve;
mod solved;
mod top;
mod whatif;
