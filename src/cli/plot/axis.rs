//! Round figures along an axis.

/// Round values within a range, at most `most` of them (at least 2).
pub(in crate::cli) fn ticks(least: f64, greatest: f64, most: usize) -> Vec<f64> {
    let span = greatest - least;
    if !span.is_finite() || span <= 0.0 {
        return vec![least];
    }
    let raw = span / most.max(2) as f64;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= raw);
    let step = step.unwrap_or(raw);
    let begin = (least / step - 1e-9).ceil() as i64;
    let end = (greatest / step + 1e-9).floor() as i64;
    (begin..=end).map(|i| i as f64 * step).collect()
}

/// Time along an axis: where the first plan comes early by far, each power of ten has the same length.
pub(super) struct Time {
    first: f64,
    until: f64,
    log: bool,
}

impl Time {
    pub(super) fn new(times: impl Iterator<Item = f64> + Clone) -> Self {
        let until = times.clone().fold(0.0, f64::max).max(1e-3);
        let first = times.fold(until, f64::min).max(1e-4);
        let log = until / first > 20.0;
        Self { first: if log { 10_f64.powf(first.log10().floor()) } else { 0.0 }, until, log }
    }

    /// How far along the axis a time is, from 0 to 1.
    pub(super) fn share(&self, time_s: f64) -> f64 {
        let share = if self.log {
            (time_s.max(self.first) / self.first).ln() / (self.until / self.first).ln()
        } else {
            time_s / self.until
        };
        share.clamp(0.0, 1.0)
    }

    /// Round times.
    pub(in crate::cli) fn ticks(&self) -> Vec<f64> {
        if !self.log {
            return ticks(0.0, self.until, 6);
        }
        let times = (0..12).map(|i| self.first * 10_f64.powi(i));
        times.take_while(|time| *time <= self.until * 1.000_001).collect()
    }
}

/// A time in the unit that keeps it short.
pub(super) fn time(seconds: f64) -> String {
    let short = |value: f64| {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if seconds > 0.0 && seconds < 0.9995 {
        let text = short((seconds * 1e4).round() / 10.0);
        return format!("{text} ms");
    }
    format!("{} s", short((seconds * 1e3).round() / 1e3))
}

/// A value in a few characters: `1.6 M`.
pub(in crate::cli) fn brief(value: f64) -> String {
    let (value, unit) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, " G"),
        v if v >= 1e6 => (value / 1e6, " M"),
        v if v >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    format!("{}{unit}", crate::cli::format::figure(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        assert_eq!(ticks(0.0, 7.2, 6), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(ticks(10.0, 14.0, 4), [10.0, 11.0, 12.0, 13.0, 14.0]);
        assert_eq!(ticks(737_280.0, 1_638_400.0, 4), [1_000_000.0, 1_500_000.0]);
        assert_eq!(ticks(3.0, 3.0, 4), [3.0]);
        assert_eq!(ticks(f64::NAN, 3.0, 4).len(), 1);
    }

    #[test]
    fn early_plans_have_room() {
        let time = Time::new([0.022, 7.2].into_iter());
        assert_eq!(time.ticks(), [0.01, 0.1, 1.0]);
        assert_eq!((time.share(0.001), time.share(7.2)), (0.0, 1.0));
        assert!(time.share(0.1) > 0.3 && time.share(0.1) < 0.4);
        let even = Time::new([1.0, 4.0].into_iter());
        assert_eq!((even.share(1.0), even.share(0.0)), (0.25, 0.0));
        assert!(Time::new(std::iter::empty()).share(0.0).abs() < 1e-9);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(
            [time(0.0), time(0.0225), time(0.1), time(7.2561)],
            ["0 s", "22.5 ms", "100 ms", "7.256 s"]
        );
        assert_eq!([brief(14.0), brief(1_638_400.0), brief(20_000.0)], ["14", "1.64 M", "20 k"]);
    }
}
