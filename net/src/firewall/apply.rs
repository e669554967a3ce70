//! Handing a ruleset to the kernel.
//!
//! Invariant: `nft` reads one text from its standard input and the kernel takes all of it or
//! nothing. `nft` runs in the network namespace of the caller.

use std::{io, process::Stdio, time::Duration};

use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use super::{Firewall, render::removal};

/// A ruleset is a few hundred lines; the kernel takes it in milliseconds. Longer means another
/// program holds the lock and does not let go.
const DEADLINE: Duration = Duration::from_secs(20);

/// Why the rules are not in place.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// A name that is no plain word.
    #[error("`{name}` cannot stand in a firewall rule: 1 to 31 letters, digits, `_` or `-`")]
    Name {
        /// The name.
        name: String,
    },
    /// A forward whose last port would be past 65535.
    #[error(
        "the published ports from {first} lead past port 65535 of the service (they start at {to_port} there)"
    )]
    Forward {
        /// First port on the host.
        first: u16,
        /// First port of the service.
        to_port: u16,
    },
    /// `nft` could not be run.
    #[error("could not run `nft`; install the Debian package nftables")]
    Run(#[source] io::Error),
    /// `nft` did not end.
    #[error("`nft` did not finish within 20 s; the rules are as they were")]
    Timeout,
    /// The kernel refused.
    #[error("the kernel refused the firewall rules, which are as they were: {complaint}")]
    Refused {
        /// What `nft` said, first lines.
        complaint: String,
    },
}

/// Replaces our rules by `firewall`, all at once. Connections that are open and still allowed go on.
///
/// # Errors
/// [`FirewallError`]; the rules are then as they were.
pub async fn apply(firewall: &Firewall) -> Result<(), FirewallError> {
    run_nft(&firewall.render()?).await
}

/// Removes our rules. Rules that are not there are removed already.
///
/// # Errors
/// [`FirewallError`]; the rules are then as they were.
pub async fn remove(table: &str) -> Result<(), FirewallError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if table.is_empty() || !table.bytes().all(plain) {
        return Err(FirewallError::Name {
            name: table.to_owned(),
        });
    }
    run_nft(&removal(table)).await
}

async fn run_nft(text: &str) -> Result<(), FirewallError> {
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // A core that is killed here leaves an nft that ends by itself; a cancelled call does not.
        .kill_on_drop(true)
        .spawn()
        .map_err(FirewallError::Run)?;
    let stdin = nft.stdin.take();
    let conversation = async {
        if let Some(mut stdin) = stdin {
            // nft that ends early says why on its standard error; that is the error worth having.
            let _ = stdin.write_all(text.as_bytes()).await;
        }
        nft.wait_with_output().await
    };
    let output = timeout(DEADLINE, conversation)
        .await
        .map_err(|_| FirewallError::Timeout)?
        .map_err(FirewallError::Run)?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint: Vec<&str> = complaint.lines().take(3).collect();
    Err(FirewallError::Refused {
        complaint: complaint.join(" / "),
    })
}
