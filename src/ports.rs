//! The ports that a server listens on.

use clap::Args;

/// Which they are.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Ports {
    /// Port of HTTPS.
    #[arg(long, default_value_t = 443)]
    pub(crate) https_port: u16,
    /// Port of plain HTTP.
    #[arg(long, default_value_t = 80)]
    pub(crate) http_port: u16,
    /// Port of the name server.
    #[arg(long, default_value_t = 53)]
    pub(crate) dns_port: u16,
}
