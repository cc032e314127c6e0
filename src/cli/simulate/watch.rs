//! `--watch`: the hosts and who plans for them, as a run goes on.

use super::show::progress;
use crate::cli::failure::Failure;
use crate::cli::format::count;
use crate::cli::line::Line;
use crate::cli::output::Output;
use crate::cli::paint::Tone;
use crate::cli::screen::{Screen, ends};
use crate::simulator::experiment::Scene;
use crate::simulator::world::{HostNow, HostState};
use crate::solving::Stop;
use std::time::{Duration, Instant};

/// Pictures a second.
const PICTURES: f64 = 10.0;
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A terminal that shows runs.
pub(super) struct Watch {
    screen: Screen,
    /// Virtual seconds of a second.
    speed: f64,
    began: Instant,
}

impl Watch {
    /// Takes the terminal; `q` and Ctrl-C stop.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn open(output: Output, speed: f64, stop: &Stop) -> Result<Self, Failure> {
        if output.is_json() || output.look.width.is_none() {
            let message = "--watch draws on a terminal, and standard output is none, or is to be JSON";
            return Err(Failure::bad_input(message).hint("Leave --watch out, or write JSON later."));
        }
        let stop = stop.clone();
        let heard = move |event| {
            if ends(&event) {
                stop.now();
            }
        };
        Ok(Self { screen: Screen::open(output.look.paint, heard)?, speed, began: Instant::now() })
    }

    /// Virtual seconds between two pictures.
    pub(super) fn every_s(&self) -> f64 {
        self.speed / PICTURES
    }

    /// The next run begins.
    pub(super) fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// Shows how a run is, and waits until it is time to go on.
    pub(super) fn show(&mut self, scene: &dyn Scene, name: &str, until: f64) -> Result<(), Failure> {
        let size = Screen::size();
        let took = self.began.elapsed();
        self.screen.draw(size, &picture(scene, name, until, took, (size.0.into(), size.1.into())))?;
        let due = Duration::from_secs_f64((scene.progress().now / self.speed).clamp(0.0, 1e9));
        let wait = due.saturating_sub(self.began.elapsed());
        // Whoever asks to stop does not wait long.
        std::thread::sleep(wait.min(Duration::from_millis(500)));
        Ok(())
    }
}

/// A picture of so many columns and lines.
fn picture(
    scene: &dyn Scene,
    name: &str,
    until: f64,
    took: Duration,
    (columns, lines): (usize, usize),
) -> Vec<Line> {
    let (hosts, groups) = (scene.hosts(), scene.groups());
    let mut group_of = vec![None; hosts.len()];
    for (number, group) in groups.iter().enumerate() {
        for host in group {
            group_of[host.index()] = Some(number);
        }
    }
    let columns = columns.max(20);
    // Around the hosts: two lines above them, four below.
    let each = hosts.len().div_ceil(columns * lines.saturating_sub(6).max(1)).max(1);
    let mut picture =
        vec![Line::default().text(progress(name, until, took, &scene.progress())), Line::default()];
    let cells: Vec<(Tone, char)> =
        hosts.chunks(each).zip(group_of.chunks(each)).map(|(hosts, groups)| cell(hosts, groups)).collect();
    for row in cells.chunks(columns) {
        picture.push(row.iter().fold(Line::default(), |line, (tone, sign)| line.toned(*tone, *sign)));
    }
    let sizes: Vec<String> = (groups.iter().enumerate())
        .map(|(number, group)| format!("{} {}", letter(number), count(group.len(), "host")))
        .collect();
    let said = if groups.is_empty() { "nobody plans".to_owned() } else { sizes.join(", ") };
    let shared = if each > 1 { format!("; {} a sign", count(each, "host")) } else { String::new() };
    picture.push(Line::default());
    picture.push(Line::default().text(format!("plans: {said}")));
    picture.push(Line::default().toned(
        Tone::Faint,
        format!("▁ to █ load, red over, · off, ✗ failed, letters: of a plan{shared}; q ends"),
    ));
    picture.into_iter().map(|line| line.cut(columns)).collect()
}

fn letter(group: usize) -> char {
    LETTERS.chars().nth(group % LETTERS.len()).unwrap_or('?')
}

/// What stands for some hosts: their plan before their load.
fn cell(hosts: &[HostNow], groups: &[Option<usize>]) -> (Tone, char) {
    let over = hosts.iter().any(HostNow::is_over);
    if let Some(group) = groups.iter().flatten().next() {
        return (if over { Tone::Bad } else { Tone::Busy }, letter(*group));
    }
    if hosts.iter().any(|host| host.state == HostState::Failed) {
        return (Tone::Bad, '✗');
    }
    let on = || hosts.iter().filter(|host| host.state == HostState::On);
    let sum = |of: fn(&HostNow) -> u32| on().map(|host| f64::from(of(host))).sum::<f64>();
    let (demand, cpu) = (sum(|host| host.demand), sum(|host| host.cpu));
    if cpu <= 0.0 {
        return (Tone::Faint, '·');
    }
    let share = (demand / cpu).clamp(0.0, 1.0);
    let sign = BARS[((share * 8.0) as usize).min(7)];
    (if over { Tone::Bad } else { Tone::Good }, sign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::experiment::{Experiment, watch};

    fn pictures(strategy: &str, size: (usize, usize)) -> Vec<String> {
        let text =
            format!("seconds = 700\n[hosts]\ncount = 32\ncpu = 6500\n[[run]]\nstrategy = '{strategy}'\n");
        let experiment = Experiment::from_toml(&text).unwrap();
        let mut seen = Vec::new();
        let run = &experiment.runs[0];
        watch(&experiment, run, 1.0, &mut |scene| {
            let lines = picture(scene, "x", 700.0, Duration::from_secs(1), size);
            assert!(lines.len() <= size.1 && lines.iter().all(|line| line.length() <= size.0));
            seen.push(lines.iter().map(|line| line.plain() + "\n").collect());
            true
        })
        .unwrap();
        seen
    }

    #[test]
    fn hosts_are_shown_with_their_load_and_their_plans() {
        for (strategy, hosts_of_a_plan) in [("dvms", 2..=9), ("dvms-classic", 2..=32), ("drs", 2..=32)] {
            let seen = pictures(strategy, (80, 20));
            // Where nothing happens in a second there is none.
            assert!((300..=700).contains(&seen.len()), "{strategy}: {}", seen.len());
            let row = |text: &String| text.lines().nth(2).unwrap().to_owned();
            assert!(seen.iter().all(|text| row(text).chars().count() == 32));
            assert!(seen.iter().any(|text| row(text).chars().any(|sign| BARS[4..].contains(&sign))));
            let planned = seen.iter().find(|text| row(text).contains('a')).unwrap();
            let of_a = row(planned).matches('a').count();
            assert!(hosts_of_a_plan.contains(&of_a), "{strategy}: {planned}");
            assert!(planned.contains(&format!("plans: a {of_a} hosts")), "{planned}");
            assert!(seen.iter().any(|text| text.contains("nobody plans")));
        }
    }

    #[test]
    fn hosts_share_signs_where_there_is_no_room() {
        let seen = pictures("none", (20, 7));
        let last = seen.last().unwrap();
        assert!(last.lines().nth(2).unwrap().chars().count() == 16, "{last}");
    }
}
