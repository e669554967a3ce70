//! Verbs of `auth` about what opens the server besides the password: sessions, tokens, keys, codes.

use std::{
    io::{BufRead, IsTerminal},
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{Common, client::Client, show};

/// What a token or a key may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Scope {
    /// What changes nothing.
    Read,
    /// And what is done with services and packages.
    Services,
    /// And all the rest, but for passwords, sessions, tokens and keys.
    Admin,
}

/// What a new token or key is.
#[derive(Debug, Args)]
pub struct Wanted {
    /// What uses it.
    #[arg(long)]
    name: String,
    /// What it may do.
    #[arg(long, value_enum, default_value = "read")]
    scope: Scope,
    /// How long it lasts.
    #[arg(long, default_value_t = 90)]
    days: u64,
}

impl Wanted {
    fn params(&self) -> Value {
        let scope = match self.scope {
            Scope::Read => "read",
            Scope::Services => "services",
            Scope::Admin => "admin",
        };
        let seconds = self.days.saturating_mul(24 * 3600);
        json!({ "name": self.name, "scope": scope, "expiresIn": seconds })
    }
}

/// Verbs of `auth token`.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a bearer token for a program; it is printed this once.
    Create(Wanted),
    /// All tokens.
    List,
    /// Revoke tokens, by id or by how it begins.
    Revoke {
        /// Which.
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

/// Verbs of `auth key`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Enrol a public key that requests may be signed with.
    Add {
        /// The public half, an Ed25519 key in PEM.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        wanted: Wanted,
    },
    /// All keys.
    List,
    /// Remove keys, by id or by how it begins.
    Remove {
        /// Which.
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

/// Verbs of `auth totp`.
#[derive(Debug, Subcommand)]
pub enum Totp {
    /// Whether two-step login is on.
    Status,
    /// Set up an authenticator app; its code is read from standard input.
    On,
    /// Switch it off, for example because the app is lost.
    Off,
}

pub(super) async fn token(common: &Common, client: &Client, verb: Token) -> anyhow::Result<()> {
    match verb {
        Token::Create(wanted) => {
            let made = client.call("auth.token.create", wanted.params()).await?;
            if common.json {
                println!("{made:#}");
            } else {
                println!("{}", show::text(&made, "token"));
                eprintln!(
                    "It is not shown again. It ends on {}.",
                    show::text(&made, "expires")
                );
            }
            Ok(())
        }
        Token::List => list(common, client, "auth.token.list").await,
        Token::Revoke { ids } => end(client, "auth.token.list", "auth.token.revoke", &ids).await,
    }
}

pub(super) async fn key(common: &Common, client: &Client, verb: Key) -> anyhow::Result<()> {
    match verb {
        Key::Add { file, wanted } => {
            let pem = std::fs::read_to_string(&file)
                .with_context(|| format!("cannot read `{}`", file.display()))?;
            let mut params = wanted.params();
            params["publicKey"] = Value::String(pem);
            let added = client.call("auth.key.add", params).await?;
            if common.json {
                println!("{added:#}");
            } else {
                println!("{}", show::text(&added, "id"));
            }
            Ok(())
        }
        Key::List => list(common, client, "auth.key.list").await,
        Key::Remove { ids } => end(client, "auth.key.list", "auth.key.remove", &ids).await,
    }
}

pub(super) async fn totp(common: &Common, client: &Client, verb: Totp) -> anyhow::Result<()> {
    match verb {
        Totp::Status => {
            let status = client.call("auth.totp.status", json!({})).await?;
            if common.json {
                println!("{status:#}");
            } else if status["enabled"] == true {
                let left = show::text(&status, "recoveryCodesLeft");
                println!("two-step login is on; {left} recovery codes are left");
            } else {
                println!("two-step login is off");
            }
        }
        Totp::On => {
            let offered = client.call("auth.totp.enrol", json!({})).await?;
            eprintln!("Add this to the authenticator app:");
            eprintln!("  {}", show::text(&offered, "uri"));
            eprintln!(
                "or type the secret {} there.",
                show::text(&offered, "secret")
            );
            if std::io::stdin().is_terminal() {
                eprintln!("The code it shows, then Enter:");
            }
            let mut code = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut code)
                .context("no code on standard input")?;
            let params = json!({ "code": code.trim() });
            let confirmed = client.call("auth.totp.confirm", params).await?;
            if common.json {
                println!("{confirmed:#}");
            } else {
                eprintln!("Two-step login is on. Keep these recovery codes; each works once:");
                for code in confirmed["recoveryCodes"].as_array().into_iter().flatten() {
                    println!("{}", code.as_str().unwrap_or_default());
                }
            }
        }
        Totp::Off => {
            client.call("auth.totp.disable", json!({})).await?;
            if !common.json {
                println!("two-step login is off; the password alone opens");
            }
        }
    }
    Ok(())
}

pub(super) async fn kill(client: &Client, ids: &[String]) -> anyhow::Result<()> {
    let all = client.call("auth.session.list", json!({})).await?;
    let all = all["sessions"].as_object().into_iter().flatten();
    let ids = named(ids, all.map(|(id, _)| id.clone()))?;
    client
        .call("auth.session.kill", json!({ "ids": ids }))
        .await?;
    Ok(())
}

/// Ends those of a list that are named.
async fn end(client: &Client, list: &str, method: &str, ids: &[String]) -> anyhow::Result<()> {
    let all = client.call(list, json!({})).await?;
    let all = all.as_array().into_iter().flatten();
    let ids = named(ids, all.map(|one| show::text(one, "id")))?;
    client.call(method, json!({ "ids": ids })).await?;
    Ok(())
}

async fn list(common: &Common, client: &Client, method: &str) -> anyhow::Result<()> {
    let all = client.call(method, json!({})).await?;
    if common.json {
        println!("{all:#}");
        return Ok(());
    }
    let rows = all.as_array().into_iter().flatten().map(|one| {
        let id = show::text(one, "id").chars().take(8).collect();
        let rest = ["name", "scope", "account", "expires", "lastUsed"];
        let mut cells = vec![id];
        cells.extend(rest.map(|name| show::text(one, name)));
        cells
    });
    let heading = ["id", "name", "scope", "account", "ends", "last used"];
    println!("{}", show::table(&heading, rows));
    Ok(())
}

/// The ids that begin as somebody wrote them.
fn named(wanted: &[String], all: impl Iterator<Item = String>) -> anyhow::Result<Vec<String>> {
    let all: Vec<String> = all.collect();
    let find = |wanted: &String| {
        let mut found = all.iter().filter(|id| id.starts_with(wanted.as_str()));
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(id.clone()),
            (None, _) => bail!("nothing here has an id that begins with `{wanted}`; see the list"),
            (Some(_), Some(_)) => bail!("several ids begin with `{wanted}`; write more of it"),
        }
    };
    wanted.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_named_by_as_much_of_it_as_tells_it_from_others() {
        let all = || ["abc1", "abd2"].into_iter().map(str::to_owned);
        let of = |wanted: &str| named(&[wanted.to_owned()], all());
        assert_eq!(of("abd").unwrap(), ["abd2"]);
        assert!(of("ab").unwrap_err().to_string().contains("write more"));
        assert!(of("x").unwrap_err().to_string().contains("nothing here"));
    }
}
