//! The JSON texts that go to clients. Shapes: `docs` of the client package and the StartOS protocol,
//! which these extend (its clients ignore the members they do not know).
//!
//! - revision: `{"id", "prev", "durable" | "volatile", "patch", "base"?}`. `prev` lets a client see
//!   a gap; `durable` or `volatile` says which count of its position moved, and is missing in a
//!   mere sign of life.
//! - dump: `{"id", "value", "position", "undo"?}`. `undo` leads from the value to the durable one.
//! - resume: `{"id", "position", "base", "overlay"}`: what was missed, to be applied to the durable
//!   value the client kept; then the volatile values to lay over it.

use serde::{Serialize, Serializer};

use crate::{
    fanout::ScopedRevision,
    live::RevisionKind,
    position::Position,
    subscription::{Dump, Missed},
    tree::{Json, JsonOps, Node},
};

pub(crate) fn revision(revision: &ScopedRevision) -> String {
    #[derive(Serialize)]
    struct Frame<'a> {
        id: u64,
        prev: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        durable: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        volatile: Option<u64>,
        patch: JsonOps<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        base: Option<JsonOps<'a>>,
    }

    let Position {
        id,
        durable,
        volatile,
        ..
    } = revision.position;
    text(&Frame {
        id,
        prev: revision.prev,
        durable: (revision.kind == RevisionKind::Durable).then_some(durable),
        volatile: (revision.kind == RevisionKind::Volatile).then_some(volatile),
        patch: JsonOps(&revision.patch),
        base: revision.base.as_deref().map(JsonOps),
    })
}

#[derive(Serialize)]
struct WirePosition {
    epoch: u64,
    durable: u64,
    volatile: u64,
}

impl From<Position> for WirePosition {
    fn from(
        Position {
            epoch,
            durable,
            volatile,
            ..
        }: Position,
    ) -> Self {
        Self {
            epoch,
            durable,
            volatile,
        }
    }
}

pub(crate) fn dump<S: Serializer>(dump: &Dump, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Frame<'a> {
        id: u64,
        value: Json<'a>,
        position: WirePosition,
        #[serde(skip_serializing_if = "Option::is_none")]
        undo: Option<JsonOps<'a>>,
    }

    Frame {
        id: dump.position.id,
        value: Json(&dump.value),
        position: dump.position.into(),
        undo: (!dump.undo.is_empty()).then_some(JsonOps(&dump.undo)),
    }
    .serialize(serializer)
}

pub(crate) fn missed<S: Serializer>(missed: &Missed, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Frame<'a> {
        id: u64,
        position: WirePosition,
        base: JsonOps<'a>,
        overlay: JsonOps<'a>,
    }

    Frame {
        id: missed.position.id,
        position: missed.position.into(),
        base: JsonOps(&missed.base),
        overlay: JsonOps(&missed.overlay),
    }
    .serialize(serializer)
}

pub(crate) fn value<S: Serializer>(node: &Node, serializer: S) -> Result<S::Ok, S::Error> {
    Json(node).serialize(serializer)
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a node always has a JSON form")
}
