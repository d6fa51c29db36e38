//! A job together with its chunks, and what a platform does for them.

use std::collections::BTreeMap;

use crate::job::{tests::walk::*, *};

/// A job, and the chunks that are stored beside it.
#[derive(Clone, Debug)]
pub struct Wide {
    pub walk: Walk,
    pub chunks: BTreeMap<(u32, u32), Chunk>,
}

impl Wide {
    pub fn new(spec: &JobSpec) -> Wide {
        Wide { walk: Walk::new(spec), chunks: BTreeMap::new() }
    }

    pub fn job(&self) -> &Job {
        &self.walk.job
    }

    pub fn chunk(&self, chunk: u32) -> &Chunk {
        &self.chunks[&(0, chunk)]
    }

    /// Does all that the job and its chunks owe each other, and only that.
    pub fn sync(&mut self) -> &mut Self {
        while self.sync_once() {}
        self
    }

    fn sync_once(&mut self) -> bool {
        let before = self.clone();
        for due in self.job().owes() {
            match due.duty {
                Duty::Spread { task, chunk } => drop(self.spread(task, chunk)),
                Duty::HaltChunk { task, chunk } => self.halt_chunk(task, chunk),
                _ => {}
            }
        }
        for place in self.chunks.keys().copied().collect::<Vec<_>>() {
            self.fold(place);
        }
        self.job() != &before.walk.job || self.chunks != before.chunks
    }

    /// Both are written in one commit, or neither is.
    pub fn spread(&mut self, task: u32, chunk: u32) -> Result<(), Refused> {
        let now = self.walk.now;
        let before = self.chunks.get(&(task, chunk));
        let made = self.job().spread(task, chunk, before, now)?;
        assert_eq!(made.counts(), entry(self.job(), task, chunk).counts, "as the job knows it");
        self.walk.job = self.job().after(&Event::Spread { task, chunk }, now)?;
        self.chunks.insert((task, chunk), made);
        Ok(())
    }

    pub fn halt_chunk(&mut self, task: u32, chunk: u32) {
        let (why, now) = (self.job().halt(), self.walk.now);
        if let (Some(why), Some(chunk)) = (why, self.chunks.get_mut(&(task, chunk))) {
            *chunk = chunk.halted(why, now);
        }
    }

    /// The job takes in the chunk's counts; then the chunk learns that it has.
    pub fn fold(&mut self, (task, chunk): (u32, u32)) {
        let Some(item) = self.chunks.get(&(task, chunk)).cloned() else { return };
        if item.owes().iter().any(|due| due.duty == Duty::Fold) {
            let Chunk { run, sequence, spent, .. } = item;
            let counts = item.counts();
            self.walk.take(&Event::Folded { task, chunk, run, sequence, counts, spent });
            self.chunks.insert((task, chunk), item.folded(sequence, self.walk.now));
        }
    }

    pub fn pass(&mut self, seconds: i64) -> &mut Self {
        self.walk.pass(seconds);
        for chunk in self.chunks.values_mut() {
            *chunk = chunk.ticked(self.walk.now);
        }
        self.sync()
    }

    /// All claims that wide tasks owe.
    pub fn claims(&self) -> Vec<AttemptId> {
        let claim = |due: Due| match due.duty {
            Duty::Claim(id) => Some(id),
            _ => None,
        };
        self.chunks.values().flat_map(Chunk::owes).filter_map(claim).collect()
    }

    pub fn send(&mut self, id: AttemptId, event: &AttemptEvent) -> Result<(), Refused> {
        let now = self.walk.now;
        let chunk = self.chunks.get_mut(&(id.task, id.instance / INLINE_INSTANCES));
        let chunk = chunk.ok_or(Refused::NoSuchInstance)?;
        *chunk = chunk.after(id, event, now)?;
        Ok(())
    }

    /// Runs every attempt that is wanted now; `code` says how it ends.
    pub fn run(&mut self, code: impl Fn(AttemptId) -> i32) -> &mut Self {
        for id in self.claims() {
            self.send(id, &AttemptEvent::Claimed).unwrap();
            self.send(id, &AttemptEvent::PlanRead).unwrap();
            self.send(id, &AttemptEvent::Ended(exit(code(id)))).unwrap();
        }
        self.sync()
    }
}

pub fn entry(job: &Job, task: u32, chunk: u32) -> ChunkEntry {
    match &job.tasks[task as usize].members {
        Members::Chunked(chunks) => chunks[chunk as usize],
        Members::Inline(_) => panic!("not a wide task"),
    }
}
