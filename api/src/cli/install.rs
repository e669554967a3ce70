//! `coppice package install`: a file of the server's own machine, or one that is sent to it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use coppice_s9pk::Manifest;
use serde_json::{Value, json};

use super::{CallError, Common, client::Client, progress::Progress, show};

const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn install(common: &Common, client: &Client, file: &Path) -> anyhow::Result<()> {
    let file = file
        .canonicalize()
        .with_context(|| format!("`{}` cannot be opened", file.display()))?;
    let progress = Progress::of(common, "installing");
    let done = if client.is_remote() {
        progress.while_doing(send(client, &file, &progress)).await?
    } else {
        let watching = tokio::spawn(watch(client.clone(), file.clone(), progress.clone()));
        let installing = client.call("package.install-file", json!({ "path": file }));
        let done = progress.while_doing(installing).await;
        watching.abort();
        done?
    };
    show::done(common, &done, || words(&done));
    Ok(())
}

/// What an install came to.
fn words(done: &Value) -> String {
    let [id, version, from] = ["id", "version", "from"].map(|member| show::text(done, member));
    if from.is_empty() {
        format!("{id} is installed")
    } else {
        format!("{id} is updated from {from} to {version}")
    }
}

/// What the package says of itself, as far as the file can be read here.
fn manifest(file: &Path) -> Option<Manifest> {
    let file = std::fs::File::open(file).ok()?;
    let archive = coppice_s9pk::Archive::open(file, None).ok()?;
    archive.manifest().ok()
}

/// Sends the file, then waits until it is installed there.
async fn send(client: &Client, file: &Path, progress: &Progress) -> anyhow::Result<Value> {
    let opened = tokio::fs::File::open(file)
        .await
        .with_context(|| format!("`{}` cannot be opened", file.display()))?;
    let (id, version) = match manifest(file) {
        Some(manifest) => (manifest.id.to_string(), manifest.version.to_string()),
        // The server says what is wrong with it.
        None => Default::default(),
    };
    let of = json!({ "id": id });
    let from = client.call("package.installed-version", of).await?;
    let tickets = client.call("package.sideload", json!({})).await?;
    progress.now("sending");
    let (upload, told) = (
        show::text(&tickets, "upload"),
        show::text(&tickets, "progress"),
    );
    let mut installed = false;
    let sending = client.send_file(&upload, opened);
    let following = client.follow(&told, |frame| {
        if let Ok(frame) = serde_json::from_str::<Value>(frame) {
            show_phase(&frame, progress);
            installed |= frame["overall"] == true;
        }
        true
    });
    // Whatever becomes of the file, the server tells of it and then ends its telling.
    match tokio::join!(sending, following) {
        (Err(refused), _) if refused.is::<CallError>() => Err(refused),
        // A server that refuses before it has read all hangs up, and says why here.
        (_, Err(error)) | (Err(error), Ok(())) => Err(error),
        (Ok(()), Ok(())) => {
            anyhow::ensure!(
                installed,
                "the server stopped telling how it goes; `coppice package list` says how it ended"
            );
            Ok(json!({ "id": id, "version": version, "from": from }))
        }
    }
}

/// Shows how far the installation of a file of this machine is.
async fn watch(client: Client, file: PathBuf, progress: Progress) {
    let Some(Manifest { id, .. }) = manifest(&file) else {
        return;
    };
    let pointer = format!("/public/packageData/{id}/stateInfo/installingInfo/progress");
    loop {
        let dump = client
            .call("db.dump", json!({ "pointer": pointer }))
            .await
            .unwrap_or_default();
        show_phase(&dump["value"], &progress);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The phase that is under way.
fn show_phase(whole: &Value, progress: &Progress) {
    let phases = whole["phases"].as_array().into_iter().flatten();
    let mut open = phases.filter(|phase| phase["progress"] != true && !phase["progress"].is_null());
    let Some(phase) = open.next() else { return };
    progress.now(&show::text(phase, "name"));
    let count = &phase["progress"];
    if let (Some(done), Some(total)) = (count["done"].as_u64(), count["total"].as_u64()) {
        progress.bytes(done, total);
    }
}
