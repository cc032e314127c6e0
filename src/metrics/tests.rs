use super::table::{Kind, METRICS, Snapshot};
use super::{Calls, Figures, router, text_of};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn figures() -> Figures {
    Figures {
        hosts: BTreeMap::from([("connected", 3), ("lost", 1)]),
        vms: 12,
        conditions: BTreeMap::from([("OVERLOAD", 1)]),
        events: BTreeMap::from([("DRAIN", 2)]),
        actions: BTreeMap::from([("done", 5), ("failed", 1)]),
        solves: 4,
        solve_seconds: 0.5,
        ..Figures::default()
    }
}

#[test]
fn figures_are_served_as_prometheus_reads_them() {
    let calls = Calls::default();
    calls.count("dvms.v1.PlanService/GetPlan", "OK", Duration::from_millis(250));
    calls.count("dvms.v1.PlanService/GetPlan", "OK", Duration::from_millis(250));
    calls.count("other", "UNIMPLEMENTED", Duration::ZERO);
    let snapshot = Snapshot { figures: figures(), calls: calls.counts(), ..Snapshot::default() };
    let text = text_of(snapshot).unwrap();
    for line in [
        "# TYPE dvms_hosts gauge",
        "dvms_hosts{connection=\"connected\"} 3.0",
        "dvms_vms 12.0",
        "dvms_conditions{kind=\"OVERLOAD\"} 1.0",
        "# TYPE dvms_events counter",
        "dvms_events_total{kind=\"DRAIN\"} 2.0",
        "dvms_actions_total{result=\"failed\"} 1.0",
        "dvms_solve_seconds_total 0.5",
        "dvms_calls_total{method=\"dvms.v1.PlanService/GetPlan\",code=\"OK\"} 2.0",
        "dvms_call_seconds_total{method=\"dvms.v1.PlanService/GetPlan\",code=\"OK\"} 0.5",
        concat!("dvms_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1.0"),
        "# EOF",
    ] {
        assert!(text.lines().any(|got| got == line), "{line:?} is not in:\n{text}");
    }
}

#[test]
fn every_metric_has_a_proper_name_and_values_for_its_labels() {
    let calls = Calls::default();
    calls.count("m", "OK", Duration::ZERO);
    let snapshot = Snapshot { figures: figures(), calls: calls.counts(), ..Snapshot::default() };
    for metric in METRICS {
        assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
        for value in (metric.read)(&snapshot) {
            assert_eq!(value.labels.len(), metric.labels.len(), "{}", metric.name);
        }
    }
}

#[test]
fn the_documentation_lists_every_metric() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATIONS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split("## Metrics").nth(1).expect("a section Metrics").split("\n## ").next().unwrap();
    let listed: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |metric: &super::Metric| {
        let kind = match metric.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{}` | {kind} | {} | {} |", metric.name, labels.join(", "), metric.meaning)
    };
    let metrics: Vec<String> = METRICS.iter().map(row).collect();
    assert_eq!(
        listed,
        metrics,
        "docs/OPERATIONS.md (left) and the program (right); it should be\n{}",
        metrics.join("\n")
    );
}

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an answer in time").unwrap();
    answer
}

#[tokio::test]
async fn they_are_had_over_http() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = axum::serve(listener, router(figures, Calls::default()));
    let server = tokio::spawn(server.into_future());
    let metrics = get(address, "/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("openmetrics-text"), "{metrics}");
    assert!(metrics.contains("\ndvms_vms 12.0\n") && metrics.contains("\nprocess_open_fds "), "{metrics}");
    assert!(get(address, "/healthz").await.ends_with("\r\n\r\nok\n"));
    assert!(get(address, "/other").await.starts_with("HTTP/1.1 404"));
    server.abort();
}
