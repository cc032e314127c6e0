//! The scene as lines for a screen of some size. Pure, so that it can be looked at in tests.

use super::news::{action_of, way};
use super::scene::{Scene, Tally, share_done, tally};
use crate::cli::bars::{bar, percent, share, tone_of_load};
use crate::cli::format::{count, safe, seconds};
use crate::cli::line::Line;
use crate::cli::paint::Tone;
use crate::record::{ActionState, AdminState, Connection, HostRecord, PlanRecord};

/// A smaller screen shows the upper left part.
const LEAST_WIDTH: usize = 60;
/// Of the lines below the hosts, how many news at the least.
const LEAST_NEWS: usize = 3;

/// Exactly `height` lines of at most `width` characters.
pub(super) fn frame(scene: &Scene, width: usize, height: usize) -> Vec<Line> {
    let wide = width.max(LEAST_WIDTH);
    let mut lines = vec![heading(scene, wide), columns(wide)];
    lines.extend(scene.hosts.values().map(|host| of_host(host, scene.overload, wide)));
    let left = height.saturating_sub(lines.len() + 1);
    let for_news = LEAST_NEWS.max(left * 2 / 5).min(left);
    let wanted = scene.plan().map_or(0, |plan| plan.actions.len() + 1);
    let for_moves = wanted.min(left - for_news);
    lines.extend(moves(scene, for_moves, wide));
    lines.extend(news(scene, left - for_moves, wide));
    lines.resize(height.saturating_sub(1), Line::default());
    let end = format!("{} · served at {} · Ctrl-C ends", scene.inventory, scene.address);
    lines.push(Line::default().toned(Tone::Faint, end));
    lines.truncate(height);
    lines.into_iter().map(|line| line.cut(width)).collect()
}

fn heading(scene: &Scene, width: usize) -> Line {
    let time = format!("{:>4.0} s", scene.time.as_secs_f64());
    let text = format!("dvms demo · {}", scene.act);
    let text: String = text.chars().take(width.saturating_sub(time.len() + 1)).collect();
    let gap = width.saturating_sub(text.chars().count() + time.len());
    Line::default().toned(Tone::Strong, text).text(" ".repeat(gap)).text(time)
}

/// Widths of the two bars.
fn bars(width: usize) -> (usize, usize) {
    // Name, state, two figures, VMs and migrations take 45.
    let both = width.saturating_sub(45);
    (both - both * 2 / 5, both * 2 / 5)
}

fn columns(width: usize) -> Line {
    let (cpu, memory) = bars(width);
    let text = format!(
        "{:<7}{:<10}{:<cpu$}{:>7}  {:<memory$}{:>7}{:>5}{:>6}",
        "host", "state", "cpu", "", "memory", "", "VMs", "moves"
    );
    Line::default().toned(Tone::Faint, text.trim_end())
}

fn of_host(host: &HostRecord, overload: f64, width: usize) -> Line {
    let (cpu_width, memory_width) = bars(width);
    let part = |resource: &str| {
        let amount =
            |amounts: &std::collections::BTreeMap<String, i64>| amounts.get(resource).copied().unwrap_or(0);
        share(amount(&host.expected), amount(&host.usable))
    };
    let (cpu, memory) = (part("cpu"), part("memory"));
    let (tone, state) = state(host);
    let name: String = safe(&host.name).chars().take(6).collect();
    let line = Line::default().text(format!("{name:<7}"));
    let line = match tone {
        Some(tone) => line.toned(tone, format!("{state:<10}")),
        None => line.text(format!("{state:<10}")),
    };
    let line =
        line.toned(tone_of_load(cpu, overload), bar(cpu, cpu_width)).text(format!("{:>7}", percent(cpu)));
    let line = line.text("  ").toned(tone_of_load(memory, 1.0), bar(memory, memory_width));
    let line = line.text(format!("{:>7}{:>5}", percent(memory), host.vm_count));
    if host.migrations == 0 { line } else { line.toned(Tone::Busy, format!("{:>6}", host.migrations)) }
}

