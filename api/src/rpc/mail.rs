//! The mail settings of the server, which packages may use.
//!
//! Invariant: a password comes in and does not go out.

use coppice_actors::{
    Kind, Problem,
    smtp::{Smtp, SmtpSecurity},
};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    Call, Failure,
    shapes::{Nothing, Port},
};

/// How mails are sent.
#[derive(Deserialize, TS)]
#[ts(optional_fields = nullable)]
pub(super) struct MailSettings {
    /// The name of the mail server.
    host: String,
    /// Its port.
    #[ts(as = "Port")]
    port: u16,
    /// The sender of mails.
    from: String,
    /// The account.
    username: String,
    /// Its password; without one, nobody signs in.
    password: Option<String>,
    /// How the connection is secured.
    security: SmtpSecurity,
}

impl From<MailSettings> for Smtp {
    fn from(settings: MailSettings) -> Self {
        Self {
            host: settings.host,
            port: settings.port,
            from: settings.from,
            username: settings.username,
            password: settings.password,
            security: settings.security,
        }
    }
}

pub(super) async fn set(call: Call, params: MailSettings) -> Result<(), Failure> {
    keep(&call, Some(params.into())).await
}

pub(super) async fn clear(call: Call, _: Nothing) -> Result<(), Failure> {
    keep(&call, None).await
}

async fn keep(call: &Call, settings: Option<Smtp>) -> Result<(), Failure> {
    let host = call.coppice().host().clone();
    // The secret store waits for the disk.
    let kept = tokio::task::spawn_blocking(move || host.set_smtp(settings.as_ref())).await;
    Ok(kept.map_err(|error| Problem::of(Kind::Unknown, &error))??)
}

/// The mail settings that are kept, without the password.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeptMailSettings {
    /// The name of the mail server.
    host: String,
    /// Its port.
    port: u16,
    /// The sender of mails.
    from: String,
    /// The account.
    username: String,
    /// Whether there is a password.
    has_password: bool,
    /// How the connection is secured.
    security: SmtpSecurity,
}

pub(super) async fn kept(call: Call, _: Nothing) -> Result<Option<KeptMailSettings>, Failure> {
    let kept = call.coppice().host().smtp()?;
    Ok(kept.map(|kept| KeptMailSettings {
        host: kept.host,
        port: kept.port,
        from: kept.from,
        username: kept.username,
        has_password: kept.password.is_some(),
        security: kept.security,
    }))
}

#[derive(Deserialize, TS)]
pub(super) struct TestMail {
    /// Who gets the mail.
    to: String,
    /// How it is sent.
    #[serde(flatten)]
    settings: MailSettings,
}

pub(super) async fn test(call: Call, params: TestMail) -> Result<(), Failure> {
    let hostname = call.coppice().host().network.server_name();
    let settings = Smtp::from(params.settings);
    Ok(settings.try_out(&params.to, &hostname).await?)
}
