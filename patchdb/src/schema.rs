//! From the rows on disk to a document this program can work with.
//!
//! ```text
//! new folder ──▶ empty document of our schema
//! newer      ──▶ refused, nothing touched
//! older      ──▶ copy of the file beside it ──▶ migrations in memory ──▶ one transaction
//! ```
//!
//! Every open also writes its epoch and reserves its first ids, in that same transaction.

use coppice_clock::Wall;
use serde_json::{Value, json};

use crate::{
    disk::{Batch, Disk, HistoryEntry, Loaded, Meta, RowChanges, recovery, row_changes},
    error::OpenError,
    pointer::Pointer,
    position::{ID_LEAP, ID_RANGE, Position, Why},
    store::Options,
    tree::{Node, Op, diff},
};

/// One step from an older shape of the document to the next.
#[derive(Clone, Debug)]
pub struct Migration {
    /// The version the document has afterwards.
    pub to: u32,
    /// Changes the document, or says why it cannot.
    pub run: fn(&mut Value) -> Result<(), String>,
}

/// A document that is ready to be worked with.
pub(crate) struct Ready {
    pub(crate) tree: Node,
    pub(crate) meta: Meta,
    pub(crate) position: Position,
}

pub(crate) fn prepare(disk: &Disk, options: &Options) -> Result<Ready, OpenError> {
    let Loaded { tree: before, meta } = disk.load(options.schema)?;
    let is_new = meta.is_none();
    let mut meta = meta.unwrap_or_else(|| Meta::new(options.schema));
    let tree = if is_new {
        Node::from(json!({"public": {}, "private": {}}))
    } else {
        migrated(disk, options, &before, meta.schema)?
    };

    let mut ops = Vec::new();
    let mut history = Vec::new();
    if is_new {
        ops.push(Op::replace(Pointer::root(), tree.clone()));
    } else {
        diff(&Pointer::root(), &before, &tree, &mut ops);
    }
    if meta.schema != options.schema {
        let why = Why::actor("migration")
            .because(format!("schema {} to {}", meta.schema, options.schema));
        if !ops.is_empty() {
            meta.durable += 1;
            history.push(HistoryEntry::new(meta.durable, Wall::now(), &why, &ops));
        }
        meta.schema = options.schema;
    }
    let mut rows = RowChanges::new();
    row_changes(&before, &tree, &ops, &mut rows);

    let is_restored = recovery::is_restored(disk.dir())?;
    if is_restored {
        meta.id_limit += ID_LEAP;
    }
    // 52 random bits: never zero in practice, and exact in JavaScript.
    let epoch = rand::random::<u64>() >> 12;
    meta.begin(epoch);
    let position = Position {
        epoch,
        durable: meta.durable,
        volatile: 0,
        id: meta.id_limit,
    };
    meta.id_limit += ID_RANGE;
    let batch = Batch {
        rows: &rows,
        history: &history,
        keep_from: (meta.durable + 1).saturating_sub(options.history),
        meta: &meta,
        opens: true,
    };
    disk.write(&batch).map_err(|source| OpenError::Database {
        dir: disk.dir().to_owned(),
        source,
    })?;
    if is_restored {
        recovery::forget_restored(disk.dir());
    }
    Ok(Ready {
        tree,
        meta,
        position,
    })
}

fn migrated(disk: &Disk, options: &Options, before: &Node, from: u32) -> Result<Node, OpenError> {
    if from == options.schema {
        return Ok(before.clone());
    }
    let copy = disk
        .dir()
        .join(format!("before-schema-{}.mdb", options.schema));
    if !copy.exists() {
        // Under another name until complete: a copy cut short by a crash must not be trusted.
        let partial = copy.with_extension("partial");
        let _ = std::fs::remove_file(&partial);
        disk.copy_to(&partial)
            .map_err(|source| OpenError::Database {
                dir: disk.dir().to_owned(),
                source,
            })?;
        std::fs::rename(&partial, &copy).map_err(|source| OpenError::Io {
            path: copy.clone(),
            source,
        })?;
        crate::disk::sync_dir(disk.dir())?;
    }
    let mut document = before.to_json();
    for migration in options
        .migrations
        .iter()
        .filter(|m| m.to > from && m.to <= options.schema)
    {
        (migration.run)(&mut document).map_err(|reason| OpenError::Migration {
            dir: disk.dir().to_owned(),
            to: migration.to,
            reason,
        })?;
    }
    let whole = document.as_object().is_some_and(|root| {
        root.len() == 2
            && ["public", "private"]
                .iter()
                .all(|name| root.get(*name).is_some_and(Value::is_object))
    });
    if whole {
        Ok(Node::from(document))
    } else {
        Err(OpenError::Migration {
            dir: disk.dir().to_owned(),
            to: options.schema,
            reason: "it left no objects `public` and `private`".to_owned(),
        })
    }
}