fn state(host: &HostRecord) -> (Option<Tone>, &'static str) {
    let is = |condition: &str| host.conditions.iter().any(|name| name == condition);
    match (host.connection, host.state) {
        (Connection::Failed, _) => (Some(Tone::Bad), "failed"),
        (Connection::Lost, _) => (Some(Tone::Warning), "lost"),
        (_, AdminState::Draining) if host.vm_count == 0 => (Some(Tone::Good), "drained"),
        (_, AdminState::Draining) => (Some(Tone::Warning), "draining"),
        (_, AdminState::Cordoned) => (Some(Tone::Warning), "cordoned"),
        (_, AdminState::Online) if is("OVERLOAD") => (Some(Tone::Bad), "overload"),
        (_, AdminState::Online) if host.vm_count == 0 => (Some(Tone::Good), "free"),
        (_, AdminState::Online) if is("UNDERLOAD") => (Some(Tone::Faint), "underload"),
        (_, AdminState::Online) => (None, "online"),
    }
}

/// The plan under way: a headline, then its moves with their reasons; those in flight first.
fn moves(scene: &Scene, height: usize, width: usize) -> Vec<Line> {
    let Some(plan) = scene.plan().filter(|_| height > 0) else { return Vec::new() };
    let mut lines = vec![headline(scene, plan, width)];
    let order = |state: ActionState| match state {
        ActionState::Running | ActionState::Uncertain => 0,
        ActionState::Sent => 1,
        ActionState::Waiting => 2,
        ActionState::Failed | ActionState::Skipped => 3,
        ActionState::Done => 4,
    };
    let mut actions: Vec<_> = plan.actions.iter().collect();
    // Of those that are done the last ones.
    actions.sort_by_key(|status| {
        (order(status.state), if order(status.state) == 4 { status.ended } else { None })
    });
    let rest = actions.partition_point(|status| order(status.state) < 4);
    actions[rest..].reverse();
    for status in actions.into_iter().take(height - 1) {
        let Some(action) = action_of(plan, status.action_id) else { continue };
        let part = share_done(status);
        let (tone, word) = match status.state {
            ActionState::Waiting => (Tone::Faint, "waits".to_owned()),
            ActionState::Sent => (Tone::Busy, "sent".to_owned()),
            ActionState::Running => (Tone::Busy, percent(part)),
            ActionState::Uncertain => (Tone::Warning, "unclear".to_owned()),
            ActionState::Done => (Tone::Good, "done".to_owned()),
            ActionState::Failed => (Tone::Bad, "FAILED".to_owned()),
            ActionState::Skipped => (Tone::Bad, "skipped".to_owned()),
        };
        let line = Line::default().text(format!("  {:<24}", safe(&way(action))));
        let line = line.toned(tone, format!("{} {word:<7}", bar(part, 8)));
        lines.push(line.text(" ").toned(Tone::Faint, safe(&action.because)));
    }
    lines.resize(height, Line::default());
    lines
}

fn headline(scene: &Scene, plan: &PlanRecord, width: usize) -> Line {
    let Tally { done, moving, waiting, failed } = tally(plan);
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    let counts = if plan.state.is_terminal() {
        let took = plan.ended.and_then(|ended| ended.duration_since(plan.created).ok());
        let took = took.map_or(String::new(), |took| format!(" after {}", seconds(took.as_secs_f64())));
        format!("{} done{failed}{took}", count(done, "move"))
    } else {
        format!("{done} done, {moving} moving, {waiting} waiting{failed}")
    };
    let status = plan.plan.as_ref().map_or("", |plan| plan.status.name());
    let text = format!(" plan {} · {} · {status} · {counts} ", scene.number(&plan.id), safe(&plan.trigger));
    rule(&text, width)
}

fn news(scene: &Scene, height: usize, width: usize) -> Vec<Line> {
    if height == 0 {
        return Vec::new();
    }
    let mut lines = vec![rule(" events ", width)];
    let shown: Vec<_> = scene.news.iter().filter(|(_, news)| !news.of_a_move).collect();
    for (time, news) in &shown[shown.len().saturating_sub(height - 1)..] {
        let time = Line::default().toned(Tone::Faint, format!("{:>5.1} s  ", time.as_secs_f64()));
        lines.push(time.append(news.line.clone()));
    }
    lines.resize(height, Line::default());
    lines
}

/// A line across the screen with a text in it.
fn rule(text: &str, width: usize) -> Line {
    let text: String = text.chars().take(width.saturating_sub(4)).collect();
    let rest = width.saturating_sub(text.chars().count() + 2);
    let line = Line::default().toned(Tone::Faint, "──").toned(Tone::Strong, text);
    line.toned(Tone::Faint, "─".repeat(rest))
}
