//! The host ends of containers' links. The kernel removes one when the container's network goes; what
//! is left is of a start that was cut short.

use std::io;

use futures_util::TryStreamExt;
use rtnetlink::{LinkBridge, LinkUnspec, LinkVeth, packet_route::link::LinkAttribute};

use crate::HostLayout;

/// Names of the host ends that exist.
pub(crate) fn ours(layout: &HostLayout) -> io::Result<Vec<String>> {
    let prefix = layout.veth_prefix();
    let links = nix::net::if_::if_nameindex()?;
    Ok(links
        .iter()
        .filter_map(|link| link.name().to_str().ok())
        .filter(|name| name.starts_with(&prefix))
        .map(str::to_owned)
        .collect())
}

/// Index and name of what is on a bridge; a bridge that is not there has nothing on it.
pub(crate) fn ports(bridge: &str) -> io::Result<Vec<(u32, String)>> {
    let Ok(bridge) = nix::net::if_::if_nametoindex(bridge) else {
        return Ok(Vec::new());
    };
    let is_on_it = |attribute: &LinkAttribute| *attribute == LinkAttribute::Controller(bridge);
    with_netlink(async |netlink| {
        let mut links = netlink.link().get().execute();
        let mut found = Vec::new();
        while let Some(link) = links.try_next().await? {
            if link.attributes.iter().any(is_on_it) {
                let name = link
                    .attributes
                    .iter()
                    .find_map(|attribute| match attribute {
                        LinkAttribute::IfName(name) => Some(name.clone()),
                        _ => None,
                    });
                found.push((link.header.index, name.unwrap_or_default()));
            }
        }
        Ok(found)
    })
}

/// Makes a link nobody's port.
pub(crate) fn take_off_bridge(index: u32) -> io::Result<()> {
    let off = LinkUnspec::new_with_index(index).nocontroller().build();
    with_netlink(async |netlink| netlink.link().set(off).execute().await)
}

/// Removes a link, and with it its other end; one that is not there is fine.
pub(crate) fn remove(name: &str) -> io::Result<()> {
    let Ok(index) = nix::net::if_::if_nametoindex(name) else {
        return Ok(());
    };
    with_netlink(async |netlink| netlink.link().del(index).execute().await).or_else(|error| {
        if error.raw_os_error() == Some(libc::ENODEV) {
            Ok(())
        } else {
            Err(error)
        }
    })
}

/// Makes a bridge with a veth on it; for trying whether this kernel can.
pub(crate) fn try_bridge_and_veth() -> io::Result<()> {
    let make = |message| {
        async move |netlink: rtnetlink::Handle| netlink.link().add(message).execute().await
    };
    with_netlink(make(LinkBridge::new("try-bridge").build()))?;
    with_netlink(make(LinkVeth::new("try-veth", "try-peer").build()))?;
    let bridge = nix::net::if_::if_nametoindex("try-bridge")?;
    let veth = nix::net::if_::if_nametoindex("try-veth")?;
    with_netlink(async |netlink| {
        let join = LinkUnspec::new_with_index(veth)
            .controller(bridge)
            .up()
            .build();
        netlink.link().set(join).execute().await
    })
}

/// One exchange with the kernel, in the calling thread's network namespace. Blocks.
fn with_netlink<T, F>(exchange: impl FnOnce(rtnetlink::Handle) -> F) -> io::Result<T>
where
    F: Future<Output = Result<T, rtnetlink::Error>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let answer = exchange(handle).await;
        connection.abort();
        answer.map_err(|error| match error {
            rtnetlink::Error::NetlinkError(message) => message.to_io(),
            other => io::Error::other(other),
        })
    })
}
