//! Ranges of ports: `bind-range` (`service-abi.md` §5.10).
//!
//! Invariant: a range is given whole or not at all, on just the ports that were asked for: whoever
//! binds one (TURN, passive FTP) tells the numbers to its own clients.

use super::{Ask, Holder, PortPool, Serves};
use crate::model::{Addresses, Host, RangeBindInfo};

/// A range as a package asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First port in the container.
    pub internal_start: u16,
    /// First port outside.
    pub external_start: u16,
    /// How many.
    pub count: u16,
}

/// Why a range is not given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeRefused {
    /// Too few or too many ports.
    #[error("a range has 2 to 500 ports, and {0} were asked for")]
    Count(u16),
    /// It does not end below 65536.
    #[error("{count} ports from {start} on go past 65535; begin lower")]
    PastTheEnd {
        /// First port.
        start: u16,
        /// How many.
        count: u16,
    },
    /// Somebody has one of its ports.
    #[error("the range cannot be had: port {port} is not free, {holder}; ask for another range")]
    Taken {
        /// The port.
        port: u16,
        /// Who has it.
        holder: Holder,
    },
}

impl Range {
    fn external(self) -> std::ops::Range<u16> {
        self.external_start..self.external_start.saturating_add(self.count)
    }

    fn check(self) -> Result<(), RangeRefused> {
        let Self { count, .. } = self;
        if !(2..=500).contains(&count) {
            return Err(RangeRefused::Count(count));
        }
        for start in [self.internal_start, self.external_start] {
            if start.checked_add(count).is_none() {
                return Err(RangeRefused::PastTheEnd { start, count });
            }
        }
        Ok(())
    }
}

/// Declares a range: enabled, its ports taken, what it had before given back; interface and what the
/// user switched stay. Ports that it has are not asked about again.
///
/// # Errors
/// [`RangeRefused`]; host and pool are unchanged then.
pub fn bind_range_where(
    host: &mut Host,
    owner: &str,
    range: Range,
    pool: &mut PortPool,
    elsewhere: &mut Ask<'_>,
) -> Result<(), RangeRefused> {
    range.check()?;
    let old = host.binding_ranges.get(&range.internal_start);
    let had = old.map_or(0..0, |old| {
        old.external_start_port..old.external_start_port.saturating_add(old.number_of_ports)
    });
    let mut updated = pool.clone();
    for port in had.clone() {
        updated.free(port);
    }
    for port in range.external() {
        let somebody = updated.holder(port).or_else(|| {
            let news = !had.contains(&port);
            news.then(|| elsewhere(port, Serves::Anything)).flatten()
        });
        if let Some(holder) = somebody {
            return Err(RangeRefused::Taken { port, holder });
        }
        updated.taken.insert(port, owner.to_owned());
    }
    *pool = updated;
    let bound = host
        .binding_ranges
        .entry(range.internal_start)
        .or_insert_with(|| RangeBindInfo {
            enabled: true,
            external_start_port: range.external_start,
            number_of_ports: range.count,
            addresses: Addresses::default(),
            interface: None,
        });
    move_choices(
        &mut bound.addresses,
        bound.external_start_port,
        range.external_start,
    );
    bound.enabled = true;
    bound.external_start_port = range.external_start;
    bound.number_of_ports = range.count;
    Ok(())
}

/// What the user switched is noted with the first port: it goes along when that is another.
fn move_choices(addresses: &mut Addresses, from: u16, to: u16) {
    for socket in addresses.enabled.iter_mut().chain(&mut addresses.gua_wan) {
        if let Some(ip) = socket.strip_suffix(&format!(":{from}")) {
            *socket = format!("{ip}:{to}");
        }
    }
    for (_, port) in &mut addresses.disabled {
        if *port == from {
            *port = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(internal_start: u16, external_start: u16, count: u16) -> Range {
        Range {
            internal_start,
            external_start,
            count,
        }
    }

    fn bind(host: &mut Host, pool: &mut PortPool, range: Range) -> Result<(), RangeRefused> {
        bind_range_where(host, "coturn", range, pool, &mut |_, _| None)
    }

    #[test]
    fn a_range_is_of_2_to_500_ports() {
        let (mut host, mut pool) = (Host::default(), PortPool::default());
        for count in [0, 1, 501, u16::MAX] {
            let refused = bind(&mut host, &mut pool, range(50_000, 50_000, count));
            assert_eq!(refused, Err(RangeRefused::Count(count)));
        }
        for (start, count) in [(50_000, 2), (51_000, 500)] {
            bind(&mut host, &mut pool, range(start, start, count)).unwrap();
        }
        assert_eq!(pool.taken.len(), 502);
        let late = bind(&mut host, &mut pool, range(1, 65_400, 200));
        assert!(matches!(late, Err(RangeRefused::PastTheEnd { .. })));
    }

    #[test]
    fn a_range_that_cannot_be_had_whole_is_not_had_in_part() {
        let mut pool = PortPool::default();
        pool.taken.insert(50_005, "other".into());
        let mut host = Host::default();
        let (before, found) = (pool.clone(), &mut |port, _: Serves| {
            (port == 40_003).then_some(Holder::Program)
        });
        for (asked, port, holder) in [
            (
                range(1, 50_000, 10),
                50_005,
                Holder::Service("other".into()),
            ),
            (range(1, 40_000, 10), 40_003, Holder::Program),
            (range(1, 1020, 10), 1020, Holder::Convention),
            (range(1, 5350, 10), 5353, Holder::Convention),
        ] {
            let refused = bind_range_where(&mut host, "coturn", asked, &mut pool, found);
            assert_eq!(refused, Err(RangeRefused::Taken { port, holder }));
            assert_eq!((&pool, host.binding_ranges.len()), (&before, 0));
        }
    }

    #[test]
    fn a_range_that_is_asked_for_again_is_the_same() {
        let (mut host, mut pool) = (Host::default(), PortPool::default());
        bind(&mut host, &mut pool, range(1, 50_000, 10)).unwrap();
        let (known, taken) = (host.clone(), pool.clone());
        // Its own forwards are in the kernel by now: it must not find itself in the way.
        let mut everywhere = |_, _| Some(Holder::Server);
        bind_range_where(
            &mut host,
            "coturn",
            range(1, 50_000, 10),
            &mut pool,
            &mut everywhere,
        )
        .unwrap();
        assert_eq!((host, pool), (known, taken));
    }

    #[test]
    fn a_range_that_moves_frees_what_it_had_and_keeps_what_the_user_chose() {
        let (mut host, mut pool) = (Host::default(), PortPool::default());
        bind(&mut host, &mut pool, range(1, 50_000, 10)).unwrap();
        let addresses = &mut host.binding_ranges.get_mut(&1).unwrap().addresses;
        addresses.enabled = vec!["203.0.113.7:50000".into()];
        addresses.disabled = vec![("192.168.1.5".into(), 50_000)];
        // It overlaps with where it was.
        bind(&mut host, &mut pool, range(1, 50_005, 10)).unwrap();
        let ports: Vec<u16> = pool.taken.keys().copied().collect();
        assert_eq!(ports, (50_005..50_015).collect::<Vec<_>>());
        let bound = &host.binding_ranges[&1];
        assert_eq!(bound.external_start_port, 50_005);
        assert_eq!(bound.addresses.enabled, ["203.0.113.7:50005"]);
        assert_eq!(bound.addresses.disabled, [("192.168.1.5".into(), 50_005)]);
    }
}
