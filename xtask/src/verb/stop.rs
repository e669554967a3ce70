//! `make stop`: the services of `make run` end, then Coppice.
//!
//! After a Ctrl-C the services go on without Coppice. Only it knows how to stop them well, so it is started for that.

use anyhow::{Context, Result};

use crate::checkout::Checkout;
use crate::heart::Heart;
use crate::server::{DataDir, Server, short_id};
use crate::steps::Steps;

pub(crate) fn run(checkout: &Checkout, steps: &mut Steps, data: &DataDir) -> Result<()> {
    let data = data.path(checkout)?;
    let server =
        Server::built(checkout, &data).context("nothing has been built yet, so nothing runs")?;
    if server.answers() {
        return server.stop();
    }
    if short_id(&data).is_none() {
        eprintln!("There is no server in {}, so nothing runs.", data.display());
        return Ok(());
    }
    let heart = Heart::start(steps, &server, &data, &[])?;
    server.stop()?;
    heart.wait()
}
