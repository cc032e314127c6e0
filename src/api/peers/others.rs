//! What other members are asked for callers of this one: any coordinator answers for the whole.

use super::{PATIENCE, channel};
use crate::api::error::ApiError;
use crate::api::list::{Found, List};
use crate::api::page::Page;
use crate::coordinator::{Coordinator, OtherMember};
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt as _;

/// Header of a call that is for the called member alone; nobody else is asked.
pub const LOCAL_HEADER: &str = "dvms-local";
/// Header of an answer in which what these members have is missing, as they did not answer.
pub const SILENT_HEADER: &str = "dvms-silent";

/// The other members. Cheap to clone.
#[derive(Clone)]
pub(in crate::api) struct Others {
    coordinator: Coordinator,
    channels: Arc<Mutex<BTreeMap<String, Channel>>>,
}

/// A member to be asked.
#[derive(Debug)]
pub(in crate::api) struct Other {
    pub(in crate::api) name: String,
    /// `None` = its address is none.
    pub(in crate::api) channel: Option<Channel>,
    /// So long it is waited for.
    pub(in crate::api) patience: Duration,
}

impl Other {
    /// The answer takes its time: it is waited for longer, if there is a link.
    pub(in crate::api) fn waits(&mut self, patience: Duration) {
        if self.patience > SHORT {
            self.patience = patience;
        }
    }
}

/// Members to be asked.
pub(in crate::api) type Asked = Vec<Other>;

/// So long a member is waited for to which no link stands: it is out of reach, frozen, or speaks another version.
pub(super) const SHORT: Duration = Duration::from_millis(300);

/// A call for one member alone.
pub(in crate::api) fn alone<T>(message: T) -> Request<T> {
    let mut request = lasting(message);
    request.set_timeout(PATIENCE);
    request
}

/// The same for what is followed: it has no end.
pub(in crate::api) fn lasting<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(LOCAL_HEADER, tonic::metadata::MetadataValue::from_static("1"));
    request
}

impl Others {
    pub(in crate::api) fn new(coordinator: Coordinator) -> Self {
        Self { coordinator, channels: Arc::default() }
    }

    /// Whom this call is also for: nobody when it is for this member alone.
    pub(in crate::api) fn of<T>(&self, request: &Request<T>) -> Asked {
        if request.metadata().contains_key(LOCAL_HEADER) { Vec::new() } else { self.all() }
    }

    /// The names of all of them.
    pub(in crate::api) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.coordinator.ring().others.iter().map(|other| other.name.clone()).collect();
        names.sort();
        names
    }

    fn all(&self) -> Asked {
        let ring = self.coordinator.ring();
        let of = |other: &OtherMember| Other {
            name: other.name.clone(),
            channel: self.channel(&other.address),
            patience: if other.up { PATIENCE } else { SHORT },
        };
        ring.others.iter().map(of).collect()
    }

    /// A connection to an address, which is kept.
    pub(super) fn channel(&self, address: &str) -> Option<Channel> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = channels.get(address) {
            return Some(present.clone());
        }
        let made = channel(address).ok()?;
        channels.insert(address.to_owned(), made.clone());
        Some(made)
    }

    /// Asks all of them at the same time; answers in the order in which they come.
    fn ask<R, F>(
        asked: Asked,
        call: impl Fn(Channel) -> F,
    ) -> FuturesUnordered<impl Future<Output = (String, Result<R, Status>)>>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let one = |Other { name, channel, patience }| {
            let called = channel.map(&call);
            async move {
                let Some(called) = called else {
                    return (name, Err(Status::unavailable("its address is none")));
                };
                let answer = match tokio::time::timeout(patience, called).await {
                    Ok(answer) => answer.map(Response::into_inner),
                    Err(_) => Err(Status::deadline_exceeded("it does not answer")),
                };
                (name, answer)
            }
        };
        asked.into_iter().map(one).collect()
    }

    /// A page of what all members have: the own one, and theirs, which `call` asks for and `page` reads. Also who did not
    /// answer. `key`: what the list is in the order of.
    ///
    /// # Errors
    /// The page cannot be used; another member refuses.
    pub(in crate::api) async fn whole<M, R, F>(
        wanted: &List,
        own: Found<M>,
        asked: Asked,
        call: impl Fn(Channel) -> F,
        page: impl Fn(R) -> Found<M>,
        key: impl Fn(&M) -> String,
        newest_first: bool,
    ) -> Result<(Found<M>, Vec<String>), Status>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let answers: Vec<_> = Self::ask(asked, call).collect().await;
        let pages = answers.into_iter().map(|(member, answer)| (member, answer.map(&page))).collect();
        merged(&wanted.page()?, own, pages, key, newest_first)
    }

    /// Asks for a thing that is not known here, or for something to be done with it.
    ///
    /// # Errors
    /// Nobody knows it, or who does refuses.
    pub(in crate::api) async fn find<R, F>(
        asked: Asked,
        kind: &str,
        name: &str,
        call: impl Fn(Channel) -> F,
    ) -> Result<Response<R>, Status>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let (mut silent, mut refused) = (Vec::new(), None);
        let mut answers = Self::ask(asked, call);
        while let Some((member, answer)) = answers.next().await {
            match answer {
                // Who has it is enough.
                Ok(found) => return Ok(Response::new(found)),
                Err(status) if status.code() == Code::NotFound => {}
                Err(status) if is_silence(&status) => silent.push(member),
                // One that does not have it may say why not.
                Err(why) => _ = refused.get_or_insert(why),
            }
        }
        if let Some(why) = refused {
            return Err(why);
        }
        if silent.is_empty() {
            return Err(ApiError::not_found(kind, name).into());
        }
        Err(ApiError::members_silent(kind, name, &silent).into())
    }
}

