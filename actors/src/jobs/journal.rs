//! The journal's row of a job: durable before anything is done for it, gone with the write that ends it.

use coppice_clock::Wall;
use coppice_supervision::STEPS;

use crate::{
    host::Host,
    model::{JobKind, JobRecord},
    problem::Problem,
};

/// A row, with its id.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    pub(super) id: String,
    pub(super) record: JobRecord,
}

impl Journal {
    /// A new row, not yet written.
    pub(super) fn new(kind: JobKind, instance: &str) -> Self {
        Self {
            id: crate::ids::random(10),
            record: JobRecord {
                kind,
                instance: instance.to_owned(),
                since: Wall::now(),
                step: "begin".to_owned(),
            },
        }
    }

    /// Tells the trace how the step it was at ended, and what follows.
    pub(super) fn trace(&self, ended: &'static str, to: &str) {
        tracing::trace!(
            target: STEPS,
            machine = self.record.kind.name(),
            whose = self.record.instance,
            from = self.record.step,
            input = ended,
            to,
        );
    }

    /// Notes that a step begins; durable before anything is done for it.
    pub(super) async fn step(&mut self, host: &Host, step: &str) -> Result<(), Problem> {
        self.trace("done", step);
        step.clone_into(&mut self.record.step);
        tracing::debug!(service = self.record.instance, step, "job");
        let Self { id, record } = self.clone();
        host.document
            .transact("jobs", step, move |transaction| {
                transaction.put_job(&id, &record);
                Ok(())
            })
            .await
    }
}
