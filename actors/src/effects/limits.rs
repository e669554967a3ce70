//! How much one service may have Coppice keep for it, and show of it.
//!
//! What a package declares is stored in the document, written to disk, sent to every browser and
//! read again by every effect. None of it may grow without end, by malice or by a loop in a package.
//! The limits are several times what the largest known packages use (StartOS packages: some 30
//! actions, 15 ports, 20 interfaces), and are counted against what is stored for the service already.
//!
//! Invariant: whatever an effect stores or broadcasts has passed one of the checks here.

use std::fmt;

use serde::Serialize;

use crate::{model::Notification, problem::Problem};

const KIB: usize = 1024;

/// Longest name that a package gives or asks for (an action, a host, an interface, a check, a
/// package), in bytes. Ids of packages are labels of 63; names of ours in the wild stay below 100.
const NAME_BYTES: usize = 256;
/// Longest replay id of a task: by default it is made of a package's and an action's id.
const REPLAY_ID_BYTES: usize = 2 * NAME_BYTES + 1;
/// Longest version or range of versions, in bytes. Ranges are parsed by descent: a long one is deep.
const VERSION_BYTES: usize = KIB;
/// Most items in a list of names that an effect keeps or clears. The lists are walked for each thing
/// that is stored, in the store's one writer, which all services share.
const LISTED: usize = 1024;
/// Most roots of subcontainers alive at once; each is a mount on the host. Packages have up to 20.
pub(super) const SUBCONTAINERS: usize = 256;
/// Most id mappings of one mount. The kernel takes 340; packages send one or two.
const ID_MAPPINGS: usize = 64;
/// What is shown of a health check's name, in bytes.
pub(super) const HEALTH_NAME_BYTES: usize = 128;
/// What is shown of a health check's message, in bytes: it goes to every browser, once a second.
pub(super) const HEALTH_MESSAGE_BYTES: usize = KIB;
/// Most that is shown of a package's progress through its `init`: some hundred phases.
const PROGRESS_BYTES: usize = 16 * KIB;
/// Most bindings of which Coppice does the TLS: each costs the edge one of its listeners, of which
/// it has 253 for all services together.
const TLS_BINDINGS: usize = 32;

/// How many things of one kind a service may have, and how large.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    what: &'static str,
    count: usize,
    each_bytes: usize,
    all_bytes: usize,
}

/// Actions: a name, a description, a warning each.
pub(super) const ACTIONS: Quota = Quota {
    what: "action",
    count: 256,
    each_bytes: 16 * KIB,
    all_bytes: 256 * KIB,
};
/// Tasks: what they accept and fill in can be a whole configuration.
pub(super) const TASKS: Quota = Quota {
    what: "task",
    count: 256,
    each_bytes: 64 * KIB,
    all_bytes: 256 * KIB,
};
/// Dependencies: an id, a range, some checks each.
pub(super) const DEPENDENCIES: Quota = Quota {
    what: "dependency",
    count: 128,
    each_bytes: 8 * KIB,
    all_bytes: 64 * KIB,
};
/// Bindings, those that are not enabled any more included: they keep their ports, of which there
/// are 16,383 for all services. Certificates and credentials make the large ones.
pub(super) const BINDINGS: Quota = Quota {
    what: "bound port",
    count: 64,
    each_bytes: 32 * KIB,
    all_bytes: 128 * KIB,
};
/// Hosts: a name, and the bindings that are counted above.
const HOSTS: usize = 64;
/// Interfaces: a name, a description and a path each.
pub(super) const INTERFACES: Quota = Quota {
    what: "interface",
    count: 128,
    each_bytes: 16 * KIB,
    all_bytes: 128 * KIB,
};

/// Ranges of ports: an interface each, and up to 500 of the ports of all services.
pub(super) const RANGES: Quota = Quota {
    what: "range of ports",
    count: 16,
    each_bytes: 8 * KIB,
    all_bytes: 64 * KIB,
};
/// Addresses that one plugin adds to one binding, with what it keeps about each.
pub(super) const PLUGGED: Quota = Quota {
    what: "address",
    count: 64,
    each_bytes: 8 * KIB,
    all_bytes: 64 * KIB,
};
/// Most names in one certificate.
const HOSTNAMES: usize = 64;
/// A notification's title, one paragraph, and its Markdown.
const NOTIFICATION_BYTES: (usize, usize, usize) = (NAME_BYTES, 4 * KIB, 32 * KIB);

/// What a service wants is over a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OverLimit {
    /// One more than there may be.
    #[error(
        "{what} `{name}` is one too many: a service may have {limit}; clear those it does not need \
         any more first"
    )]
    Count {
        what: &'static str,
        name: Shown,
        limit: usize,
    },
    /// Larger than one may be.
    #[error("{what} `{name}` takes {size} bytes, and {limit} is the most; make it shorter")]
    Size {
        what: &'static str,
        name: Shown,
        size: usize,
        limit: usize,
    },
    /// Together larger than all may be.
    #[error(
        "with {what} `{name}` this service would have {size} bytes of them, and {limit} is the \
         most; shorten or clear some"
    )]
    Total {
        what: &'static str,
        name: Shown,
        size: usize,
        limit: usize,
    },
    /// A name is too long.
    #[error(
        "the {what} `{name}` is {size} bytes long, and {limit} is the most; choose a shorter one"
    )]
    Name {
        what: &'static str,
        name: Shown,
        size: usize,
        limit: usize,
    },
    /// A list is too long.
    #[error("a list of {size} {what} is too long: {limit} is the most; name fewer at once")]
    List {
        what: &'static str,
        size: usize,
        limit: usize,
    },
}

