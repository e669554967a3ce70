//! What a line costs before it is read.
//!
//! A line of 4 MiB may hold two million numbers, each a whole [`serde_json::Value`]: text says
//! little about memory. [`weight`] counts what makes values and maps without making any, so that a
//! reader can decide first whether it wants the message at all.

/// Of the message itself and of everything that carries it.
const ENVELOPE: usize = 1024;
/// Of one element: its value, the slack of a vector that has just doubled, a map's key and index.
const ELEMENT: usize = 448;
/// Of an array before its elements: the room a vector begins with.
const ARRAY: usize = 384;
/// Of an object before its members: the room a map begins with.
const OBJECT: usize = 640;

/// An upper bound of the memory that [`crate::decode`] needs for `line`, in bytes.
///
/// It is coarse: plain text weighs little more than itself, many tiny values up to some hundred
/// times their text, which is what they really take.
#[must_use]
pub fn weight(line: &[u8]) -> usize {
    let mut weight = ENVELOPE + line.len() * 2;
    let mut bytes = line.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b',' => weight += ELEMENT,
            b'[' => weight += ARRAY,
            b'{' => weight += OBJECT,
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    weight
}

/// Moves past the end of a string: what is in it is text, whatever it looks like.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_looks_like_json_weighs_as_text() {
        let plain = weight(br#"{"a":"xxxxxxxx"}"#);
        assert_eq!(weight(br#"{"a":"[[{{,,,,"}"#), plain);
        assert_eq!(weight(br#"{"a":"\",[{,\\"}"#), plain);
    }

    #[test]
    fn many_small_values_weigh_far_more_than_their_text() {
        let numbers = vec!["0"; 1000].join(",");
        assert!(weight(numbers.as_bytes()) > 100 * numbers.len());
    }

    #[test]
    fn a_line_that_is_no_json_has_a_weight_too() {
        for line in [&b"\""[..], b"\\", b"\"\\", b"", b"}{"] {
            assert!(weight(line) >= ENVELOPE);
        }
    }
}
