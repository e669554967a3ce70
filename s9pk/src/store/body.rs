//! Copying a body while hashing it.
//!
//! Invariant: what is hashed is the buffer that is written, never a second reading of the source.
//!
//! ```text
//! source ─read─▶ buffer ─write─▶ file          (calling thread)
//!                   └───hash                   (hashing thread, same buffer, meanwhile)
//! ```

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::digest::Digest;

/// Small enough to stay in the caches of both cores, large enough that the hand-over costs nothing.
const CHUNK: usize = 512 * 1024;
/// Buffers in flight: the hashing thread may lag this far behind.
const BUFFERS: usize = 8;
/// Bytes after which the disk is asked to begin writing, so that little is left for the final sync.
const WRITEBACK: u64 = 8 * 1024 * 1024;

/// Why a body was not copied.
#[derive(Debug)]
pub(super) enum CopyError {
    Read(io::Error),
    Write(io::Error),
    Cancelled,
}

enum Job {
    Hash(Arc<Vec<u8>>, usize),
    Finish,
}

enum Answer {
    /// One buffer is free again, in the order they were handed over.
    Free,
    Digest(Digest),
}

/// A pair of threads' worth of copying. After an error it must not be used again.
pub(super) struct Copier {
    jobs: Sender<Job>,
    answers: Receiver<Answer>,
    buffers: Vec<Arc<Vec<u8>>>,
}

impl Copier {
    pub(super) fn new() -> Self {
        let (jobs, to_do) = channel();
        let (answer, answers) = channel();
        // The thread ends when `jobs` is dropped; nobody needs to wait for that.
        thread::spawn(move || hash_all(&to_do, &answer));
        Self {
            jobs,
            answers,
            buffers: Vec::new(),
        }
    }

    /// Copies `size` bytes to `out`, or only hashes them.
    ///
    /// `progress` is told the bytes of each chunk once they are done.
    pub(super) fn copy(
        &mut self,
        from: &mut dyn Read,
        size: u64,
        out: Option<&File>,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Digest, CopyError> {
        let mut left = size;
        let mut in_flight = 0;
        let mut turn = 0;
        let mut unflushed = 0;
        while left > 0 {
            if self.buffers.len() < BUFFERS && turn == self.buffers.len() {
                self.buffers.push(Arc::new(vec![0; CHUNK]));
            } else if in_flight == self.buffers.len() {
                self.wait_for_buffer()?;
                in_flight -= 1;
            }
            let length = left.min(CHUNK as u64) as usize;
            let buffer = self.filled(turn, from, length)?;
            let job = Job::Hash(Arc::clone(&buffer), length);
            self.jobs.send(job).map_err(|_| thread_ended())?;
            in_flight += 1;
            turn = (turn + 1) % BUFFERS;
            if let Some(mut file) = out {
                file.write_all(&buffer[..length])
                    .map_err(CopyError::Write)?;
                unflushed += length as u64;
                if unflushed >= WRITEBACK {
                    begin_writeback(file, size - left + length as u64 - unflushed, unflushed);
                    unflushed = 0;
                }
            }
            left -= length as u64;
            if progress(length as u64).is_break() {
                return Err(CopyError::Cancelled);
            }
        }
        if let Some(file) = out.filter(|_| unflushed > 0) {
            // Length 0 would mean the whole file.
            begin_writeback(file, size - unflushed, unflushed);
        }
        self.jobs.send(Job::Finish).map_err(|_| thread_ended())?;
        loop {
            match self.answers.recv().map_err(|_| thread_ended())? {
                Answer::Free => {}
                Answer::Digest(digest) => return Ok(digest),
            }
        }
    }

    fn wait_for_buffer(&self) -> Result<(), CopyError> {
        self.answers.recv().map(drop).map_err(|_| thread_ended())
    }

    fn filled(
        &mut self,
        turn: usize,
        from: &mut dyn Read,
        length: usize,
    ) -> Result<Arc<Vec<u8>>, CopyError> {
        // The hashing thread gave this buffer back, so nobody else holds it.
        let slot = &mut self.buffers[turn];
        let buffer = Arc::get_mut(slot).ok_or_else(thread_ended)?;
        from.read_exact(&mut buffer[..length])
            .map_err(CopyError::Read)?;
        Ok(Arc::clone(slot))
    }
}

fn thread_ended() -> CopyError {
    CopyError::Read(io::Error::other("the hashing thread ended"))
}

fn hash_all(jobs: &Receiver<Job>, answers: &Sender<Answer>) {
    let mut hasher = blake3::Hasher::new();
    for job in jobs {
        let answer = match job {
            Job::Hash(buffer, length) => {
                hasher.update(&buffer[..length]);
                // Before the answer, so that the buffer has one owner when it is reused.
                drop(buffer);
                Answer::Free
            }
            Job::Finish => {
                let digest = hasher.finalize().into();
                hasher.reset();
                Answer::Digest(digest)
            }
        };
        if answers.send(answer).is_err() {
            return;
        }
    }
}

/// Starts writing a stretch to the disk without waiting for it. Only a hint: errors surface at the
/// final sync.
fn begin_writeback(file: &File, offset: u64, length: u64) {
    let (Ok(offset), Ok(length)) = (offset.try_into(), length.try_into()) else {
        return;
    };
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and the call touches no
    // memory of ours.
    unsafe {
        libc::sync_file_range(
            file.as_raw_fd(),
            offset,
            length,
            libc::SYNC_FILE_RANGE_WRITE,
        );
    }
}
