//! `dvms events`: what happened, and what happens.

use super::client::{Server, block_on, call, heard};
use super::exit::Exit;
use super::failure::Failure;
use super::format::{safe, system_time, time};
use super::list;
use super::output::Output;
use super::paint::{Paint, Tone};
use crate::api::filter::Filter;
use dvms_proto::v1::event::Severity;
use dvms_proto::v1::watch_request::Kind;
use dvms_proto::v1::watch_response::Change;
use dvms_proto::v1::{Event, EventPosition, ListEventsRequest, SilentMembers, WatchRequest, WatchResponse};
use tonic::{Status, Streaming};
use tonic_types::StatusExt as _;

/// Shows what happened, oldest first, and with --follow what happens
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  dvms events
  dvms events --last 100 --filter 'severity = ERROR'
  dvms events --follow --filter 'host = h1'
  dvms events --follow --output json")]
pub(crate) struct Arguments {
    /// Go on with events as they happen, until interrupted
    #[arg(long, short)]
    follow: bool,
    /// How many events of the past to show; 0 = all that are kept, or none with --follow
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    last: usize,
    /// Only those for which this holds: `FIELD OP VALUE`, joined by AND; OP is one of = != < <= > >= : (contains).
    /// Fields are those of the JSON form
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
}

pub(crate) fn run(arguments: &Arguments, server: &str, output: Output) -> Result<Exit, Failure> {
    block_on(async {
        let server = Server::connect(server).await?;
        if arguments.follow {
            return follow(&server, arguments, output).await;
        }
        let most = (arguments.last > 0).then_some(arguments.last);
        let events = past(&server, &arguments.filter, most).await?;
        if output.is_json() {
            output.messages(&events)?;
        } else if events.is_empty() {
            let all = arguments.filter.is_empty();
            output.line(if all { "There are no events." } else { "No event matches the filter." })?;
        } else {
            let lines: String = events.iter().map(|event| line(output.look.paint, event) + "\n").collect();
            output.text(&lines)?;
        }
        Ok(Exit::Success)
    })
}

/// The newest events that match, oldest first.
pub(crate) async fn past(server: &Server, filter: &str, most: Option<usize>) -> Result<Vec<Event>, Failure> {
    let fetched = list::all(most, async |page_size, page_token| {
        let request = ListEventsRequest { page_size, page_token, filter: filter.to_owned() };
        let page = heard(server.cluster().list_events(call(request)).await?);
        Ok((page.events, page.next_page_token))
    });
    let mut events = fetched.await.map_err(|status| server.failure(&status))?;
    events.reverse();
    Ok(events)
}

/// One line for people: time, severity, kind, message.
pub(crate) fn line(paint: Paint, event: &Event) -> String {
    let when = event.time.and_then(system_time).map_or_else(|| "-".to_owned(), time);
    let tone = match event.severity() {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Warning,
        Severity::Info | Severity::Unspecified => Tone::Good,
    };
    let severity = paint.tone(tone, &format!("{:<7}", event.severity().as_str_name()));
    let kind = paint.tone(Tone::Strong, &format!("{:<14}", event.kind().as_str_name()));
    format!("{} {severity} {kind} {}", paint.tone(Tone::Faint, &when), safe(&event.message))
}

/// Shows events as they happen. A watch goes on where the last one has ended, so that nothing is missed or shown twice.
async fn follow(server: &Server, arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let filter =
        Filter::<Event>::new(&arguments.filter).map_err(|error| server.failure(&Status::from(error)))?;
    let mut read = position(server).await?;
    if arguments.last > 0 {
        for event in past(server, &arguments.filter, Some(arguments.last)).await? {
            // What has happened since is watched.
            if is_read(&read, &event) {
                show(&event, output)?;
            }
        }
    }
    loop {
        let mut changes = watch(server, vec![Kind::Events], Some(read.clone())).await?;
        let ended = loop {
            match changes.message().await {
                Ok(Some(WatchResponse { change: Some(Change::Event(event)), .. })) => {
                    read.ids.insert(event.coordinator.clone(), event.id);
                    if filter.accepts(&event) {
                        show(&event, output)?;
                    }
                }
                Ok(Some(WatchResponse { change: Some(Change::Silent(silent)), .. })) => tell_silent(&silent),
                Ok(Some(_)) => {}
                Ok(None) => break Failure::new("the server has ended; there is nothing more to follow"),
                // Too slow, or the coordinators are others now: from the last one on again.
                Err(status) if goes_on(&status) => break Failure::Closed,
                Err(status) => break server.failure(&status),
            }
        };
        if !matches!(ended, Failure::Closed) {
            return Err(ended);
        }
    }
}

/// Whether a watch can begin again at once.
fn goes_on(status: &Status) -> bool {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str());
    matches!(reason, Some("SLOW_WATCHER" | "MEMBER_SILENT"))
}

fn tell_silent(silent: &SilentMembers) {
    if silent.names.is_empty() {
        eprintln!("Note: all coordinators are heard again");
    } else {
        let names = safe(&silent.names.join(", "));
        eprintln!("Note: coordinator {names} is not heard; what it has comes when it is back");
    }
}

/// Up to where there are events now.
async fn position(server: &Server) -> Result<EventPosition, Failure> {
    let request = ListEventsRequest { page_size: 1, ..ListEventsRequest::default() };
    let page = server.cluster().list_events(call(request)).await.map_err(|status| server.failure(&status))?;
    Ok(page.into_inner().position.unwrap_or_default())
}

/// Whether an event was there at that time.
fn is_read(read: &EventPosition, event: &Event) -> bool {
    read.ids.get(&event.coordinator).is_some_and(|id| event.id <= *id)
}

fn show(event: &Event, output: Output) -> std::io::Result<()> {
    if output.is_json() { output.message_line(event) } else { output.line(&line(output.look.paint, event)) }
}

/// Follows changes of some kinds, and events from a position on.
pub(crate) async fn watch(
    server: &Server,
    kinds: Vec<Kind>,
    after: Option<EventPosition>,
) -> Result<Streaming<WatchResponse>, Failure> {
    let request = WatchRequest { kinds: kinds.into_iter().map(i32::from).collect(), after };
    let stream = server.cluster().watch(request).await.map_err(|status| server.failure(&status))?;
    Ok(stream.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvms_proto::v1::event::Kind as EventKind;

    #[test]
    fn an_event_is_a_line() {
        let event = Event {
            id: 7,
            time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            kind: EventKind::Overload.into(),
            severity: Severity::Warning.into(),
            message: "h1 uses 9 of 8 cores\x1b[2J".into(),
            ..Event::default()
        };
        let expected = "2023-11-14 22:13:20 WARNING OVERLOAD       h1 uses 9 of 8 cores\u{FFFD}[2J";
        assert_eq!(line(Paint::PLAIN, &event), expected);
    }

    #[test]
    fn what_was_there_at_a_position_is_read() {
        let event = |coordinator: &str, id| Event { id, coordinator: coordinator.into(), ..Event::default() };
        let read = EventPosition { ids: [("east".to_owned(), 7)].into(), since: None };
        assert!(is_read(&read, &event("east", 7)) && !is_read(&read, &event("east", 8)));
        assert!(!is_read(&read, &event("west", 1)), "what is new there is watched");
    }
}
