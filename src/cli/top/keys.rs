//! What keys do. Pure.

use super::frame;
use super::state::{Pane, State, Then};
use std::time::SystemTime;

/// A key, as far as any does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Escape,
    Backspace,
    Tab,
    BackTab,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    /// Ctrl-C.
    Interrupt,
}

impl State {
    /// A key was pressed.
    pub(super) fn press(&mut self, key: Key, now: SystemTime) -> Then {
        if key == Key::Interrupt {
            return Then::Quit;
        }
        if self.view.typed.is_some() {
            self.type_filter(key);
            self.stay_within(now);
            return Then::Go;
        }
        if std::mem::take(&mut self.view.help) && matches!(key, Key::Char('?') | Key::Escape) {
            return Then::Go;
        }
        match key {
            Key::Char('q') => return Then::Quit,
            Key::Char('r') => return Then::Look,
            Key::Char('?') => self.view.help = true,
            Key::Char('/') => self.view.typed = Some(self.view.filter.clone()),
            Key::Char('s') => {
                self.view.sort = self.view.sort.next();
                self.view.above[Pane::Hosts as usize] = 0;
            }
            Key::Char(digit @ '1'..='5') => {
                self.view.pane = Pane::ALL[digit as usize - '1' as usize];
            }
            Key::Tab => self.view.pane = self.view.pane.next(1),
            Key::BackTab => self.view.pane = self.view.pane.next(Pane::ALL.len() - 1),
            Key::Escape => self.view.filter.clear(),
            Key::Up => self.scroll(now, |above, _| above.saturating_sub(1)),
            Key::Down => self.scroll(now, |above, _| above.saturating_add(1)),
            Key::PageUp => self.scroll(now, usize::saturating_sub),
            Key::PageDown => self.scroll(now, usize::saturating_add),
            Key::Home => self.scroll(now, |_, _| 0),
            Key::End => self.scroll(now, |_, _| usize::MAX),
            Key::Char(_) | Key::Enter | Key::Backspace | Key::Interrupt => {}
        }
        self.stay_within(now);
        Then::Go
    }

    fn type_filter(&mut self, key: Key) {
        let Some(mut typed) = self.view.typed.take() else { return };
        match key {
            Key::Enter => {
                self.view.filter = typed;
                return;
            }
            Key::Escape => return,
            Key::Backspace => _ = typed.pop(),
            Key::Char(c) if !c.is_control() => typed.push(c),
            _ => {}
        }
        self.view.typed = Some(typed);
    }

    /// Moves what is shown of the pane: `to` takes the lines above it and those of a page.
    fn scroll(&mut self, now: SystemTime, to: impl Fn(usize, usize) -> usize) {
        let page = frame::room(self, now).saturating_sub(1).max(1);
        let above = &mut self.view.above[self.view.pane as usize];
        *above = to(*above, page);
    }

    /// No further down than to the last line.
    pub(super) fn stay_within(&mut self, now: SystemTime) {
        let most = frame::length(self, now).saturating_sub(frame::room(self, now));
        let above = &mut self.view.above[self.view.pane as usize];
        *above = (*above).min(most);
    }
}
