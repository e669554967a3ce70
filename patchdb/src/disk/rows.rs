//! How the document lies in rows, so that a commit writes what changed and no more.
//!
//! Invariants:
//! - Every scalar, every array (whole) and every empty object is one row; an object with members
//!   has none of its own. The tree is the rows, the rows are the tree.
//! - A row's key is the pointer's text. Texts too long for an LMDB key are cut and end in a hash;
//!   such a row carries its whole pointer.
//! - A row's value starts with a checksum over key and body.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    pointer::Pointer,
    tree::{Json, Node, Op},
};

/// Longest pointer text that is a key as it is. LMDB's limit is 511 bytes.
const PLAIN_KEY_BYTES: usize = 400;
/// Keys of longer pointers: this much of the text, then 32 bytes of hash. Longer than any plain
/// key, so the length tells them apart.
const CUT_KEY_BYTES: usize = 440;
const SUM_BYTES: usize = 8;

/// What a commit does to the rows: the new value, or `None` for a row that goes.
pub(crate) type RowChanges = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A row that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the row of `{name}` is damaged: {reason}")]
pub struct DamagedRow {
    /// The pointer, or what is left of it.
    pub name: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Puts a checksum in front of `body`.
pub(crate) fn seal(key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(SUM_BYTES + body.len());
    value.extend_from_slice(&sum(key, body));
    value.extend_from_slice(body);
    value
}

/// The body of a sealed value.
pub(crate) fn unseal<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], DamagedRow> {
    let damaged = |reason| DamagedRow {
        name: String::from_utf8_lossy(key).into_owned(),
        reason,
    };
    let (found, body) = value
        .split_first_chunk::<SUM_BYTES>()
        .ok_or_else(|| damaged("it is too short"))?;
    if *found == sum(key, body) {
        Ok(body)
    } else {
        Err(damaged("its checksum does not match"))
    }
}

fn sum(key: &[u8], body: &[u8]) -> [u8; SUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(body);
    let mut sum = [0; SUM_BYTES];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

/// Collects what has to be written to turn the rows of `before` into those of `after`, where
/// `ops` are all that was done.
pub(crate) fn row_changes(before: &Node, after: &Node, ops: &[Op], out: &mut RowChanges) {
    let roots: Vec<Pointer> = ops
        .iter()
        .map(|op| row_root(before, after, &op.path))
        .collect();
    // All removals first: what lies under two of the roots must not be removed after it was put.
    for root in &roots {
        if let Some(node) = before.at(root) {
            each_row(root, node, &mut |at, _| {
                out.insert(key_of(at), None);
            });
        }
    }
    for root in &roots {
        if let Some(node) = after.at(root) {
            each_row(root, node, &mut |at, leaf| {
                let key = key_of(at);
                let value = seal(&key, &body_of(at, leaf));
                out.insert(key, Some(value));
            });
        }
    }
}

/// The place whose rows an operation at `path` can touch: itself; the array it lies in; or its
/// parent, when that is empty on one side and so has a row of its own.
fn row_root(before: &Node, after: &Node, path: &Pointer) -> Pointer {
    let mut at = Pointer::root();
    for segment in path.segments() {
        let sides = [before.at(&at), after.at(&at)];
        if sides
            .iter()
            .flatten()
            .any(|node| matches!(node, Node::Array(_)) || node.is_empty_object())
        {
            return at;
        }
        at = at.join(&segment);
    }
    at
}

fn each_row(at: &Pointer, node: &Node, visit: &mut impl FnMut(&Pointer, &Node)) {
    match node {
        Node::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                each_row(&at.join(name), member, visit);
            }
        }
        // Only what was there before the first commit is a leaf at the root: there is no row of it.
        _ if at.is_root() => {}
        leaf => visit(at, leaf),
    }
}

fn key_of(at: &Pointer) -> Vec<u8> {
    let text = at.as_str().as_bytes();
    if text.len() <= PLAIN_KEY_BYTES {
        return text.to_vec();
    }
    let mut key = text[..PLAIN_KEY_BYTES].to_vec();
    key.resize(CUT_KEY_BYTES - blake3::OUT_LEN, 0);
    key.extend_from_slice(blake3::hash(text).as_bytes());
    key
}

fn body_of(at: &Pointer, leaf: &Node) -> Vec<u8> {
    let text = at.as_str();
    let mut body = Vec::new();
    if text.len() > PLAIN_KEY_BYTES {
        body.extend_from_slice(text.as_bytes());
        // No JSON text and no valid UTF-8 contains this byte, so it ends the pointer.
        body.push(0xff);
    }
    serde_json::to_writer(&mut body, &Json(leaf)).expect("a node always has a JSON form");
    body
}

/// One row read back: its pointer's text and its value.
pub(crate) fn read_row<'a>(key: &'a [u8], value: &'a [u8]) -> Result<(&'a str, Node), DamagedRow> {
    let body = unseal(key, value)?;
    let damaged = |reason| DamagedRow {
        name: String::from_utf8_lossy(key).into_owned(),
        reason,
    };
    let (text, json) = if key.len() == CUT_KEY_BYTES {
        let end = body
            .iter()
            .position(|byte| *byte == 0xff)
            .ok_or_else(|| damaged("its pointer does not end"))?;
        (&body[..end], &body[end + 1..])
    } else {
        (key, body)
    };
    let text = std::str::from_utf8(text).map_err(|_| damaged("its pointer is not text"))?;
    let node = serde_json::from_slice(json).map_err(|_| damaged("its value is not JSON"))?;
    Ok((text, node))
}

