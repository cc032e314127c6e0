//! Small forms on the command line: `3:cpu=2000,memory=4096`, `rack=r1`.

use dvms_solver::file::Amounts;

/// What a VM is to be: like another one, and with which demand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct VmSpec {
    /// The VM that it is like.
    pub(crate) like: Option<String>,
    /// What it needs.
    pub(crate) demand: Amounts,
}

/// So many of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Many<T> {
    pub(crate) count: u32,
    pub(crate) of: T,
}

/// A name and a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// `rack=r1`.
pub(crate) fn pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok(Pair { name: name.to_owned(), value: value.to_owned() })
        }
        _ => Err("it is NAME=VALUE".to_owned()),
    }
}

/// `cpu=2000,memory=4096`, `like=web1`, or both: then what is named replaces what the other VM needs.
pub(crate) fn vm(text: &str) -> Result<VmSpec, String> {
    let mut spec = VmSpec::default();
    for part in text.split(',') {
        let Pair { name, value } = pair(part)?;
        let twice = if name == "like" {
            spec.like.replace(value).is_some()
        } else {
            let amount = value.parse::<i64>().ok().filter(|amount| *amount >= 0);
            let amount = amount
                .ok_or_else(|| format!("{value:?} is no amount of {name}: a whole number of at least 0"))?;
            spec.demand.insert(name.clone(), amount).is_some()
        };
        if twice {
            return Err(format!("{name} is given twice"));
        }
    }
    Ok(spec)
}

/// `10:cpu=2000,memory=4096`.
pub(crate) fn vms(text: &str) -> Result<Many<VmSpec>, String> {
    let (count, rest) = text.split_once(':').ok_or("it is NUMBER:RESOURCE=AMOUNT,… or NUMBER:like=VM")?;
    Ok(Many { count: number(count)?, of: vm(rest)? })
}

/// `2`, or `2:like=h1`.
pub(crate) fn hosts(text: &str) -> Result<Many<Option<String>>, String> {
    let Some((count, rest)) = text.split_once(':') else {
        return Ok(Many { count: number(text)?, of: None });
    };
    match pair(rest)? {
        Pair { name, value } if name == "like" => Ok(Many { count: number(count)?, of: Some(value) }),
        _ => Err("it is NUMBER or NUMBER:like=HOST".to_owned()),
    }
}

fn number(text: &str) -> Result<u32, String> {
    let number = text.parse::<u32>().ok().filter(|number| (1..=100_000).contains(number));
    number.ok_or_else(|| format!("{text:?} is no number of at least 1 and at most 100000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read() {
        let demand: Amounts = [("cpu".to_owned(), 2000), ("memory".to_owned(), 0)].into();
        assert_eq!(
            vms("10:cpu=2000,memory=0"),
            Ok(Many { count: 10, of: VmSpec { like: None, demand: demand.clone() } })
        );
        assert_eq!(vm("like=web1,cpu=2000,memory=0"), Ok(VmSpec { like: Some("web1".into()), demand }));
        assert_eq!(hosts("2"), Ok(Many { count: 2, of: None }));
        assert_eq!(hosts("2:like=h1"), Ok(Many { count: 2, of: Some("h1".into()) }));
        assert_eq!(pair("rack=a=b"), Ok(Pair { name: "rack".into(), value: "a=b".into() }));
    }

    #[test]
    fn what_is_wrong_with_a_form_is_said() {
        for wrong in [
            "",
            "10",
            "0:cpu=1",
            "-1:cpu=1",
            "x:cpu=1",
            "1:cpu",
            "1:cpu=x",
            "1:cpu=-1",
            "1:cpu=1,cpu=2",
            "1:like=a,like=b",
            "1:=3",
            "100001:cpu=1",
        ] {
            assert!(vms(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "0", "2:", "2:as=h1", "2:like=", "h1"] {
            assert!(hosts(wrong).is_err(), "{wrong}");
        }
        assert!(pair("rack").is_err() && pair("=a").is_err() && pair("rack=").is_err());
    }
}
