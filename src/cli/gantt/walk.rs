//! Going through the steps of a plan in a terminal, by keys.

use super::marks::Marks;
use super::steps;
use crate::cli::table::Look;
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{QueueableCommand as _, cursor};
use dvms_solver::timeline::Timeline;
use std::io::{self, Write as _};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Next,
    Previous,
    First,
    Last,
    Quit,
}

fn wish(key: KeyEvent) -> Option<Wish> {
    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        _ if key.kind == KeyEventKind::Release => return None,
        _ if control_c => Wish::Quit,
        KeyCode::Char('q') | KeyCode::Esc => Wish::Quit,
        KeyCode::Char('n' | ' ') | KeyCode::Right | KeyCode::Down | KeyCode::Enter => Wish::Next,
        KeyCode::Char('p') | KeyCode::Left | KeyCode::Up | KeyCode::Backspace => Wish::Previous,
        KeyCode::Home => Wish::First,
        KeyCode::End => Wish::Last,
        _ => return None,
    })
}

/// The step that follows; `None` = enough.
fn follow(at: usize, steps: usize, wish: Wish) -> Option<usize> {
    match wish {
        Wish::Next => Some((at + 1).min(steps - 1)),
        Wish::Previous => Some(at.saturating_sub(1)),
        Wish::First => Some(0),
        Wish::Last => Some(steps - 1),
        Wish::Quit => None,
    }
}

/// The terminal, while it is taken; given back however the walk ends.
struct Taken;

impl Taken {
    fn new() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let taken = Self;
        let mut out = io::stdout().lock();
        out.queue(EnterAlternateScreen)?.queue(cursor::Hide)?.flush()?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut out = Vec::new();
        let _ = out.queue(cursor::Show).and_then(|out| out.queue(LeaveAlternateScreen));
        // What cannot be written cannot be told either.
        let _ = io::stdout().lock().write_all(&out);
        let _ = terminal::disable_raw_mode();
    }
}

/// Shows step after step until it is enough.
///
/// # Errors
/// The terminal cannot be read or written.
pub(super) fn walk(timeline: &Timeline, look: Look, marks: Marks) -> io::Result<()> {
    let steps = timeline.steps.len();
    if steps == 0 {
        return Ok(());
    }
    let _taken = Taken::new()?;
    let mut at = 0;
    loop {
        draw(timeline, at, look, marks)?;
        let wish = loop {
            match event::read()? {
                Event::Key(key) => {
                    if let Some(wish) = wish(key) {
                        break wish;
                    }
                }
                Event::Resize(..) => draw(timeline, at, look, marks)?,
                _ => {}
            }
        };
        match follow(at, steps, wish) {
            Some(next) => at = next,
            None => return Ok(()),
        }
    }
}

fn draw(timeline: &Timeline, at: usize, look: Look, marks: Marks) -> io::Result<()> {
    let lines = terminal::size().map_or(24, |(_, lines)| usize::from(lines)).max(8);
    let step = steps::one(timeline, at, look, marks);
    let room = lines.saturating_sub(step.lines().count() + 4);
    let hosts = steps::hosts(timeline, at, look, room);
    let keys = "n next  p previous  Home first  End last  q quit";
    let mut out = Vec::new();
    out.queue(cursor::MoveTo(0, 0))?.queue(Clear(ClearType::All))?;
    for line in step.lines().chain([""]).chain(hosts.lines()).take(lines - 2).chain(["", keys]) {
        write!(out, "{line}\r\n")?;
    }
    // The last line break would move all up.
    out.truncate(out.len() - 2);
    let mut stdout = io::stdout().lock();
    stdout.write_all(&out)?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_to_and_fro_and_stay_within() {
        let press = |code| wish(KeyEvent::new(code, KeyModifiers::NONE));
        assert_eq!(press(KeyCode::Char('n')), Some(Wish::Next));
        assert_eq!(press(KeyCode::Char('p')), Some(Wish::Previous));
        assert_eq!(press(KeyCode::Char('q')), Some(Wish::Quit));
        assert_eq!(press(KeyCode::Char('c')), None);
        assert_eq!(wish(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Some(Wish::Quit));
        assert_eq!((follow(0, 3, Wish::Previous), follow(2, 3, Wish::Next)), (Some(0), Some(2)));
        assert_eq!((follow(0, 3, Wish::Next), follow(0, 3, Wish::Last)), (Some(1), Some(2)));
        assert_eq!((follow(2, 3, Wish::First), follow(1, 3, Wish::Quit)), (Some(0), None));
    }
}
