//! Effects by which a package adds addresses to other services' interfaces: §5.12.

use coppice_net::table::is_host_name;
use serde::Deserialize;
use serde_json::Value;

use super::{Answer, DONE, Refusal, Request, limits};
use crate::{
    hosts::plugged,
    model::{HostnameInfo, HostnameMetadata, UrlPlugin},
    problem::{Kind, Problem},
};

/// The kind of plugin that adds addresses, as manifests name it.
const URL_PLUGIN: &str = "url-v0";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Register {
    table_action: String,
}

pub(super) async fn register(request: Request<'_>) -> Answer {
    let Register { table_action } = request.params()?;
    may_plug(&request)?;
    limits::name("action id", &table_action)?;
    request
        .service
        .update("plugin-url-register", move |entry| {
            entry.plugin.url = Some(UrlPlugin { table_action });
            Ok(())
        })
        .await?;
    DONE
}

/// An address with the binding it is for.
#[derive(Clone, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Address {
    /// Null is the server itself.
    package_id: Option<String>,
    host_id: String,
    internal_port: u16,
    ssl: bool,
    public: bool,
    hostname: String,
    port: Option<u16>,
    #[serde(default)]
    info: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Export {
    hostname_info: Address,
    #[serde(default)]
    remove_action: Option<String>,
    #[serde(default)]
    overflow_actions: Vec<String>,
}

pub(super) async fn export_url(request: Request<'_>) -> Answer {
    let asked: Export = request.params()?;
    may_plug(&request)?;
    let (target, host, port, address) = checked(asked, &request.service.id)?;
    let plugin = request.service.id.clone();
    let stands = request.service.standing();
    request
        .service
        .host
        .document
        .update_package(&target.clone(), "plugin-url-export", move |entry| {
            stands()?;
            let bound = entry
                .hosts
                .get_mut(&host)
                .and_then(|host| host.bindings.get_mut(&port));
            let Some(bound) = bound else {
                return Err(Problem::not_found(format!(
                    "port {port} of host `{host}` of `{target}` is not bound, so it can have no address"
                )));
            };
            let available = &mut bound.addresses.available;
            // Said again, perhaps with other actions: it is replaced.
            available.retain(|old| !(plugged::is_of(old, &plugin) && is_same_place(old, &address)));
            let own = available.iter().filter(|old| plugged::is_of(old, &plugin));
            limits::PLUGGED.check(&address.hostname, &address, own)?;
            available.push(address);
            Ok(())
        })
        .await?;
    DONE
}

/// The target, and the address as it is kept there.
fn checked(asked: Export, plugin: &str) -> Result<(String, String, u16, HostnameInfo), Refusal> {
    let Export {
        hostname_info: asked,
        remove_action,
        overflow_actions,
    } = asked;
    let Some(target) = asked.package_id else {
        return Err(Problem::not_found(
            "the server's own pages take no addresses of packages in this version of Coppice",
        )
        .into());
    };
    limits::name("package id", &target)?;
    limits::name("host id", &asked.host_id)?;
    limits::maybe_name("action id", remove_action.as_deref())?;
    limits::list("actions", &overflow_actions)?;
    if !is_host_name(&asked.hostname) && asked.hostname.parse::<std::net::IpAddr>().is_err() {
        return Err(Problem::new(
            Kind::InvalidRequest,
            "an address of a plugin is neither a host name nor an IP address; give it without scheme and port",
        )
        .into());
    }
    let address = HostnameInfo {
        ssl: asked.ssl,
        public: asked.public,
        hostname: asked.hostname,
        port: asked.port,
        metadata: HostnameMetadata::Plugin {
            package_id: plugin.to_owned(),
            remove_action,
            overflow_actions,
            info: asked.info,
        },
    };
    Ok((target, asked.host_id, asked.internal_port, address))
}

fn is_same_place(one: &HostnameInfo, other: &HostnameInfo) -> bool {
    (&one.hostname, one.port, one.ssl, one.public)
        == (&other.hostname, other.port, other.ssl, other.public)
}

#[derive(Deserialize)]
struct Clear {
    except: Vec<Address>,
}

pub(super) async fn clear_urls(request: Request<'_>) -> Answer {
    let Clear { except } = request.params()?;
    may_plug(&request)?;
    limits::list("addresses", &except)?;
    let plugin = request.service.id.clone();
    let stands = request.service.standing();
    request
        .service
        .host
        .document
        .transact(
            &format!("services/{plugin}"),
            "plugin-url-clear",
            move |transaction| {
                stands()?;
                plugged::clear(transaction, &plugin, |package, host, port, address| {
                    except
                        .iter()
                        .any(|kept| is_at(kept, package, host, port, address))
                })
            },
        )
        .await?;
    DONE
}

fn is_at(kept: &Address, package: &str, host: &str, port: u16, address: &HostnameInfo) -> bool {
    let place = (
        kept.package_id.as_deref(),
        kept.host_id.as_str(),
        kept.internal_port,
    );
    place == (Some(package), host, port)
        && (&kept.hostname, kept.port, kept.ssl, kept.public)
            == (&address.hostname, address.port, address.ssl, address.public)
}

/// Only a package whose manifest says that it is such a plugin.
fn may_plug(request: &Request<'_>) -> Result<(), Refusal> {
    let entry = request.service.entry()?;
    let plugins = entry.state_info.manifest().get("plugins");
    let says = plugins.and_then(Value::as_array).into_iter().flatten();
    if says.into_iter().any(|one| one == URL_PLUGIN) {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "`{}` is no plugin for addresses; its manifest has to name `{URL_PLUGIN}` in `plugins`",
        request.service.id
    ))
    .into())
}
