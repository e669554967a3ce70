//! The interface by which this machine reaches the rest of the world.

use std::fs;

/// The interface of the default route, as the kernel tells it; IPv4's, else IPv6's.
pub(super) fn read() -> Option<String> {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    of_ipv4(&text("/proc/net/route")).or_else(|| of_ipv6(&text("/proc/net/ipv6_route")))
}

/// Of several default routes the kernel takes the one of least metric.
fn of_ipv4(table: &str) -> Option<String> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [interface, to, _, flags, _, _, metric, mask, ..] = columns[..] else {
            return None;
        };
        let is_default = to == "00000000" && mask == "00000000" && is_up(flags)?;
        let metric: u32 = metric.parse().ok()?;
        is_default.then(|| (metric, interface.to_owned()))
    });
    Some(routes.min()?.1)
}

fn of_ipv6(table: &str) -> Option<String> {
    let routes = table.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [to, length, _, _, _, metric, _, _, flags, interface] = columns[..] else {
            return None;
        };
        // Where there is no route, loopback has one that refuses everything.
        let is_default = to.bytes().all(|digit| digit == b'0')
            && length == "00"
            && interface != "lo"
            && is_up(flags)?;
        let metric = u32::from_str_radix(metric, 16).ok()?;
        is_default.then(|| (metric, interface.to_owned()))
    });
    Some(routes.min()?.1)
}

/// `RTF_UP` among the flags.
fn is_up(flags: &str) -> Option<bool> {
    Some(u32::from_str_radix(flags, 16).ok()? & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

    #[test]
    fn the_default_route_of_least_metric_counts() {
        let table = format!(
            "{HEAD}wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
             eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             eth1\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        );
        assert_eq!(of_ipv4(&table).as_deref(), Some("eth0"));
    }

    #[test]
    fn a_machine_without_a_default_route_has_none() {
        let table = format!("{HEAD}eth1\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
        assert_eq!(of_ipv4(&table), None);
        let refusing = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                        00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";
        assert_eq!(of_ipv6(refusing), None);
        assert_eq!(of_ipv4("nonsense\nmore of it\n"), None);
    }

    #[test]
    fn an_ipv6_route_counts_where_there_is_no_other() {
        let table = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                     fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n";
        assert_eq!(of_ipv6(table).as_deref(), Some("eth0"));
    }
}
