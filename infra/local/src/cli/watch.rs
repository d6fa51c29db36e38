//! Watching a job until it ends, through all that a network does meanwhile.

use std::time::Duration;

use reqwest::Method;
use tokio::time::{Instant, sleep};

use super::{
    client::{Answer, Repeat},
    problem::Failure,
    session::Session,
    views::Job,
};

/// How long one request waits for the end: within what gateways allow.
const LONG_POLL_SECONDS: u32 = 20;

/// How long a server may be away before we give up on it.
const GIVE_UP: Duration = Duration::from_mins(10);

/// A server that does not answer, and how long it has not.
pub struct Away<'a> {
    session: &'a Session,
    since: Option<Instant>,
    tries: u32,
    announce: bool,
}

impl<'a> Away<'a> {
    /// A server that answers, so far. `announce` says whether to tell the user
    /// when it does not.
    pub fn new(session: &'a Session, announce: bool) -> Self {
        Away { session, since: None, tries: 1, announce }
    }

    /// It answers.
    pub fn is_back(&mut self) {
        if self.since.take().is_some() && self.announce {
            self.session.screen.note("the server answers again");
        }
        self.tries = 1;
    }

    /// It did not answer: waits for the next try, or fails where that is
    /// hopeless.
    pub async fn wait(&mut self, failure: Failure) -> Result<(), Failure> {
        if !failure.is_passing() {
            return Err(failure);
        }
        if self.since.is_none() && self.announce {
            self.session.screen.note("the server does not answer; trying again");
        }
        if self.since.get_or_insert_with(Instant::now).elapsed() > GIVE_UP {
            return Err(failure);
        }
        self.tries += 1;
        sleep(self.session.client.backoff.before(self.tries)).await;
        Ok(())
    }
}

/// A job under observation.
pub struct Watch<'a> {
    session: &'a Session,
    id: &'a str,
    away: Away<'a>,
    /// Looks taken at a job that has not started.
    looks: u32,
    last: Option<Seen>,
    /// Whether waiting in the queue is of interest as well.
    closely: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Queued,
    Started,
}

impl<'a> Watch<'a> {
    /// Looks for the end, and closely also at how it gets there.
    pub fn new(session: &'a Session, id: &'a str, closely: bool) -> Self {
        let away = Away::new(session, true);
        Watch { session, id, away, looks: 0, last: None, closely }
    }

    /// The job as it is now, or a while later: at once the first time, then
    /// when there may be news.
    pub async fn next(&mut self) -> Result<Answer<Job>, Failure> {
        let wait = match (self.last, self.closely) {
            (None, _) => 0,
            (Some(Seen::Queued), true) => {
                self.looks += 1;
                sleep(self.pause()).await;
                0
            }
            (Some(_), _) => LONG_POLL_SECONDS,
        };
        loop {
            let asked = Instant::now();
            match get(self.session, self.id, wait).await {
                Ok(job) => {
                    self.away.is_back();
                    let seen = if job.value.has_started() { Seen::Started } else { Seen::Queued };
                    // A server that does not wait is not to be asked in a row.
                    let hasty = wait > 0 && asked.elapsed() < Duration::from_secs(1);
                    if hasty && !job.value.is_over() {
                        self.looks += 1;
                        sleep(self.pause()).await;
                    }
                    self.last = Some(seen);
                    return Ok(job);
                }
                Err(failure) => self.away.wait(failure).await?,
            }
        }
    }

    /// Waits for the end; `None` if it takes longer than `limit`.
    pub async fn end(mut self, limit: Option<Duration>) -> Result<Option<Answer<Job>>, Failure> {
        let until_end = async {
            loop {
                let job = self.next().await?;
                if job.value.is_over() {
                    return Ok(job);
                }
            }
        };
        match limit {
            None => until_end.await.map(Some),
            Some(limit) => match tokio::time::timeout(limit, until_end).await {
                Ok(job) => job.map(Some),
                Err(_) => Ok(None),
            },
        }
    }

    /// Short at first, for jobs that start at once; then up to 16 times the
    /// first wait of a repeated request (4 seconds).
    fn pause(&self) -> Duration {
        let first = self.session.client.backoff.first / 4;
        first * (1 << (self.looks / 4).min(6))
    }
}

/// A job, after up to `wait` seconds if it has not ended before.
pub async fn get(session: &Session, id: &str, wait: u32) -> Result<Answer<Job>, Failure> {
    let mut request = session.client.get(&["v1", "jobs", id])?;
    if wait > 0 {
        request = request.query(&[("wait", wait)]);
    }
    session.client.json(request, Repeat::Safe).await
}

/// Asks for a job to be cancelled.
pub async fn cancel(session: &Session, id: &str) -> Result<Answer<Job>, Failure> {
    let request = session.client.request(Method::POST, &["v1", "jobs", id, "cancel"])?;
    session.client.json(request, Repeat::Safe).await
}
