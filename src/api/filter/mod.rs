//! The filter language of lists: a conjunction of comparisons `field OP value`, checked against the
//! message it is for before it is used.

mod evaluate;
mod parse;
#[cfg(test)]
mod tests;

use super::error::ApiError;
use evaluate::Test;
use prost::{Message, Name};
use std::marker::PhantomData;

/// A filter over messages of one type.
#[derive(Debug)]
pub struct Filter<M> {
    tests: Vec<Test>,
    message: PhantomData<fn(&M)>,
}

/// A fault of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilterFault {
    /// Character, from 1.
    position: usize,
    message: String,
}

impl<M: Message + Name> Filter<M> {
    /// Reads a filter; empty = everything.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` on the field `filter`, with the position of the fault.
    pub fn new(text: &str) -> Result<Self, ApiError> {
        let descriptor = crate::json::descriptor::<M>();
        let refuse = |fault: FilterFault| {
            let message = format!("at character {}: {}", fault.position, fault.message);
            ApiError::invalid_field("filter", message)
        };
        let comparisons = parse::parse(text).map_err(refuse)?;
        let tests = comparisons.into_iter().map(|comparison| Test::new(&descriptor, &comparison));
        Ok(Self { tests: tests.collect::<Result<_, _>>().map_err(refuse)?, message: PhantomData })
    }

    /// Whether nothing is filtered out.
    pub fn is_everything(&self) -> bool {
        self.tests.is_empty()
    }

    /// Whether the message is wanted.
    pub fn accepts(&self, message: &M) -> bool {
        if self.tests.is_empty() {
            return true;
        }
        let message = crate::json::dynamic(message);
        self.tests.iter().all(|test| test.holds(&message))
    }
}
