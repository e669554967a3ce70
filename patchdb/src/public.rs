//! The side of the store that faces clients.
//!
//! Invariant: nothing reachable from a [`PublicStore`] can name, read or follow a place outside
//! `/public`, so a gateway that is given only this cannot leak the rest. There is no way from here
//! back to the [`Store`]:
//!
//! ```compile_fail
//! fn leak(gateway: patchdb::PublicStore) -> patchdb::Snapshot {
//!     gateway.snapshot()
//! }
//! ```

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};

use crate::{
    frame,
    pointer::{Pointer, PointerError},
    position::Position,
    snapshot::{PublicSnapshot, Snapshot},
    store::{Inner, Store},
    subscription::{Dump, Event, Missed, ResyncReason, Start, Subscription},
};

/// A place at or below `/public`, named from the root of the document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Pointer", into = "Pointer")]
pub struct PublicPointer(Pointer);

/// Why a place is not public.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicPointerError {
    /// Not a pointer at all.
    #[error(transparent)]
    Pointer(#[from] PointerError),
    /// A pointer to somewhere else.
    #[error("`{0}` is not public; name a place at or below `/public`")]
    Private(Pointer),
}

impl PublicPointer {
    /// `/public`.
    #[must_use]
    pub fn root() -> Self {
        Self(Pointer::root().join("public"))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`PublicPointerError`] when it is not a pointer or points elsewhere.
    pub fn parse(text: &str) -> Result<Self, PublicPointerError> {
        Self::try_from(Pointer::parse(text)?)
    }

    /// The same place as a plain pointer.
    #[must_use]
    pub fn pointer(&self) -> &Pointer {
        &self.0
    }
}

impl TryFrom<Pointer> for PublicPointer {
    type Error = PublicPointerError;

    fn try_from(pointer: Pointer) -> Result<Self, PublicPointerError> {
        if pointer.is_within(&Self::root().0) {
            Ok(Self(pointer))
        } else {
            Err(PublicPointerError::Private(pointer))
        }
    }
}

impl From<PublicPointer> for Pointer {
    fn from(public: PublicPointer) -> Self {
        public.0
    }
}

impl fmt::Display for PublicPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The store as a gateway may have it.
#[derive(Clone)]
pub struct PublicStore {
    inner: Arc<Inner>,
}

impl PublicStore {
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            inner: Arc::clone(&store.inner),
        }
    }

    /// The public part of the document now.
    #[must_use]
    pub fn public(&self) -> PublicSnapshot {
        Snapshot::new(self.inner.live.state()).public()
    }

    /// The value at a place, in the shape of `db.dump`: `{"id", "value", …}`.
    #[must_use]
    pub fn dump(&self, at: &PublicPointer) -> PublicDump {
        PublicDump(Dump::of(&self.inner.live.state(), at.pointer()))
    }

    /// Follows a place, from the beginning or from where the client was.
    #[must_use]
    pub fn subscribe(&self, scope: &PublicPointer, from: Option<Position>) -> PublicSubscription {
        PublicSubscription {
            inner: Subscription::begin(&self.inner, scope.pointer().clone(), from),
            _watching: Arc::clone(&self.inner.watched),
        }
    }

    /// The id of the newest revision, for `X-Patch-Sequence`. Call [`PublicStore::keep_up`] too.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.inner.live.state().position.id
    }

    /// Makes every stream that lags only because nothing touched its scope say how far it is.
    pub fn keep_up(&self) {
        self.inner.live.keep_up();
    }
}

/// A public value with its position; what `db.dump` answers.
#[derive(Clone, Debug)]
pub struct PublicDump(Dump);

impl PublicDump {
    /// When this was the value.
    #[must_use]
    pub fn position(&self) -> Position {
        self.0.position
    }
}

impl Serialize for PublicDump {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        frame::dump(&self.0, serializer)
    }
}

/// What a client gets first: `{"dump": {…}}`, or `{"resume": {…}}` with only what it missed.
#[derive(Clone, Debug)]
pub struct PublicStart(Start);

impl PublicStart {
    /// Why the client's position was of no use, when it named one.
    #[must_use]
    pub fn resync_reason(&self) -> Option<ResyncReason> {
        match &self.0 {
            Start::Resync { reason, .. } => Some(*reason),
            Start::Dump(_) | Start::Missed(_) => None,
        }
    }
}

impl Serialize for PublicStart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Resume<'a>(&'a Missed);

        impl Serialize for Resume<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                frame::missed(self.0, serializer)
            }
        }

        let mut map = serializer.serialize_map(Some(1))?;
        match &self.0 {
            Start::Dump(dump) | Start::Resync { dump, .. } => {
                map.serialize_entry("dump", &PublicDump(dump.clone()))?;
            }
            Start::Missed(missed) => map.serialize_entry("resume", &Resume(missed))?,
        }
        map.end()
    }
}

/// A stream of encoded revisions for a client.
pub struct PublicSubscription {
    inner: Subscription,
    /// Counted while it is there: [`Stats::public_streams`](crate::Stats::public_streams).
    _watching: Arc<()>,
}

/// What comes after the start.
#[derive(Clone, Debug)]
pub enum PublicEvent {
    /// The text of the next frame.
    Frame(PublicFrame),
    /// The client was too slow and has lost frames: end the stream, it subscribes again.
    Resync,
}

/// The JSON text of one revision; shared by all clients of the same scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicFrame(Arc<str>);

impl PublicFrame {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    #[must_use]
    pub fn into_text(self) -> Arc<str> {
        self.0
    }
}

impl PublicSubscription {
    /// What the client has to begin with; there once.
    pub fn take_start(&mut self) -> Option<PublicStart> {
        self.inner.take_start().map(PublicStart)
    }

    /// Waits for the next event; `None` after a resync or when the store is closed. Cancel safe.
    pub async fn next(&mut self) -> Option<PublicEvent> {
        Some(match self.inner.next().await? {
            Event::Revision(revision) => PublicEvent::Frame(PublicFrame(revision.encoded())),
            Event::Resync => PublicEvent::Resync,
        })
    }

    /// The id up to which the client has been sent everything.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.inner.seen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_at_or_below_public_are_public() {
        for public in ["/public", "/public/ui", "/public/"] {
            assert!(PublicPointer::parse(public).is_ok(), "{public}");
        }
        for private in ["", "/private", "/publicity", "/", "/private/public"] {
            let error = PublicPointer::parse(private).unwrap_err();
            assert!(matches!(error, PublicPointerError::Private(_)), "{private}");
        }
        assert!(serde_json::from_str::<PublicPointer>("\"/private/sessions\"").is_err());
    }
}
