//! What a person wants to see of an archive.

use crate::archive::Archive;
use crate::read_at::ReadAt;
use crate::tree::Node;

impl<S: ReadAt> Archive<S> {
    /// Every directory (with a `/` at its end) and every file that has a body, sorted by path.
    #[must_use]
    pub fn file_tree(&self) -> Vec<String> {
        let walk = self.root().walk();
        let shown = walk
            .into_iter()
            .filter_map(|(path, entry)| match entry.node {
                Node::Missing => None,
                Node::File(_) => Some(path),
                Node::Directory(_) => Some(format!("{path}/")),
            });
        shown.collect()
    }

    /// The signer's public key as 64 hex digits.
    #[must_use]
    pub fn signer_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(self.header().signer().as_bytes())
    }
}
