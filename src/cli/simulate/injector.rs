//! `dvms simulate injector`: the load of VMPlaceS, line by line.

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::simulator::injector::{
    Crashes, Fault, Injector, LoadChange, Loads, Outages, Seat, Unordered, placement,
};
use std::io::{self, BufWriter, Write};

/// Prints the events of the VMPlaceS load injector: who needs how much CPU from when on
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Lines are `time,vm,load`: seconds, the VM, percent of a core. All demands are 0 before. They are those of VMPlaceS,
bit for bit: `… | sha256sum` gives the hashes of docs/EXPERIMENTS.md.

Examples:
  dvms simulate injector --hosts 64 --vms 640 --seconds 1800
  dvms simulate injector --hosts 128 --vms 1280 --seconds 3600 --mean 70 --sd 30
  dvms simulate injector --hosts 64 --vms 640 --placement
  dvms simulate injector --hosts 64 --seconds 3600 --crashes --crash-period 10000")]
pub(crate) struct Arguments {
    /// How many hosts there are; the load does not depend on it
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    hosts: u32,
    /// How many VMs there are
    #[arg(long, value_name = "NUMBER", default_value_t = 640, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    vms: u32,
    /// When it ends
    #[arg(long, value_name = "SECONDS", default_value_t = 1800.0, value_parser = seconds, allow_negative_numbers = true)]
    seconds: f64,
    /// Mean demand of a VM, percent of a core
    #[arg(long, value_name = "PERCENT", default_value_t = 60.0, value_parser = amount, allow_negative_numbers = true)]
    mean: f64,
    /// Standard deviation of the demand, percent of a core
    #[arg(long, value_name = "PERCENT", default_value_t = 20.0, value_parser = amount, allow_negative_numbers = true)]
    sd: f64,
    /// Mean seconds between two changes of one VM
    #[arg(long, value_name = "SECONDS", default_value_t = 300.0, value_parser = seconds, allow_negative_numbers = true)]
    period: f64,
    /// What every stream of random numbers begins with
    #[arg(long, value_name = "NUMBER", default_value_t = 23)]
    seed: u64,
    /// Print where VMs are at the start instead: `vm,host,dirty_percent`
    #[arg(long, conflicts_with = "crashes")]
    placement: bool,
    /// Print which hosts crash and come back instead: `time,host,down|up`
    #[arg(long)]
    crashes: bool,
    /// Mean seconds between two crashes of one host
    #[arg(long, value_name = "SECONDS", default_value_t = 1_661_000.0, value_parser = seconds, allow_negative_numbers = true)]
    crash_period: f64,
    /// Seconds until a host that has crashed is up again
    #[arg(long, value_name = "SECONDS", default_value_t = 300.0, value_parser = seconds, allow_negative_numbers = true)]
    down: f64,
}

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 1e9 => Ok(seconds),
        _ => Err("it is a number of seconds above 0, at most 1000000000".to_owned()),
    }
}

fn amount(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(amount) if (0.0..=1e6).contains(&amount) => Ok(amount),
        _ => Err("it is a number of percent, 0 or more".to_owned()),
    }
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let json = output.is_json();
    if arguments.placement {
        let seats = placement(arguments.hosts, arguments.vms, arguments.seed).map_err(refused)?;
        let row = |(vm, seat): (usize, &Seat)| {
            [
                ("vm", Field::Name("vm-", vm as u32)),
                ("host", Field::Name("node", seat.host)),
                ("dirty_percent", Field::Whole(seat.dirty_percent)),
            ]
        };
        rows(&mut out, json, seats.iter().enumerate().map(row))?;
    } else if arguments.crashes {
        let outages =
            Outages { period_s: arguments.crash_period, down_s: arguments.down, seed: arguments.seed };
        let row = |fault: Fault| {
            let becomes = if fault.up { "up" } else { "down" };
            [
                ("time", Field::Seconds(fault.time)),
                ("host", Field::Name("node", fault.host)),
                ("becomes", Field::Word(becomes)),
            ]
        };
        rows(&mut out, json, Crashes::new(arguments.hosts, arguments.seconds, outages).map(row))?;
    } else {
        let loads = Loads {
            mean: arguments.mean,
            sd: arguments.sd,
            period_s: arguments.period,
            seed: arguments.seed,
        };
        let row = |change: LoadChange| {
            [
                ("time", Field::Seconds(change.time)),
                ("vm", Field::Name("vm-", change.vm)),
                ("load", Field::Whole(change.load)),
            ]
        };
        rows(
            &mut out,
            json,
            Injector::new(arguments.vms, arguments.seconds, loads).map_err(refused)?.map(row),
        )?;
    }
    out.flush()?;
    Ok(Exit::Success)
}

fn refused(error: Unordered) -> Failure {
    Failure::bad_input(error.to_string()).hint("Other numbers of hosts and VMs can be printed.")
}

/// What is in a column.
enum Field {
    /// The shortest decimal that reads back as the same number, without exponent.
    Seconds(f64),
    Whole(u32),
    Name(&'static str, u32),
    Word(&'static str),
}

/// Lines for people and `sha256sum`; an array of objects for programs. Written as they come: there may be millions.
fn rows<const N: usize>(
    out: &mut impl Write,
    json: bool,
    rows: impl Iterator<Item = [(&'static str, Field); N]>,
) -> io::Result<()> {
    let mut begun = false;
    for row in rows {
        if json {
            out.write_all(if begun { b",\n{" } else { b"[\n{" })?;
        }
        begun = true;
        for (column, (name, field)) in row.iter().enumerate() {
            if column > 0 {
                out.write_all(b",")?;
            }
            let quote = if json && matches!(field, Field::Name(..) | Field::Word(_)) { "\"" } else { "" };
            if json {
                write!(out, "\"{name}\":{quote}")?;
            }
            match field {
                Field::Seconds(seconds) => write!(out, "{seconds}")?,
                Field::Whole(number) => write!(out, "{number}")?,
                Field::Name(prefix, number) => write!(out, "{prefix}{number}")?,
                Field::Word(word) => out.write_all(word.as_bytes())?,
            }
            out.write_all(quote.as_bytes())?;
        }
        out.write_all(if json { b"}" } else { b"\n" })?;
    }
    match (json, begun) {
        (true, true) => out.write_all(b"\n]\n"),
        (true, false) => out.write_all(b"[]\n"),
        (false, _) => Ok(()),
    }
}
