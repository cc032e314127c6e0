//! Pages of a list. A token names the last item that was sent, so that items that come or go between two
//! pages neither repeat nor hide others; it is bound to the method and the filter it was made for.

use super::error::ApiError;
use crate::fnv::Fnv;
use std::fmt::Write as _;

/// Items of a page when the request does not say.
pub const DEFAULT_SIZE: usize = 100;
/// Most items of a page; larger requests get this many.
pub const LARGEST_SIZE: usize = 1000;

const VERSION: u8 = 1;

/// What part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Most items to send.
    pub size: usize,
    /// Key of the last item already sent.
    pub after: Option<String>,
    scope: u64,
}

impl Page {
    /// Reads `page_size` and `page_token` of a request. `method` and `filter` must be the same for every
    /// page of a list.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a negative size and for a token that was not made for this list.
    pub fn new(method: &str, filter: &str, page_size: i32, page_token: &str) -> Result<Self, ApiError> {
        let size = match usize::try_from(page_size) {
            Ok(0) => DEFAULT_SIZE,
            Ok(size) => size.min(LARGEST_SIZE),
            Err(_) => {
                return Err(ApiError::invalid_field("page_size", format!("must be ≥ 0, is {page_size}")));
            }
        };
        let scope = fnv(&[method, filter]);
        let after = if page_token.is_empty() { None } else { Some(decode(page_token, scope)?) };
        Ok(Self { size, after, scope })
    }

    /// Cuts the page out of a list that is in the order of its keys. Returns the items and the token of
    /// the next page, empty at the end. `is_after(item, key)` tells whether the item comes after the key.
    pub fn cut<T>(
        &self,
        items: impl IntoIterator<Item = T>,
        is_after: impl Fn(&T, &str) -> bool,
        key: impl Fn(&T) -> String,
    ) -> (Vec<T>, String) {
        let rest =
            items.into_iter().filter(|item| self.after.as_ref().is_none_or(|last| is_after(item, last)));
        let mut page: Vec<T> = rest.take(self.size + 1).collect();
        let more = page.len() > self.size;
        page.truncate(self.size);
        let token = match page.last() {
            Some(last) if more => encode(&key(last), self.scope),
            _ => String::new(),
        };
        (page, token)
    }
}

impl Page {
    /// The token of the page after the item with this key.
    #[must_use]
    pub fn token_after(&self, key: &str) -> String {
        encode(key, self.scope)
    }
}

fn encode(key: &str, scope: u64) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend(scope.to_be_bytes());
    bytes.extend(key.as_bytes());
    bytes.iter().fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

fn decode(token: &str, scope: u64) -> Result<String, ApiError> {
    let refuse = |why: &str| ApiError::invalid_field("page_token", why);
    let digits = token.as_bytes();
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?, 16).ok())
        .collect();
    let bytes = bytes.ok_or_else(|| refuse("is not a token that this server made"))?;
    match bytes.split_first_chunk::<9>() {
        Some((head, key)) if head[0] == VERSION => {
            if head[1..] != scope.to_be_bytes() {
                return Err(refuse("was made for another list or another filter"));
            }
            String::from_utf8(key.to_vec()).map_err(|_| refuse("is not a token that this server made"))
        }
        _ => Err(refuse("is not a token that this server made")),
    }
}

/// Only ties a token to its list.
fn fnv(parts: &[&str]) -> u64 {
    let mut hash = Fnv::default();
    for part in parts {
        hash.text(part);
    }
    hash.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pages(names: &[String], size: i32) -> Vec<String> {
        let mut token = String::new();
        let mut got = Vec::new();
        for _ in 0..=names.len() {
            let page = Page::new("List", "f", size, &token).unwrap();
            let (items, next) = page.cut(names, |name, last| name.as_str() > last, |name| (*name).clone());
            got.extend(items.into_iter().cloned());
            token = next;
            if token.is_empty() {
                break;
            }
        }
        got
    }

    proptest! {
        #[test]
        fn the_pages_together_are_the_list(
            names in prop::collection::btree_set("[A-Za-z0-9_.:@-]{1,12}", 0..40), size in 1..10
        ) {
            let names: Vec<String> = names.into_iter().collect();
            prop_assert_eq!(pages(&names, size), names);
        }

        #[test]
        fn no_token_makes_it_panic(token in ".{0,40}") {
            let _ = Page::new("List", "", 0, &token);
        }
    }

    #[test]
    fn an_item_that_goes_between_two_pages_hides_no_other() {
        let first = Page::new("List", "", 2, "").unwrap();
        let after = |name: &&str, last: &str| *name > last;
        let (_, token) = first.cut(["a", "b", "c", "d"], after, |name| (*name).to_owned());
        let second = Page::new("List", "", 2, &token).unwrap();
        assert_eq!(second.cut(["a", "c", "d"], after, |name| (*name).to_owned()).0, ["c", "d"]);
    }

    #[test]
    fn foreign_tokens_and_negative_sizes_are_refused() {
        let page = Page::new("List", "", 1, "").unwrap();
        let (_, token) = page.cut(["a", "b"], |_, _| true, |name| (*name).to_owned());
        for (method, filter, size, token) in [
            ("Other", "", 1, token.as_str()),
            ("List", "x = 1", 1, token.as_str()),
            ("List", "", 1, "zz"),
            ("List", "", 1, "0"),
            ("List", "", -1, ""),
        ] {
            let error = Page::new(method, filter, size, token).unwrap_err();
            assert_eq!(error.code(), tonic::Code::InvalidArgument);
        }
    }
}
