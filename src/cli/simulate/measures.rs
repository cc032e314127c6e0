//! What is in tables of several experiments: the measures that people look at, and how they are written. The JSON form has all.

use crate::cli::format::figure;

/// A measure.
pub(super) struct Measure {
    /// As it is called in tables.
    pub(super) name: &'static str,
    /// In the JSON form of a report.
    pub(super) path: &'static str,
    factor: f64,
    form: Form,
}

enum Form {
    Whole,
    Figure,
    Fine,
    Scientific,
}

const fn measure(name: &'static str, path: &'static str, form: Form) -> Measure {
    Measure { name, path, factor: 1.0, form }
}

/// In the order of the tables of a report.
pub(super) static MEASURES: [Measure; 29] = [
    measure("violations", "violations.all.count", Form::Whole),
    measure("violation time, host-s", "violations.all.total", Form::Figure),
    measure("each, s", "violations.all.mean", Form::Figure),
    measure("until known, s", "violations.to_detect.mean", Form::Figure),
    measure("known, s", "violations.detected.mean", Form::Figure),
    measure("plans", "rounds.plan.count", Form::Whole),
    measure("no plan", "rounds.no_plan.count", Form::Whole),
    measure("hosts of a plan", "rounds.partition.mean", Form::Figure),
    Measure { factor: 1e3, ..measure("compute, ms", "rounds.plan.mean", Form::Figure) },
    measure("apply, s", "rounds.apply.mean", Form::Figure),
    measure("migrations", "migrations.done.count", Form::Whole),
    measure("each migration, s", "migrations.done.mean", Form::Figure),
    measure("failed migrations", "migrations.failed", Form::Whole),
    measure("ping-pong", "migrations.ping_pong", Form::Whole),
    measure("active hosts", "usage.active_hosts", Form::Figure),
    measure("energy, kWh", "usage.energy_kwh", Form::Fine),
    Measure { factor: 100.0, ..measure("SLATAH, %", "usage.slatah", Form::Fine) },
    Measure { factor: 100.0, ..measure("PDM, %", "pdm", Form::Fine) },
    measure("ESV", "esv", Form::Scientific),
    measure("lost VM-s", "usage.lost_vm_s", Form::Figure),
    measure("lack, core-s", "fairness.lack_core_s", Form::Figure),
    measure("fairness of lack", "fairness.vms_lack", Form::Fine),
    measure("fairness of load", "fairness.hosts_load", Form::Fine),
    measure("late after faults, s", "violations.settling.mean", Form::Figure),
    Measure { factor: 1.0 / 1024.0, ..measure("most state, KiB", "memory.busiest_bytes", Form::Figure) },
    Measure { factor: 1.0 / 1024.0, ..measure("state, KiB", "memory.mean_bytes", Form::Figure) },
    measure("messages a host and s", "traffic.messages_per_host_s", Form::Figure),
    measure("messages", "traffic.messages", Form::Whole),
    measure("at the busiest", "traffic.busiest_messages", Form::Whole),
];

impl Measure {
    /// The same of a mean or a deviation: of whole numbers that is none.
    pub(super) fn mean_text(&self, value: f64) -> String {
        match self.form {
            Form::Whole => figure(value * self.factor),
            _ => self.text(value),
        }
    }

    /// As it is written.
    pub(super) fn text(&self, value: f64) -> String {
        let value = value * self.factor;
        match self.form {
            Form::Whole => format!("{value:.0}"),
            Form::Figure => figure(value),
            Form::Fine => format!("{value:.4}"),
            Form::Scientific => format!("{value:.3e}"),
        }
    }
}

/// The one with this path.
pub(super) fn called(path: &str) -> Option<&'static Measure> {
    MEASURES.iter().find(|measure| measure.path == path)
}

/// How much more, or less, in per cent; `None` where that is no number.
pub(super) fn change(first: f64, other: f64) -> Option<f64> {
    if (first - other).abs() <= 0.0 {
        return Some(0.0);
    }
    Some((other / first - 1.0) * 100.0).filter(|change| change.is_finite())
}

/// A change as it is written: `+3.2 %`.
pub(super) fn signed(change: f64) -> String {
    if change.abs() < 0.05 { "±0 %".to_owned() } else { format!("{change:+.1} %") }
}
