//! Nothing in the tree is marked as unfinished. What is left to do is an issue.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::checkout::Checkout;

pub(super) fn check(checkout: &Checkout, files: &[PathBuf]) -> Result<Vec<String>> {
    // Written apart, so that this file does not find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let mut found = Vec::new();
    for file in files {
        // What is no text has no remarks.
        let Ok(text) = fs::read_to_string(checkout.root.join(file)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split(|sign: char| !sign.is_ascii_alphanumeric());
            if let Some(mark) = words.find(|word| marks.contains(word)) {
                found.push(format!(
                    "{}:{} says {mark}: do it, or open an issue",
                    file.display(),
                    number + 1
                ));
            }
        }
    }
    Ok(found)
}
