//! A conversation with the kernel about links and addresses.
//!
//! Invariant: every refusal names the interface and what was asked of it; "it exists already" is
//! not a refusal.

use std::{io, net::IpAddr};

use futures_util::TryStreamExt;
use rtnetlink::packet_route::{
    address::AddressHeaderFlags,
    link::{InfoKind, LinkAttribute, LinkInfo},
};
use tokio::task::JoinHandle;

/// The kernel refused something about an interface.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} `{object}`")]
pub struct NetlinkError {
    action: &'static str,
    object: String,
    #[source]
    source: io::Error,
}

impl NetlinkError {
    /// Names what was attempted, for `map_err`.
    pub(crate) fn because(
        action: &'static str,
        object: &str,
    ) -> impl FnOnce(rtnetlink::Error) -> Self {
        let object = object.to_owned();
        move |error| Self {
            action,
            object,
            source: to_io(error),
        }
    }

    pub(crate) fn missing(action: &'static str, object: &str) -> Self {
        Self {
            action,
            object: object.to_owned(),
            source: io::ErrorKind::NotFound.into(),
        }
    }
}

fn to_io(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}

/// One netlink socket; its task ends with it.
pub struct Netlink {
    handle: rtnetlink::Handle,
    task: JoinHandle<()>,
}

/// What we need to know of an interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) is_bridge: bool,
}

impl Netlink {
    /// Opens a socket to the kernel, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub(crate) fn open() -> Result<Self, NetlinkError> {
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(|source| NetlinkError {
                action: "open a netlink socket for",
                object: "this machine".to_owned(),
                source,
            })?;
        Ok(Self {
            handle,
            task: tokio::spawn(connection),
        })
    }

    pub(crate) fn handle(&self) -> &rtnetlink::Handle {
        &self.handle
    }

    /// The interface with this name, or `None`.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Link>, NetlinkError> {
        let mut links = self.handle.link().get().match_name(name).execute();
        let message = match links.try_next().await {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(None),
            Err(error) => {
                let source = to_io(error);
                return if source.raw_os_error() == Some(libc::ENODEV) {
                    Ok(None)
                } else {
                    Err(NetlinkError {
                        action: "look up",
                        object: name.to_owned(),
                        source,
                    })
                };
            }
        };
        let is_bridge = message.attributes.iter().any(|attribute| {
            matches!(attribute, LinkAttribute::LinkInfo(infos)
                if infos.contains(&LinkInfo::Kind(InfoKind::Bridge)))
        });
        Ok(Some(Link {
            index: message.header.index,
            is_bridge,
        }))
    }

    /// Adds an address; one that is there already is fine.
    pub(crate) async fn add_address(
        &self,
        index: u32,
        name: &str,
        address: IpAddr,
        prefix: u8,
    ) -> Result<(), NetlinkError> {
        let mut request = self.handle.address().add(index, address, prefix);
        // No other host can have it, and an address under duplicate detection cannot be bound to
        // yet; on a bridge without a port that state would last.
        request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        let added = request.execute().await;
        match added {
            Err(error) => {
                let source = to_io(error);
                if source.raw_os_error() == Some(libc::EEXIST) {
                    Ok(())
                } else {
                    Err(NetlinkError {
                        action: "add an address to",
                        object: name.to_owned(),
                        source,
                    })
                }
            }
            Ok(()) => Ok(()),
        }
    }

    pub(crate) async fn delete(&self, index: u32, name: &str) -> Result<(), NetlinkError> {
        self.handle
            .link()
            .del(index)
            .execute()
            .await
            .map_err(NetlinkError::because("remove", name))
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.task.abort();
    }
}
