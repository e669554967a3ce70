//! Hosts, bindings, interfaces: how a service is reached. Shapes of `service-abi.md` §8.1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;

/// A group of bindings that share their domains.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// Single ports, by internal port.
    #[ts(as = "BTreeMap<String, BindInfo>")]
    pub bindings: BTreeMap<u16, BindInfo>,
    /// Port ranges, by internal start port.
    #[ts(as = "BTreeMap<String, RangeBindInfo>")]
    pub binding_ranges: BTreeMap<u16, RangeBindInfo>,
    /// Public domains; empty until clearnet access exists.
    #[ts(type = "Record<string, unknown>")]
    pub public_domains: BTreeMap<String, Value>,
    /// Private domains and their gateways.
    pub private_domains: BTreeMap<String, Vec<String>>,
    /// Forwards that a router needs.
    pub port_forwards: Vec<PortForward>,
}

/// A forward that a router needs for a public address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct PortForward {
    /// Outside address.
    pub src: String,
    /// Inside address.
    pub dst: String,
    /// The gateway that must do it.
    pub gateway: String,
    /// Number of ports.
    pub count: u16,
}

/// One port of a service that is reachable from outside its container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct BindInfo {
    /// False once the package no longer declares it; its ports stay reserved.
    pub enabled: bool,
    /// What the package asked for.
    pub options: BindOptions,
    /// What it was given.
    pub net: BindNet,
    /// Where it can be reached.
    pub addresses: Addresses,
    /// The interfaces on it, by interface id.
    pub interfaces: BTreeMap<String, ServiceInterface>,
}

/// A range of ports; TCP and UDP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct RangeBindInfo {
    /// False once the package no longer declares it.
    pub enabled: bool,
    /// First external port.
    pub external_start_port: u16,
    /// How many.
    pub number_of_ports: u16,
    /// Where it can be reached.
    pub addresses: Addresses,
    /// Its interface, when it has one.
    pub interface: Option<RangeInterface>,
}

/// The interface of a port range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct RangeInterface {
    /// Interface id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// URL scheme.
    pub scheme: Option<String>,
}

/// What the package asked for when it bound a port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct BindOptions {
    /// The external port it would like.
    pub preferred_external_port: u16,
    /// That Coppice puts TLS in front.
    #[serde(default)]
    pub add_ssl: Option<AddSsl>,
    /// What the service speaks by itself.
    #[serde(default)]
    pub secure: Option<Secure>,
}

/// What the service speaks by itself when it is secure by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Secure {
    /// TLS.
    pub ssl: bool,
}

/// TLS that Coppice puts in front of a port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct AddSsl {
    /// The external port it would like for TLS.
    pub preferred_external_port: u16,
    /// Add `X-Forwarded-For` and `X-Forwarded-Proto`.
    #[serde(default)]
    pub add_x_forwarded_headers: bool,
    /// Which protocols TLS offers.
    #[serde(default)]
    pub alpn: Option<Alpn>,
    /// How the service's own certificate is checked; kept for packages that read it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(type = "unknown", optional)]
    pub upstream_cert_validation: Option<Value>,
    /// Credentials that Coppice asks for in front; kept for packages that read it back.
    #[serde(default)]
    #[ts(type = "unknown")]
    pub auth: Option<Value>,
}

/// Which protocols TLS offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum Alpn {
    /// What the service itself offers.
    Reflect,
    /// These; each a name or its bytes.
    #[ts(type = "unknown")]
    Specified(Vec<Value>),
}

/// The external ports a binding was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct BindNet {
    /// For the bare protocol.
    pub assigned_port: Option<u16>,
    /// For TLS that Coppice terminates.
    pub assigned_ssl_port: Option<u16>,
}

/// Where a binding can be reached, and which of these the user switched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Addresses {
    /// Public `ip:port` that the user switched on.
    pub enabled: Vec<String>,
    /// Local `[host, port]` that the user switched off.
    pub disabled: Vec<(String, u16)>,
    /// Global IPv6 addresses opened to the internet.
    pub gua_wan: Vec<String>,
    /// Every address there is.
    pub available: Vec<HostnameInfo>,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
pub struct HostnameInfo {
    /// Over TLS.
    pub ssl: bool,
    /// Reachable from the internet.
    pub public: bool,
    /// Name or IP address.
    pub hostname: String,
    /// Port.
    pub port: Option<u16>,
    /// What kind of address it is.
    pub metadata: HostnameMetadata,
}

/// What kind of address it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum HostnameMetadata {
    /// An IPv4 address of a gateway.
    Ipv4 {
        /// The gateway; the bridge's is always called `lxcbr0`.
        gateway: String,
    },
    /// An IPv6 address of a gateway.
    Ipv6 {
        /// The gateway.
        gateway: String,
        /// Zone of a link-local address, else 0.
        scope_id: u32,
    },
    /// A `.local` name.
    Mdns {
        /// The gateways it is published on.
        gateways: Vec<String>,
    },
    /// A name in our own DNS.
    PrivateDomain {
        /// The gateways it is valid on.
        gateways: Vec<String>,
    },
    /// A name in the public DNS.
    PublicDomain {
        /// The gateway it points to.
        gateway: String,
    },
    /// An address that another package plugged in.
    Plugin {
        /// That package.
        package_id: String,
        /// Its action that removes the address.
        remove_action: Option<String>,
        /// More of its actions.
        overflow_actions: Vec<String>,
        /// What it keeps with the address.
        #[ts(type = "unknown")]
        info: Value,
    },
}

/// One named endpoint of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ServiceInterface {
    /// Interface id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Hide the address until asked: it holds a credential.
    pub masked: bool,
    /// How its URL is put together.
    pub address_info: AddressInfo,
    /// What kind of endpoint it is.
    #[serde(rename = "type")]
    pub kind: InterfaceType,
}

/// What kind of endpoint an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum InterfaceType {
    /// For a person's browser.
    Ui,
    /// For other nodes of a network.
    P2p,
    /// For programs.
    Api,
}

/// How an interface's URL is put together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct AddressInfo {
    /// User name in the URL.
    pub username: Option<String>,
    /// The host it belongs to.
    pub host_id: String,
    /// The binding it belongs to.
    pub internal_port: u16,
    /// Scheme without TLS.
    pub scheme: Option<String>,
    /// Scheme with TLS.
    pub ssl_scheme: Option<String>,
    /// Path and query.
    pub suffix: String,
}
