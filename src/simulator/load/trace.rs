//! What real VMs needed, as it was recorded.

use super::{Load, Need, Needs};
use crate::simulator::engine::Life;
use crate::simulator::ids::VmId;
use crate::simulator::queue::Queue;

/// A recorded load.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// Of each VM.
    pub rows: Vec<Row>,
}

/// Of one VM.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// What it was called.
    pub name: String,
    /// Milli-cores, where the trace tells.
    pub cpu: Option<u32>,
    /// MiB, where the trace tells.
    pub memory: Option<u32>,
    /// Seconds since the begin of the trace, and percent from then on; one at least, in order of time.
    pub points: Vec<(f64, f32)>,
    /// When it was no more, if it did not stay to the end.
    pub ends: Option<f64>,
}

/// A file of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Its path, as people are told.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Why a file is no trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFault {
    /// The file.
    pub file: String,
    /// From 1; `None` where it is not about a line.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl Text {
    pub(super) fn fault(&self, line: Option<usize>, message: impl Into<String>) -> TextFault {
        TextFault { file: self.name.clone(), line, message: message.into() }
    }

    /// Its lines with their numbers, but for empty ones.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines()).filter(|(_, line)| !line.trim().is_empty())
    }
}

/// A figure of percent.
pub(super) fn percent(text: &str) -> Result<f32, String> {
    match text.trim().parse::<f32>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        Ok(percent) => Err(format!("{percent} is not between 0 and 100")),
        Err(_) => Err(format!("{:?} is no number of percent", text.trim())),
    }
}

/// The trace without those after the first `vms`; what is the same as before is no event.
impl Load for Trace {
    fn needs(&self, vms: u32, until: f64, _: u64) -> Needs {
        let rows: Vec<Vec<(f64, f32)>> = self.rows.iter().take(vms as usize).map(changes).collect();
        let mut queue = Queue::default();
        for (vm, row) in (0_u32..).zip(&rows) {
            if let Some((time, _)) = row.first() {
                queue.push(*time, (vm, 0_usize));
            }
        }
        Box::new(std::iter::from_fn(move || {
            let (time, (vm, at)) = queue.pop().filter(|(time, _)| *time < until)?;
            let row = &rows[vm as usize];
            if let Some((next, _)) = row.get(at + 1) {
                queue.push(*next, (vm, at + 1));
            }
            Some(Need { time, vm, percent: row[at].1.into() })
        }))
    }

    fn lives(&self, vms: u32, until: f64, _: u64) -> Vec<Life> {
        let mut lives = Vec::new();
        for (number, row) in (0..vms).zip(&self.rows) {
            let life = |time: f64, comes: bool| Life { time, vm: VmId(number), comes };
            let comes = row.points.first().map(|(time, _)| *time).filter(|time| *time > 0.0);
            lives.extend(comes.map(|time| life(time, true)));
            lives.extend(row.ends.map(|time| life(time, false)));
        }
        lives.retain(|life| life.time < until);
        lives.sort_by(|a, b| a.time.total_cmp(&b.time).then(a.vm.cmp(&b.vm)));
        lives
    }
}

fn changes(row: &Row) -> Vec<(f64, f32)> {
    let mut changes = row.points.clone();
    changes.dedup_by(|next, before| next.1.total_cmp(&before.1).is_eq());
    changes
}
