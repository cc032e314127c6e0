//! Screens as they were reviewed, and what answers and keys change of them. With `DVMS_BLESS` set the screens are
//! written anew.

mod sample;

use super::data::Answer;
use super::frame::frame;
use super::keys::Key;
use super::once;
use super::state::{Input, Pane, Sort, State, Then};
use crate::cli::line::Line;
use crate::cli::paint::{ColorChoice, Paint};
use crate::cli::table::Look;
use sample::{NOW, answer, at};
use std::time::Duration;

fn state(columns: usize, lines: usize) -> State {
    let mut state = State::new("http://10.0.1.1:7600", Duration::from_secs(2));
    state.take(Input::Size(columns, lines), at(NOW));
    state.take(Input::Answer(Box::new(answer())), at(NOW));
    state
}

fn press(state: &mut State, keys: &[Key]) {
    for key in keys {
        assert_eq!(state.take(Input::Key(*key), at(NOW)), Then::Go, "{key:?}");
    }
}

fn typed(text: &str) -> Vec<Key> {
    text.chars().map(Key::Char).collect()
}

/// The screen, a second later.
fn screen(state: &State) -> String {
    let (columns, lines) = state.size;
    let frame = frame(state, at(NOW + 1), columns, lines);
    assert_eq!(frame.len(), lines);
    let plain = |line: &Line| {
        assert!(line.length() <= columns, "{} of {columns}: {:?}", line.length(), line.plain());
        format!("{}\n", line.plain().trim_end())
    };
    frame.iter().map(plain).collect()
}

