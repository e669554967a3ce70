//! How busy the machine is, and what each service uses of it.

use std::collections::BTreeMap;

use coppice_actors::{Kind, Problem, coppice::ServiceUsage};
use futures_util::FutureExt;
use serde::Serialize;
use ts_rs::TS;

use super::{
    Call, Failure,
    shapes::{Guid, Nothing},
};
use crate::{
    continuations::{Continuation, PATIENCE},
    gateway::streams,
    metrics::{Metrics, measure},
};

async fn measured(call: &Call) -> Result<Metrics, Problem> {
    let data = &call.coppice().host().layout.data;
    measure(data).await.map_err(|error| {
        let why = format!("the machine cannot be measured: {error}; try again");
        Problem::new(Kind::Filesystem, why)
    })
}

pub(super) async fn read(call: Call, _: Nothing) -> Result<Metrics, Failure> {
    Ok(measured(&call).await?)
}

/// How busy the machine is now, and from now on.
#[derive(Serialize, TS)]
pub(super) struct MetricsFollow {
    /// The ticket of the stream.
    guid: Guid,
    /// What there is to show until its first frame comes.
    metrics: Metrics,
}

pub(super) async fn follow(call: Call, _: Nothing) -> Result<MetricsFollow, Failure> {
    let metrics = measured(&call).await?;
    let data = call.coppice().host().layout.data.clone();
    let stream = Continuation::Socket(Box::new(move |socket| {
        streams::metrics(socket, data).boxed()
    }));
    let tickets = &call.context.gate.tickets;
    let guid = tickets.give(&call.context.caller, stream, PATIENCE)?;
    Ok(MetricsFollow {
        guid: Guid(guid),
        metrics,
    })
}

pub(super) async fn usage(
    call: Call,
    _: Nothing,
) -> Result<BTreeMap<String, ServiceUsage>, Failure> {
    Ok(call.coppice().usage().await)
}

/// What StartOS tells of a container, under its names.
#[derive(Serialize, TS)]
pub(super) struct PackageStats {
    /// Its container.
    container_id: String,
    /// Memory in MiB, without page cache that was not used lately.
    #[ts(type = "number | null")]
    memory_usage: Option<u64>,
    /// The most that it may use, in MiB.
    #[ts(type = "number | null")]
    memory_limit: Option<u64>,
}

impl PackageStats {
    fn of(usage: ServiceUsage) -> Option<Self> {
        let mebibytes = |bytes: Option<u64>| bytes.map(|bytes| bytes >> 20);
        Some(Self {
            container_id: usage.container?,
            memory_usage: mebibytes(usage.memory_bytes),
            memory_limit: mebibytes(usage.memory_limit_bytes),
        })
    }
}

pub(super) async fn stats(
    call: Call,
    _: Nothing,
) -> Result<BTreeMap<String, Option<PackageStats>>, Failure> {
    let all = call.coppice().usage().await.into_iter();
    Ok(all
        .map(|(id, usage)| (id, PackageStats::of(usage)))
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_container_is_told_of_in_mebibytes_and_a_service_without_one_is_null() {
        let usage = ServiceUsage {
            container: Some("hello".into()),
            memory_bytes: Some(3 << 20),
            memory_limit_bytes: Some(1 << 30),
            ..ServiceUsage::default()
        };
        assert_eq!(
            json!(PackageStats::of(usage)),
            json!({ "container_id": "hello", "memory_usage": 3, "memory_limit": 1024 })
        );
        assert!(PackageStats::of(ServiceUsage::default()).is_none());
    }
}
