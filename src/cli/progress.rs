//! One line on a terminal that shows how far something is; nothing where nobody looks.

use super::format::seconds;
use std::io::{IsTerminal as _, Write as _};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const REDRAW: Duration = Duration::from_millis(100);

/// A line on standard error, gone when dropped.
pub(crate) struct Progress {
    line: Option<(Sender<String>, JoinHandle<()>)>,
}

impl Progress {
    /// Begins to show what is done and the time that has passed of a limit in seconds. `wanted` = false shows
    /// nothing.
    pub(crate) fn start(wanted: bool, what: &str, limit_s: f64) -> Self {
        if !wanted || !std::io::stderr().is_terminal() {
            return Self { line: None };
        }
        let (sender, texts) = channel::<String>();
        let what = what.to_owned();
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            let mut text = "no plan yet".to_owned();
            loop {
                match texts.recv_timeout(REDRAW) {
                    Ok(newer) => text = newer,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break draw(""),
                }
                let passed = began.elapsed().as_secs_f64();
                draw(&format!("{what} {passed:.1} s of {}: {text}", seconds(limit_s)));
            }
        });
        Self { line: Some((sender, thread)) }
    }

    /// Shows this from now on.
    pub(crate) fn say(&self, text: String) {
        if let Some((sender, _)) = &self.line {
            // Refused only when the thread has ended, which it does last.
            let _ = sender.send(text);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.line.take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}

/// Shows a line in place of the one before.
pub(crate) fn draw(line: &str) {
    // A terminal of width 0 does not tell.
    let told = crossterm::terminal::size().ok().filter(|(columns, _)| *columns > 0);
    let width = told.map_or(80, |(columns, _)| usize::from(columns).max(20));
    let line: String = line.chars().take(width - 1).collect();
    let _ = write!(std::io::stderr().lock(), "\r\x1b[K{line}");
}
