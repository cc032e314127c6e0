//! How a caller wants a problem to be solved. These are no part of a problem, so they come as metadata of the call:
//! `dvms-seed`, `dvms-work-limit`, `dvms-migration-price`, `dvms-backend`.

use crate::api::error::{ApiError, Violation};
use crate::solving::{Backend, Order};
use clap::ValueEnum as _;
use std::time::Duration;
use tonic::metadata::MetadataMap;

/// What the metadata of a call say; all that is not said is as usual.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Wishes {
    seed: u64,
    work_limit: Option<u64>,
    migration_price: Option<f64>,
    backend: Backend,
}

impl Wishes {
    /// Reads them.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` with a violation for each that makes no sense, its field the name of the metadata.
    pub(super) fn of(metadata: &MetadataMap) -> Result<Self, ApiError> {
        let mut faults = Vec::new();
        let whole =
            |text: &str| text.parse::<u64>().map_err(|_| "must be a whole number of at least 0".to_owned());
        let price = |text: &str| match text.parse::<f64>() {
            // As much as whatever there is: `inf`.
            Ok(price) if price >= 0.0 => Ok(price),
            _ => Err("must be a number of MiB, at least 0".to_owned()),
        };
        let backend = |text: &str| {
            Backend::from_str(text, true).map_err(|_| "must be auto, heuristic, highs or cp".to_owned())
        };
        let wishes = Self {
            seed: read(metadata, "dvms-seed", &mut faults, whole).unwrap_or_default(),
            work_limit: read(metadata, "dvms-work-limit", &mut faults, whole),
            migration_price: read(metadata, "dvms-migration-price", &mut faults, price),
            backend: read(metadata, "dvms-backend", &mut faults, backend).unwrap_or_default(),
        };
        if faults.is_empty() { Ok(wishes) } else { Err(ApiError::invalid(faults)) }
    }

    /// An order for a solver.
    pub(super) fn order(self, time_limit: Duration, threads: usize) -> Order {
        let Self { seed, work_limit, migration_price, backend } = self;
        Order { time_limit, patience: None, threads, seed, work_limit, migration_price, backend }
    }
}

fn read<T>(
    metadata: &MetadataMap,
    name: &str,
    faults: &mut Vec<Violation>,
    value: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let text = metadata.get(name)?.to_str().unwrap_or_default().trim();
    match value(text) {
        Ok(value) => Some(value),
        Err(says) => {
            faults.push(Violation::new(name, format!("{says}, is {text:?}")));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(entries: &[(&'static str, &str)]) -> MetadataMap {
        let mut map = MetadataMap::new();
        for (name, value) in entries {
            map.insert(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn nothing_said_is_as_usual() {
        assert_eq!(Wishes::of(&metadata(&[])).unwrap(), Wishes::default());
    }

    #[test]
    fn what_is_said_is_ordered() {
        let said = metadata(&[
            ("dvms-seed", "7"),
            ("dvms-work-limit", "1000"),
            ("dvms-migration-price", "2.5"),
            ("dvms-backend", "CP"),
        ]);
        let order = Wishes::of(&said).unwrap().order(Duration::from_secs(3), 2);
        assert_eq!((order.seed, order.work_limit, order.migration_price), (7, Some(1000), Some(2.5)));
        assert_eq!(
            (order.backend, order.threads, order.time_limit),
            (Backend::Cp, 2, Duration::from_secs(3))
        );
    }

    #[test]
    fn each_that_makes_no_sense_is_told() {
        let said = metadata(&[
            ("dvms-seed", "-1"),
            ("dvms-work-limit", "x"),
            ("dvms-migration-price", "NaN"),
            ("dvms-backend", "magic"),
        ]);
        let error = format!("{:?}", Wishes::of(&said).unwrap_err());
        for name in ["dvms-seed", "dvms-work-limit", "dvms-migration-price", "dvms-backend"] {
            assert!(error.contains(name), "{name} is not in {error}");
        }
    }
}
