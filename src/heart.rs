//! `coppice heart`: the parent of core and edge.

use std::{
    collections::HashSet,
    ffi::OsString,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use coppice_api::cli::Common;
use coppice_heart::HeartConfig;
use coppice_net::table::is_host_name;

use crate::ports::Ports;

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
    #[command(flatten)]
    ports: Ports,
    /// Seconds that core and edge of a newer program may take until they work.
    #[arg(long, default_value_t = 30, hide = true)]
    ready_within: u64,
}

/// With `<id>-` before it, it has to fit the 63 characters of a label. The ids of packages in use
/// are at most half of that.
const HOSTNAME_LENGTH: usize = 24;

impl Options {
    /// Checks what the parser cannot: said here, at the command line, it is a mistake to correct;
    /// found by the core, it would be a table that nobody can serve.
    fn check(&self) -> Result<(), String> {
        let name = &self.hostname;
        let is_label = is_host_name(name) && !name.contains('.') && name.len() <= HOSTNAME_LENGTH;
        if !is_label || TAKEN_NAMES.contains(&name.as_str()) {
            return Err(format!(
                "`{name}` cannot be the server's name; --hostname takes 1 to {HOSTNAME_LENGTH} \
                 small letters, digits and `-`, and neither `localhost` nor `startos`"
            ));
        }
        let ports = [
            self.ports.https_port,
            self.ports.http_port,
            self.ports.dns_port,
        ];
        if ports.contains(&0) || HashSet::from(ports).len() < ports.len() {
            return Err(format!(
                "--https-port {}, --http-port {} and --dns-port {} have to be three ports",
                self.ports.https_port, self.ports.http_port, self.ports.dns_port
            ));
        }
        Ok(())
    }
}

/// Names that mean something else on every server.
const TAKEN_NAMES: [&str; 2] = ["localhost", "startos"];

pub(crate) fn run(common: &Common, options: Options) -> ExitCode {
    let Some(data) = common.data_dir.clone() else {
        eprintln!("coppice: say where the data is kept: --data-dir FOLDER");
        return ExitCode::from(2);
    };
    if let Err(mistake) = options.check() {
        eprintln!("coppice: {mistake}");
        return ExitCode::from(2);
    }
    let mut core: Vec<OsString> = vec!["core".into(), "--data-dir".into(), data.clone().into()];
    let flags = [
        ("--hostname", options.hostname),
        ("--listen", options.listen.to_string()),
        ("--https-port", options.ports.https_port.to_string()),
        ("--http-port", options.ports.http_port.to_string()),
        ("--dns-port", options.ports.dns_port.to_string()),
    ];
    for (flag, value) in flags {
        core.extend([OsString::from(flag), value.into()]);
    }
    if let Some(image) = options.base_image {
        core.extend([OsString::from("--base-image"), image.into()]);
    }
    let mut config = HeartConfig::new(data, core, vec!["edge".into()]);
    config.ready_within = Duration::from_secs(options.ready_within);
    match coppice_heart::run(&config) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("coppice: {:#}", anyhow::Error::from(error));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(hostname: &str, ports: [u16; 3]) -> Options {
        Options {
            base_image: None,
            hostname: hostname.to_owned(),
            listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            ports: Ports {
                https_port: ports[0],
                http_port: ports[1],
                dns_port: ports[2],
            },
            ready_within: 30,
        }
    }

    #[test]
    fn a_name_that_cannot_stand_before_local_is_refused() {
        let check = |name: &str| options(name, [443, 80, 53]).check();
        for good in ["coppice", "a", "home-2", "my-rather-long-homeserver"] {
            let is_short = good.len() <= HOSTNAME_LENGTH;
            assert_eq!(check(good).is_ok(), is_short, "{good}");
        }
        for bad in ["", "Home", "my.home", "-a", "a_b", "localhost", "startos"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn two_listeners_on_one_port_are_refused() {
        for ports in [[443, 443, 53], [443, 80, 80], [53, 80, 53], [443, 0, 53]] {
            assert!(options("coppice", ports).check().is_err(), "{ports:?}");
        }
    }
}
