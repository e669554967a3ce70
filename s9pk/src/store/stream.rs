//! Taking a package in from a stream: tables are learned as they pass by.
//!
//! ```text
//! header ─▶ root table ─▶ what it names is due at its position ─▶ next due, by position ─▶ … ─▶ end
//! ```
//!
//! Invariant: what is due lies at or behind the place where the stream stands; writers put every
//! table before what it leads to, so nothing has to be read twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Read};

use super::intake::{Intake, Progress};
use super::{Expected, Installed, Store, StoreError};
use crate::digest::Digest;
use crate::header::{HEADER_SIZE, Header};
use crate::tables::{Budget, Table};
use crate::tree::Node;

/// Bytes of a manifest that is checked as it passes by; a larger one is refused at the end.
const MAX_MANIFEST: u64 = 4 * 1024 * 1024;

enum Due {
    Table(Table),
    Body {
        path: String,
        hash: Digest,
        size: u64,
    },
}

/// What the stream is still to bring, by position.
#[derive(Default)]
struct Agenda {
    due: BTreeMap<(u64, usize), Due>,
    count: usize,
}

impl Agenda {
    fn add(&mut self, position: u64, due: Due) {
        self.count += 1;
        self.due.insert((position, self.count), due);
    }

    fn next(&mut self) -> Option<(u64, Due)> {
        let ((position, _), due) = self.due.pop_first()?;
        Some((position, due))
    }
}

pub(super) fn from_stream(
    store: &Store,
    stream: &mut dyn Read,
    length: Option<u64>,
    expected: &Expected,
    progress: &mut Progress<'_>,
) -> Result<Installed, StoreError> {
    let limit = expected.max_bytes;
    if let Some(size) = length.filter(|length| *length > limit) {
        return Err(StoreError::TooLarge { size, limit });
    }
    let mut progress = |done| progress(done);
    let mut intake = Intake::new(store, expected, &mut progress);
    read_all(&mut intake, stream, length).map_err(|error| match (error, length) {
        // Say how much is missing rather than where reading stopped.
        (StoreError::Source { position, source }, Some(announced))
            if source.kind() == io::ErrorKind::UnexpectedEof =>
        {
            StoreError::Length {
                announced,
                found: position,
            }
        }
        (error, _) => error,
    })?;
    intake.commit()
}

fn read_all(
    intake: &mut Intake<'_>,
    stream: &mut dyn Read,
    length: Option<u64>,
) -> Result<(), StoreError> {
    let mut head = Vec::new();
    let read = stream.take(HEADER_SIZE).read_to_end(&mut head);
    read.map_err(|error| intake.unread(error))?;
    let (header, position, size) = Header::parse(&head, intake.expected().commitment.as_ref())?;
    intake.literal(head)?;

    let mut passing = Passing {
        budget: Budget::new(length.unwrap_or(intake.expected().max_bytes)),
        agenda: Agenda::default(),
        tables: HashMap::new(),
        bodies: HashSet::new(),
        intake,
        stream,
    };
    let root = Table::root(&header, position, size);
    passing.agenda.add(position, Due::Table(root));
    while let Some((position, due)) = passing.agenda.next() {
        match due {
            Due::Table(table) => passing.table(position, &table)?,
            Due::Body { path, hash, size } => passing.body(position, &path, hash, size)?,
        }
    }
    read_tail(intake, stream, length)
}

/// A package that passes by.
struct Passing<'a, 'b> {
    intake: &'a mut Intake<'b>,
    stream: &'a mut dyn Read,
    budget: Budget,
    agenda: Agenda,
    /// Tables that have passed, by position and size: two entries may share one.
    tables: HashMap<(u64, u64), Vec<u8>>,
    /// Bodies that have passed.
    bodies: HashSet<(u64, u64, Digest)>,
}

impl Passing<'_, '_> {
    fn table(&mut self, position: u64, table: &Table) -> Result<(), StoreError> {
        self.budget.admit(table)?;
        let bytes = match self.tables.get(&(position, table.size)) {
            Some(bytes) => bytes.clone(),
            None => {
                if position < self.intake.position() {
                    return Err(StoreError::NotStreamable(format!("{}/", table.path)));
                }
                self.intake.gap(self.stream, position)?;
                let bytes = self.intake.bytes(self.stream, table.size)?;
                self.intake.literal(bytes.clone())?;
                self.tables.insert((position, table.size), bytes.clone());
                bytes
            }
        };
        let (directory, below) = self.budget.parse(table, &bytes)?;
        for (_, table) in below {
            self.agenda.add(table.position, Due::Table(table));
        }
        for (name, entry) in directory.entries {
            let Node::File(position) = entry.node else {
                continue;
            };
            let path = match table.path.as_str() {
                "" => name,
                above => format!("{above}/{name}"),
            };
            let (hash, size) = (entry.hash, entry.size);
            // An empty body is wherever the stream stands.
            let position = if size == 0 { 0 } else { position };
            self.agenda.add(position, Due::Body { path, hash, size });
        }
        Ok(())
    }

    fn body(
        &mut self,
        position: u64,
        path: &str,
        hash: Digest,
        size: u64,
    ) -> Result<(), StoreError> {
        if !self.bodies.insert((position, size, hash)) {
            return Ok(());
        }
        if size > 0 {
            if position < self.intake.position() {
                return Err(StoreError::NotStreamable(path.to_owned()));
            }
            self.intake.gap(self.stream, position)?;
        }
        self.intake.body(self.stream, path, hash, size)?;
        if path == "manifest.json" && size <= MAX_MANIFEST {
            // Refuse now rather than after the bulk of the upload.
            self.intake.check_manifest(&hash, size)?;
        }
        Ok(())
    }
}

fn read_tail(
    intake: &mut Intake<'_>,
    stream: &mut dyn Read,
    length: Option<u64>,
) -> Result<(), StoreError> {
    let limit = intake.expected().max_bytes;
    loop {
        let mut bytes = Vec::new();
        let read = stream.take(64 * 1024).read_to_end(&mut bytes);
        read.map_err(|error| intake.unread(error))?;
        if bytes.is_empty() {
            break;
        }
        intake.literal(bytes)?;
        if intake.position() > limit {
            let size = intake.position();
            return Err(StoreError::TooLarge { size, limit });
        }
    }
    match length {
        Some(announced) if announced != intake.position() => Err(StoreError::Length {
            announced,
            found: intake.position(),
        }),
        _ => Ok(()),
    }
}
