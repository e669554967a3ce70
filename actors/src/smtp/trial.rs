//! A mail that shows whether mail settings work.
//!
//! Invariants: nothing is sent, and no password shown to anybody, over a connection that is not secured by a certificate
//! this machine trusts; whatever the server does, there is an end within [`WITHIN`].

use std::time::Duration;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        Error,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::{Smtp, SmtpSecurity};
use crate::{
    blocking::blocking,
    problem::{Kind, Problem},
};

/// How long it may take, from looking up the server's name to its last word. Mail servers answer within seconds; some
/// wait for ten of them on purpose, to annoy senders of spam.
const WITHIN: Duration = Duration::from_secs(60);
/// Of what a mail server says, so many characters are passed on.
const QUOTED: usize = 500;

const SUBJECT: &str = "A test mail from Coppice";
const TEXT: &str = "The mail settings of this server work: what is sent with them arrives here.\n";

impl Smtp {
    /// Sends a mail to `to` with these settings, which need not be the ones that are kept.
    ///
    /// # Errors
    /// When they make no sense, `from` or `to` is no mailbox, or the server does not take the mail in time.
    pub async fn try_out(&self, to: &str, hostname: &str) -> Result<(), Problem> {
        self.send(to, hostname, Vec::new()).await
    }

    /// The same, trusting these authorities in addition to the machine's.
    async fn send(
        &self,
        to: &str,
        hostname: &str,
        trusted: Vec<Certificate>,
    ) -> Result<(), Problem> {
        self.check()?;
        let id = format!("<{:032x}@{hostname}>", rand::random::<u128>());
        let mail = Message::builder()
            .from(mailbox("from", &self.from)?)
            .to(mailbox("to", to)?)
            .subject(SUBJECT)
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN)
            .body(TEXT.to_owned())
            .map_err(|error| Problem::of(Kind::Smtp, &error))?;
        let sent = async {
            let transport = self.transport(trusted).await?;
            transport
                .send(mail)
                .await
                .map_err(|error| self.refused(&error))
        };
        let in_time = tokio::time::timeout(WITHIN, sent).await;
        in_time.map_err(|_| self.silent())?.map(|_| ())
    }

    async fn transport(
        &self,
        trusted: Vec<Certificate>,
    ) -> Result<AsyncSmtpTransport<Tokio1Executor>, Problem> {
        let host = self.host.clone();
        // The machine's authorities are some hundred files.
        let secured = blocking(move || {
            let mut parameters = TlsParameters::builder(host);
            for authority in trusted {
                parameters = parameters.add_root_certificate(authority);
            }
            parameters.build_rustls()
        })
        .await
        .map_err(|error| Problem::of(Kind::Unknown, &error))?
        .map_err(|error| self.refused(&error))?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.host)
            .port(self.port)
            .timeout(Some(WITHIN))
            .tls(match self.security {
                SmtpSecurity::StartTls => Tls::Required(secured),
                SmtpSecurity::Tls => Tls::Wrapper(secured),
            });
        if let Some(password) = &self.password {
            let account = Credentials::new(self.username.clone(), password.clone());
            transport = transport.credentials(account);
        }
        Ok(transport.build())
    }

    fn refused(&self, error: &Error) -> Problem {
        if error.is_timeout() {
            return self.silent();
        }
        let next = match error.status() {
            // RFC 4954: credentials that are missing, wrong or too weak.
            Some(code) if ["530", "534", "535", "538"].contains(&&*code.to_string()) => {
                "check the user name and the password"
            }
            Some(_) => "its words say what it objects to",
            None => {
                "check the host, the port, and whether the connection is secured from its first byte (`tls`, often port \
                 465) or later (`starttls`, often port 587)"
            }
        };
        let said: String = error.to_string().chars().take(QUOTED).collect();
        let why = format!(
            "the mail server `{}:{}` did not take the mail: {said}; {next}",
            self.host, self.port
        );
        Problem::new(Kind::Smtp, why)
    }

    fn silent(&self) -> Problem {
        let why = format!(
            "the mail server `{}:{}` did not take the mail within {} s; check the host, the port and how the connection \
             is secured",
            self.host,
            self.port,
            WITHIN.as_secs()
        );
        Problem::new(Kind::Timeout, why)
    }
}

fn mailbox(what: &str, text: &str) -> Result<Mailbox, Problem> {
    text.parse().map_err(|error| {
        let why = format!("`{what}` is no mailbox ({error}); write it as name@example.com");
        Problem::invalid(why)
    })
}

#[cfg(test)]
mod tests;
