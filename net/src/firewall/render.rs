//! A firewall as the text `nft -f -` reads.
//!
//! Invariant: the text is one transaction that first deletes our tables and then states them whole;
//! the same value gives the same text. Every name in it was checked, so nothing in a [`Firewall`]
//! can become a rule of its own.

use std::{
    fmt::{self, Write},
    net::{IpAddr, Ipv6Addr},
};

use super::{Allow, Firewall, FirewallError, Forward, Port, PortRange, Proto, Scope};

/// The bit of a packet's mark that says "the rules above let this pass between two containers".
///
/// With `br_netfilter` a packet whose destination we rewrote is carried on as a frame, past the
/// routing code; this bit lets the frame rules know it from one a container sent to its neighbour
/// directly. Marks do not cross into or out of a container's network namespace.
const APPROVED: &str = "0x02000000";

impl Firewall {
    /// The whole ruleset.
    ///
    /// # Errors
    /// [`FirewallError::Name`] when a name could not stand in a rule, [`FirewallError::Forward`]
    /// when a forward leads past the last port.
    pub fn render(&self) -> Result<String, FirewallError> {
        self.check()?;
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        Ok(text)
    }

    fn check(&self) -> Result<(), FirewallError> {
        let names = [&self.table, &self.bridge, &self.port_prefix];
        let interfaces = self.ports.iter().map(|port| &port.interface);
        for name in names.into_iter().chain(interfaces) {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            if name.is_empty() || name.len() > 31 || !name.bytes().all(plain) {
                return Err(FirewallError::Name { name: name.clone() });
            }
        }
        let past_the_end = |forward: &&Forward| {
            u32::from(forward.to_port) + u32::from(forward.ports.last() - forward.ports.first())
                > u32::from(u16::MAX)
        };
        match self.forwards.iter().find(past_the_end) {
            Some(forward) => Err(FirewallError::Forward {
                first: forward.ports.first(),
                to_port: forward.to_port,
            }),
            None => Ok(()),
        }
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let Self { table, bridge, .. } = self;
        out.push_str(&removal(table));
        writeln!(out, "table inet {table} {{")?;
        self.write_forwards(out)?;
        self.write_leaving(out)?;
        self.write_passing(out)?;
        self.write_to_host(out)?;
        writeln!(
            out,
            "  chain from_host {{
    type filter hook output priority filter; policy accept;
    # A container told to take a shorter way would take one that is closed.
    oifname {bridge:?} icmp type redirect drop
  }}
}}"
        )?;
        self.write_frames(out)
    }

    /// Published ports become addresses of containers, for packets from outside and our own.
    fn write_forwards(&self, out: &mut String) -> fmt::Result {
        for (chain, hook, priority) in [
            ("published", "prerouting", "dstnat"),
            ("published_here", "output", "-100"),
        ] {
            writeln!(out, "  chain {chain} {{")?;
            writeln!(
                out,
                "    type nat hook {hook} priority {priority}; policy accept;"
            )?;
            for forward in &self.forwards {
                self.write_forward(out, forward)?;
            }
            writeln!(out, "  }}")?;
        }
        Ok(())
    }

    fn write_forward(&self, out: &mut String, forward: &Forward) -> fmt::Result {
        let Forward {
            proto,
            ports,
            to,
            to_port,
            scope,
        } = forward;
        let (family, gateway, loopback, open, close) = match to {
            IpAddr::V4(_) => {
                let gateway = IpAddr::V4(self.subnet.gateway_v4());
                ("ip", gateway, "127.0.0.0/8", "", "")
            }
            IpAddr::V6(_) => {
                let gateway = IpAddr::V6(self.subnet.gateway_v6());
                ("ip6", gateway, "::1", "[", "]")
            }
        };
        match scope {
            // Packets to a loopback address cannot leave it with another destination.
            Scope::Everywhere => write!(
                out,
                "    fib daddr type local {family} daddr != {loopback} "
            )?,
            Scope::Internal => write!(out, "    {family} daddr {gateway} ")?,
        }
        write!(out, "{proto} dport {ports} dnat {family} to ")?;
        if ports.first() == *to_port {
            // Without a port the kernel keeps the one that was asked for.
            writeln!(out, "{to}")
        } else if ports.first() == ports.last() {
            writeln!(out, "{open}{to}{close}:{to_port}")
        } else {
            // A range would spread over the target ports in any order; a map keeps the order.
            let pairs: Vec<String> = (ports.first()..=ports.last())
                .zip(*to_port..)
                .map(|(from, to)| format!("{from} : {to}"))
                .collect();
            writeln!(
                out,
                "{open}{to}{close} : {proto} dport map {{ {} }}",
                pairs.join(", ")
            )
        }
    }

    fn write_leaving(&self, out: &mut String) -> fmt::Result {
        let Self { bridge, subnet, .. } = self;
        let (v4, v6) = (subnet.v4(), subnet.v6());
        writeln!(
            out,
            "  chain leaving {{
    type nat hook postrouting priority srcnat; policy accept;
    # Hairpin: the answer must come back through us, or it comes from an address nobody asked.
    oifname {bridge:?} ip saddr {v4} ct status dnat masquerade
    oifname {bridge:?} ip6 saddr {v6} ct status dnat masquerade"
        )?;
        if self.masquerade {
            writeln!(out, "    oifname != {bridge:?} ip saddr {v4} masquerade")?;
            writeln!(out, "    oifname != {bridge:?} ip6 saddr {v6} masquerade")?;
        }
        writeln!(out, "  }}")
    }

    fn write_passing(&self, out: &mut String) -> fmt::Result {
        let Self { bridge, .. } = self;
        writeln!(
            out,
            "  chain passing {{
    type filter hook forward priority filter; policy accept;
    iifname {bridge:?} oifname {bridge:?} goto between
    iifname {bridge:?} goto outbound
    oifname {bridge:?} goto inbound
  }}
  chain between {{
    ct state established,related goto approved
    # Whoever publishes a port may use it as others do."
        )?;
        for port in self.publishers() {
            let (v4, v6) = (port.seat.v4, port.seat.v6);
            writeln!(out, "    ip saddr {v4} ip daddr {v4} goto approved")?;
            writeln!(out, "    ip6 saddr {v6} ip6 daddr {v6} goto approved")?;
        }
        for Allow {
            consumer,
            provider,
            ports,
        } in &self.allow
        {
            let pair = format!("ip saddr {consumer} ip daddr {provider}");
            if ports.is_empty() {
                writeln!(out, "    {pair} goto approved")?;
            }
            for (proto, ports) in ports {
                writeln!(out, "    {pair} {proto} dport {ports} goto approved")?;
            }
        }
        writeln!(
            out,
            "    drop
  }}
  chain approved {{
    meta mark set meta mark or {APPROVED} accept
  }}
  chain outbound {{
    ct state invalid drop
    accept
  }}
  chain inbound {{
    ct state established,related accept
    ct status dnat accept
    drop
  }}"
        )
    }

    /// Containers that a forward leads to.
    fn publishers(&self) -> impl Iterator<Item = &Port> {
        self.ports.iter().filter(|port| {
            self.forwards.iter().any(|forward| {
                forward.to == IpAddr::V4(port.seat.v4) || forward.to == IpAddr::V6(port.seat.v6)
            })
        })
    }

    fn write_to_host(&self, out: &mut String) -> fmt::Result {
        let Self { bridge, subnet, .. } = self;
        let (v4, v6) = (subnet.gateway_v4(), subnet.gateway_v6());
        writeln!(
            out,
            "  chain to_host {{
    type filter hook input priority filter; policy accept;
    iifname != {bridge:?} accept
    ct state established,related accept
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} accept
    ip daddr {v4} goto to_gateway
    ip6 daddr {v6} goto to_gateway
    drop
  }}
  chain to_gateway {{
    icmp type echo-request accept
    icmpv6 type echo-request accept
    udp dport 53 accept
    tcp dport 53 accept"
        )?;
        for (proto, ports) in &self.host_ports {
            writeln!(out, "    {proto} dport {ports} accept")?;
        }
        // Say no at once: a refused connection is an answer, a silent one is a timeout.
        writeln!(out, "    reject\n  }}")
    }

    /// Frames, before any of the above sees them.
    fn write_frames(&self, out: &mut String) -> fmt::Result {
        let Self {
            table,
            port_prefix: prefix,
            ..
        } = self;
        writeln!(
            out,
            "table bridge {table} {{
  chain frames_in {{
    type filter hook prerouting priority -300; policy accept;"
        )?;
        for port in &self.ports {
            writeln!(
                out,
                "    iifname {:?} goto from_{}",
                port.interface, port.interface
            )?;
        }
        writeln!(out, "    iifname \"{prefix}*\" drop\n  }}")?;
        for Port { interface, seat } in &self.ports {
            let (mac, v4, v6) = (shown(seat.mac), seat.v4, seat.v6);
            let link = link_local(seat.mac);
            writeln!(
                out,
                "  chain from_{interface} {{
    ether saddr != {mac} drop
    ether type ip ip saddr {v4} accept
    ether type arp arp saddr ip {{ {v4}, 0.0.0.0 }} accept
    # Of whose address it tells stands in an advertisement itself, behind its first 64 bits.
    icmpv6 type nd-neighbor-advert @th,64,128 != {:#x} @th,64,128 != {:#x} drop
    ether type ip6 ip6 saddr {{ {v6}, {link}, :: }} accept
    drop
  }}",
                v6.to_bits(),
                link.to_bits()
            )?;
        }
        writeln!(
            out,
            "  chain frames_between {{
    # After br_netfilter (0), which runs the rules for packets and leaves their mark.
    type filter hook forward priority 50; policy accept;
    iifname \"{prefix}*\" oifname \"{prefix}*\" meta mark and {APPROVED} == 0 drop
  }}"
        )?;
        self.write_frames_out(out)?;
        writeln!(out, "}}")
    }

    /// A bridge that has forgotten where an address is sends its frames to everyone.
    fn write_frames_out(&self, out: &mut String) -> fmt::Result {
        let prefix = &self.port_prefix;
        writeln!(
            out,
            "  chain frames_out {{
    type filter hook postrouting priority 300; policy accept;
    oifname != \"{prefix}*\" accept
    ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 accept"
        )?;
        let own = |port: &Port| format!("{:?} . {}", port.interface, shown(port.seat.mac));
        let all: Vec<String> = self.ports.iter().map(own).collect();
        if !all.is_empty() {
            writeln!(
                out,
                "    oifname . ether daddr {{ {} }} accept",
                all.join(", ")
            )?;
        }
        writeln!(out, "    drop\n  }}")
    }
}

fn shown(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// The address that a kernel gives an interface on its own link (RFC 4291, appendix A).
fn link_local([a, b, c, d, e, f]: [u8; 6]) -> Ipv6Addr {
    let word = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    let first = word(a ^ 2, b);
    Ipv6Addr::new(
        0xfe80,
        0,
        0,
        0,
        first,
        word(c, 0xff),
        word(0xfe, d),
        word(e, f),
    )
}

/// The text that removes our tables, whether they are there or not.
pub(super) fn removal(table: &str) -> String {
    let mut text = String::new();
    for family in ["inet", "bridge"] {
        // Deleting needs a table; stating an empty one first makes sure there is one.
        let _ = writeln!(
            text,
            "table {family} {table}\ndelete table {family} {table}"
        );
    }
    text
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}
