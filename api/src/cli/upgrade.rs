//! `coppice upgrade`: another program in the place of the one that runs.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{CallError, Common, client::Client, progress::patiently, show};

/// Longer than every deadline of an upgrade together: two children, what the old core is at, and the copy of its stores.
const PATIENCE: Duration = Duration::from_secs(240);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Asks for it, and waits until the new program runs, or the old one again.
pub(super) async fn run(common: &Common, program: Option<PathBuf>) -> anyhow::Result<()> {
    let program = match program {
        Some(program) => program,
        None => std::env::current_exe().context("cannot tell which program this is; name it")?,
    };
    let program = program
        .canonicalize()
        .with_context(|| format!("there is no program `{}`", program.display()))?;
    let client = Client::of(common)?;
    let begun = client
        .call("server.upgrade", json!({ "program": program }))
        .await?;
    let attempt = begun["attempt"].clone();
    let ending = tokio::time::timeout(PATIENCE, receipt(&client, &attempt));
    let ended = patiently(common, "changing to the other program", ending).await;
    let receipt = ended.with_context(|| {
        format!(
            "it is not over after {} s; `coppice server receipts` will say how it ended",
            PATIENCE.as_secs()
        )
    })??;
    match receipt["problem"].as_str() {
        None => show::done(common, &receipt, || {
            format!(
                "Coppice {} runs; no service was touched",
                show::text(&receipt, "version")
            )
        }),
        Some(why) => anyhow::bail!(
            "the upgrade to `{}` was not done: {why}; Coppice goes on as before",
            program.display()
        ),
    }
    Ok(())
}

/// The receipt of the try, once there is one.
async fn receipt(client: &Client, attempt: &Value) -> anyhow::Result<Value> {
    loop {
        match client.call("server.receipts", json!({})).await {
            Ok(receipts) => {
                let mut receipts = receipts.as_array().into_iter().flatten();
                if let Some(receipt) = receipts.find(|one| one["attempt"] == *attempt) {
                    return Ok(receipt.clone());
                }
            }
            Err(error) if error.is::<CallError>() => return Err(error),
            // A core went while it was asked; there will be another.
            Err(_) => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