/// Builds the tree from rows in key order.
///
/// In that order all rows below one object follow each other (their keys share `/its/name/`), so
/// each object is built once, from its finished members.
#[derive(Default)]
pub(crate) struct TreeBuilder {
    open: Vec<OpenObject>,
    /// Rows with cut keys come in the order of their hashes; they are put in at the end.
    late: Vec<(Pointer, Node)>,
}

#[derive(Default)]
struct OpenObject {
    name: String,
    members: Vec<(Arc<str>, Node)>,
}

impl TreeBuilder {
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), DamagedRow> {
        let (text, node) = read_row(key, value)?;
        let not_a_pointer = |_| DamagedRow {
            name: text.to_owned(),
            reason: "it is not named by a pointer",
        };
        if key.len() == CUT_KEY_BYTES {
            self.late
                .push((Pointer::parse(text).map_err(not_a_pointer)?, node));
            return Ok(());
        }
        if self.open.is_empty() {
            self.open.push(OpenObject::default());
        }
        let mut names: Vec<&str> = text.split('/').collect();
        let last = names.pop().unwrap_or_default();
        let shared = names
            .iter()
            .zip(&self.open)
            .take_while(|(name, open)| **name == open.name)
            .count();
        self.close_to(shared.max(1));
        for name in &names[shared.min(names.len())..] {
            self.open.push(OpenObject {
                name: (*name).to_owned(),
                members: Vec::new(),
            });
        }
        if let Some(holder) = self.open.last_mut() {
            holder.members.push((unescaped(last), node));
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Node {
        self.close_to(1);
        let mut tree = match self.open.pop() {
            Some(root) => Node::Object(root.members.into_iter().collect()),
            None => Node::empty_object(),
        };
        for (at, node) in self.late {
            place(&mut tree, &at, node);
        }
        tree
    }

    fn close_to(&mut self, depth: usize) {
        while self.open.len() > depth {
            let Some(done) = self.open.pop() else { return };
            let node = Node::Object(done.members.into_iter().collect());
            if let Some(holder) = self.open.last_mut() {
                holder.members.push((unescaped(&done.name), node));
            }
        }
    }
}

fn unescaped(segment: &str) -> Arc<str> {
    if segment.contains('~') {
        Arc::from(segment.replace("~1", "/").replace("~0", "~"))
    } else {
        Arc::from(segment)
    }
}

fn place(tree: &mut Node, at: &Pointer, value: Node) {
    let mut holder = tree;
    for segment in at.segments() {
        let Node::Object(members) = holder else {
            return;
        };
        holder = members
            .entry(Arc::from(segment))
            .or_insert_with(Node::empty_object);
    }
    *holder = value;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        change::apply_edits,
        testing::{any_change, any_document},
    };

    fn rows_of(tree: &Node) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut changes = RowChanges::new();
        let ops = [Op::replace(Pointer::root(), tree.clone())];
        row_changes(&Node::empty_object(), tree, &ops, &mut changes);
        let mut rows = BTreeMap::new();
        merge(&mut rows, changes);
        rows
    }

    fn merge(rows: &mut BTreeMap<Vec<u8>, Vec<u8>>, changes: RowChanges) {
        for (key, value) in changes {
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
    }

    fn built(rows: &BTreeMap<Vec<u8>, Vec<u8>>) -> Node {
        let mut builder = TreeBuilder::default();
        for (key, value) in rows {
            builder.add(key, value).unwrap();
        }
        builder.finish()
    }

    #[test]
    fn one_changed_leaf_is_one_row_whatever_the_size_of_the_document() {
        let many: serde_json::Map<_, _> = (0..500)
            .map(|n| (format!("service-{n}"), json!({"a": {"b": n, "c": []}})))
            .collect();
        let before = Node::from(json!({"public": many, "private": {}}));
        let mut after = before.clone();
        let change = crate::Change::new().put("/public/service-77/a/b", "changed");
        let ops = apply_edits(&mut after, &change.into_edits().unwrap()).unwrap();
        let mut changes = RowChanges::new();
        row_changes(&before, &after, &ops, &mut changes);
        assert_eq!(changes.len(), 1);
    }

    #[test]
    fn names_longer_than_an_lmdb_key_are_kept() {
        let long = "ü".repeat(300);
        let longer = format!("{long}{}", "y".repeat(400));
        let tree = Node::from(json!({
            "public": {&long: {&longer: 1, "x": {}}, &longer: [1, 2]},
            "private": {"a/b": {"~": null}, "a": 1, "a-b": 2},
        }));
        let rows = rows_of(&tree);
        assert!(rows.keys().all(|key| key.len() <= 511));
        assert_eq!(built(&rows), tree);
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let rows = rows_of(&Node::from(json!({"public": {"a": 12}, "private": {}})));
        let (key, value) = rows.last_key_value().unwrap();
        for bit in 0..value.len() * 8 {
            let mut damaged = value.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(read_row(key, &damaged).is_err());
        }
        assert!(
            read_row(b"/public/b", value).is_err(),
            "a row under another name"
        );
        assert!(read_row(key, &value[..4]).is_err());
    }

    proptest! {
        #[test]
        fn the_rows_follow_the_tree_through_any_changes(
            document in any_document(),
            changes in proptest::collection::vec(any_change(), 1..8),
        ) {
            let mut tree = Node::from(document);
            let mut rows = rows_of(&tree);
            prop_assert_eq!(built(&rows), tree.clone());
            for change in changes {
                let mut after = tree.clone();
                let Ok(ops) = apply_edits(&mut after, &change.into_edits().unwrap()) else { continue };
                let mut written = RowChanges::new();
                row_changes(&tree, &after, &ops, &mut written);
                merge(&mut rows, written);
                prop_assert_eq!(&rows, &rows_of(&after));
                prop_assert_eq!(built(&rows), after.clone());
                tree = after;
            }
        }
    }
}
