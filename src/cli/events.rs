//! `dvms events`: what happened, and what happens.

use super::client::{Server, block_on, call};
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
use dvms_proto::v1::{Event, ListEventsRequest, WatchRequest, WatchResponse};
use tonic::{Code, Streaming};

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
        let page = server.cluster().list_events(call(request)).await?.into_inner();
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

/// Shows events as they happen. Watches before it lists, so that nothing falls between the two.
async fn follow(server: &Server, arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let filter = Filter::<Event>::new(&arguments.filter)
        .map_err(|error| server.failure(&tonic::Status::from(error)))?;
    let mut shown = None;
    loop {
        let mut changes = watch(server, vec![Kind::Events]).await?;
        let missed = match shown {
            None if arguments.last == 0 => newest(server).await?,
            None => past(server, &arguments.filter, Some(arguments.last)).await?,
            Some(id) => past(server, &after(&arguments.filter, id), None).await?,
        };
        for event in missed {
            if shown.is_some() || arguments.last > 0 {
                show(&event, output)?;
            }
            shown = Some(event.id);
        }
        let ended = loop {
            match changes.message().await {
                Ok(Some(WatchResponse { change: Some(Change::Event(event)), .. })) => {
                    if shown.is_none_or(|id| event.id > id) {
                        shown = Some(event.id);
                        if filter.accepts(&event) {
                            show(&event, output)?;
                        }
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => break Failure::new("the server has ended; there is nothing more to follow"),
                // Too slow: from the last one on again.
                Err(status) if status.code() == Code::ResourceExhausted => break Failure::Closed,
                Err(status) => break server.failure(&status),
            }
        };
        if !matches!(ended, Failure::Closed) {
            return Err(ended);
        }
    }
}

/// The last event there is, whatever it is.
async fn newest(server: &Server) -> Result<Vec<Event>, Failure> {
    past(server, "", Some(1)).await
}

/// The filter, for newer events only.
fn after(filter: &str, id: u64) -> String {
    if filter.trim().is_empty() { format!("id > {id}") } else { format!("{filter} AND id > {id}") }
}

fn show(event: &Event, output: Output) -> std::io::Result<()> {
    if output.is_json() { output.message_line(event) } else { output.line(&line(output.look.paint, event)) }
}

/// Follows changes of some kinds.
pub(crate) async fn watch(server: &Server, kinds: Vec<Kind>) -> Result<Streaming<WatchResponse>, Failure> {
    let request = WatchRequest { kinds: kinds.into_iter().map(i32::from).collect() };
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
    fn what_was_missed_is_asked_for_by_its_id() {
        assert_eq!(after("", 7), "id > 7");
        Filter::<Event>::new(&after("host = h1", 7)).unwrap();
    }
}
