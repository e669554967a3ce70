//! About the server.

use coppice_actors::{
    Kind, Problem, boot::STARTOS_COMPATIBLE, coppice::TreeNode, model::ReceiptRow,
};
use coppice_clock::{Mono, Wall};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    Call, Failure,
    shapes::{Count, Nothing},
};
use crate::metrics::total_memory;

#[derive(Deserialize, TS)]
pub(super) struct Echo {
    /// What comes back.
    message: String,
}

pub(super) async fn echo(_: Call, params: Echo) -> Result<String, Failure> {
    Ok(params.message)
}

/// How the server is; whoever is answered knows that it is up.
#[derive(Serialize, TS)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    Running,
}

pub(super) async fn state(_: Call, _: Nothing) -> Result<Phase, Failure> {
    Ok(Phase::Running)
}

pub(super) async fn version(_: Call, _: Nothing) -> Result<String, Failure> {
    Ok(env!("CARGO_PKG_VERSION").to_owned())
}

#[derive(Serialize, TS)]
pub(super) struct ServerTime {
    /// The server's time.
    #[ts(type = "string")]
    now: Wall,
    /// How long the machine has been up, in seconds.
    uptime: u64,
}

pub(super) async fn time(_: Call, _: Nothing) -> Result<ServerTime, Failure> {
    Ok(ServerTime {
        now: Wall::now(),
        uptime: Mono::now().as_millis() / 1000,
    })
}

/// What a registry would ask of this server, to offer what fits it.
#[derive(Serialize, TS)]
pub(super) struct DeviceInfo {
    os: DeviceOs,
    hardware: DeviceHardware,
}

#[derive(Serialize, TS)]
struct DeviceOs {
    /// The StartOS version that packages see.
    version: String,
    /// The versions that a package may ask for, as a range.
    compat: String,
    /// What images of the system are made for.
    #[ts(type = "string")]
    platform: &'static str,
    /// The language, for example `en_US`.
    language: String,
}

#[derive(Serialize, TS)]
struct DeviceHardware {
    /// The processor's architecture.
    #[ts(type = "string")]
    arch: &'static str,
    /// Memory in bytes.
    #[ts(as = "Count")]
    ram: u64,
    /// Processors and displays; null: not looked for.
    #[ts(type = "null")]
    devices: (),
}

pub(super) async fn device_info(call: Call, _: Nothing) -> Result<DeviceInfo, Failure> {
    let ram = total_memory().map_err(|error| {
        let why = format!("the machine cannot be measured: {error}; try again");
        Problem::new(Kind::Filesystem, why)
    })?;
    let arch = std::env::consts::ARCH;
    Ok(DeviceInfo {
        os: DeviceOs {
            version: STARTOS_COMPATIBLE.to_owned(),
            compat: format!("<={STARTOS_COMPATIBLE}"),
            platform: arch,
            language: call.coppice().host().language.clone(),
        },
        hardware: DeviceHardware {
            arch,
            ram,
            devices: (),
        },
    })
}

pub(super) async fn tree(call: Call, _: Nothing) -> Result<TreeNode, Failure> {
    let tree = call.coppice().tree().await;
    Ok(tree.ok_or_else(|| {
        Problem::new(
            Kind::Cancelled,
            "the server is going down; ask again when it is back",
        )
    })?)
}

#[derive(Deserialize, TS)]
#[ts(optional_fields = nullable)]
pub(super) struct StopServer {
    /// Take the services down first.
    services: Option<bool>,
}

#[derive(Deserialize, TS)]
pub(super) struct UpgradeServer {
    /// The program, with its whole path.
    #[ts(type = "string")]
    program: std::path::PathBuf,
}

#[derive(Serialize, TS)]
pub(super) struct UpgradeBegun {
    /// What its receipt will name.
    attempt: String,
}

/// Answers before it happens: the core that answers is not the one that would know how it ended.
pub(super) async fn upgrade(call: Call, params: UpgradeServer) -> Result<UpgradeBegun, Failure> {
    let UpgradeServer { program } = params;
    if !program.is_absolute() {
        let why = "name the program with its whole path, from `/` on";
        return Err(Problem::invalid(why).into());
    }
    call.coppice().may_upgrade()?;
    let attempt = format!("{:016x}", rand::random::<u64>());
    (call.context.gate.upgrade)(attempt.clone(), program);
    Ok(UpgradeBegun { attempt })
}

pub(super) async fn receipts(call: Call, _: Nothing) -> Result<Vec<ReceiptRow>, Failure> {
    Ok(call.coppice().host().document.receipts())
}

/// How long the answer has to get out before the server ends.
const FAREWELL: std::time::Duration = std::time::Duration::from_millis(200);

/// Answers before it happens: the answer would not get out otherwise. Who hangs up meanwhile has asked for
/// a stop, not for half of one: like every call that leaves a row, it runs in a task of its own.
pub(super) async fn stop(call: Call, params: StopServer) -> Result<(), Failure> {
    let services = params.services.unwrap_or_default();
    if services {
        call.coppice().stop_everything().await;
    }
    let stop = std::sync::Arc::clone(&call.context.gate.stop);
    tokio::spawn(async move {
        tokio::time::sleep(FAREWELL).await;
        stop(services);
    });
    Ok(())
}
