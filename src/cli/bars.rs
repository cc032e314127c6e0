//! Shares as bars.

use super::paint::Tone;

/// Above this share a host is nearly full.
const NEARLY: f64 = 0.8;

/// A bar of `width` characters, filled by a share of 0 to 1, in eighths of a character.
pub(crate) fn bar(share: f64, width: usize) -> String {
    const PARTS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (share * width as f64 * 8.0).round() as usize;
    let full = eighths / 8;
    let mut bar = "█".repeat(full);
    if full < width {
        bar.push(if eighths.is_multiple_of(8) { '·' } else { PARTS[eighths % 8] });
        bar.extend(std::iter::repeat_n('·', width - full - 1));
    }
    bar
}

/// How a load of that share is to be taken; `over` = from where it is an overload.
pub(crate) fn tone_of_load(share: f64, over: f64) -> Tone {
    if share > over {
        Tone::Bad
    } else if share > over.min(NEARLY) {
        Tone::Warning
    } else {
        Tone::Good
    }
}

/// `used` of `usable` as a share; nothing usable but something used is over, however little.
pub(crate) fn share(used: i64, usable: i64) -> f64 {
    if usable > 0 {
        used as f64 / usable as f64
    } else if used > 0 {
        f64::INFINITY
    } else {
        0.0
    }
}

/// A share as percent: `82 %`.
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.0} %", share * 100.0) } else { "over".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_its_width_whatever_the_share() {
        for share in [-1.0, 0.0, 0.01, 0.06, 0.5, 0.999, 1.0, 7.0, f64::NAN, f64::INFINITY] {
            assert_eq!(bar(share, 10).chars().count(), 10, "{share}: {:?}", bar(share, 10));
        }
        assert_eq!(bar(0.5, 4), "██··");
        assert_eq!(bar(0.5625, 4), "██▎·");
        assert_eq!(bar(1.5, 3), "███");
        assert_eq!(bar(0.3, 0), "");
    }

    #[test]
    fn loads_have_their_tone() {
        assert_eq!(tone_of_load(0.5, 0.9), Tone::Good);
        assert_eq!(tone_of_load(0.85, 0.9), Tone::Warning);
        assert_eq!(tone_of_load(0.91, 0.9), Tone::Bad);
        assert_eq!(tone_of_load(share(1, 0), 1.0), Tone::Bad);
        assert_eq!((percent(share(1, 0)), percent(share(0, 0))), ("over".to_owned(), "0 %".to_owned()));
    }
}
