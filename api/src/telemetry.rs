//! Logs of Coppice itself, and traces to a collector behind one setting.
//!
//! Every line goes to standard error; the core's are kept, too, for `server.logs`, in segments as those of services are.
//!
//! `COPPICE_OTLP_ENDPOINT=http://host:4318` sends every span there by OTLP over HTTP; without it
//! nothing leaves the process. `COPPICE_LOG` is a filter as `tracing` has them; default `info`.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use coppice_clock::{Wall, boot_id};
use coppice_segments::Segments;
use coppice_wire::logs::{LINE_BYTES, Stream};

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// Where traces go.
const ENDPOINT: &str = "COPPICE_OTLP_ENDPOINT";
/// What is logged.
const FILTER: &str = "COPPICE_LOG";
/// Who wrote a line of the log that is kept.
const SRC_CORE: &str = "core";
/// Libraries that log every request at `info`.
const CHATTY: &str =
    "info,hickory_server=warn,hickory_proto=warn,hickory_resolver=warn,mdns_sd=warn,ractor=warn";
/// What is traced: of calls also those that only read.
const TRACED: &str = "info,coppice_api::rpc=debug";
/// Targets that would trace the sending of traces.
const OWN_TRAFFIC: [&str; 4] = ["hyper", "reqwest", "opentelemetry", "h2"];

/// Where the log is kept, which each event is written to as a few lines.
#[derive(Clone)]
struct Kept(Arc<Mutex<Segments>>);

impl Kept {
    fn in_folder(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let segments = Segments::new(folder.to_owned(), boot_id()?, SRC_CORE);
        Ok(Self(Arc::new(Mutex::new(segments))))
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let lines = bytes.split(|byte| *byte == b'\n');
        let lines = lines.flat_map(|line| line.chunks(LINE_BYTES));
        // Nothing panics while it is held.
        let mut segments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        segments.write(Wall::now().as_millis(), SRC_CORE, Stream::Err, lines);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where in its data folder the log of a server is kept.
#[must_use]
pub fn folder(data: &Path) -> PathBuf {
    data.join("logs")
}

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

/// Sets up logging to standard error and into the folder `kept`, and tracing if it is asked for. Call it once, outside
/// any async runtime: the exporter brings threads of its own.
///
/// # Errors
/// When the endpoint is no URL, or the folder cannot be made.
pub fn start(process: &'static str, kept: Option<&Path>) -> anyhow::Result<Telemetry> {
    let filter = || EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new(CHATTY));
    let kept = kept.map(Kept::in_folder).transpose()?;
    let kept = kept.map(|kept| {
        tracing_subscriber::fmt::layer()
            .with_writer(move || kept.clone())
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .with_filter(filter())
    });
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_filter(filter())
        .and_then(kept);
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
    let mut quiet = EnvFilter::new(TRACED);
    for target in OWN_TRAFFIC {
        quiet = quiet.add_directive(format!("{target}=off").parse()?);
    }
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("coppice"))
        .with_filter(quiet);
    tracing_subscriber::registry().with(log).with(traces).init();
    Ok(Telemetry(Some(provider)))
}

#[cfg(test)]
mod tests {
    use coppice_actors::logs::ServiceLogs;
    use tracing::info;

    use super::*;

    #[test]
    fn an_event_is_kept_as_lines_of_this_boot_without_colours() {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs");
        let kept = Kept::in_folder(&logs).unwrap();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || kept.clone())
            .with_ansi(false)
            .with_target(false)
            .without_time();
        let long = "x".repeat(LINE_BYTES);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            info!(service = "hello", "one\ntwo");
            info!("{long}");
        });
        let lines = ServiceLogs::in_folder(&logs).tail(10).unwrap();
        let boot = boot_id().unwrap();
        assert!(
            lines
                .iter()
                .all(|one| one.line.src == SRC_CORE && one.line.run == boot)
        );
        let texts: Vec<&str> = lines.iter().map(|one| one.line.line.trim()).collect();
        assert_eq!(texts[..2], ["INFO one", "two service=\"hello\""]);
        assert_eq!(texts[2..].concat(), format!("INFO {long}"));
    }
}
