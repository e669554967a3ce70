//! About the server.

use coppice_actors::{Kind, Problem};
use coppice_clock::{Mono, Wall};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, Failure};

#[derive(Deserialize)]
struct Echo {
    message: String,
}

pub(super) async fn echo(call: Call) -> Result<Value, Failure> {
    Ok(Value::String(call.params::<Echo>()?.message))
}

pub(super) async fn state(_: Call) -> Result<Value, Failure> {
    Ok(json!("running"))
}

pub(super) async fn version(_: Call) -> Result<Value, Failure> {
    Ok(json!(env!("CARGO_PKG_VERSION")))
}

pub(super) async fn time(_: Call) -> Result<Value, Failure> {
    Ok(json!({ "now": Wall::now(), "uptime": Mono::now().as_millis() / 1000 }))
}

pub(super) async fn tree(call: Call) -> Result<Value, Failure> {
    let tree = call.coppice().tree().await;
    let tree = tree.ok_or_else(|| {
        Problem::new(
            Kind::Cancelled,
            "the server is going down; ask again when it is back",
        )
    })?;
    Ok(json!(tree))
}

#[derive(Deserialize)]
struct Stop {
    #[serde(default)]
    services: bool,
}

#[derive(Deserialize)]
struct Upgrade {
    program: std::path::PathBuf,
}

/// Answers before it happens: the core that answers is not the one that would know how it ended.
pub(super) async fn upgrade(call: Call) -> Result<Value, Failure> {
    let Upgrade { program } = call.params()?;
    if !program.is_absolute() {
        let why = "name the program with its whole path, from `/` on";
        return Err(Problem::invalid(why).into());
    }
    call.coppice().may_upgrade()?;
    let attempt = format!("{:016x}", rand::random::<u64>());
    (call.context.gate.upgrade)(attempt.clone(), program);
    Ok(json!({ "attempt": attempt }))
}

pub(super) async fn receipts(call: Call) -> Result<Value, Failure> {
    Ok(json!(call.coppice().host().document.receipts()))
}

/// How long the answer has to get out before the server ends.
const FAREWELL: std::time::Duration = std::time::Duration::from_millis(200);

/// Answers before it happens: the answer would not get out otherwise. Who hangs up meanwhile has asked for
/// a stop, not for half of one: like every call that leaves a row, it runs in a task of its own.
pub(super) async fn stop(call: Call) -> Result<Value, Failure> {
    let Stop { services } = call.params()?;
    if services {
        call.coppice().stop_everything().await;
    }
    let stop = std::sync::Arc::clone(&call.context.gate.stop);
    tokio::spawn(async move {
        tokio::time::sleep(FAREWELL).await;
        stop(services);
    });
    Ok(Value::Null)
}
