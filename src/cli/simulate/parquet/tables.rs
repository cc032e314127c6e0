//! What came out, as tables with types.

use super::{Table, Values};
use crate::simulator::experiment::{Measured, Report};
use crate::simulator::measures::{Sample, Violation};
use serde_json::Value;

/// A row for each run, with all measures.
pub(crate) fn runs(report: &Report) -> Table {
    let it = &report.experiment;
    let row = |run: &Measured| {
        let common = [
            ("version", Value::from(report.version.as_str())),
            ("seed", Value::from(it.seed)),
            ("hosts", Value::from(it.hosts.count)),
            ("vms", Value::from(it.vms.count)),
        ];
        let common = common.into_iter().map(|(name, value)| (name.to_owned(), value));
        common.chain(run.columns()).collect()
    };
    rows(report.runs.iter().map(row))
}

/// Rows, all with the same columns.
pub(crate) fn rows(rows: impl Iterator<Item = Vec<(String, Value)>>) -> Table {
    let mut columns: Vec<(String, Vec<Value>)> = Vec::new();
    for row in rows {
        for (at, (name, value)) in row.into_iter().enumerate() {
            if columns.len() <= at {
                columns.push((name, Vec::new()));
            }
            columns[at].1.push(value);
        }
    }
    Table { columns: columns.into_iter().map(|(name, values)| (name, typed(&values))).collect() }
}

/// The type that all of them have.
fn typed(values: &[Value]) -> Values {
    // What is null where there is nothing is a number elsewhere.
    let all = |is: fn(&Value) -> bool| values.iter().all(|value| value.is_null() || is(value));
    if all(|value| value.is_i64() || value.is_u64()) && !all(Value::is_null) {
        Values::Whole(values.iter().map(Value::as_i64).collect())
    } else if all(Value::is_number) {
        Values::Real(values.iter().map(Value::as_f64).collect())
    } else if all(Value::is_boolean) {
        Values::Flag(values.iter().map(Value::as_bool).collect())
    } else {
        Values::Text(values.iter().map(|value| value.as_str().map(str::to_owned)).collect())
    }
}

/// The time series of runs; each row begins with the name of its run where there are several.
pub(crate) fn series(runs: &[Measured], named: bool) -> Table {
    let all = || runs.iter().flat_map(|run| run.series.iter().map(move |sample| (run, sample)));
    let real = |of: fn(&Sample) -> f64| Values::Real(all().map(|(_, it)| Some(of(it))).collect());
    let whole =
        |of: fn(&Sample) -> u64| Values::Whole(all().map(|(_, it)| i64::try_from(of(it)).ok()).collect());
    let name = Values::Text(all().map(|(run, _)| Some(run.name.clone())).collect());
    let columns = [
        ("run", name),
        ("time_s", real(|it| it.time_s)),
        ("load", real(|it| it.load)),
        ("over", whole(|it| it.over.into())),
        ("over_host_s", real(|it| it.over_host_s)),
        ("active", whole(|it| it.active.into())),
        ("on", whole(|it| it.on.into())),
        ("watts", real(|it| it.watts)),
        ("migrating", whole(|it| it.migrating.into())),
        ("migrated", whole(|it| it.migrated)),
        ("messages", whole(|it| it.messages)),
        ("fairness", real(|it| it.fairness)),
    ];
    let columns = columns.into_iter().skip(usize::from(!named));
    Table { columns: columns.map(|(name, values)| (name.to_owned(), values)).collect() }
}

/// The violations of a run. What did not come is not there.
pub(crate) fn violations(run: &Measured) -> Table {
    let time = |of: fn(&Violation) -> f64| {
        Values::Real(run.log.iter().map(of).map(|time| (!time.is_nan()).then_some(time)).collect())
    };
    let host = Values::Whole(run.log.iter().map(|it| Some(it.host.0.into())).collect());
    let cause =
        Values::Text(run.log.iter().map(|it| Some(format!("{:?}", it.cause).to_lowercase())).collect());
    let columns = [
        ("host", host),
        ("began", time(|it| it.began)),
        ("ended", time(|it| it.ended)),
        ("detected", time(|it| it.detected)),
        ("cause", cause),
    ];
    Table { columns: columns.map(|(name, values)| (name.to_owned(), values)).into() }
}
