//! Which bar stands where: in the row of a host or of a VM, bars that overlap under each other.

use dvms_solver::file::ActionKind;
use dvms_solver::timeline::{Bar, Timeline};
use std::collections::BTreeMap;

/// Whose rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum By {
    /// A row for each host: what leaves it, what is started on it
    #[default]
    Host,
    /// A row for each VM
    Vm,
}

/// A row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Name of the host or VM.
    pub(super) name: String,
    /// Positions of bars, those of a track one after the other.
    pub(super) tracks: Vec<Vec<usize>>,
}

/// Rows, the first to begin first.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Rows {
    pub(super) list: Vec<Row>,
    /// Rows for which there is no room: those with the least to do.
    pub(super) left_out: usize,
    /// Actions in them.
    pub(super) left_out_actions: usize,
}

/// Whom a bar's row belongs to. A host that is switched has a row among VMs, too.
fn owner(timeline: &Timeline, bar: &Bar, by: By) -> String {
    let host = || bar.lane().map_or(String::new(), |host| timeline.hosts[host].name.clone());
    match by {
        By::Vm if !bar.action.vm.is_empty() => bar.action.vm.clone(),
        By::Vm | By::Host => host(),
    }
}

/// From when to when a bar takes its place, planned or real.
fn extent(timeline: &Timeline, bar: &Bar) -> (f64, f64) {
    let (start, end) = (bar.action.start_s, bar.action.end_s);
    match real(timeline, bar) {
        Some((from, to)) => (start.min(from), end.max(to)),
        None => (start, end),
    }
}

/// From when to when an action really runs.
pub(super) fn real(timeline: &Timeline, bar: &Bar) -> Option<(f64, f64)> {
    let real = bar.real.as_ref()?;
    let start = real.start_s?;
    Some((start, real.end_s.or(timeline.real_s).unwrap_or(start).max(start)))
}

/// All rows, or with so many tracks the busiest ones.
pub(super) fn rows(timeline: &Timeline, by: By, most_tracks: usize) -> Rows {
    let mut owners: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, bar) in timeline.actions.iter().enumerate() {
        owners.entry(owner(timeline, bar, by)).or_default().push(i);
    }
    let bars = |list: &[usize]| list.iter().map(|i| &timeline.actions[*i]).collect::<Vec<_>>();
    let mut all: Vec<(f64, f64, Row)> = (owners.into_iter())
        .map(|(name, list)| {
            let first = bars(&list).iter().map(|bar| bar.action.start_s).fold(f64::INFINITY, f64::min);
            let busy: f64 = bars(&list).iter().map(|bar| bar.action.end_s - bar.action.start_s).sum();
            (busy, first, Row { name, tracks: packed(timeline, list) })
        })
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.total_cmp(&b.1)).then(a.2.name.cmp(&b.2.name)));
    let (mut kept, mut tracks) = (0, 0);
    for (_, _, row) in &all {
        tracks += row.tracks.len();
        // One row there is, however high it is.
        if kept > 0 && tracks > most_tracks {
            break;
        }
        kept += 1;
    }
    let left: Vec<_> = all.drain(kept..).collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.2.name.cmp(&b.2.name)));
    Rows {
        left_out: left.len(),
        left_out_actions: left.iter().flat_map(|(_, _, row)| &row.tracks).map(Vec::len).sum(),
        list: all.into_iter().map(|(_, _, row)| row).collect(),
    }
}

fn packed(timeline: &Timeline, mut list: Vec<usize>) -> Vec<Vec<usize>> {
    let of = |i: usize| extent(timeline, &timeline.actions[i]);
    list.sort_by(|a, b| of(*a).0.total_cmp(&of(*b).0).then(a.cmp(b)));
    let mut tracks: Vec<(f64, Vec<usize>)> = Vec::new();
    for i in list {
        let (start, end) = of(i);
        match tracks.iter_mut().find(|(until, _)| *until <= start + 1e-6) {
            Some((until, track)) => {
                *until = end;
                track.push(i);
            }
            None => tracks.push((end, vec![i])),
        }
    }
    tracks.into_iter().map(|(_, track)| track).collect()
}

/// What a bar is called, with an arrow between hosts: the VM and its way, what is done with the host.
pub(super) fn label(bar: &Bar, by: By, arrow: &str) -> String {
    let action = &bar.action;
    match (action.kind, by) {
        (ActionKind::Migrate, By::Host) => {
            format!("{} {}{arrow}{}", action.vm, action.source, action.destination)
        }
        (ActionKind::Migrate, By::Vm) => format!("{}{arrow}{}", action.source, action.destination),
        (ActionKind::Start, By::Host) => format!("start {} {arrow}{}", action.vm, action.destination),
        (ActionKind::Start, By::Vm) => format!("start {arrow}{}", action.destination),
        (ActionKind::Boot, _) => format!("boot {}", action.destination),
        (ActionKind::Shutdown, _) => format!("shutdown {}", action.source),
    }
}

/// An action in a sentence: `web1 h1 → h2`.
pub(super) fn named(bar: &Bar, arrow: &str) -> String {
    label(bar, By::Host, &format!(" {arrow} ")).replace("  ", " ")
}
