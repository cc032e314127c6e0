//! Lines of text with tones; how they become what a terminal or a file takes.

use super::paint::{Paint, Tone};

/// A line: pieces with or without a tone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Line(Vec<(Option<Tone>, String)>);

impl Line {
    /// Adds plain text.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push((None, text.into()));
        self
    }

    /// Adds text in a tone.
    pub(crate) fn toned(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.0.push((Some(tone), text.into()));
        self
    }

    /// Another line behind this one.
    pub(crate) fn append(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The text alone.
    pub(crate) fn plain(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// With whatever makes a terminal show the tones.
    pub(crate) fn painted(&self, paint: Paint) -> String {
        let paint = |(tone, text): &(Option<Tone>, String)| match tone {
            Some(tone) => paint.tone(*tone, text),
            None => text.clone(),
        };
        self.0.iter().map(paint).collect()
    }

    /// Blanks up to `width` characters.
    pub(crate) fn fill(self, width: usize) -> Self {
        let lacking = width.saturating_sub(self.length());
        if lacking == 0 { self } else { self.text(" ".repeat(lacking)) }
    }

    /// Its characters.
    pub(crate) fn length(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// Not more than `width` characters; what is cut off is marked.
    pub(crate) fn cut(self, width: usize) -> Self {
        if self.length() <= width {
            return self;
        }
        let mut left = width.saturating_sub(1);
        let mut kept = Vec::new();
        for (tone, text) in self.0 {
            let part: String = text.chars().take(left).collect();
            left -= part.chars().count();
            kept.push((tone, part));
        }
        kept.retain(|(_, text)| !text.is_empty());
        let cut = Self(kept);
        if width == 0 { cut } else { cut.text("…") }
    }
}

/// Text broken into lines of at most `width` characters, between words where that is possible.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= width) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_to_its_width_and_keeps_its_tones() {
        let line = || Line::default().text("ab").toned(Tone::Bad, "cdé").text("f");
        assert_eq!(line().plain(), "abcdéf");
        assert_eq!(line().cut(6), line());
        assert_eq!(line().cut(4), Line::default().text("ab").toned(Tone::Bad, "c").text("…"));
        assert_eq!((line().fill(8).plain(), line().fill(3)), ("abcdéf  ".to_owned(), line()));
        assert_eq!((line().cut(1).plain(), line().cut(0).plain()), ("…".to_owned(), String::new()));
        assert_eq!(line().painted(Paint::PLAIN), "abcdéf");
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrap("a bc  def ghijkl", 6), ["a bc", "def", "ghijkl"]);
        assert_eq!(wrap("abcdefgh i", 3), ["abcdefgh", "i"]);
        assert_eq!(wrap("", 3), [""; 0]);
    }
}
