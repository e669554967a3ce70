//! One call to the host.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use coppice_wire::{
    Decoder, Hello, Id, Message, PROTOCOL, Role, RpcError, encode,
    hello::{HELLO, OLDEST},
    paths::BOOT_ID,
};
use serde::Serialize;
use serde_json::Value;

use super::{Doing, Failure};

/// Longer than the host's own limit for an action (120 s): it answers first.
const PATIENCE: Duration = Duration::from_secs(150);

pub(super) struct Host {
    stream: UnixStream,
    decoder: Decoder,
}

impl Host {
    /// Connects and says hello.
    pub(super) fn dial(socket: &Path) -> Result<Self, Failure> {
        let stream = UnixStream::connect(socket).doing(|| {
            format!(
                "reach the host at {}; is Coppice running?",
                socket.display()
            )
        })?;
        for set in [UnixStream::set_read_timeout, UnixStream::set_write_timeout] {
            set(&stream, Some(PATIENCE)).doing(|| "set a time limit".into())?;
        }
        let mut host = Self {
            stream,
            decoder: Decoder::new(),
        };
        let hello = Hello {
            protocol: PROTOCOL,
            oldest: OLDEST,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            boot: std::fs::read_to_string(BOOT_ID).unwrap_or_default(),
            role: Role::Cli,
            generation: None,
        };
        host.ask(0, HELLO, &hello)?;
        Ok(host)
    }

    /// The answer to one request.
    pub(super) fn call(&mut self, method: &str, params: &impl Serialize) -> Result<Value, Failure> {
        self.ask(1, method, params)
    }

    fn ask(&mut self, id: i64, method: &str, params: &impl Serialize) -> Result<Value, Failure> {
        let request = Message::request(id, method, params).doing(|| format!("write `{method}`"))?;
        let line = encode(&request).doing(|| format!("write `{method}`"))?;
        self.stream
            .write_all(&line)
            .doing(|| format!("send `{method}` to the host"))?;
        let mut bytes = [0; 16 * 1024];
        loop {
            while let Some(read) = self.decoder.next() {
                let message = read.doing(|| "read the host's answer".into())?;
                if let Message::Response {
                    id: Some(answered),
                    result,
                } = message
                    && answered == Id::Number(id)
                {
                    return result.map_err(failed);
                }
            }
            match self
                .stream
                .read(&mut bytes)
                .doing(|| format!("read the answer to `{method}`"))?
            {
                0 => return Err(Failure::new(format!("the host hung up on `{method}`"))),
                count => self.decoder.push(&bytes[..count]),
            }
        }
    }
}

/// `message: details`, and the code as the exit status where it fits in one.
fn failed(error: RpcError) -> Failure {
    let details = match &error.data {
        Some(Value::String(text)) => Some(text.as_str()),
        Some(Value::Object(data)) => data.get("details").and_then(Value::as_str),
        _ => None,
    };
    let text = match details {
        Some(details) => format!("{}: {details}", error.message),
        None => error.message.clone(),
    };
    let status = i32::try_from(error.code)
        .ok()
        .filter(|code| (1..=255).contains(code));
    Failure::new(text).with_status(status.unwrap_or(1))
}
