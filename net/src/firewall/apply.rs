//! Handing a ruleset to the kernel.
//!
//! Invariant: `nft` reads one text from its standard input and the kernel takes all of it or
//! nothing. `nft` runs in the network namespace of the caller.

use std::{collections::BTreeSet, io, process::Stdio, time::Duration};

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
    run_nft(&firewall.render()?).await.map(drop)
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
    run_nft(&removal(table)).await.map(drop)
}

/// Our rules as the kernel has them, each with its chain before it. One that is there twice is told once.
///
/// # Errors
/// [`FirewallError`].
pub async fn listing(table: &str) -> Result<BTreeSet<String>, FirewallError> {
    // Everything of our families, and what is ours picked out of it: to list a table that is not there is an error, and
    // one that is stated first to be there is listed without its rules.
    let listed = run_nft("list ruleset inet\nlist ruleset bridge\n").await?;
    Ok(rules(table, &listed))
}

/// The rules of one table in what `nft` prints.
fn rules(table: &str, listed: &str) -> BTreeSet<String> {
    let (mut ours, mut chain) = (false, "");
    let mut rules = BTreeSet::new();
    for line in listed.lines().map(str::trim) {
        let header = line.strip_suffix(" {");
        if let Some(named) = header.and_then(|header| header.strip_prefix("table ")) {
            ours = named.split(' ').nth(1) == Some(table);
        } else if !ours || line.is_empty() || line == "}" || line.starts_with("type ") {
            // Frame, or somebody else's.
        } else if let Some(header) = header {
            chain = header;
            rules.insert(header.to_owned());
        } else {
            rules.insert(format!("{chain}: {line}"));
        }
    }
    rules
}

/// Gives `nft` a text; what it prints.
async fn run_nft(text: &str) -> Result<String, FirewallError> {
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
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
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint: Vec<&str> = complaint.lines().take(3).collect();
    Err(FirewallError::Refused {
        complaint: complaint.join(" / "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_chains_and_the_rules_in_them() {
        let listed = "table inet coppice_a {
	chain published {
		type nat hook prerouting priority dstnat; policy accept;
		tcp dport 22000 dnat ip to 10.0.16.2:22000
	}

	chain stray {
	}
}
table inet coppice_b {
	chain theirs {
		drop
	}
}
";
        let expected = [
            "chain published",
            "chain published: tcp dport 22000 dnat ip to 10.0.16.2:22000",
            "chain stray",
        ];
        assert_eq!(
            rules("coppice_a", listed),
            expected.map(str::to_owned).into()
        );
        assert_eq!(rules("coppice_a", ""), BTreeSet::new());
    }
}
