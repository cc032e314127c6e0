//! The terminal: keys, changes of size and signals go in, frames come out. What is shown is decided elsewhere.

use super::data::Answer;
use super::fetch::fetch;
use super::frame::frame;
use super::keys::Key;
use super::state::{Input, State, Then};
use crate::cli::client::Server;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::paint::Paint;
use crate::cli::screen::Screen;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::io;
use std::pin::Pin;
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Between two frames where nothing happens: ages grow.
const REDRAW: Duration = Duration::from_millis(500);

/// A look that is under way, if one is.
type Look<A> = Option<Pin<Box<dyn Future<Output = A>>>>;

/// Shows the state until somebody quits. The terminal is as before when this returns, whatever it returns.
///
/// # Errors
/// The terminal cannot be written to. A coordinator that does not answer is none: it is asked again.
pub(super) async fn run(server: &Server, mut state: State, paint: Paint) -> Result<Exit, Failure> {
    let mut signals = Signals::new()?;
    let (hear, mut heard) = mpsc::unbounded_channel();
    let mut screen = Screen::open(paint, move |event| {
        // Refused only when nobody shows anything any more.
        let _ = hear.send(event);
    })?;
    let mut look: Look<Result<Answer, Failure>> = None;
    let mut next = Instant::now();
    loop {
        let (columns, lines) = Screen::size();
        let now = SystemTime::now();
        state.take(Input::Size(columns.into(), lines.into()), now);
        screen.draw((columns, lines), &frame(&state, now, columns.into(), lines.into()))?;
        let input = tokio::select! {
            answer = answer_of(&mut look) => {
                (look, next) = (None, Instant::now() + state.every);
                match answer {
                    Ok(answer) => Input::Answer(Box::new(answer)),
                    Err(failure) => Input::Failed(failure.message()),
                }
            }
            Some(event) = heard.recv() => match event {
                Event::Key(key) => match key_of(&key) {
                    Some(key) => Input::Key(key),
                    None => continue,
                },
                // The size is looked at for each frame.
                _ => continue,
            },
            () = tokio::time::sleep_until(next), if look.is_none() => {
                let server = server.clone();
                look = Some(Box::pin(async move { fetch(&server).await }));
                continue;
            }
            () = signals.any() => return Ok(Exit::Success),
            () = tokio::time::sleep(REDRAW) => continue,
        };
        match state.take(input, SystemTime::now()) {
            Then::Go => {}
            Then::Look => next = Instant::now(),
            Then::Quit => return Ok(Exit::Success),
        }
    }
}

/// Waits for the answer of a look; for ever where none is under way.
async fn answer_of<A>(look: &mut Look<A>) -> A {
    match look {
        Some(look) => look.await,
        None => std::future::pending().await,
    }
}

/// Those that ask to end.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> io::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Ok(Self([signal(interrupt)?, signal(terminate)?, signal(hangup)?]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// The key that was pressed, if it does anything.
fn key_of(event: &KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    Some(match event.code {
        KeyCode::Char('c') if control => Key::Interrupt,
        KeyCode::Char(_) if control || event.modifiers.contains(KeyModifiers::ALT) => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
