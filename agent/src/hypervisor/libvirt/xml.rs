//! The few things the agent reads from libvirt's XML.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

use crate::hypervisor::NumaCell;

/// Namespace of the labels in a domain's metadata:
/// `<metadata><dvms:labels xmlns:dvms="https://dvms.dev/labels/1"><dvms:label name="tier" value="gold"/>`.
pub const LABELS_NAMESPACE: &str = "https://dvms.dev/labels/1";

/// What the capabilities of a host say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HostXml {
    pub uuid: String,
    pub numa_cells: Vec<NumaCell>,
}

/// What a domain's definition says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DomainXml {
    pub name: String,
    pub uuid: String,
    pub memory_kib: u64,
    pub labels: BTreeMap<String, String>,
    pub has_balloon_period: bool,
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    node.children().find(|n| n.tag_name().name() == name)
}

fn text<'a>(node: Node<'a, 'a>, name: &str) -> Option<&'a str> {
    child(node, name)?.text().map(str::trim)
}

/// An amount of memory with libvirt's `unit` attribute (KiB when it has none), in KiB.
fn kib(node: Node) -> Option<u64> {
    let amount: u64 = node.text()?.trim().parse().ok()?;
    let (factor, divisor) = match node.attribute("unit").unwrap_or("KiB") {
        "b" | "bytes" => (1, 1024),
        "KB" => (1000, 1024),
        "k" | "KiB" => (1, 1),
        "MB" => (1_000_000, 1024),
        "M" | "MiB" => (1024, 1),
        "GB" => (1_000_000_000, 1024),
        "G" | "GiB" => (1024 * 1024, 1),
        "TB" => (1_000_000_000_000, 1024),
        "T" | "TiB" => (1024 * 1024 * 1024, 1),
        _ => return None,
    };
    amount.checked_mul(factor).map(|v| v / divisor)
}

/// Reads `virConnectGetCapabilities`.
pub(super) fn read_capabilities(xml: &str) -> Result<HostXml, String> {
    let document = Document::parse(xml).map_err(|e| format!("capabilities are no XML: {e}"))?;
    let host = child(document.root_element(), "host").ok_or("capabilities without <host>")?;
    let cells = child(host, "topology").and_then(|t| child(t, "cells"));
    let numa_cells = cells.into_iter().flat_map(|c| c.children()).filter_map(|cell| {
        let cpus: i64 = child(cell, "cpus")?.attribute("num")?.parse().ok()?;
        Some(NumaCell {
            id: cell.attribute("id")?.parse().ok()?,
            cpu_millicores: cpus * 1000,
            memory_mib: i64::try_from(kib(child(cell, "memory")?)? / 1024).ok()?,
        })
    });
    Ok(HostXml {
        uuid: text(host, "uuid").unwrap_or_default().to_ascii_lowercase(),
        numa_cells: numa_cells.collect(),
    })
}

/// Reads a domain's definition.
pub(super) fn read_domain(xml: &str) -> Result<DomainXml, String> {
    let document = Document::parse(xml).map_err(|e| format!("the definition is no XML: {e}"))?;
    let root = document.root_element();
    if root.tag_name().name() != "domain" {
        return Err(format!("the definition is a <{}>, not a <domain>", root.tag_name().name()));
    }
    let name = text(root, "name").filter(|n| !n.is_empty()).ok_or("the definition has no <name>")?;
    let labels = child(root, "metadata")
        .into_iter()
        .flat_map(|m| m.descendants())
        .filter(|n| n.has_tag_name((LABELS_NAMESPACE, "label")))
        .filter_map(|n| Some((n.attribute("name")?.to_owned(), n.attribute("value")?.to_owned())));
    let balloon = child(root, "devices").and_then(|d| child(d, "memballoon"));
    Ok(DomainXml {
        name: name.to_owned(),
        uuid: text(root, "uuid").unwrap_or_default().to_ascii_lowercase(),
        memory_kib: child(root, "memory").and_then(kib).ok_or("the definition has no readable <memory>")?,
        labels: labels.collect(),
        has_balloon_period: balloon.and_then(|b| child(b, "stats")).is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain() {
        let xml = r#"<domain type="kvm" id="3"><name>web1</name><uuid>AAAA0000-0000-4000-8000-00000000000B</uuid>
            <metadata><x:other xmlns:x="urn:x"><x:label name="no" value="no"/></x:other>
              <d:labels xmlns:d="https://dvms.dev/labels/1"><d:label name="tier" value="gold"/></d:labels>
            </metadata>
            <memory unit="MiB">512</memory><devices><memballoon><stats period="1"/></memballoon></devices></domain>"#;
        let domain = read_domain(xml).unwrap();
        assert_eq!(domain.name, "web1");
        assert_eq!(domain.uuid, "aaaa0000-0000-4000-8000-00000000000b");
        assert_eq!(domain.memory_kib, 512 * 1024);
        assert_eq!(domain.labels, BTreeMap::from([("tier".to_owned(), "gold".to_owned())]));
        assert!(domain.has_balloon_period);
    }

    #[test]
    fn what_is_no_domain_is_refused_with_its_fault() {
        assert!(read_domain("<domain").unwrap_err().contains("no XML"));
        assert!(read_domain("<network/>").unwrap_err().contains("<network>"));
        assert!(read_domain("<domain><memory>1</memory></domain>").unwrap_err().contains("<name>"));
        let unit = "<domain><name>a</name><memory unit='furlong'>1</memory></domain>";
        assert!(read_domain(unit).unwrap_err().contains("<memory>"));
    }

    #[test]
    fn capabilities() {
        let xml = "<capabilities><host><uuid>77000000-0000-4000-8000-00000000000A</uuid><topology><cells num='2'>
            <cell id='0'><memory unit='KiB'>2048</memory><cpus num='2'><cpu id='0'/></cpus></cell>
            <cell id='1'><memory unit='KiB'>4096</memory><cpus num='4'/></cell></cells></topology></host></capabilities>";
        let host = read_capabilities(xml).unwrap();
        assert_eq!(host.uuid, "77000000-0000-4000-8000-00000000000a");
        let cell = |id, cpu_millicores, memory_mib| NumaCell { id, cpu_millicores, memory_mib };
        assert_eq!(host.numa_cells, [cell(0, 2000, 2), cell(1, 4000, 4)]);
    }
}
