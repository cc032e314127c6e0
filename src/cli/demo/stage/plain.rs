//! The same for files and pipes: lines that are never taken back.

use super::news::{action_of, way};
use super::scene::{Scene, share_done, tally};
use crate::cli::bars::{percent, share};
use crate::cli::format::safe;
use crate::cli::line::Line;
use crate::record::{ActionState, AdminState, HostRecord};

/// Moves in flight that are named in a line of progress.
const NAMED: usize = 4;
/// Characters of a bar.
const BAR: usize = 20;

/// A line with the time before it.
pub(super) fn timed(seconds: f64, line: &Line) -> String {
    format!("[{seconds:>5.1} s] {}", line.plain())
}

/// Each host in a line, with bars that every program can show.
pub(super) fn hosts(scene: &Scene) -> Vec<String> {
    scene.hosts.values().map(|host| of_host(host)).collect()
}

fn of_host(host: &HostRecord) -> String {
    let part = |resource: &str| {
        let (used, usable) = (host.expected.get(resource), host.usable.get(resource));
        share(used.copied().unwrap_or(0), usable.copied().unwrap_or(0))
    };
    let (cpu, memory) = (part("cpu"), part("memory"));
    let mut state = match host.state {
        AdminState::Online => String::new(),
        AdminState::Draining => "  draining".to_owned(),
        AdminState::Cordoned => "  cordoned".to_owned(),
    };
    for condition in &host.conditions {
        state.push_str("  ");
        state.push_str(condition);
    }
    format!(
        "  {:<6} cpu [{}] {:>5}  memory [{}] {:>5}  {:>3} VMs{state}",
        safe(&host.name),
        bar(cpu),
        percent(cpu),
        bar(memory),
        percent(memory),
        host.vm_count
    )
}

fn bar(share: f64) -> String {
    let full = (share.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    format!("{}{}", "#".repeat(full), ".".repeat(BAR - full))
}

/// How the plan under way stands; `None` where nothing moves.
pub(super) fn progress(scene: &Scene) -> Option<Line> {
    let plan = scene.plan().filter(|plan| !plan.state.is_terminal())?;
    let moving = plan.actions.iter().filter(|status| status.state == ActionState::Running);
    let named: Vec<_> = moving
        .filter_map(|status| {
            let action = action_of(plan, status.action_id)?;
            Some(format!("{} {}", safe(&way(action)), percent(share_done(status))))
        })
        .take(NAMED)
        .collect();
    let counts = tally(plan);
    if named.is_empty() {
        return None;
    }
    let more = counts.moving.saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(Line::default().text(format!(
        "plan {}  {} of {} moves done, under way {}{more}",
        scene.number(&plan.id),
        counts.done,
        plan.actions.len(),
        named.join(", ")
    )))
}
