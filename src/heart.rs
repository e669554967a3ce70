//! `coppice heart`: the parent of core and edge.

use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use coppice_api::cli::Common;
use coppice_heart::HeartConfig;

/// How a server is run.
#[derive(Args)]
pub(crate) struct Options {
    /// Squashfs of the base root of every container; kept in the data folder from then on.
    #[arg(long, value_name = "FILE")]
    base_image: Option<PathBuf>,
    /// The first part of the server's name on the network.
    #[arg(long, default_value = "coppice")]
    hostname: String,
    /// The address to listen on.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    listen: IpAddr,
    /// Port of HTTPS.
    #[arg(long, default_value_t = 443)]
    https_port: u16,
    /// Port of plain HTTP.
    #[arg(long, default_value_t = 80)]
    http_port: u16,
    /// Port of the name server.
    #[arg(long, default_value_t = 53)]
    dns_port: u16,
}

pub(crate) fn run(common: &Common, options: Options) -> ExitCode {
    let Some(data) = common.data_dir.clone() else {
        eprintln!("coppice: say where the data is kept: --data-dir FOLDER");
        return ExitCode::from(2);
    };
    let program = std::env::current_exe()
        .map(PathBuf::into_os_string)
        .unwrap_or_else(|_| "coppice".into());
    let mut core: Vec<OsString> = vec![
        program.clone(),
        "core".into(),
        "--data-dir".into(),
        data.clone().into(),
    ];
    let flags = [
        ("--hostname", options.hostname),
        ("--listen", options.listen.to_string()),
        ("--https-port", options.https_port.to_string()),
        ("--http-port", options.http_port.to_string()),
        ("--dns-port", options.dns_port.to_string()),
    ];
    for (flag, value) in flags {
        core.extend([OsString::from(flag), value.into()]);
    }
    if let Some(image) = options.base_image {
        core.extend([OsString::from("--base-image"), image.into()]);
    }
    match coppice_heart::run(&HeartConfig::new(data, core, vec![program, "edge".into()])) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("coppice: {:#}", anyhow::Error::from(error));
            ExitCode::FAILURE
        }
    }
}
