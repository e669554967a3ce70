//! One WebSocket, with an end for every way in which the other side can fall silent.
//!
//! ```text
//!  open ─┬─ 30 s ─► ping ─┬─ a pong, or anything else ─► open
//!        │                └─ nothing at all for 300 s ─► gone
//!        ├─ a frame that is not taken within 30 s ─► gone
//!        └─ closed or broken by the other side ─► gone
//! ```
//!
//! Invariant: nothing here waits without a deadline, and no stream outlives the other side by more
//! than [`DEAF`].

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

/// How often the other side is asked for a sign of life.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Without any sign for so long, the other side is gone. StartOS's figure: a laptop that sleeps
/// through a few pings is still there.
const DEAF: Duration = Duration::from_secs(300);
/// How long a frame may wait to be taken. Who is that slow is better off with a new dump.
const SEND_WITHIN: Duration = Duration::from_secs(30);

/// All is said.
pub(crate) const NORMAL: u16 = 1000;
/// The stream cannot go on; the reason says what to do.
pub(crate) const FAILED: u16 = 1011;
/// Bytes of reason that a close frame has room for.
const REASON_BYTES: usize = 123;

/// The other side does not listen any more; there is nobody to tell why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// One WebSocket.
pub(crate) struct Line<S> {
    socket: S,
    pings: Interval,
    heard: Instant,
}

impl<S, E> Line<S>
where
    S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
{
    /// A line over a socket that was just opened.
    pub(crate) fn new(socket: S) -> Self {
        let now = Instant::now();
        let mut pings = interval_at(now + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            socket,
            pings,
            heard: now,
        }
    }

    /// Sends a text frame.
    pub(crate) async fn send(&mut self, text: &str) -> Result<(), Gone> {
        self.transmit(Message::Text(text.into())).await
    }

    /// Listens and pings until the other side is gone. What is said beside it goes before: a stream
    /// drops this whenever it has something to send, and asks again; the pings keep their time.
    pub(crate) async fn gone(&mut self) {
        loop {
            tokio::select! {
                came = self.socket.next() => match came {
                    None | Some(Err(_) | Ok(Message::Close(_))) => return,
                    Some(Ok(_)) => self.heard = Instant::now(),
                },
                _ = self.pings.tick() => {
                    let deaf = self.heard.elapsed() >= DEAF;
                    if deaf || self.transmit(Message::Ping(Vec::new().into())).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Ends the line, with a reason.
    pub(crate) async fn close(mut self, code: u16, reason: &str) {
        let end = reason.floor_char_boundary(REASON_BYTES);
        let frame = CloseFrame {
            code,
            reason: reason[..end].into(),
        };
        // The other side may be gone already, which is what is wanted.
        let _ = self.transmit(Message::Close(Some(frame))).await;
    }

    async fn transmit(&mut self, message: Message) -> Result<(), Gone> {
        match timeout(SEND_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use tokio::sync::mpsc;
    use tokio_util::sync::{PollSendError, PollSender};

    use super::*;

    type Broken = PollSendError<Message>;

    /// The server's end of a connection whose other end is the test.
    struct Socket {
        out: PollSender<Message>,
        incoming: mpsc::UnboundedReceiver<Message>,
    }

    impl Stream for Socket {
        type Item = Result<Message, Broken>;

        fn poll_next(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Self::Item>> {
            self.incoming.poll_recv(context).map(|came| came.map(Ok))
        }
    }

    impl Sink<Message> for Socket {
        type Error = Broken;

        fn poll_ready(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Result<(), Broken>> {
            self.out.poll_ready_unpin(context)
        }

        fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Broken> {
            self.out.start_send_unpin(message)
        }

        fn poll_flush(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Result<(), Broken>> {
            self.out.poll_flush_unpin(context)
        }

        fn poll_close(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Result<(), Broken>> {
            self.out.poll_close_unpin(context)
        }
    }

    struct Other {
        hears: mpsc::Receiver<Message>,
        says: mpsc::UnboundedSender<Message>,
    }

    fn line() -> (Line<Socket>, Other) {
        let (out, hears) = mpsc::channel(8);
        let (says, incoming) = mpsc::unbounded_channel();
        let out = PollSender::new(out);
        (Line::new(Socket { out, incoming }), Other { hears, says })
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_answers_no_ping_is_gone_after_its_time() {
        let (mut line, mut other) = line();
        let began = Instant::now();
        let listens = tokio::spawn(async move {
            while other.hears.recv().await.is_some() {}
            drop(other.says);
        });
        line.gone().await;
        assert_eq!(began.elapsed(), DEAF);
        listens.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_answers_stays() {
        let (mut line, mut other) = line();
        tokio::spawn(async move {
            while let Some(heard) = other.hears.recv().await {
                assert!(matches!(heard, Message::Ping(_)));
                let _ = other.says.send(Message::Pong(Vec::new().into()));
            }
        });
        assert!(timeout(DEAF * 10, line.gone()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_looks_up_often_pings_all_the_same() {
        let (mut line, mut other) = line();
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        let began = Instant::now();
        while began.elapsed() < PING_EVERY * 2 {
            tokio::select! {
                _ = tick.tick() => {}
                () = line.gone() => panic!("it is there"),
            }
        }
        assert!(matches!(other.hears.try_recv(), Ok(Message::Ping(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_is_not_taken_ends_the_line_at_its_deadline() {
        let (mut line, _other) = line();
        let began = Instant::now();
        while line.send("a frame").await.is_ok() {}
        assert_eq!(began.elapsed(), SEND_WITHIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_reason_is_cut_between_letters() {
        let (line, mut other) = line();
        line.close(FAILED, &"ä".repeat(100)).await;
        let Some(Message::Close(Some(frame))) = other.hears.recv().await else {
            panic!("no close frame")
        };
        assert_eq!(frame.reason.as_str(), "ä".repeat(61));
    }
}
