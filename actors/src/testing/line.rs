//! One connection to the core, as those in a container have it.

use coppice_wire::{Decoder, Hello, Id, Message, Role, RpcError, encode, hello::HELLO};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A connection that said hello.
pub(crate) struct Line<S> {
    stream: S,
    decoder: Decoder,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// Says hello; `None` when it is not answered.
    pub(crate) async fn greet(
        stream: S,
        boot: &str,
        role: Role,
        generation: Option<u64>,
    ) -> Option<Self> {
        let mut line = Self {
            stream,
            decoder: Decoder::new(),
        };
        let hello = Hello {
            protocol: coppice_wire::PROTOCOL,
            oldest: coppice_wire::PROTOCOL,
            build: "puppet".to_owned(),
            boot: boot.to_owned(),
            role,
            generation,
        };
        let hello = Message::Request {
            id: Id::Number(0),
            method: HELLO.to_owned(),
            params: json!(hello),
        };
        line.say(&hello).await?;
        line.next().await?;
        Some(line)
    }

    /// The next request or notification; `None` when the core is gone. May be given up and asked again.
    pub(crate) async fn heard(&mut self) -> Option<(Option<Id>, String, Value)> {
        loop {
            match self.next().await? {
                Message::Request { id, method, params } => return Some((Some(id), method, params)),
                Message::Notification { method, params } => return Some((None, method, params)),
                Message::Response { .. } => {}
            }
        }
    }

    pub(crate) async fn next(&mut self) -> Option<Message> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(message) = self.decoder.next() {
                return message.ok();
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.decoder.push(&buffer[..length]),
            }
        }
    }

    pub(crate) async fn answer(&mut self, id: Option<Id>, result: Result<Value, RpcError>) {
        if let Some(id) = id {
            // A core that is gone is noticed by the next read.
            let _ = self.say(&Message::response(id, result)).await;
        }
    }

    pub(crate) async fn say(&mut self, message: &Message) -> Option<()> {
        let line = encode(message).unwrap();
        self.stream.write_all(&line).await.ok()
    }
}
