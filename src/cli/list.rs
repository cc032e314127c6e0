//! All pages of a list.

use tonic::Status;

/// Items of a page, the most that a server gives.
const PAGE: i32 = 1000;

/// Fetches pages until the list or `most` items have come. `fetch` takes the page's size and token.
///
/// # Errors
/// Those of the server.
pub(crate) async fn all<T>(
    most: Option<usize>,
    mut fetch: impl AsyncFnMut(i32, String) -> Result<(Vec<T>, String), Status>,
) -> Result<Vec<T>, Status> {
    let mut items = Vec::new();
    let mut token = String::new();
    loop {
        let wanted = most.map_or(usize::MAX, |most| most.saturating_sub(items.len()));
        let size = i32::try_from(wanted).unwrap_or(PAGE).min(PAGE);
        if size == 0 {
            return Ok(items);
        }
        let (page, next) = fetch(size, token).await?;
        items.extend(page);
        if next.is_empty() || most.is_some_and(|most| items.len() >= most) {
            items.truncate(most.unwrap_or(usize::MAX));
            return Ok(items);
        }
        token = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn numbers(most: Option<usize>, of: usize) -> (Vec<usize>, usize) {
        let mut calls = 0;
        let items = all(most, async |size, token: String| {
            calls += 1;
            let start: usize = token.parse().unwrap_or(0);
            let end = (start + size as usize).min(of);
            let next = if end < of { end.to_string() } else { String::new() };
            Ok(((start..end).collect(), next))
        });
        let items = items.await.unwrap();
        (items, calls)
    }

    #[tokio::test]
    async fn pages_are_put_together() {
        assert_eq!(numbers(None, 2500).await, ((0..2500).collect(), 3));
        assert_eq!(numbers(Some(1200), 2500).await, ((0..1200).collect(), 2));
        assert_eq!(numbers(Some(7), 3).await, ((0..3).collect(), 1));
        assert_eq!(numbers(Some(0), 3).await, (vec![], 0));
        assert_eq!(numbers(None, 0).await, (vec![], 1));
    }
}