/// A name as a refusal quotes it: its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown(String);

impl Shown {
    fn of(name: &str) -> Self {
        Self(name.chars().take(64).collect())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<OverLimit> for Problem {
    fn from(over: OverLimit) -> Self {
        Self::invalid(over.to_string())
    }
}

impl From<OverLimit> for super::Refusal {
    fn from(over: OverLimit) -> Self {
        Problem::from(over).into()
    }
}

impl Quota {
    /// Whether `new` may join `others`: what is stored of this kind, without what it replaces.
    pub(super) fn check<'a, T: Serialize + 'a>(
        &self,
        name: &str,
        new: &impl Serialize,
        others: impl IntoIterator<Item = &'a T>,
    ) -> Result<(), OverLimit> {
        let (what, size) = (self.what, bytes_of(new));
        if size > self.each_bytes {
            return Err(OverLimit::Size {
                what,
                name: Shown::of(name),
                size,
                limit: self.each_bytes,
            });
        }
        let (mut count, mut all) = (1, size);
        for other in others {
            count += 1;
            all += bytes_of(other);
        }
        if count > self.count {
            return Err(OverLimit::Count {
                what,
                name: Shown::of(name),
                limit: self.count,
            });
        }
        if all > self.all_bytes {
            return Err(OverLimit::Total {
                what,
                name: Shown::of(name),
                size: all,
                limit: self.all_bytes,
            });
        }
        Ok(())
    }
}

/// Whether one more may join `count` others.
fn one_more(what: &'static str, name: &str, others: usize, limit: usize) -> Result<(), OverLimit> {
    if others < limit {
        return Ok(());
    }
    Err(OverLimit::Count {
        what,
        name: Shown::of(name),
        limit,
    })
}

/// Whether a host may be added to so many.
pub(super) fn host(name: &str, others: usize) -> Result<(), OverLimit> {
    one_more("host", name, others, HOSTS)
}

/// Whether Coppice does the TLS of one binding more than so many.
pub(super) fn tls_binding(name: &str, others: usize) -> Result<(), OverLimit> {
    one_more("port behind Coppice's TLS", name, others, TLS_BINDINGS)
}

/// Whether a subcontainer may be added to so many.
pub(super) fn subcontainer(name: &str, others: usize) -> Result<(), OverLimit> {
    one_more("subcontainer", name, others, SUBCONTAINERS)
}

fn short(what: &'static str, name: &str, limit: usize) -> Result<(), OverLimit> {
    if name.len() <= limit {
        return Ok(());
    }
    Err(OverLimit::Name {
        what,
        name: Shown::of(name),
        size: name.len(),
        limit,
    })
}

/// Whether a name that a package gives or asks for is one; `what` is what it names.
pub(super) fn name(what: &'static str, name: &str) -> Result<(), OverLimit> {
    short(what, name, NAME_BYTES)
}

/// As [`name`], of a name that may be missing.
pub(super) fn maybe_name(what: &'static str, name: Option<&str>) -> Result<(), OverLimit> {
    name.map_or(Ok(()), |name| short(what, name, NAME_BYTES))
}

/// Whether a task may have this replay id.
pub(super) fn replay_id(id: &str) -> Result<(), OverLimit> {
    short("replay id", id, REPLAY_ID_BYTES)
}

/// Whether this may be a version or a range of them; what it means is not looked at.
pub(super) fn version(text: &str) -> Result<(), OverLimit> {
    short("version or range", text, VERSION_BYTES)
}

/// Whether a list of names is short enough to be walked.
pub(super) fn list<T>(what: &'static str, list: &[T]) -> Result<(), OverLimit> {
    listed(what, list.len(), LISTED)
}

/// Whether so many id mappings may be asked for at once.
pub(super) fn id_mappings<T>(list: &[T]) -> Result<(), OverLimit> {
    listed("id mappings", list.len(), ID_MAPPINGS)
}

/// Whether these may stand in a certificate together.
pub(super) fn hostnames(names: &[String]) -> Result<(), OverLimit> {
    listed("host names", names.len(), HOSTNAMES)?;
    names.iter().try_for_each(|one| name("host name", one))
}

/// Whether a notification is short enough to be kept and shown, whoever sends it.
pub(crate) fn notification(new: &Notification) -> Result<(), Problem> {
    let (titles, messages, details) = NOTIFICATION_BYTES;
    short("notification's title", &new.title, titles)?;
    short("notification's message", &new.message, messages)?;
    let data = new.data.as_deref().unwrap_or_default();
    Ok(short("notification's data", data, details)?)
}

fn listed(what: &'static str, size: usize, limit: usize) -> Result<(), OverLimit> {
    if size <= limit {
        return Ok(());
    }
    Err(OverLimit::List { what, size, limit })
}

/// Whether a package's progress is short enough to be shown.
pub(super) fn progress(progress: &serde_json::Value) -> Result<(), OverLimit> {
    let size = bytes_of(progress);
    if size <= PROGRESS_BYTES {
        return Ok(());
    }
    Err(OverLimit::Size {
        what: "progress",
        name: Shown::of("init"),
        size,
        limit: PROGRESS_BYTES,
    })
}

/// Bytes that `value` takes as JSON, counted without making any.
fn bytes_of(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        // It has no JSON form, and will be refused where it is to be written.
        Err(_) => usize::MAX,
    }
}

#[cfg(test)]
mod tests;
