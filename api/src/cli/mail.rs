//! Verbs of `server smtp`: the mail settings that packages may use.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{Common, client::Client, login::secret, progress::patiently, show};

/// Verbs of `server smtp`.
#[derive(Debug, Subcommand)]
pub enum Smtp {
    /// The settings that are kept, without the password.
    Show,
    /// Keep settings, and tell the packages that asked to hear of it; the password is read from standard input.
    Set(Settings),
    /// Send a mail with settings, without keeping them; the password is read from standard input.
    Test {
        /// Who gets the mail.
        #[arg(long, value_name = "MAILBOX")]
        to: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Forget the settings.
    Clear,
}

/// How mails are sent.
#[derive(Debug, Args)]
pub struct Settings {
    /// The name of the mail server.
    server: String,
    /// Its port: 465 for tls and 587 for starttls, unless told otherwise.
    #[arg(long)]
    port: Option<u16>,
    /// How the connection is secured: from its first byte, or later.
    #[arg(long, value_enum, default_value = "tls")]
    security: Security,
    /// The sender of mails.
    #[arg(long, value_name = "MAILBOX")]
    from: String,
    /// The account.
    #[arg(long, value_name = "NAME")]
    username: String,
    /// The server asks for no password.
    #[arg(long)]
    no_password: bool,
}

/// How the connection to a mail server is secured.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Security {
    Tls,
    Starttls,
}

impl Settings {
    fn params(self, password: Option<String>) -> Value {
        let (security, usual) = match self.security {
            Security::Tls => ("tls", 465),
            Security::Starttls => ("starttls", 587),
        };
        json!({
            "host": self.server, "port": self.port.unwrap_or(usual), "security": security,
            "from": self.from, "username": self.username, "password": password,
        })
    }

    fn with_password(self) -> anyhow::Result<Value> {
        let password = match self.no_password {
            true => None,
            false => Some(secret("Password of the mail account")?),
        };
        Ok(self.params(password))
    }
}

pub(super) async fn smtp(common: &Common, client: &Client, verb: Smtp) -> anyhow::Result<()> {
    match verb {
        Smtp::Show => {
            let kept = client.call("server.smtp", json!({})).await?;
            show::print(common, &kept, || words(&kept));
        }
        Smtp::Set(settings) => {
            let params = settings.with_password()?;
            let done = client.call("server.set-smtp", params).await?;
            show::done(common, &done, || {
                "the settings are kept; `coppice server smtp test` shows whether they work"
                    .to_owned()
            });
        }
        Smtp::Test { to, settings } => {
            let mut params = settings.with_password()?;
            params["to"] = json!(to);
            let sending = client.call("server.test-smtp", params);
            let done = patiently(common, "sending a mail", sending).await?;
            show::done(common, &done, || {
                format!("the mail server took a mail for {to}")
            });
        }
        Smtp::Clear => {
            let done = client.call("server.clear-smtp", json!({})).await?;
            show::done(common, &done, || "the settings are forgotten".to_owned());
        }
    }
    Ok(())
}

fn words(kept: &Value) -> String {
    if kept.is_null() {
        return "There are no mail settings. `coppice server smtp set` keeps some.".to_owned();
    }
    let [host, port, security, from, username] =
        ["host", "port", "security", "from", "username"].map(|member| show::text(kept, member));
    let password = match kept["hasPassword"] == true {
        true => "with a password",
        false => "without a password",
    };
    format!("{from} by {host}:{port} ({security}), as {username} {password}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        settings: Settings,
    }

    fn params(more: &[&str]) -> Value {
        let usual = [
            "set",
            "mail.example.com",
            "--from",
            "a@example.com",
            "--username",
            "a",
        ];
        let arguments = Arguments::parse_from(usual.iter().chain(more));
        arguments.settings.params(Some("a birch".into()))
    }

    #[test]
    fn the_usual_port_follows_from_how_the_connection_is_secured() {
        let expected = json!({
            "host": "mail.example.com", "port": 465, "security": "tls", "from": "a@example.com",
            "username": "a", "password": "a birch",
        });
        assert_eq!(params(&[]), expected);
        let later = params(&["--security", "starttls"]);
        assert_eq!(
            (&later["port"], &later["security"]),
            (&json!(587), &json!("starttls"))
        );
        assert_eq!(params(&["--port", "2525"])["port"], 2525);
    }

    #[test]
    fn kept_settings_are_told_without_a_password_and_so_is_that_there_are_none() {
        let kept = json!({
            "host": "mail.example.com", "port": 465, "security": "tls", "from": "a@example.com",
            "username": "a", "hasPassword": true,
        });
        assert_eq!(
            words(&kept),
            "a@example.com by mail.example.com:465 (tls), as a with a password"
        );
        assert!(words(&Value::Null).starts_with("There are no mail settings."));
    }
}
