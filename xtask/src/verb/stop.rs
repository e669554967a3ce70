//! `make stop`: the services of `make run` end, then Coppice.

use anyhow::{Context, Result};

use crate::checkout::Checkout;
use crate::server::{DataDir, Server};

pub(crate) fn run(checkout: &Checkout, data: &DataDir) -> Result<()> {
    let data = data.path(checkout)?;
    let server =
        Server::built(checkout, &data).context("nothing has been built yet, so nothing runs")?;
    server.stop()
}
