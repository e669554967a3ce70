//! Verbs about packages.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::{
    Common, author, client::Client, install, progress::patiently, services, show, watch::Watch,
};

/// Verbs of `package`.
#[derive(Debug, Subcommand)]
pub enum Package {
    /// Install a package file, or update the service that is there; with --host, it is sent there.
    Install {
        /// The .s9pk.
        file: PathBuf,
    },
    /// Call an update off that is under way: the version before comes back.
    Cancel {
        /// The service.
        id: String,
    },
    /// Make the container of a service anew; its volumes stay.
    Rebuild {
        /// The service.
        id: String,
    },
    /// Remove a service and its data.
    Uninstall {
        /// The service.
        id: String,
        /// Keep its volumes.
        #[arg(long)]
        soft: bool,
        /// Even though the package objects.
        #[arg(long)]
        force: bool,
    },
    /// Every package with its version.
    List {
        #[command(flatten)]
        watch: Watch,
    },
    /// For who writes packages.
    #[command(flatten)]
    Author(author::Author),
}

pub(super) async fn package(common: &Common, verb: Package) -> anyhow::Result<()> {
    match verb {
        Package::Install { file } => {
            install::install(common, &Client::of(common)?, &file).await?;
        }
        Package::Cancel { id } => {
            let client = Client::of(common)?;
            let params = json!({ "id": id });
            let done = client.call("package.cancel-install", params).await?;
            show::done(common, &done, || {
                format!("the update of {id} is called off")
            });
        }
        Package::Rebuild { id } => {
            let client = Client::of(common)?;
            let rebuilding = client.call("package.rebuild", json!({ "id": id }));
            let done = patiently(common, &format!("rebuilding {id}"), rebuilding).await?;
            show::done(common, &done, || format!("{id} has a new container"));
        }
        Package::Uninstall { id, soft, force } => {
            let client = Client::of(common)?;
            let params = json!({ "id": id, "soft": soft, "force": force });
            let removing = client.call("package.uninstall", params);
            let done = patiently(common, &format!("removing {id}"), removing).await?;
            show::done(common, &done, || {
                if soft {
                    format!("{id} is removed; its volumes are kept")
                } else {
                    format!("{id} is removed")
                }
            });
        }
        Package::List { watch } => {
            services::list(common, &Client::of(common)?, watch).await?;
        }
        Package::Author(verb) => author::run(common, verb).await?,
    }
    Ok(())
}
