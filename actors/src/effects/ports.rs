//! What the effects have in common that bind ports.

use std::sync::Arc;

use crate::{
    hosts::{self, PortPool},
    model::PackageEntry,
    problem::Problem,
    service::ServiceContext,
};

/// Changes a service's entry and who has which port, in one write; its addresses follow.
///
/// # Errors
/// What `change` refuses; nothing is changed then.
pub(super) async fn change_ports(
    service: &Arc<ServiceContext>,
    cause: &str,
    change: impl FnOnce(&mut PackageEntry, &mut PortPool) -> Result<(), Problem> + Send + 'static,
) -> Result<(), Problem> {
    let host = &service.host;
    let (short, id) = (host.layout.short.to_string(), service.id.clone());
    let around = host.network.surroundings(&id);
    let stands = service.standing();
    host.document
        .update_package_and_server(cause, &service.id, move |entry, server| {
            stands()?;
            hosts::with_ports(entry, server, (short, &id), change)?;
            hosts::refresh_addresses(&mut entry.hosts, &around);
            Ok(())
        })
        .await
}
