//! One flat id mapping out of a container's range and the mappings a package asks for.
//!
//! On disk there are container ids (0, 33, 1000, ...). The base mapping shows id `n` as `n`, up to
//! 65,535. Each asked-for mapping is then applied, in order, to what the mappings before it show. The
//! result must be one injective map, so where two ids on disk would be shown as one, an id that some
//! mapping named wins over one that only passed through, then the lower id on disk; the loser has no
//! id inside and its files belong to nobody.

use serde::{Deserialize, Serialize};

use crate::ID_RANGE;

/// The kernel takes at most this many lines in a user namespace's map.
const MAX_EXTENTS: usize = 340;

/// Ids `from_id..from_id+range` are shown as `to_id..to_id+range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdMapping {
    /// First id on disk.
    pub from_id: u32,
    /// First id seen in the container.
    pub to_id: u32,
    /// How many.
    pub range: u32,
}

/// The mappings asked for cut the id range into more pieces than the kernel takes.
#[derive(Debug, thiserror::Error)]
#[error("the id mappings make {0} pieces, the kernel takes 340; use longer ranges")]
pub struct TooManyExtents(usize);

/// One line of a mount's id map: ids on disk to host ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Extent {
    pub(crate) disk: u32,
    pub(crate) host: u32,
    pub(crate) count: u32,
}

/// A mount's id map, in ascending order of ids on disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlatMap(Vec<Extent>);

impl FlatMap {
    /// The container's whole range, as it is.
    pub(crate) fn range(id_base: u32) -> Self {
        Self(vec![Extent {
            disk: 0,
            host: id_base,
            count: ID_RANGE,
        }])
    }

    /// The container's range with `mappings` applied.
    ///
    /// # Errors
    /// [`TooManyExtents`] when the result needs more lines than the kernel takes.
    pub(crate) fn with(id_base: u32, mappings: &[IdMapping]) -> Result<Self, TooManyExtents> {
        if mappings.is_empty() {
            return Ok(Self::range(id_base));
        }
        // Each costs a pass over the whole range, and a package can send a hundred thousand.
        if mappings.len() > MAX_EXTENTS {
            return Err(TooManyExtents(mappings.len()));
        }
        // The range is small enough to be computed id by id, which is hard to get wrong; the kernel's
        // extents are read off at the end. A value of ID_RANGE or more is an id nobody sees.
        let mut shown: Vec<(u64, bool)> = (0..u64::from(ID_RANGE)).map(|id| (id, false)).collect();
        for mapping in mappings {
            let from = u64::from(mapping.from_id);
            let end = from + u64::from(mapping.range);
            for (id, named) in &mut shown {
                if (from..end).contains(id) {
                    *id = *id - from + u64::from(mapping.to_id);
                    *named = true;
                }
            }
        }
        let mut owner: Vec<Option<u32>> = vec![None; ID_RANGE as usize];
        // Named ids first, then those that passed through; within each the lower id on disk comes
        // first and later ones find the place taken.
        for wants_named in [true, false] {
            for (disk, (id, named)) in (0_u32..).zip(&shown) {
                let place = usize::try_from(*id).ok().and_then(|id| owner.get_mut(id));
                if let Some(place) = place
                    && *named == wants_named
                {
                    place.get_or_insert(disk);
                }
            }
        }
        let mut pairs: Vec<(u32, u32)> = (0_u32..)
            .zip(&owner)
            .filter_map(|(inside, disk)| disk.map(|disk| (disk, inside)))
            .collect();
        pairs.sort_unstable();
        let mut extents: Vec<Extent> = Vec::new();
        for (disk, inside) in pairs {
            let host = id_base + inside;
            match extents.last_mut() {
                Some(last) if last.disk + last.count == disk && last.host + last.count == host => {
                    last.count += 1;
                }
                _ => extents.push(Extent {
                    disk,
                    host,
                    count: 1,
                }),
            }
        }
        if extents.len() > MAX_EXTENTS {
            return Err(TooManyExtents(extents.len()));
        }
        Ok(Self(extents))
    }

