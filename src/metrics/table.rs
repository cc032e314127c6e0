//! Every metric, with its meaning and where its values come from. docs/OPERATIONS.md has the same table.

use super::calls::Count;
use super::process::Process;
use crate::coordinator::Figures;
use std::collections::BTreeMap;

/// All that is known at one instant.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Snapshot {
    pub(super) figures: Figures,
    pub(super) calls: BTreeMap<(String, &'static str), Count>,
    pub(super) process: Process,
}

/// A metric.
pub(super) struct Metric {
    /// As it is scraped: counters end in `_total`.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    pub(super) meaning: &'static str,
    pub(super) read: fn(&Snapshot) -> Vec<Value>,
}

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Up and down.
    Gauge,
    /// Up only, from the start of the process.
    Counter,
}

/// A number, and the value of each label.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    pub(super) labels: Vec<String>,
    pub(super) number: f64,
}

fn one(number: f64) -> Vec<Value> {
    vec![Value { labels: Vec::new(), number }]
}

fn known(number: Option<f64>) -> Vec<Value> {
    number.map(one).unwrap_or_default()
}

fn by(counts: &BTreeMap<&'static str, u64>) -> Vec<Value> {
    let value =
        |(label, number): (&&str, &u64)| Value { labels: vec![(*label).to_owned()], number: *number as f64 };
    counts.iter().map(value).collect()
}

fn calls(snapshot: &Snapshot, number: fn(&Count) -> f64) -> Vec<Value> {
    let value = |((method, code), count): (&(String, &'static str), &Count)| Value {
        labels: vec![method.clone(), (*code).to_owned()],
        number: number(count),
    };
    snapshot.calls.iter().map(value).collect()
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
    read: fn(&Snapshot) -> Vec<Value>,
) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, meaning, read }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
    read: fn(&Snapshot) -> Vec<Value>,
) -> Metric {
    Metric { name, kind: Kind::Counter, labels, meaning, read }
}

/// In the order in which they are served.
pub(super) const METRICS: &[Metric] = &[
    gauge("dvms_hosts", &["connection"], "hosts by connection: connected, lost or failed", |s| {
        by(&s.figures.hosts)
    }),
    gauge("dvms_vms", &[], "VMs that live somewhere", |s| one(s.figures.vms as f64)),
    gauge("dvms_vms_waiting", &[], "VMs that run nowhere and should", |s| one(s.figures.vms_waiting as f64)),
    gauge("dvms_conditions", &["kind"], "troubles that stand now, by kind of event", |s| {
        by(&s.figures.conditions)
    }),
    gauge("dvms_partitions", &[], "partitions that hold hosts now", |s| one(s.figures.partitions as f64)),
    gauge("dvms_actions_in_flight", &[], "actions that agents have now", |s| {
        one(s.figures.actions_in_flight as f64)
    }),
    counter("dvms_events_total", &["kind"], "events so far", |s| by(&s.figures.events)),
    counter("dvms_plans_total", &["state"], "plans that ended so far, by the state in which they did", |s| {
        by(&s.figures.plans)
    }),
    counter("dvms_actions_total", &["result"], "actions that ended so far: done or failed", |s| {
        by(&s.figures.actions)
    }),
    counter("dvms_solves_total", &[], "solves that ended so far, of the coordinator itself", |s| {
        one(s.figures.solves as f64)
    }),
    counter("dvms_solve_seconds_total", &[], "seconds that these solves took together", |s| {
        one(s.figures.solve_seconds)
    }),
    counter("dvms_reports_total", &[], "reports of agents so far", |s| one(s.figures.reports as f64)),
    counter("dvms_peer_frames_total", &["type"], "frames to other coordinators so far", |s| {
        by(&s.figures.frames)
    }),
    counter("dvms_peer_bytes_total", &[], "bytes of frames that were sent to other coordinators", |s| {
        one(s.figures.peer_bytes as f64)
    }),
    counter(
        "dvms_messages_passed_over_total",
        &["from"],
        "messages that this version does not know so far",
        |s| by(&s.figures.passed_over),
    ),
    gauge(
        "dvms_rules_revision",
        &[],
        "revision of the kept rules that are in force; 0 = there never were any",
        |s| one(s.figures.rules_revision as f64),
    ),
    gauge("dvms_rules_refused", &[], "kept rules that are not in force as they are kept", |s| {
        one(s.figures.rules_refused as f64)
    }),
    gauge(
        "dvms_etcd_silent",
        &[],
        "1 while nothing is heard from etcd, which tells the members; else 0",
        |s| one(f64::from(u8::from(s.figures.etcd_silent))),
    ),
    counter("dvms_calls_total", &["method", "code"], "calls of the API that ended so far", |s| {
        calls(s, |count| count.calls as f64)
    }),
    counter("dvms_call_seconds_total", &["method", "code"], "seconds that these calls took together", |s| {
        calls(s, |count| count.seconds)
    }),
    gauge("dvms_build_info", &["version"], "always 1", |_| {
        vec![Value { labels: vec![env!("CARGO_PKG_VERSION").to_owned()], number: 1.0 }]
    }),
    gauge("process_resident_memory_bytes", &[], "memory of the process", |s| known(s.process.resident_bytes)),
    counter("process_cpu_seconds_total", &[], "processor time of the process, seconds", |s| {
        known(s.process.cpu_seconds)
    }),
    gauge("process_open_fds", &[], "files and connections that the process has open", |s| {
        known(s.process.open_files)
    }),
    gauge("process_start_time_seconds", &[], "when the process began, seconds since 1970", |s| {
        known(s.process.start_seconds)
    }),
];
