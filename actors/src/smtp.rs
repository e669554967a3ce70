//! The mail settings that packages may use (`service-abi.md` §5.15).
//!
//! Invariant: they are among the secrets, whole: there is a password in them.

mod trial;

use patchdb::Secret;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{
    host::Host,
    problem::{Kind, Problem},
    service::{Changed, Watched},
};

const NAMESPACE: &str = "settings";
const SMTP: &str = "smtp";
/// Longest text among the settings, in bytes: names of hosts and mailboxes have at most some 250.
const TEXT_BYTES: usize = 1024;

/// A mail server and how to use it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Smtp {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The sender of mails.
    pub from: String,
    /// The account.
    pub username: String,
    /// Its password, if it has one.
    pub password: Option<String>,
    /// How the connection is secured.
    pub security: SmtpSecurity,
}

/// How the connection to a mail server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum SmtpSecurity {
    /// Plain at first, then TLS.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl Smtp {
    fn check(&self) -> Result<(), Problem> {
        let texts = [
            ("host", &self.host),
            ("from", &self.from),
            ("username", &self.username),
        ];
        for (what, text) in texts {
            if text.is_empty() || text.len() > TEXT_BYTES {
                return Err(Problem::invalid(format!(
                    "`{what}` of the mail settings has to have 1 to {TEXT_BYTES} bytes, and has {}",
                    text.len()
                )));
            }
        }
        let password = self.password.as_deref().unwrap_or_default();
        if self.port == 0 || password.len() > TEXT_BYTES {
            return Err(Problem::invalid(format!(
                "the mail settings need a port other than 0, and a password of at most {TEXT_BYTES} bytes"
            )));
        }
        Ok(())
    }
}

impl Host {
    /// The mail settings, when there are some.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn smtp(&self) -> Result<Option<Smtp>, Problem> {
        let kept = self
            .secrets
            .get(NAMESPACE, SMTP)
            .map_err(|error| Problem::of(Kind::Database, &error))?;
        kept.map(|kept| serde_json::from_slice(kept.expose()))
            .transpose()
            .map_err(|error| Problem::of(Kind::Deserialization, &error))
    }

    /// Sets or clears the mail settings, and tells the packages that asked to hear of it.
    ///
    /// # Errors
    /// When they make no sense, or the secret store fails.
    pub fn set_smtp(&self, settings: Option<&Smtp>) -> Result<(), Problem> {
        let written = match settings {
            Some(settings) => {
                settings.check()?;
                let bytes = serde_json::to_vec(settings)
                    .map_err(|error| Problem::of(Kind::Serialization, &error))?;
                self.secrets.put(NAMESPACE, SMTP, &Secret::new(bytes))
            }
            None => self.secrets.delete(NAMESPACE, SMTP).map(|_| ()),
        };
        written.map_err(|error| Problem::of(Kind::Database, &error))?;
        self.tell_watchers(&[Changed::One(Watched::Smtp)]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing;

    fn settings() -> Smtp {
        Smtp {
            host: "mail.example.com".into(),
            port: 587,
            from: "server@example.com".into(),
            username: "server".into(),
            password: Some("a birch".into()),
            security: SmtpSecurity::StartTls,
        }
    }

    #[tokio::test]
    async fn mail_settings_are_kept_whole_until_they_are_cleared() {
        let server = testing::host();
        let host = &server.host;
        assert_eq!(host.smtp().unwrap(), None);
        host.set_smtp(Some(&settings())).unwrap();
        assert_eq!(host.smtp().unwrap(), Some(settings()));
        let shown = serde_json::to_value(settings()).unwrap();
        assert_eq!(shown["security"], "starttls");
        host.set_smtp(None).unwrap();
        host.set_smtp(None).unwrap();
        assert_eq!(host.smtp().unwrap(), None);
    }

    #[tokio::test]
    async fn mail_settings_that_make_no_sense_are_refused_and_change_nothing() {
        let server = testing::host();
        let host = &server.host;
        host.set_smtp(Some(&settings())).unwrap();
        let endless = "x".repeat(2000);
        for (what, wrong) in [
            (
                "host",
                Smtp {
                    host: String::new(),
                    ..settings()
                },
            ),
            (
                "from",
                Smtp {
                    from: endless.clone(),
                    ..settings()
                },
            ),
            (
                "port",
                Smtp {
                    port: 0,
                    ..settings()
                },
            ),
            (
                "password",
                Smtp {
                    password: Some(endless),
                    ..settings()
                },
            ),
        ] {
            let problem = host.set_smtp(Some(&wrong)).unwrap_err();
            assert!(problem.to_string().contains(what), "{problem}");
        }
        assert_eq!(host.smtp().unwrap(), Some(settings()));
    }
}