    /// Text for `/proc/<pid>/uid_map`.
    pub(crate) fn to_proc_text(&self) -> String {
        self.0
            .iter()
            .map(|extent| format!("{} {} {}\n", extent.disk, extent.host, extent.count))
            .collect()
    }

    /// Where an id on disk is seen, as a host id.
    #[cfg(test)]
    fn lookup(&self, disk: u32) -> Option<u32> {
        self.0
            .iter()
            .find(|extent| (extent.disk..extent.disk + extent.count).contains(&disk))
            .map(|extent| extent.host + (disk - extent.disk))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const BASE: u32 = 100_000;

    fn map(from_id: u32, to_id: u32, range: u32) -> IdMapping {
        IdMapping {
            from_id,
            to_id,
            range,
        }
    }

    #[test]
    fn more_mappings_than_lines_are_refused_before_they_are_worked_out() {
        let same = IdMapping {
            from_id: 0,
            to_id: 0,
            range: ID_RANGE,
        };
        assert!(FlatMap::with(BASE, &vec![same; MAX_EXTENTS]).is_ok());
        assert!(FlatMap::with(BASE, &vec![same; MAX_EXTENTS + 1]).is_err());
    }

    #[test]
    fn without_mappings_the_whole_range_is_one_line() {
        assert_eq!(
            FlatMap::with(BASE, &[]).unwrap().to_proc_text(),
            "0 100000 65536\n"
        );
    }

    #[test]
    fn a_named_id_displaces_the_one_that_passed_through() {
        let flat = FlatMap::with(BASE, &[map(0, 1000, 1)]).unwrap();
        assert_eq!(flat.lookup(0), Some(101_000));
        assert_eq!(flat.lookup(1000), None);
        assert_eq!(flat.lookup(33), Some(100_033));
    }

    #[test]
    fn mappings_apply_in_order_to_what_is_seen() {
        let flat = FlatMap::with(BASE, &[map(0, 1000, 1), map(1000, 5, 1)]).unwrap();
        assert_eq!(
            flat.lookup(0),
            Some(100_005),
            "0 became 1000, and 1000 became 5"
        );
        assert_eq!(
            flat.lookup(1000),
            None,
            "named by the second mapping, but the lower id wins"
        );
        assert_eq!(flat.lookup(5), None, "only passed through");
    }

    #[test]
    fn ids_beyond_the_range_are_nobodys() {
        let flat = FlatMap::with(BASE, &[map(10, 65_530, 100)]).unwrap();
        assert_eq!(flat.lookup(10), Some(165_530));
        assert_eq!(flat.lookup(16), None);
        let flat = FlatMap::with(BASE, &[map(0, u32::MAX, u32::MAX)]).unwrap();
        assert_eq!(flat.lookup(0), None);
    }

    #[test]
    fn more_pieces_than_the_kernel_takes_are_refused() {
        let mappings: Vec<_> = (0..400).map(|n| map(n * 2, 30_000 + n * 3, 1)).collect();
        assert!(FlatMap::with(BASE, &mappings).is_err());
    }

    proptest! {
        #[test]
        fn a_flat_map_is_injective_and_stays_in_the_range(
            mappings in proptest::collection::vec((0u32..70_000, 0u32..70_000, 0u32..3_000), 0..6)
        ) {
            let mappings: Vec<_> = mappings.into_iter().map(|(f, t, r)| map(f, t, r)).collect();
            let flat = FlatMap::with(BASE, &mappings).unwrap();
            let mut seen = HashSet::new();
            for disk in 0..ID_RANGE {
                if let Some(host) = flat.lookup(disk) {
                    prop_assert!((BASE..BASE + ID_RANGE).contains(&host));
                    prop_assert!(seen.insert(host), "two ids on disk are shown as {host}");
                }
            }
        }
    }
}
