//! Requests one after the other, each on a connection of its own, until somebody has had enough.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use crate::{
    client::{Answer, Client, Failed},
    until::{seconds, until},
};

pub(crate) struct Visitor {
    done: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
    asking: JoinHandle<Vec<Failed>>,
}

impl Visitor {
    /// Looks at the first page of `host`.
    pub(crate) fn of(client: Client, host: &'static str) -> Self {
        Self::asking(move || client.get(host, "/"))
    }

    /// Asks this.
    pub(crate) fn asking(mut ask: impl FnMut() -> Result<Answer, Failed> + Send + 'static) -> Self {
        let (done, enough) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (counter, end) = (Arc::clone(&done), Arc::clone(&enough));
        let asking = std::thread::spawn(move || {
            let mut failed = Vec::new();
            while !end.load(Ordering::SeqCst) {
                match ask() {
                    Ok(answer) if answer.status == 200 => {}
                    Ok(answer) => failed.push(Failed::Broken(format!(
                        "{}: {}",
                        answer.status,
                        answer.text()
                    ))),
                    Err(error) => failed.push(error),
                }
                counter.fetch_add(1, Ordering::SeqCst);
            }
            failed
        });
        Self {
            done,
            enough,
            asking,
        }
    }

    /// Waits for some more requests to be over.
    pub(crate) fn more(&self, count: usize) {
        let reached = self.done.load(Ordering::SeqCst) + count;
        until(
            &format!("{count} more requests are over"),
            seconds(30),
            || (self.done.load(Ordering::SeqCst) >= reached).then_some(()),
        );
    }

    /// How many there were, and which came to nothing.
    pub(crate) fn end(self) -> (usize, Vec<Failed>) {
        self.enough.store(true, Ordering::SeqCst);
        let failed = self.asking.join().unwrap();
        (self.done.load(Ordering::SeqCst), failed)
    }
}
