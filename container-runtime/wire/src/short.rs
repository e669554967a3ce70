//! Texts of the other side that are kept: read only as long as they may be.

use serde::{Deserialize, Deserializer, de::Error as _};

/// Longest name of a process, its leaf or its root, in bytes.
const NAME_BYTES: usize = 128;
/// How much of a command line is kept, in bytes; it is for people.
const ARGV_BYTES: usize = 4096;
/// How many words of a command line are kept: an empty one takes memory too.
const ARGV_WORDS: usize = 64;
/// Processes in one list; a container may have fewer.
const LISTED: usize = 16 * 1024;

fn short<E: serde::de::Error>(text: String) -> Result<String, E> {
    if text.len() > NAME_BYTES {
        return Err(E::custom(format_args!(
            "a name is {} bytes long, {NAME_BYTES} is the most",
            text.len()
        )));
    }
    Ok(text)
}

/// A name.
pub(crate) fn name<'de, D: Deserializer<'de>>(de: D) -> Result<String, D::Error> {
    short(String::deserialize(de)?)
}

/// A name that may be missing.
pub(crate) fn maybe_name<'de, D: Deserializer<'de>>(de: D) -> Result<Option<String>, D::Error> {
    Option::<String>::deserialize(de)?.map(short).transpose()
}

/// A command line, cut.
pub(crate) fn argv<'de, D: Deserializer<'de>>(de: D) -> Result<Vec<String>, D::Error> {
    let mut left = ARGV_BYTES;
    let mut kept = Vec::new();
    for mut word in Vec::<String>::deserialize(de)?.into_iter().take(ARGV_WORDS) {
        let whole = word.len() <= left;
        word.truncate(word.floor_char_boundary(left));
        word.shrink_to_fit();
        left -= word.len();
        kept.push(word);
        if !whole {
            break;
        }
    }
    Ok(kept)
}

/// A list that no honest agent makes too long.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    de: D,
) -> Result<Vec<T>, D::Error> {
    let list = Vec::<T>::deserialize(de)?;
    if list.len() > LISTED {
        return Err(D::Error::custom(format_args!(
            "a list has {} processes, {LISTED} is the most",
            list.len()
        )));
    }
    Ok(list)
}
