//! The host's side of the socket, for tests: a real listener and typed answers.

use std::{
    collections::VecDeque,
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use coppice_wire::{
    Decoder, Hello, HelloReply, Id, Message, PROTOCOL, Role, RpcError,
    agent::{PROCESS_EXITED, PROCESS_STARTED, ProcessExited, ProcessStarted},
    encode,
};
use serde::Serialize;
use serde_json::{Value, json};

/// How long anything here may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

type Answer = Box<dyn Fn(&str, &Value) -> Result<Value, RpcError> + Send>;

/// Listens at `host.sock` for one container.
pub(crate) struct Host {
    agents: Receiver<Link>,
    answer: Arc<Mutex<Answer>>,
}

/// One agent connection that has said hello.
pub(crate) struct Link {
    pub(crate) hello: Hello,
    stream: UnixStream,
    messages: Receiver<Message>,
    events: VecDeque<Event>,
    next_id: i64,
    /// Whether reports are acknowledged as they are read.
    pub(crate) acknowledge: bool,
}

/// A report of the agent.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Started(ProcessStarted),
    Exited(ProcessExited),
}

impl Event {
    pub(crate) fn seq(&self) -> u64 {
        match self {
            Event::Started(started) => started.seq,
            Event::Exited(exited) => exited.seq,
        }
    }
}

impl Host {
    pub(crate) fn listen(path: &Path) -> Host {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).unwrap();
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .unwrap();
        let (found, agents) = channel();
        let nothing: Answer = Box::new(|method, _| Err(RpcError::method_not_found(method)));
        let answer = Arc::new(Mutex::new(nothing));
        let answers = Arc::clone(&answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (found, answers) = (found.clone(), Arc::clone(&answers));
                thread::spawn(move || serve(stream.unwrap(), &found, &answers));
            }
        });
        Host { agents, answer }
    }

    /// The next connection of an agent.
    pub(crate) fn agent(&self) -> Link {
        self.agents
            .recv_timeout(PATIENCE)
            .expect("no agent dialled")
    }

    /// How calls of the command line are answered from now on.
    pub(crate) fn answer_with(
        &self,
        answer: impl Fn(&str, &Value) -> Result<Value, RpcError> + Send + 'static,
    ) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }
}

fn send(mut stream: &UnixStream, message: &Message) -> std::io::Result<()> {
    stream.write_all(&encode(message).unwrap())
}

fn serve(stream: UnixStream, found: &Sender<Link>, answers: &Mutex<Answer>) {
    let mut decoder = Decoder::new();
    let mut bytes = [0; 64 * 1024];
    let mut sink: Option<Sender<Message>> = None;
    while let Ok(count @ 1..) = (&stream).read(&mut bytes) {
        decoder.push(&bytes[..count]);
        while let Some(message) = decoder.next() {
            let message = message.expect("what the agent writes is well-formed");
            if let Some(sink) = &sink {
                if sink.send(message).is_err() {
                    return;
                }
                continue;
            }
            let Message::Request { id, method, params } = message else {
                panic!("not a request")
            };
            let result = if method == "hello" {
                Ok(serde_json::to_value(HelloReply {
                    protocol: PROTOCOL,
                    build: "test".into(),
                })
                .unwrap())
            } else {
                (answers.lock().unwrap())(&method, &params)
            };
            send(&stream, &Message::response(id, result)).unwrap();
            if method == "hello" {
                let hello: Hello = serde_json::from_value(params).unwrap();
                if hello.role == Role::Agent {
                    let (into, messages) = channel();
                    sink = Some(into);
                    let stream = stream.try_clone().unwrap();
                    let events = VecDeque::new();
                    let link = Link {
                        hello,
                        stream,
                        messages,
                        events,
                        next_id: 1,
                        acknowledge: true,
                    };
                    let _ = found.send(link);
                }
            }
        }
    }
}

impl Link {
    /// Asks the agent and waits for its answer; reports that come meanwhile are kept.
    pub(crate) fn ask(&mut self, method: &str, params: impl Serialize) -> Result<Value, RpcError> {
        let id = self.ask_only(method, params);
        loop {
            match self
                .messages
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("no answer to {method}"))
            {
                Message::Response {
                    id: Some(answered),
                    result,
                } if answered == id => return result,
                other => self.keep(other),
            }
        }
    }

    /// Asks without waiting.
    pub(crate) fn ask_only(&mut self, method: &str, params: impl Serialize) -> Id {
        self.next_id += 1;
        let id = Id::Number(self.next_id);
        send(
            &self.stream,
            &Message::request(id.clone(), method, &params).unwrap(),
        )
        .unwrap();
        id
    }

    /// The next report, in order.
    pub(crate) fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let message = self
                .messages
                .recv_timeout(PATIENCE)
                .expect("no report came");
            self.keep(message);
        }
    }

    /// The first start of a process that `is` picks; other reports are kept.
    pub(crate) fn started(&mut self, is: impl Fn(&ProcessStarted) -> bool) -> ProcessStarted {
        self.find(|event| match event {
            Event::Started(started) if is(started) => Some(started.clone()),
            _ => None,
        })
    }

    /// The end of process `id`; other reports are kept.
    pub(crate) fn exited(&mut self, id: &str) -> ProcessExited {
        self.find(|event| match event {
            Event::Exited(exited) if exited.id == id => Some(exited.clone()),
            _ => None,
        })
    }

    fn find<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> T {
        let mut seen = 0;
        loop {
            while let Some(event) = self.events.get(seen) {
                if let Some(found) = pick(event) {
                    self.events.remove(seen);
                    return found;
                }
                seen += 1;
            }
            let message = self.messages.recv_timeout(PATIENCE);
            self.keep(
                message.unwrap_or_else(|_| panic!("no report came after {:#?}", self.events)),
            );
        }
    }

    /// Raw bytes, as a broken host would write them.
    pub(crate) fn write_raw(&mut self, bytes: &[u8]) {
        // The agent may hang up on it half-way, which is the point.
        let _ = (&self.stream).write_all(bytes);
    }

    /// A link to nobody, to stand in for one that was taken.
    pub(crate) fn closed() -> Link {
        let (stream, _) = UnixStream::pair().unwrap();
        Link {
            hello: Hello {
                protocol: 0,
                oldest: 0,
                build: String::new(),
                boot: String::new(),
                role: Role::Agent,
                generation: None,
            },
            stream,
            messages: channel().1,
            events: VecDeque::new(),
            next_id: 0,
            acknowledge: true,
        }
    }

    /// Pid of the agent as this machine counts.
    pub(crate) fn agent_pid(&self) -> i32 {
        use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
        getsockopt(&self.stream, PeerCredentials).unwrap().pid()
    }

    /// Hangs up.
    pub(crate) fn close(self) {
        self.stream.shutdown(std::net::Shutdown::Both).unwrap();
    }

    fn keep(&mut self, message: Message) {
        let (method, params) = match message {
            Message::Notification { method, params } => (method, params),
            // To a question nobody waited for.
            Message::Response { .. } => return,
            Message::Request { .. } => panic!("the agent asked {message:?}"),
        };
        let event = match method.as_str() {
            PROCESS_STARTED => Event::Started(serde_json::from_value(params).unwrap()),
            PROCESS_EXITED => Event::Exited(serde_json::from_value(params).unwrap()),
            other => panic!("the agent notified {other}"),
        };
        if self.acknowledge {
            let ack = Message::notification("ack", &json!({ "seq": event.seq() })).unwrap();
            let _ = send(&self.stream, &ack);
        }
        self.events.push_back(event);
    }
}
