//! Which of the three shapes a line has, without making anything of its contents.

use serde::{Deserialize, de::IgnoredAny};

use crate::{codec::DecodeError, message::Id};

/// What a line is, as far as it must be known before it is worth reading whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outline {
    /// A request, answered under this id.
    Request(Id),
    /// A notification.
    Notification,
    /// An answer; `None` when it does not say to what.
    Response(Option<Id>),
}

#[derive(Deserialize)]
struct Members {
    #[serde(default)]
    id: Option<Id>,
    #[serde(default)]
    method: Option<IgnoredAny>,
}

/// Reads the outline of `line`. Whatever else is wrong with it, [`crate::decode`] says.
///
/// # Errors
/// [`DecodeError`] when the line is not JSON or no object.
pub fn outline(line: &[u8]) -> Result<Outline, DecodeError> {
    let members: Members = serde_json::from_slice(line).map_err(DecodeError::of_line)?;
    Ok(match (members.method, members.id) {
        (Some(_), Some(id)) => Outline::Request(id),
        (Some(_), None) => Outline::Notification,
        (None, id) => Outline::Response(id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, RpcError, encode};

    #[test]
    fn the_outline_of_a_message_is_its_shape() {
        let big = serde_json::json!({"id": 9, "method": "x", "deep": [[[{"method": 1}]]]});
        let request = encode(&Message::request(7, "a", &big).unwrap()).unwrap();
        assert_eq!(outline(&request).unwrap(), Outline::Request(Id::Number(7)));
        let told = encode(&Message::notification("a", &big).unwrap()).unwrap();
        assert_eq!(outline(&told).unwrap(), Outline::Notification);
        let answer = Message::response(Id::Text("q".into()), Err(RpcError::new(1, "no")));
        assert_eq!(
            outline(&encode(&answer).unwrap()).unwrap(),
            Outline::Response(Some(Id::Text("q".into())))
        );
    }

    #[test]
    fn what_is_no_object_has_no_outline() {
        assert!(matches!(outline(b"garbage"), Err(DecodeError::NotJson(_))));
        assert!(matches!(outline(b"7"), Err(DecodeError::NotAMessage(_))));
    }
}
