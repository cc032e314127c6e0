//! The deadline of a call.

use super::observe::Arrived;
use std::time::{Duration, Instant};
use tonic::Request;
use tonic::metadata::MetadataMap;

/// Header with the time that the caller will wait.
const HEADER: &str = "grpc-timeout";
/// Of the time that is left, the last part is for sending the answer.
const SHARE_FOR_ANSWER: f64 = 0.05;
const LEAST_FOR_ANSWER: Duration = Duration::from_millis(20);
const MOST_FOR_ANSWER: Duration = Duration::from_millis(500);

/// When a caller stops waiting, as the server knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline {
    /// After it nobody waits.
    pub(super) at: Instant,
    /// The answer leaves by then.
    pub(super) answer_by: Instant,
}

impl Deadline {
    /// The deadline of a call, if its caller has set one.
    pub(super) fn of<T>(request: &Request<T>) -> Option<Self> {
        let arrived = request.extensions().get::<Arrived>().map_or_else(Instant::now, |arrived| arrived.0);
        Self::new(arrived, timeout(request.metadata())?)
    }

    fn new(arrived: Instant, timeout: Duration) -> Option<Self> {
        let at = arrived.checked_add(timeout)?;
        let for_answer = timeout.mul_f64(SHARE_FOR_ANSWER).clamp(LEAST_FOR_ANSWER, MOST_FOR_ANSWER);
        Some(Self { at, answer_by: at.checked_sub(for_answer).unwrap_or(arrived) })
    }
}

/// `TimeoutValue TimeoutUnit` of the gRPC protocol: at most 8 digits and one of H M S m u n. One that is not of
/// this form is none, as it is for other servers.
fn timeout(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Duration> {
        let mut metadata = MetadataMap::new();
        metadata.insert(HEADER, text.parse().unwrap());
        timeout(&metadata)
    }

    #[test]
    fn every_unit_is_read() {
        assert_eq!(of("2H"), Some(Duration::from_hours(2)));
        assert_eq!(of("3M"), Some(Duration::from_mins(3)));
        assert_eq!(of("4S"), Some(Duration::from_secs(4)));
        assert_eq!(of("50m"), Some(Duration::from_millis(50)));
        assert_eq!(of("60u"), Some(Duration::from_micros(60)));
        assert_eq!(of("99999999n"), Some(Duration::from_nanos(99_999_999)));
        assert_eq!(timeout(&MetadataMap::new()), None);
        for nonsense in ["", "S", "5", "-1S", "+1S", "123456789S", "1.5S", "5s"] {
            assert_eq!(of(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn the_answer_leaves_before_the_deadline() {
        let now = Instant::now();
        for (timeout_ms, before_ms) in [(10, 20), (100, 20), (2000, 100), (3_600_000, 500)] {
            let deadline = Deadline::new(now, Duration::from_millis(timeout_ms)).unwrap();
            let at = now + Duration::from_millis(timeout_ms);
            assert_eq!(deadline.at, at);
            assert_eq!(deadline.answer_by, at.checked_sub(Duration::from_millis(before_ms)).unwrap());
        }
    }
}
