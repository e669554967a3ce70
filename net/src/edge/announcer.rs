//! Names on the local network, by multicast DNS.
//!
//! Invariant: what is announced is what the last table says; a name that goes, or whose addresses
//! change, is taken back (goodbye) before anything else is said of it. On an interface only the
//! addresses that belong there are announced.
//!
//! mdns-sd does its work on a thread of its own and takes commands through a bounded queue.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use mdns_sd::{Error, IfKind, ServiceDaemon, ServiceInfo};
use tokio::sync::watch;

use crate::table::Record;

/// What browsers of the local network look for.
const SERVICE: &str = "_https._tcp.local.";

/// How often the machine's addresses are looked at, in seconds. A router that wakes up after us, or
/// a cable plugged in, should not leave a name unheard for long; looking costs microseconds.
const LOOK_EVERY: u32 = 5;

/// When the queue of commands is full.
const QUEUE_FULL: Duration = Duration::from_millis(50);

/// Announces names; nothing happens before there is one.
#[derive(Default)]
pub(super) struct Announcer {
    wanted: Option<watch::Sender<Wanted>>,
}

/// Names with their addresses and the port of HTTPS.
type Wanted = (BTreeMap<String, Vec<IpAddr>>, u16);

impl Announcer {
    /// Announces exactly `names`.
    pub(super) fn obey(&mut self, names: &[Record], https_port: u16) {
        let names: BTreeMap<String, Vec<IpAddr>> = names
            .iter()
            .map(|record| {
                let mut addresses = record.addresses.clone();
                addresses.sort_unstable();
                (record.name.clone(), addresses)
            })
            .collect();
        if names.is_empty() && self.wanted.is_none() {
            return;
        }
        let wanted = (names, https_port);
        match &self.wanted {
            Some(sender) => {
                sender.send_replace(wanted);
            }
            None => {
                let (sender, receiver) = watch::channel(wanted);
                tokio::spawn(announce(receiver));
                self.wanted = Some(sender);
            }
        }
    }
}

async fn announce(mut wanted: watch::Receiver<Wanted>) {
    let daemon = match ServiceDaemon::new() {
        Ok(daemon) => daemon,
        Err(error) => {
            tracing::error!(%error, "names are not announced on the local network");
            return;
        }
    };
    patiently(|| daemon.set_ip_check_interval(LOOK_EVERY)).await;
    let mut said: BTreeMap<String, Said> = BTreeMap::new();
    loop {
        let (names, port) = wanted.borrow_and_update().clone();
        let gone: Vec<String> = said
            .iter()
            .filter(|(name, said)| names.get(*name) != Some(&said.addresses) || said.port != port)
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            if let Some(said) = said.remove(&name) {
                patiently(|| daemon.unregister(&said.fullname).map(drop)).await;
            }
        }
        for (name, addresses) in names {
            if said.contains_key(&name) {
                continue;
            }
            if let Some((info, new)) = Said::new(&name, addresses, port) {
                patiently(|| daemon.register(info.clone())).await;
                said.insert(name, new);
            }
        }
        if wanted.changed().await.is_err() {
            // Another edge announces the same names, so nothing is taken back: this one falls silent.
            patiently(|| daemon.disable_interface(IfKind::All)).await;
            return;
        }
    }
}

/// What was announced of a name.
struct Said {
    fullname: String,
    addresses: Vec<IpAddr>,
    port: u16,
}

impl Said {
    fn new(name: &str, addresses: Vec<IpAddr>, port: u16) -> Option<(ServiceInfo, Self)> {
        let instance = name.strip_suffix(".local").unwrap_or(name);
        let no_properties: &[(&str, &str)] = &[];
        let info = ServiceInfo::new(
            SERVICE,
            instance,
            &format!("{name}."),
            addresses.as_slice(),
            port,
            no_properties,
        );
        match info {
            Ok(info) => {
                let said = Self {
                    fullname: info.get_fullname().to_owned(),
                    addresses,
                    port,
                };
                Some((info, said))
            }
            Err(error) => {
                tracing::error!(name, %error, "this name cannot be announced");
                None
            }
        }
    }
}

/// Repeats a command while the queue is full.
async fn patiently(command: impl Fn() -> mdns_sd::Result<()>) {
    loop {
        match command() {
            Ok(()) => return,
            Err(Error::Again) => tokio::time::sleep(QUEUE_FULL).await,
            Err(error) => {
                tracing::error!(%error, "the local network was not told");
                return;
            }
        }
    }
}
