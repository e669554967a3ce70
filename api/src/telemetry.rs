//! Logs of Coppice itself, and traces to a collector behind one setting.
//!
//! `COPPICE_OTLP_ENDPOINT=http://host:4318` sends every span there by OTLP over HTTP; without it
//! nothing leaves the process. `COPPICE_LOG` is a filter as `tracing` has them; default `info`.

use std::io::IsTerminal;

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// Where traces go.
const ENDPOINT: &str = "COPPICE_OTLP_ENDPOINT";
/// What is logged.
const FILTER: &str = "COPPICE_LOG";
/// Libraries that log every request at `info`.
const CHATTY: &str =
    "info,hickory_server=warn,hickory_proto=warn,hickory_resolver=warn,mdns_sd=warn,ractor=warn";
/// Targets that would trace the sending of traces.
const OWN_TRAFFIC: [&str; 4] = ["hyper", "reqwest", "opentelemetry", "h2"];

/// Keeps the exporter; dropping it sends what waits.
#[derive(Debug)]
#[must_use = "dropping this ends the export of traces"]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take() {
            // The collector may be away; there is nobody left to tell.
            let _ = provider.shutdown();
        }
    }
}

/// Sets up logging to standard error, and tracing if it is asked for. Call it once, outside any
/// async runtime: the exporter brings threads of its own.
///
/// # Errors
/// When the endpoint is no URL.
pub fn start(process: &'static str) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new(CHATTY));
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_filter(filter);
    let Ok(endpoint) = std::env::var(ENDPOINT) else {
        tracing_subscriber::registry().with(log).init();
        return Ok(Telemetry(None));
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()?;
    let resource = Resource::builder()
        .with_service_name("coppice")
        .with_attribute(KeyValue::new("process", process))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build();
    let mut quiet = EnvFilter::new("info");
    for target in OWN_TRAFFIC {
        quiet = quiet.add_directive(format!("{target}=off").parse()?);
    }
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("coppice"))
        .with_filter(quiet);
    tracing_subscriber::registry().with(log).with(traces).init();
    Ok(Telemetry(Some(provider)))
}
