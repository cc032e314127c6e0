//! One page of what matches a filter.

use super::error::ApiError;
use super::filter::Filter;
use super::page::Page;
use prost::{Message, Name};

/// A request for a list.
#[derive(Debug)]
pub(super) struct List {
    pub(super) method: &'static str,
    pub(super) page_size: i32,
    pub(super) page_token: String,
    pub(super) filter: String,
}

impl List {
    /// The page that is wanted.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a size or token that cannot be used.
    pub(super) fn page(&self) -> Result<Page, ApiError> {
        Page::new(self.method, &self.filter, self.page_size, &self.page_token)
    }
}

/// A page.
#[derive(Debug)]
pub(super) struct Found<M> {
    pub(super) items: Vec<M>,
    pub(super) next_page_token: String,
    /// All that match.
    pub(super) total: u32,
}

/// The page of `records` (in the order of their keys) that is asked for. `is_after(record, key)` tells whether a
/// record comes after the key of another.
///
/// # Errors
/// `INVALID_ARGUMENT` for a filter, size or token that cannot be used.
pub(super) fn list<R, M: Message + Name>(
    request: &List,
    records: Vec<R>,
    convert: impl Fn(&R) -> M,
    key: impl Fn(&R) -> String,
    is_after: impl Fn(&R, &str) -> bool,
) -> Result<Found<M>, ApiError> {
    let filter = Filter::<M>::new(&request.filter)?;
    let page = request.page()?;
    let matching: Vec<R> = if filter.is_everything() {
        records
    } else {
        records.into_iter().filter(|record| filter.accepts(&convert(record))).collect()
    };
    let total = u32::try_from(matching.len()).unwrap_or(u32::MAX);
    let (page, next_page_token) = page.cut(matching, is_after, key);
    Ok(Found { items: page.iter().map(convert).collect(), next_page_token, total })
}
