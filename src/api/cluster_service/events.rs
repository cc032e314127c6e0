//! Events of all coordinators, in the order of their times. Each coordinator numbers its own; how far somebody has read
//! is a number for each of them.

use super::client;
use crate::api::convert::event_to_wire;
use crate::api::error::ApiError;
use crate::api::list::{Found, List, list};
use crate::api::peers::{Asked, Others, alone, answer};
use crate::coordinator::Coordinator;
use crate::record::Event;
use dvms_proto::v1 as pb;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::{Response, Status};

/// What events are in the order of: time, number, coordinator.
pub(super) type Place = (u64, u64, String);

/// The place of an event among those of all coordinators.
pub(super) fn place(event: &pb::Event) -> Place {
    let time = event.time.and_then(|time| SystemTime::try_from(time).ok());
    (time.map_or(0, nanoseconds), event.id, event.coordinator.clone())
}

/// Since 1970; enough for five centuries.
fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A place as a key of pages; keys are in the order of places.
fn key((time, id, coordinator): &Place) -> String {
    format!("{time:020} {id:020} {coordinator}")
}

fn place_of_key(key: &str) -> Option<Place> {
    let mut parts = key.splitn(3, ' ');
    let (time, id) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((time, id, parts.next()?.to_owned()))
}

/// One event, of this coordinator or of the one that is named.
///
/// # Errors
/// `NOT_FOUND`; the other one does not answer.
pub(super) async fn get(
    coordinator: &Coordinator,
    mut asked: Asked,
    request: pb::GetEventRequest,
) -> Result<Response<pb::Event>, Status> {
    let pb::GetEventRequest { id, coordinator: of } = request.clone();
    if of.is_empty() || of == coordinator.name() {
        let event = coordinator.event(id).ok_or_else(|| ApiError::not_found("event", &id.to_string()))?;
        return Ok(Response::new(event_to_wire(&event, coordinator.name())));
    }
    asked.retain(|other| other.name == of);
    let ask = async |at| client(at).get_event(alone(request.clone())).await;
    Others::find(asked, "event", &format!("{id} of {of}"), ask).await
}

/// A page of the events of all coordinators, newest first.
///
/// # Errors
/// The request cannot be used; another coordinator refuses.
pub(super) async fn list_all(
    coordinator: &Coordinator,
    asked: Asked,
    request: pb::ListEventsRequest,
) -> Result<Response<pb::ListEventsResponse>, Status> {
    let pb::ListEventsRequest { page_size, page_token, filter } = request.clone();
    let wanted = List { method: "ListEvents", page_size, page_token, filter };
    let after = wanted.page()?.after;
    if after.is_some_and(|after| place_of_key(&after).is_none()) {
        return Err(ApiError::invalid_field("page_token", "was made by another version; begin anew").into());
    }
    let name = coordinator.name();
    let since = SystemTime::now();
    let mut events = coordinator.events();
    let newest = events.first().map_or(0, |newest| newest.id);
    let own_place = |event: &Event| (nanoseconds(event.time), event.id, name.to_owned());
    // A clock may have been set back.
    events.sort_by_key(|event| Reverse((event.time, event.id)));
    let own = list(
        &wanted,
        events,
        |event| event_to_wire(event, name),
        |event| key(&own_place(event)),
        |event, last| place_of_key(last).is_some_and(|last| own_place(event) < last),
    )?;
    let ids = Mutex::new(BTreeMap::from([(name.to_owned(), newest)]));
    let ask = async |at| client(at).list_events(alone(request.clone())).await;
    let theirs = |page: pb::ListEventsResponse| {
        let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.extend(page.position.unwrap_or_default().ids);
        Found { items: page.events, next_page_token: page.next_page_token, total: 0 }
    };
    let key_of = |event: &pb::Event| key(&place(event));
    let (found, silent) = Others::whole(&wanted, own, asked, ask, theirs, key_of, true).await?;
    let ids = ids.into_inner().unwrap_or_else(PoisonError::into_inner);
    let position = pb::EventPosition { ids, since: Some(since.into()) };
    let (events, next_page_token) = (found.items, found.next_page_token);
    let page = pb::ListEventsResponse { events, next_page_token, position: Some(position) };
    Ok(answer(page, &silent))
}

/// Keeps those events of a coordinator, oldest first, that somebody has not read.
pub(super) fn keep_after(events: &mut Vec<Arc<Event>>, read: &pb::EventPosition, coordinator: &str) {
    let newest = events.last().map_or(0, |event| event.id);
    // A number that it has not given yet is of a life whose events are lost.
    let read_to = read.ids.get(coordinator).copied().filter(|id| *id <= newest);
    let since = read.since.and_then(|since| SystemTime::try_from(since).ok());
    events.retain(|event| match read_to {
        Some(id) => event.id > id,
        None => since.is_none_or(|since| event.time >= since),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{EventKind, Severity};
    use std::time::Duration;

    fn event(id: u64, seconds: u64) -> Arc<Event> {
        Arc::new(Event {
            id,
            time: UNIX_EPOCH + Duration::from_secs(seconds),
            kind: EventKind::Operator,
            severity: Severity::Info,
            host: String::new(),
            vm: String::new(),
            constraint: String::new(),
            plan_id: String::new(),
            action_id: 0,
            message: String::new(),
        })
    }

    #[test]
    fn keys_of_events_are_in_the_order_of_time_then_number() {
        let at = |seconds, id, name| place(&event_to_wire(&event(id, seconds), name));
        let places = [at(1, 9, "b"), at(2, 1, "a"), at(2, 1, "b c"), at(2, 10, "a"), at(10, 2, "a")];
        let keys: Vec<String> = places.iter().map(key).collect();
        assert!(places.is_sorted() && keys.is_sorted(), "{keys:?}");
        for (place, key) in places.iter().zip(&keys) {
            assert_eq!(place_of_key(key).as_ref(), Some(place));
        }
        assert_eq!([place_of_key("17"), place_of_key(""), place_of_key("a b c")], [None, None, None]);
    }

    #[test]
    fn who_has_read_up_to_a_number_gets_what_came_after_it() {
        let kept = |read: &pb::EventPosition| {
            let mut events = vec![event(3, 10), event(4, 20), event(5, 30)];
            keep_after(&mut events, read, "east");
            events.iter().map(|event| event.id).collect::<Vec<_>>()
        };
        let read = |id: Option<u64>, since: Option<u64>| pb::EventPosition {
            ids: id.map(|id| ("east".to_owned(), id)).into_iter().collect(),
            since: since.map(|seconds| (UNIX_EPOCH + Duration::from_secs(seconds)).into()),
        };
        assert_eq!(kept(&read(Some(4), Some(0))), [5]);
        assert_eq!(kept(&read(Some(5), None)), [0; 0]);
        // One that is not named; one that has lost its state and counts from the beginning.
        assert_eq!(kept(&read(None, Some(20))), [4, 5]);
        assert_eq!(kept(&read(Some(900), Some(30))), [5]);
        assert_eq!(kept(&read(None, None)), [3, 4, 5]);
    }
}
