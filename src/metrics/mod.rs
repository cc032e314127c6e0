//! Figures for Prometheus, and a sign of life, over HTTP.

mod calls;
mod process;
mod table;
#[cfg(test)]
mod tests;

pub use calls::{Calls, Count};

use crate::coordinator::{Coordinator, Figures};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use process::Process;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use table::{Kind, METRICS, Metric, Snapshot};
use tokio::net::TcpListener;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `GET /metrics` and `GET /healthz` until `stop`.
///
/// # Errors
/// The listener failed.
pub async fn serve(
    listener: TcpListener,
    coordinator: Coordinator,
    calls: Calls,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let figures = move || coordinator.figures();
    axum::serve(listener, router(figures, calls)).with_graceful_shutdown(stop).await
}

fn router(figures: impl Fn() -> Figures + Clone + Send + Sync + 'static, calls: Calls) -> Router {
    let metrics = move || {
        let snapshot = Snapshot { figures: figures(), calls: calls.counts(), process: Process::now() };
        std::future::ready(scrape(snapshot))
    };
    Router::new().route("/metrics", get(metrics)).route("/healthz", get(|| async { "ok\n" }))
}

fn scrape(snapshot: Snapshot) -> Response {
    match text_of(snapshot) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(fmt::Error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "the figures have no text form\n").into_response()
        }
    }
}

/// The figures in the text form of `OpenMetrics`.
fn text_of(snapshot: Snapshot) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        METRICS.iter().try_for_each(|metric| encode(metric, self, &mut encoder))
    }
}

fn encode(
    metric: &Metric,
    snapshot: &Snapshot,
    encoder: &mut DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    // The encoder adds the ending of counters itself.
    let (name, kind) = match metric.kind {
        Kind::Gauge => (metric.name, MetricType::Gauge),
        Kind::Counter => (metric.name.trim_end_matches("_total"), MetricType::Counter),
    };
    let mut family = encoder.encode_descriptor(name, metric.meaning, None, kind)?;
    for value in (metric.read)(snapshot) {
        let labels: Vec<(&str, String)> = metric.labels.iter().copied().zip(value.labels).collect();
        if labels.is_empty() {
            // An empty set would be written as braces; such a metric has one value.
            return encode_value(metric.kind, value.number, family);
        }
        encode_value(metric.kind, value.number, family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn encode_value(kind: Kind, number: f64, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
    match kind {
        Kind::Gauge => ConstGauge::new(number).encode(encoder),
        Kind::Counter => ConstCounter::new(number).encode(encoder),
    }
}