fn is_silence(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => true,
        // One of another version has no such method. Who refuses a field has it.
        Code::Unimplemented => status.get_details_bad_request().is_none(),
        _ => false,
    }
}

/// A page of what all members have, from a page of each.
fn merged<M>(
    page: &Page,
    own: Found<M>,
    others: Vec<(String, Result<Found<M>, Status>)>,
    key: impl Fn(&M) -> String,
    newest_first: bool,
) -> Result<(Found<M>, Vec<String>), Status> {
    let (mut items, mut total) = (own.items, own.total);
    let mut more = !own.next_page_token.is_empty();
    let mut silent = Vec::new();
    for (member, answer) in others {
        match answer {
            Ok(found) => {
                items.extend(found.items);
                total = total.saturating_add(found.total);
                more |= !found.next_page_token.is_empty();
            }
            Err(status) if is_silence(&status) => silent.push(member),
            Err(refused) => return Err(refused),
        }
    }
    items.sort_by_cached_key(&key);
    items.dedup_by_key(|item| key(item));
    if newest_first {
        items.reverse();
    }
    more |= items.len() > page.size;
    items.truncate(page.size);
    let next_page_token = match items.last() {
        Some(last) if more => page.token_after(&key(last)),
        _ => String::new(),
    };
    Ok((Found { items, next_page_token, total }, silent))
}

/// An answer that says what is missing in it.
pub(in crate::api) fn answer<T>(message: T, silent: &[String]) -> Response<T> {
    let mut response = Response::new(message);
    if let Ok(names) = silent.join(",").parse()
        && !silent.is_empty()
    {
        response.metadata_mut().insert(SILENT_HEADER, names);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The page of one member.
    fn page_of(page: &Page, names: &[String]) -> Found<String> {
        let (items, next_page_token) =
            page.cut(names.to_vec(), |name, last| name.as_str() > last, Clone::clone);
        Found { items, next_page_token, total: names.len() as u32 }
    }

    proptest! {
        #[test]
        fn merged_pages_together_are_all_that_members_have(
            lists in prop::collection::vec(prop::collection::btree_set("[a-e]{1,3}", 0..12), 1..5), size in 1..5
        ) {
            let mut seen = std::collections::BTreeSet::new();
            // A thing is at one member.
            let lists: Vec<Vec<String>> = lists.into_iter()
                .map(|list| list.into_iter().filter(|name| seen.insert(name.clone())).collect()).collect();
            let (mut got, mut token) = (Vec::new(), String::new());
            for _ in 0..100 {
                let page = Page::new("List", "", size, &token).unwrap();
                let others = lists[1..].iter().map(|list| (String::new(), Ok(page_of(&page, list)))).collect();
                let own = page_of(&page, &lists[0]);
                let (found, silent) = merged(&page, own, others, Clone::clone, false).unwrap();
                prop_assert!(silent.is_empty() && found.items.len() <= size as usize);
                got.extend(found.items);
                token = found.next_page_token;
                if token.is_empty() { break; }
            }
            prop_assert_eq!(got, seen.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn who_does_not_answer_is_named_and_who_refuses_is_heard() {
        let page = Page::new("List", "", 10, "").unwrap();
        let own = || page_of(&page, &["a".to_owned()]);
        let silent = vec![("north".to_owned(), Err(Status::unavailable("gone")))];
        let (found, names) = merged(&page, own(), silent, Clone::clone, false).unwrap();
        assert_eq!((found.items, names), (vec!["a".to_owned()], vec!["north".to_owned()]));
        let older = vec![("north".to_owned(), Err(Status::unimplemented("")))];
        assert_eq!(merged(&page, own(), older, Clone::clone, false).unwrap().1, ["north"]);
        let refuses = vec![("north".to_owned(), Err(Status::invalid_argument("no")))];
        assert_eq!(
            merged(&page, own(), refuses, Clone::clone, false).unwrap_err().code(),
            Code::InvalidArgument
        );
        assert_eq!(
            answer((), &["a".to_owned(), "b".to_owned()]).metadata().get(SILENT_HEADER).unwrap(),
            "a,b"
        );
    }
}
