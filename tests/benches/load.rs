//! Many clients at once, and how long each call took.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};

/// How long each of many calls took.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// One more.
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The one that half of them are no longer than, in milliseconds.
    pub fn median(&self) -> f64 {
        self.quantile(50)
    }

    /// The one that so many of a hundred are no longer than, in milliseconds.
    pub fn quantile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        millis(sorted.get(place).copied().unwrap_or_default())
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        Times(times.into_iter().collect())
    }
}

/// A time in milliseconds.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// How many a second that was.
#[expect(clippy::cast_precision_loss, reason = "nothing here is counted to 2^52")]
pub fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// So many clients call side by side, each again and again, until there have
/// been `most` calls or the time is over; what each call took, and all of them.
pub async fn many(
    clients: usize,
    most: usize,
    lasting: Duration,
    call: impl AsyncFn(),
) -> (Times, Duration) {
    let began = Instant::now();
    let timed = async |_| {
        let began = Instant::now();
        call().await;
        began.elapsed()
    };
    let in_time = (0..most).take_while(|_| began.elapsed() < lasting);
    let times: Vec<_> = stream::iter(in_time).map(timed).buffer_unordered(clients).collect().await;
    (Times(times), began.elapsed())
}
