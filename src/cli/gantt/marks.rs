//! The characters that charts are made of.

/// One set of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    /// Begin, middle and end of a bar.
    pub(super) bar: [char; 3],
    /// The same of one that the end of the plan waits for.
    pub(super) critical: [char; 3],
    /// A bar of a single character, and such a one that the end waits for.
    pub(super) short: [char; 2],
    /// What really happened.
    pub(super) real: char,
    /// From one host to another.
    pub(super) arrow: &'static str,
    /// A text that goes on.
    pub(super) ellipsis: char,
    /// The line of the axis and its ticks.
    pub(super) axis: [char; 2],
    /// Levels from nothing to all, and more than all.
    levels: [char; 10],
}

impl Marks {
    /// Lines and blocks.
    pub(super) const UNICODE: Self = Self {
        bar: ['├', '─', '┤'],
        critical: ['┣', '━', '┫'],
        short: ['│', '┃'],
        real: '▒',
        arrow: "→",
        ellipsis: '…',
        axis: ['─', '┬'],
        levels: [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█', '!'],
    };

    /// What every terminal has.
    const ASCII: Self = Self {
        bar: ['[', '-', ']'],
        critical: ['{', '=', '}'],
        short: ['|', 'I'],
        real: '%',
        arrow: ">",
        ellipsis: '~',
        axis: ['-', '+'],
        levels: [' ', '.', ',', ':', ';', 'i', 'x', 'X', '#', '!'],
    };

    /// Those that the terminal can show, or ASCII where that is asked for.
    pub(super) fn new(ascii: bool) -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        if ascii || locale.is_some_and(|locale| !is_utf8(&locale)) { Self::ASCII } else { Self::UNICODE }
    }

    /// A share of 0 to 1. What is not nothing can be seen, what is more than all as well.
    pub(super) fn level(&self, share: f64) -> char {
        match share {
            s if s > 1.01 => self.levels[9],
            s if s > 1e-9 => self.levels[((s * 8.0).ceil() as usize).clamp(1, 8)],
            _ => self.levels[0],
        }
    }
}

/// Whether a locale, such as `en_GB.UTF-8`, has more than ASCII.
fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.ends_with("utf-8") || locale.ends_with("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_seen() {
        assert_eq!(
            [0.0, 0.001, 0.5, 1.0, 1.005, 1.2].map(|share| Marks::UNICODE.level(share)),
            [' ', '▁', '▄', '█', '█', '!']
        );
        assert_eq!(Marks::ASCII.level(0.5), ';');
    }

    #[test]
    fn locales_tell_what_can_be_shown() {
        assert_eq!(
            ["C", "POSIX", "en_GB.UTF-8", "C.utf8", "de_DE@euro"].map(is_utf8),
            [false, false, true, true, false]
        );
        assert_eq!(Marks::new(true), Marks::ASCII);
    }
}
