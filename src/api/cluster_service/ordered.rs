//! Events of several coordinators on their way to a watcher: each is held for a moment, so that an earlier one of
//! another coordinator can go before it.

use super::events::{Place, place};
use dvms_proto::v1::Event;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an event is held.
pub(super) const HELD: Duration = Duration::from_millis(300);

/// Events that are held, with the times of their arrival. Times are since any beginning.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    held: BTreeMap<Place, (Duration, Event)>,
}

impl Ordered {
    /// An event has come.
    pub(super) fn take(&mut self, event: Event, now: Duration) {
        self.held.insert(place(&event), (now, event));
    }

    /// When the next one is to be told.
    pub(super) fn due(&self) -> Option<Duration> {
        self.held.values().map(|(came, _)| *came + HELD).min()
    }

    /// Those that have been held long enough, and what is to go before them.
    pub(super) fn ready(&mut self, now: Duration) -> Vec<Event> {
        let over = |(came, _): &(Duration, Event)| *came + HELD <= now;
        let Some(last) = self.held.iter().rev().find(|(_, held)| over(held)).map(|(place, _)| place.clone())
        else {
            return Vec::new();
        };
        let later = self.held.split_off(&last);
        let mut ready = std::mem::replace(&mut self.held, later);
        ready.extend(self.held.remove_entry(&last));
        ready.into_values().map(|(_, event)| event).collect()
    }

    /// All of them.
    pub(super) fn all(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.held).into_values().map(|(_, event)| event).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(coordinator: &str, second: i64) -> Event {
        let time = Some(prost_types::Timestamp { seconds: second, nanos: 0 });
        Event { id: 1, time, coordinator: coordinator.to_owned(), ..Event::default() }
    }

    fn seconds(events: &[Event]) -> Vec<i64> {
        events.iter().map(|event| event.time.unwrap().seconds).collect()
    }

    #[test]
    fn events_that_come_soon_after_each_other_are_told_in_the_order_of_their_times() {
        let ms = Duration::from_millis;
        let mut ordered = Ordered::default();
        assert_eq!((ordered.due(), ordered.ready(ms(900)).len()), (None, 0));
        ordered.take(event("east", 20), ms(1000));
        ordered.take(event("west", 30), ms(1100));
        ordered.take(event("west", 10), ms(1200));
        assert_eq!(ordered.due(), Some(ms(1000) + HELD));
        assert_eq!(seconds(&ordered.ready(ms(1299))), [0_i64; 0]);
        // What is to go before one that is due does.
        assert_eq!(seconds(&ordered.ready(ms(1300))), [10, 20]);
        // One that comes too late is told all the same.
        ordered.take(event("north", 5), ms(1400));
        assert_eq!(seconds(&ordered.ready(ms(1400))), [5, 30]);
        ordered.take(event("north", 9), ms(1500));
        ordered.take(event("east", 8), ms(1500));
        assert_eq!(seconds(&ordered.all()), [8, 9]);
        assert_eq!(ordered.due(), None);
    }
}