fn is_as_reviewed(name: &str, shown: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/top/tests").join(name);
    if std::env::var_os("DVMS_BLESS").is_some() {
        std::fs::write(&path, shown).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(shown, reviewed, "{name} is another now; if it is right, run this again with DVMS_BLESS=1");
}

#[test]
fn screens_are_as_reviewed() {
    for (columns, lines) in [(80, 24), (120, 40), (40, 12)] {
        for pane in Pane::ALL {
            let mut state = state(columns, lines);
            press(&mut state, &typed(&(pane as usize + 1).to_string()));
            is_as_reviewed(&format!("{columns}x{lines}-{}.txt", pane.name()), &screen(&state));
        }
        let mut state = state(columns, lines);
        press(&mut state, &[Key::Char('?')]);
        is_as_reviewed(&format!("{columns}x{lines}-help.txt"), &screen(&state));
    }
}

#[test]
fn a_screen_of_any_size_is_filled_and_not_more() {
    for columns in [1, 7, 20, 39, 79, 81, 200] {
        for lines in [1, 2, 5, 9, 30] {
            for pane in Pane::ALL {
                let mut state = state(columns, lines);
                press(&mut state, &typed(&(pane as usize + 1).to_string()));
                press(&mut state, &[Key::End, Key::PageUp, Key::Down]);
                screen(&state);
                state.take(Input::Failed("gone".into()), at(NOW));
                screen(&state);
            }
        }
    }
}

#[test]
fn a_coordinator_that_goes_away_is_told_with_the_age_of_what_is_shown() {
    let mut asks = State::new("east:7600", Duration::from_secs(2));
    assert!(screen(&asks).contains("asks"));
    asks.take(Input::Failed("connection refused".into()), at(NOW));
    assert!(screen(&asks).contains("nothing is known"));

    let mut state = state(80, 24);
    assert!(screen(&state).contains("1 s old"));
    state.take(Input::Failed("connection refused".into()), at(NOW + 2));
    state.take(Input::Failed("no route\u{1b}[2J".into()), at(NOW + 4));
    let frame = frame(&state, at(NOW + 64), 80, 24);
    let shown: Vec<String> = frame.iter().map(Line::plain).collect();
    assert!(shown[0].contains("DATA 64 s OLD"), "{shown:?}");
    assert!(shown[1].starts_with("NO ANSWER for 62 s: no route\u{FFFD}[2J"), "{shown:?}");
    assert!(shown.iter().any(|line| line.contains("web-01")), "what was known is still there: {shown:?}");
    // It is back.
    state.take(Input::Answer(Box::new(answer())), at(NOW + 65));
    assert!(!screen(&state).contains("NO ANSWER"));
}

#[test]
fn keys_choose_what_is_shown() {
    let mut state = state(80, 24);
    press(&mut state, &[Key::Tab, Key::Tab]);
    assert_eq!(state.view.pane, Pane::Plans);
    press(&mut state, &[Key::BackTab, Key::BackTab, Key::BackTab]);
    assert_eq!(state.view.pane, Pane::Events);
    press(&mut state, &typed("1s"));
    assert_eq!((state.view.pane, state.view.sort), (Pane::Hosts, Sort::Name));
    let first = |state: &State| {
        let shown = screen(state);
        let at = shown.lines().position(|line| line.starts_with("HOST")).unwrap();
        shown.lines().nth(at + 1).unwrap().split(' ').next().unwrap().to_owned()
    };
    assert_eq!(first(&state), "db-01");
    press(&mut state, &typed("s"));
    assert_eq!((state.view.sort, first(&state).as_str()), (Sort::Vms, "web-04"));
    press(&mut state, &typed("s"));
    assert_eq!((state.view.sort, first(&state).as_str()), (Sort::Moves, "web-01"));
    press(&mut state, &typed("s"));
    assert_eq!((state.view.sort, first(&state).as_str()), (Sort::Trouble, "web-03"));
    press(&mut state, &typed("s"));
    assert_eq!((state.view.sort, first(&state).as_str()), (Sort::Load, "web-01"));

    // Help goes with the next key, which does what it does.
    press(&mut state, &typed("?"));
    assert!(screen(&state).contains("another pane"));
    press(&mut state, &typed("2"));
    assert!(!screen(&state).contains("another pane") && state.view.pane == Pane::Partitions);
    assert_eq!(state.take(Input::Key(Key::Char('r')), at(NOW)), Then::Look);
    assert_eq!(state.take(Input::Key(Key::Char('q')), at(NOW)), Then::Quit);
    assert_eq!(state.take(Input::Key(Key::Interrupt), at(NOW)), Then::Quit);
}

#[test]
fn a_filter_is_typed_taken_and_left() {
    let mut state = state(80, 24);
    press(&mut state, &typed("/rack=Bq"));
    assert!(screen(&state).contains("/rack=Bq_"), "q is a letter there");
    press(&mut state, &[Key::Backspace, Key::Enter]);
    let shown = screen(&state);
    assert!(shown.contains("only /rack=B") && shown.contains("web-02"), "{shown}");
    assert!(!shown.contains("web-01"), "{shown}");
    // Left as it was.
    press(&mut state, &typed("/zzz"));
    press(&mut state, &[Key::Escape]);
    assert_eq!((state.view.filter.as_str(), state.view.typed.as_ref()), ("rack=B", None));
    press(&mut state, &typed("/zzz"));
    press(&mut state, &[Key::Enter]);
    assert!(screen(&state).contains("Nothing has that text in it."));
    press(&mut state, &[Key::Escape]);
    assert!(screen(&state).contains("web-01"));
    // Ctrl-C ends, also while something is typed.
    press(&mut state, &typed("/a"));
    assert_eq!(state.take(Input::Key(Key::Interrupt), at(NOW)), Then::Quit);
}

#[test]
fn scrolling_ends_at_the_last_line_and_follows_the_screen() {
    let mut state = state(40, 12);
    let above = |state: &State| state.view.above[Pane::Hosts as usize];
    press(&mut state, &[Key::End]);
    let most = above(&state);
    assert!(most > 0);
    press(&mut state, &[Key::Down, Key::PageDown]);
    assert_eq!(above(&state), most);
    let hosts = super::frame::length(&state, at(NOW));
    assert!(screen(&state).contains("db-01"), "the least loaded one is the last of {hosts}");
    press(&mut state, &[Key::Up]);
    assert_eq!(above(&state), most - 1);
    state.take(Input::Size(40, 100), at(NOW));
    assert_eq!(above(&state), 0, "all of it is there now");
    // Fewer hosts than before.
    state.take(Input::Size(40, 12), at(NOW));
    press(&mut state, &[Key::End]);
    let mut fewer = answer();
    fewer.hosts.truncate(1);
    state.take(Input::Answer(Box::new(fewer)), at(NOW));
    assert_eq!(above(&state), 0);
}

#[test]
fn events_of_before_stay_and_are_counted_for_a_minute() {
    let mut state = state(80, 24);
    let before = state.data.as_ref().unwrap().events.len();
    let mut later = Answer { events: answer().events, ..answer() };
    later.events.truncate(1);
    later.events[0].id = 900;
    later.events[0].time = Some(at(NOW + 50).into());
    state.take(Input::Answer(Box::new(later)), at(NOW + 50));
    let events = &state.data.as_ref().unwrap().events;
    assert_eq!((events.len(), events[0].id), (before + 1, 900));
    let rate = |second| once::value(&state, at(second))["totals"]["events_per_minute"].as_u64().unwrap();
    assert_eq!((rate(NOW + 50), rate(NOW + 111)), (3, 0));
}

#[test]
fn once_it_is_text_or_an_object() {
    let state = state(80, 24);
    let text = once::text(&state, at(NOW + 1), Look::PLAIN);
    is_as_reviewed("once.txt", &text);
    assert!(!text.contains('\u{1b}'));
    let coloured = Look { paint: Paint::for_stdout(ColorChoice::Always), width: Some(80) };
    assert!(once::text(&state, at(NOW + 1), coloured).contains("\u{1b}[31m"));

    let value = once::value(&state, at(NOW + 3));
    assert_eq!(value["totals"]["hosts"], 6);
    assert_eq!(value["totals"]["migrations"], 1);
    assert_eq!(value["totals"]["members_silent"], 1);
    assert_eq!((value["age_s"].as_f64(), value["trouble"].is_null()), (Some(3.0), true));
    assert_eq!(value["ring"]["members"][0]["partitions"][0]["steps"][1]["why"], "ASKED");
    assert_eq!(value["hosts"].as_array().unwrap().len(), 6);
    assert_eq!(value["silent"][0], "west");
    let asked = State::new("east", Duration::from_secs(1));
    assert!(once::value(&asked, at(NOW)).get("totals").is_none());
}
