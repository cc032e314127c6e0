//! Asks a coordinator for everything.

use super::data::Answer;
use crate::cli::client::Server;
use crate::cli::failure::Failure;
use crate::cli::list;
use dvms_proto::v1 as pb;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tonic::{Request, Response, Status};

/// Longest that a look may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Plans that are shown, beside those under way.
const PLANS: i32 = 30;
/// Events that are asked for at each look.
const EVENTS: i32 = 200;
/// Plans under way: of each state, these many.
const UNDER_WAY: i32 = 200;

/// A call that ends soon or not at all.
fn soon<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

/// Everything that is shown, as of now.
///
/// # Errors
/// The coordinator does not answer, or refuses.
pub(super) async fn fetch(server: &Server) -> Result<Answer, Failure> {
    let all = tokio::time::timeout(PATIENCE, everything(server)).await;
    let all = all.map_err(|_| {
        Failure::new(format!("{} does not answer within {} s", server.address(), PATIENCE.as_secs()))
    })?;
    all.map_err(|status| server.failure(&status))
}

async fn everything(server: &Server) -> Result<Answer, Status> {
    let silent = Mutex::new(Vec::new());
    let ring =
        async { Ok(server.ring().get_ring(soon(pb::GetRingRequest { local: false })).await?.into_inner()) };
    let hosts = list::all(None, async |page_size, page_token| {
        let request = pb::ListHostsRequest { page_size, page_token, ..Default::default() };
        let page = heard(server.cluster().list_hosts(soon(request)).await?, &silent);
        Ok((page.hosts, page.next_page_token))
    });
    let vms = async {
        let request = pb::ListVmsRequest { page_size: 1, ..Default::default() };
        Ok(heard(server.cluster().list_vms(soon(request)).await?, &silent).total_size)
    };
    let events = async {
        let request = pb::ListEventsRequest { page_size: EVENTS, ..Default::default() };
        Ok(heard(server.cluster().list_events(soon(request)).await?, &silent).events)
    };
    let of_state = async |state: &str, page_size| {
        let filter = if state.is_empty() { String::new() } else { format!("state = {state}") };
        let request = pb::ListPlansRequest { page_size, filter, ..Default::default() };
        Ok::<_, Status>(heard(server.plans().list_plans(soon(request)).await?, &silent).plans)
    };
    // At the same time: each may have to wait for a coordinator that is silent.
    let plans = async {
        let (newest, executing, solving, queued, proposed) = tokio::try_join!(
            of_state("", PLANS),
            of_state("EXECUTING", UNDER_WAY),
            of_state("SOLVING", UNDER_WAY),
            of_state("QUEUED", UNDER_WAY),
            of_state("PROPOSED", UNDER_WAY),
        )?;
        Ok([newest, executing, solving, queued, proposed].concat())
    };
    let (ring, hosts, vms, events, plans) = tokio::try_join!(ring, hosts, vms, events, plans)?;
    let silent = silent.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Answer { ring, hosts, vms, plans, events, silent })
}

/// An answer; whose part is missing in it is noted.
fn heard<T>(answer: Response<T>, silent: &Mutex<Vec<String>>) -> T {
    let names = answer.metadata().get(crate::api::SILENT_HEADER).and_then(|names| names.to_str().ok());
    if let Some(names) = names {
        let mut silent = silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.extend(names.split(',').map(str::to_owned));
    }
    answer.into_inner()
}
