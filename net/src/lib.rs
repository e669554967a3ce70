//! Networks, in both directions of the wall between core and edge.
//!
//! For the core: [`ca`] signs certificates, [`subnet`] finds room for the containers' network,
//! [`bridge`] makes it, [`firewall`] decides what may pass. The core hands the edge a
//! [`table::RoutingTable`], a value; the edge ([`edge::run`]) obeys it and parses everything that
//! comes from a network.
//!
//! Absent: services and their life cycles. Nothing here knows why a name leads where it leads.

pub mod bridge;
pub mod ca;
pub mod descriptors;
pub mod edge;
pub mod firewall;
pub mod subnet;
pub mod table;
