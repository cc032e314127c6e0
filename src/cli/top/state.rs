//! What is known and what is wanted to be seen; how both change. Pure.

use super::data::{Answer, Data};
use super::keys::Key;
use std::time::{Duration, SystemTime};

/// All that a frame is made of.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// Whom is asked.
    pub(super) server: String,
    /// Between two looks.
    pub(super) every: Duration,
    /// `None` before the first answer.
    pub(super) data: Option<Data>,
    /// It does not answer.
    pub(super) trouble: Option<Trouble>,
    pub(super) view: View,
    /// Columns and lines of the screen.
    pub(super) size: (usize, usize),
}

/// Why there is nothing new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) since: SystemTime,
    pub(super) why: String,
}

/// What is wanted to be seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct View {
    pub(super) pane: Pane,
    pub(super) sort: Sort,
    /// Only what has this in it.
    pub(super) filter: String,
    /// The filter as it is being typed.
    pub(super) typed: Option<String>,
    pub(super) help: bool,
    /// Lines of each pane that are above the first one shown.
    pub(super) above: [usize; Pane::ALL.len()],
}

/// What is shown below the totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Pane {
    #[default]
    Hosts,
    Partitions,
    Plans,
    Members,
    Events,
}

impl Pane {
    pub(super) const ALL: [Self; 5] =
        [Self::Hosts, Self::Partitions, Self::Plans, Self::Members, Self::Events];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Partitions => "partitions",
            Self::Plans => "plans",
            Self::Members => "members",
            Self::Events => "events",
        }
    }

    /// The one so many places on, around the end.
    pub(super) fn next(self, places: usize) -> Self {
        Self::ALL[(self as usize + places) % Self::ALL.len()]
    }
}

/// What hosts are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Sort {
    /// The fullest first, by CPU or memory
    #[default]
    Load,
    /// By name
    Name,
    /// Those with most VMs first
    Vms,
    /// Those with most migrations first
    Moves,
    /// Those that something is wrong with first
    Trouble,
}

impl Sort {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Load => Self::Name,
            Self::Name => Self::Vms,
            Self::Vms => Self::Moves,
            Self::Moves => Self::Trouble,
            Self::Trouble => Self::Load,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Name => "name",
            Self::Vms => "VMs",
            Self::Moves => "moves",
            Self::Trouble => "trouble",
        }
    }
}

/// What happens.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// The coordinator has answered.
    Answer(Box<Answer>),
    /// It has not.
    Failed(String),
    Key(Key),
    /// The screen has so many columns and lines.
    Size(usize, usize),
}

/// What is to be done then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Go,
    /// Look now.
    Look,
    Quit,
}

impl State {
    pub(super) fn new(server: &str, every: Duration) -> Self {
        let server = server.strip_prefix("http://").unwrap_or(server).trim_end_matches('/').to_owned();
        Self { server, every, data: None, trouble: None, view: View::default(), size: (80, 24) }
    }

    /// Takes what has happened.
    pub(super) fn take(&mut self, input: Input, now: SystemTime) -> Then {
        match input {
            Input::Answer(answer) => {
                self.data = Some(Data::new(*answer, self.data.take(), now));
                self.trouble = None;
            }
            Input::Failed(why) => {
                let since = self.trouble.as_ref().map_or(now, |trouble| trouble.since);
                self.trouble = Some(Trouble { since, why });
            }
            Input::Size(columns, lines) => self.size = (columns, lines),
            Input::Key(key) => return self.press(key, now),
        }
        self.stay_within(now);
        Then::Go
    }

    /// How old what is shown is.
    pub(super) fn age(&self, now: SystemTime) -> Duration {
        let at = self.data.as_ref().map_or(now, |data| data.at);
        now.duration_since(at).unwrap_or_default()
    }
}
