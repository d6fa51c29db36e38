//! What can go wrong with a command, and how it is told.

use std::{error::Error, fmt, io};

use serde::Deserialize;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody is there.
    #[error("no server answers at {url}")]
    NoServer {
        /// Where it was looked for.
        url: String,
        /// Whether that is this machine.
        here: bool,
        /// What the connection said.
        #[source]
        source: reqwest::Error,
    },
    /// Somebody was there, and then no more.
    #[error("the connection to {url} broke")]
    Lost {
        /// Who was there.
        url: String,
        /// What the connection said, if anything.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// The server refused.
    #[error("{0}")]
    Problem(Problem),
    /// The server said something that makes no sense here.
    #[error("the server's answer is not understood: {0}")]
    Answer(String),
    /// What was asked for cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// A file, or a stream, of this machine.
    #[error("{what}")]
    File {
        /// What was to be done with which.
        what: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An archive that would write where it must not.
    #[error("the archive is not safe to unpack: {0}")]
    Unsafe(String),
    /// Whoever read our standard output has stopped.
    #[error("standard output was closed")]
    OutputClosed,
    /// The user left.
    #[error("{0}")]
    Interrupted(String),
}

impl Failure {
    /// A failure of the file system, said in words.
    pub fn file(what: impl Into<String>, source: io::Error) -> Self {
        Failure::File { what: what.into(), source }
    }

    /// A request that broke off.
    pub fn of_request(url: &reqwest::Url, source: reqwest::Error) -> Self {
        let here = is_loopback(url);
        let url = url.origin().ascii_serialization();
        // The address is in our own sentence already.
        let source = source.without_url();
        if source.is_connect() {
            return Failure::NoServer { url, here, source };
        }
        Failure::Lost { url, source: Some(source) }
    }

    /// Whether the same request may do later.
    pub fn is_passing(&self) -> bool {
        match self {
            Failure::NoServer { .. } | Failure::Lost { .. } => true,
            Failure::Problem(problem) => problem.is_passing(),
            _ => false,
        }
    }

    /// The status that the server refused with, if it did.
    pub fn status(&self) -> Option<u16> {
        match self {
            Failure::Problem(problem) => Some(problem.status),
            _ => None,
        }
    }

    /// The failure with its causes, and what could be done about it.
    pub fn told(&self) -> String {
        let mut text = format!("error: {self}");
        let mut causes = Vec::new();
        let mut cause = self.source();
        while let Some(deeper) = cause {
            causes.push(deeper.to_string());
            cause = deeper.source();
        }
        if matches!(self, Failure::NoServer { .. } | Failure::Lost { .. }) {
            // Of a connection's layers only the innermost knows something.
            causes = causes.pop().into_iter().collect();
        }
        for cause in causes {
            text.push_str(": ");
            text.push_str(&cause);
        }
        if let Some(hint) = self.hint() {
            text.push_str("\n  ");
            text.push_str(hint);
        }
        text
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Failure::NoServer { here: true, .. } => Some("start one with `tarpon serve`"),
            Failure::NoServer { here: false, .. } => {
                Some("is the address right (--url, TARPON_URL), and can it be reached from here?")
            }
            Failure::Problem(problem) => match (problem.status, problem.code.as_str()) {
                (401, _) => Some(
                    "check TARPON_ACCESS_KEY_ID and TARPON_SECRET_ACCESS_KEY, or the \
                     credentials.json of the data directory",
                ),
                (_, "not_finished") => Some("wait for it with `tarpon wait`"),
                _ => None,
            },
            _ => None,
        }
    }
}

/// What the server says of a refusal (RFC 9457).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Problem {
    /// The status of the answer.
    pub status: u16,
    /// A stable word.
    pub code: String,
    /// A sentence.
    pub detail: String,
    /// The field that it is about.
    pub field: Option<String>,
}

impl Problem {
    /// The problem that an answer carries; one made of the status alone where
    /// the body is somebody else's, such as a proxy's.
    pub fn read(status: reqwest::StatusCode, body: &[u8]) -> Self {
        let mut problem: Problem = serde_json::from_slice(body).unwrap_or_default();
        problem.status = status.as_u16();
        if problem.detail.is_empty() {
            problem.detail = format!("the server answered {status}");
        }
        problem
    }

    fn is_passing(&self) -> bool {
        // What there was not the time for takes as long once more.
        matches!(self.status, 429 | 502 | 503 | 504) && self.code != "out_of_time"
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field
            && !self.detail.contains(field.as_str())
        {
            write!(f, "`{field}`: ")?;
        }
        f.write_str(&super::table::clean(&self.detail))?;
        if !self.code.is_empty() {
            write!(f, " ({})", self.code)?;
        }
        Ok(())
    }
}

/// Whether an address is this machine's own.
pub fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(body: &str) -> Problem {
        Problem::read(reqwest::StatusCode::BAD_REQUEST, body.as_bytes())
    }

    #[test]
    fn a_problem_is_told_with_its_code_its_field_and_its_detail() {
        let told = problem(r#"{"code":"invalid_field","field":"image","detail":"it is empty"}"#);
        assert_eq!(told.to_string(), "`image`: it is empty (invalid_field)");
        let once = problem(r#"{"code":"invalid_field","field":"image","detail":"`image`: empty"}"#);
        assert_eq!(once.to_string(), "`image`: empty (invalid_field)");
    }

    #[test]
    fn what_there_is_not_the_time_for_is_not_asked_for_again() {
        let told = |code: &str| {
            let body = format!(r#"{{"code":"{code}","detail":"d"}}"#);
            Problem::read(reqwest::StatusCode::SERVICE_UNAVAILABLE, body.as_bytes())
        };
        assert!(told("unavailable").is_passing());
        assert!(!told("out_of_time").is_passing());
    }

    #[test]
    fn an_answer_that_is_no_problem_is_told_by_its_status() {
        assert_eq!(problem("<html>").to_string(), "the server answered 400 Bad Request");
    }

    #[test]
    fn a_problem_cannot_steer_the_terminal() {
        let told = problem(r#"{"detail":"a\u001b[2Jb"}"#);
        assert!(!told.to_string().contains('\u{1b}'));
    }

    #[test]
    fn this_machine_is_known_by_all_its_names() {
        for (url, here) in [
            ("http://127.0.0.1:8080", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:80", true),
            ("http://localhost:1", true),
            ("http://10.0.0.1", false),
            ("https://localhost.example.org", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), here, "{url}");
        }
    }
}
