//! The terminal: frames drawn in place on the alternate screen, which is left as it was found however the
//! program ends.

use super::line::Line;
use super::paint::Paint;
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{
    self, BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate,
    EnterAlternateScreen, LeaveAlternateScreen,
};
use crossterm::{QueueableCommand as _, cursor};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A terminal is restored once.
static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();
/// Between two looks whether the keyboard is still to be watched.
const KEYBOARD_POLL: Duration = Duration::from_millis(50);
/// How long it is waited for that it is not any more.
const ENDS_WITHIN: Duration = Duration::from_millis(500);

/// The terminal, while it is taken.
pub(crate) struct Screen {
    paint: Paint,
    shown: Vec<String>,
    size: (u16, u16),
    keyboard: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Screen {
    /// Takes the terminal. `heard` is told, from a thread of its own, of keys and of changes of size.
    ///
    /// # Errors
    /// The terminal cannot be written to.
    pub(crate) fn open(paint: Paint, heard: impl Fn(Event) + Send + 'static) -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            // A message on the alternate screen would be gone with it.
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                before(panic);
            }));
        });
        TAKEN.store(true, Ordering::SeqCst);
        let mut screen = Self { paint, shown: Vec::new(), size: (0, 0), keyboard: None };
        // Without a keyboard signals still end what is shown.
        if terminal::enable_raw_mode().is_ok() {
            screen.keyboard = watch_keyboard(heard).ok();
        }
        let mut out = io::stdout().lock();
        out.queue(EnterAlternateScreen)?.queue(DisableLineWrap)?.queue(cursor::Hide)?;
        out.flush()?;
        Ok(screen)
    }

    /// Columns and lines.
    pub(crate) fn size() -> (u16, u16) {
        match terminal::size() {
            // Some terminals do not tell.
            Ok((columns, lines)) if columns > 0 && lines > 0 => (columns, lines),
            _ => (80, 24),
        }
    }

    /// Shows lines: only those that differ from what is shown are written, in one piece.
    ///
    /// # Errors
    /// The terminal cannot be written to.
    pub(crate) fn draw(&mut self, size: (u16, u16), lines: &[Line]) -> io::Result<()> {
        // Filled up with blanks, as clearing the rest of a full line would take its last character.
        let full = |line: &Line| line.clone().fill(size.0.into()).painted(self.paint);
        let lines: Vec<String> = lines.iter().map(full).collect();
        let mut out = Vec::new();
        out.queue(BeginSynchronizedUpdate)?;
        if self.size != size {
            self.size = size;
            self.shown.clear();
            out.queue(Clear(ClearType::All))?;
        }
        let mut changed = false;
        for (i, line) in lines.iter().enumerate().take(usize::from(size.1)) {
            if self.shown.get(i) != Some(line) {
                changed = true;
                let row = u16::try_from(i).unwrap_or(u16::MAX);
                out.queue(cursor::MoveTo(0, row))?;
                out.write_all(line.as_bytes())?;
            }
        }
        out.queue(EndSynchronizedUpdate)?;
        if changed {
            self.shown = lines;
            let mut stdout = io::stdout().lock();
            stdout.write_all(&out)?;
            stdout.flush()?;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some((done, thread)) = self.keyboard.take() {
            done.store(true, Ordering::SeqCst);
            // Of a terminal that is gone it reads the end for ever; it ends with the process then.
            let until = Instant::now() + ENDS_WITHIN;
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        restore();
    }
}

/// Gives the terminal back. What cannot be written then cannot be told either.
pub(crate) fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = Vec::new();
    let _ = out.queue(EndSynchronizedUpdate);
    let _ = out.queue(cursor::Show);
    let _ = out.queue(EnableLineWrap);
    let _ = out.queue(LeaveAlternateScreen);
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(&out);
    let _ = stdout.flush();
    let _ = terminal::disable_raw_mode();
}

/// Whether an event says to end: Ctrl-C (in raw mode a key like others), q and Escape.
pub(crate) fn ends(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    let end = control_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc);
    key.kind == KeyEventKind::Press && end
}

fn watch_keyboard(heard: impl Fn(Event) + Send + 'static) -> io::Result<(Arc<AtomicBool>, JoinHandle<()>)> {
    let done = Arc::new(AtomicBool::new(false));
    let ending = Arc::clone(&done);
    let watch = move || {
        while !ending.load(Ordering::SeqCst) {
            match event::poll(KEYBOARD_POLL) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(_) => return,
            }
            if let Ok(event) = event::read() {
                heard(event);
            }
        }
    };
    let thread = std::thread::Builder::new().name("keyboard".into()).spawn(watch)?;
    Ok((done, thread))
}
