//! What an invocation took and did, as a line of the embedded metric format,
//! which `CloudWatch` reads out of the log: no call, no SDK.
//!
//! One set of metrics for the whole installation, since each further dimension
//! would be paid for by the month; which function it was, and how it went, is
//! in the same line, for queries of the log.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

/// How an invocation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As asked.
    Done,
    /// The caller was told why not.
    Refused,
    /// A fault of ours, or of what we lean on.
    Failed,
}

impl Outcome {
    /// How a reply of this status went.
    pub fn of_status(status: http::StatusCode) -> Self {
        match status.as_u16() {
            500.. => Outcome::Failed,
            400.. => Outcome::Refused,
            _ => Outcome::Done,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
        }
    }
}

/// One invocation, measured.
#[derive(Clone, Debug)]
pub(super) struct Measured<'a> {
    /// The installation.
    pub stack: &'a str,
    /// The function.
    pub function: &'static str,
    /// Which invocation.
    pub request_id: &'a str,
    /// When it ended.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How it went.
    pub outcome: Outcome,
    /// How often a job changed.
    pub jobs_changed: u64,
    /// How many events were put aside for good.
    pub parked: u64,
}

impl Measured<'_> {
    /// Writes the line.
    pub fn emit(&self) {
        println!("{}", self.line());
    }

    fn line(&self) -> Value {
        let metric = |name: &str, unit: &str| json!({ "Name": name, "Unit": unit });
        let failed = u8::from(self.outcome == Outcome::Failed);
        json!({
            "_aws": {
                "Timestamp": self.at.as_millisecond(),
                "CloudWatchMetrics": [{
                    "Namespace": "Tarpon",
                    "Dimensions": [["stack"]],
                    "Metrics": [
                        metric("duration_ms", "Milliseconds"),
                        metric("failed", "Count"),
                        metric("jobs_changed", "Count"),
                        metric("parked", "Count"),
                    ],
                }],
            },
            "stack": self.stack,
            "function": self.function,
            "request.id": self.request_id,
            "outcome": self.outcome.word(),
            "duration_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "failed": failed,
            "jobs_changed": self.jobs_changed,
            "parked": self.parked,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_that_is_declared_has_its_value_and_dimension_in_the_line() {
        let measured = Measured {
            stack: "tarpon",
            function: "get-job",
            request_id: "r",
            at: Timestamp::from_millisecond(1_700_000_000_123).unwrap(),
            took: Duration::from_millis(12),
            outcome: Outcome::Failed,
            jobs_changed: 2,
            parked: 0,
        };
        let line = measured.line();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_u64(), "{metric}");
        }
        for dimension in directive["Dimensions"][0].as_array().unwrap() {
            assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension}");
        }
        assert_eq!(line["_aws"]["Timestamp"], 1_700_000_000_123_u64);
        assert_eq!((&line["failed"], &line["outcome"]), (&1.into(), &"failed".into()));
        assert!(!line.to_string().contains('\n'), "one line");
    }
}
