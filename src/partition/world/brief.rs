//! What was said and done in few words, for logs that people read.

use super::*;
use std::fmt::Display;

/// Names in a row.
pub(super) fn names<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(" ") }
}

/// What a coordinator is told, where it is worth a line.
pub(super) fn brief(input: &Input) -> Option<String> {
    match input {
        Input::Ring { .. } | Input::Host { .. } | Input::Executed { .. } | Input::LeftOut { .. } => None,
        Input::Leave => Some("it is about to stop".to_owned()),
        Input::Settled { host } => Some(format!("nobody has {host}, its last owner says")),
        Input::HostGone { host } => Some(format!("{host} is gone")),
        Input::Raised { event } => Some(format!("{} lacks {}", event.key, event.need.room[0])),
        Input::Calmed { event } => Some(format!("{event} is over")),
        Input::Solved { partition, found, .. } => Some(match found {
            Found::Plan { touched } => format!("{partition} has a plan for {}", names(touched)),
            Found::Nothing => format!("{partition} has nothing to do"),
            Found::None { .. } => format!("{partition} has no plan"),
        }),
    }
}

/// A message.
pub(super) fn said(body: &Body) -> String {
    match body {
        Body::Reserve { partition, all, .. } => {
            format!("{partition} asks for {}", if *all { "all hosts" } else { "hosts" })
        }
        Body::Granted { partition, hosts, holders, .. } if hosts.is_empty() => {
            format!("nothing for {partition}; held by {}", names(holders.keys()))
        }
        Body::Granted { partition, hosts, .. } => format!("{partition} has {}", names(hosts.keys())),
        Body::Renew { partition, hosts, commit, .. } => {
            format!("{partition} {} {}", if *commit { "commits" } else { "prolongs" }, names(hosts.keys()))
        }
        Body::Renewed { partition, hosts, lost, .. } if lost.is_empty() => {
            format!("{partition} keeps {}", names(hosts.keys()))
        }
        Body::Renewed { partition, lost, .. } => format!("{partition} has lost {}", names(lost.keys())),
        Body::Release { partition, hosts, .. } => format!("{partition} gives back {}", names(hosts.keys())),
        Body::Revoked { partition, hosts } => format!("{partition} loses {}", names(hosts.keys())),
        Body::Freed { partition } => format!("hosts are free for {partition}"),
        Body::Concern { partition, event } => format!("{} concerns {partition}", event.key),
        Body::Calm { partition, event } => format!("{event} concerns {partition} no more"),
        Body::Offer { from, into, .. } => format!("{from} offers itself to {into}"),
        Body::Accept { from, into, .. } => format!("{into} accepts {from}"),
        Body::Decline { from, into, why, .. } => {
            let why = match why {
                Declined::NotNow => "not now".to_owned(),
                Declined::Executing => "it is carrying out a plan".to_owned(),
                Declined::Gone => "it is gone".to_owned(),
                Declined::Absorbed { by, .. } => format!("it was absorbed by {by}"),
            };
            format!("{into} declines {from}: {why}")
        }
        Body::Withdraw { from, into, .. } => format!("{from} withdraws from {into}"),
        Body::Handover { from, into, hosts, .. } => {
            format!("{from} hands {} over to {into}", names(hosts.values().flat_map(BTreeMap::keys)))
        }
        Body::Adopt { from, into, hosts, .. } => format!("{into} adopts {} of {from}", names(hosts.keys())),
        Body::Invite { from, into } => format!("{into} invites {from}"),
    }
}
