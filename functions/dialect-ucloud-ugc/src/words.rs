//! The API's words, and ours.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::{
    job::{Ending, Job, JobId, Phase},
    wire::views::JOB_STATES,
};
use uuid::Uuid;

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is not over: there is no word for one that waits.
    Running,
    /// It ended well.
    Success,
    /// It ended in any other way.
    Fail,
}

impl State {
    /// Where the job stands.
    pub fn of(job: &Job) -> Self {
        match job.phase {
            Phase::Queued | Phase::Running | Phase::Stopping { .. } => State::Running,
            Phase::Finished { ending, .. } => match ending {
                Ending::Succeeded => State::Success,
                Ending::Failed | Ending::PartlyFailed | Ending::Cancelled | Ending::TimedOut => {
                    State::Fail
                }
            },
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            State::Running => "Running",
            State::Success => "Success",
            State::Fail => "Fail",
        }
    }

    /// The state of that word.
    pub fn named(word: &str) -> Option<Self> {
        [State::Running, State::Success, State::Fail].into_iter().find(|state| state.word() == word)
    }

    /// Our words for jobs that stand there.
    pub fn ours(self) -> Vec<String> {
        let means = |word: &&str| match *word {
            "queued" | "running" | "stopping" => self == State::Running,
            "succeeded" => self == State::Success,
            _ => self == State::Fail,
        };
        JOB_STATES.into_iter().filter(means).map(str::to_owned).collect()
    }
}

/// Whether the caller of a submit waits for the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// It does.
    Sync,
    /// It asks for it later.
    Async,
}

impl Kind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Sync => "Sync",
            Kind::Async => "Async",
        }
    }

    /// The kind of that word.
    pub fn named(word: &str) -> Option<Self> {
        [Kind::Sync, Kind::Async].into_iter().find(|kind| kind.word() == word)
    }

    /// Seconds that a process may run, where the caller does not say; 0 is for
    /// as long as any may.
    pub fn standard_seconds(self) -> u32 {
        match self {
            Kind::Sync => 10,
            Kind::Async => 0,
        }
    }

    /// Seconds that any process may run.
    pub fn most_seconds(self) -> u32 {
        match self {
            Kind::Sync => 300,
            Kind::Async => 24 * 3600,
        }
    }
}

/// A job's id in the API's form: the same bits as a UUID.
pub fn task_id(job: JobId) -> String {
    Uuid::from_u128(job.bits()).hyphenated().to_string()
}

/// The job of a task's id.
pub fn job_id(text: &str) -> Option<JobId> {
    let uuid = Uuid::try_parse(text).ok().filter(|_| text.len() == 36)?;
    Some(JobId::from_bits(uuid.as_u128()))
}

/// A time in the API's form: seconds since 1970, 0 for none.
pub fn seconds(at: Option<Timestamp>) -> i64 {
    at.map_or(0, Timestamp::as_second)
}

/// The words of a command, as a POSIX shell tells them apart: by blanks that are
/// not quoted. Nothing is expanded, nor has any other character a meaning.
pub fn split(command: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut rest = command.chars();
    while let Some(next) = rest.next() {
        match next {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or("a quote `'` is not closed")? {
                        '\'' => break,
                        quoted => word.push(quoted),
                    }
                }
            }
            '"' => in_double_quotes(&mut rest, word.get_or_insert_default())?,
            '\\' => match rest.next().ok_or("nothing follows the last `\\`")? {
                // The line goes on.
                '\n' => {}
                escaped => word.get_or_insert_default().push(escaped),
            },
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Ok(words)
}

fn in_double_quotes(rest: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    let open = "a quote `\"` is not closed";
    loop {
        match rest.next().ok_or(open)? {
            '"' => return Ok(()),
            '\\' => match rest.next().ok_or(open)? {
                '\n' => {}
                escaped @ ('$' | '`' | '"' | '\\') => word.push(escaped),
                other => word.extend(['\\', other]),
            },
            quoted => word.push(quoted),
        }
    }
}

/// Words as one command, from which [`split`] gets them back.
pub fn joined(words: &[String]) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_@%+=:,./-".contains(c);
    let quoted = |word: &String| {
        if !word.is_empty() && word.chars().all(is_plain) {
            return word.clone();
        }
        format!("'{}'", word.replace('\'', r"'\''"))
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_command_is_split_as_a_shell_does_it() {
        for (command, expected) in [
            ("thisiscmd", &["thisiscmd"][..]),
            ("this is cmd", &["this", "is", "cmd"]),
            ("  a \t b\nc  ", &["a", "b", "c"]),
            ("", &[]),
            (r#"say "two words" 'and $three' "#, &["say", "two words", "and $three"]),
            (r#"a'b'"c"d '' "" "#, &["abcd", "", ""]),
            (r#"a\ b \\ \" "\$x \y \"" "#, &["a b", "\\", "\"", "$x \\y \""]),
            ("a\\\nb \"c\\\nd\"", &["ab", "cd"]),
            ("#no comment; no | pipe *", &["#no", "comment;", "no", "|", "pipe", "*"]),
            ("über größe", &["über", "größe"]),
        ] {
            assert_eq!(split(command).unwrap(), expected, "{command}");
        }
        for open in ["'a", "\"a", "a\\", "\"a\\"] {
            split(open).unwrap_err();
        }
    }

    #[test]
    fn each_of_our_states_has_one_word() {
        let mut all = [State::Running, State::Success, State::Fail].map(State::ours).concat();
        let mut expected = JOB_STATES.map(str::to_owned).to_vec();
        expected.sort();
        all.sort();
        assert_eq!(all, expected);
    }

    #[test]
    fn an_id_is_a_uuid_of_the_same_bits() {
        let job = JobId::from_bits(0x0190_b8a0_a0a0_7000_8000_0000_0000_0001);
        assert_eq!(task_id(job), "0190b8a0-a0a0-7000-8000-000000000001");
        assert_eq!(job_id(&task_id(job)), Some(job));
        for other in [job.to_string(), job.hex(), String::new(), "{}".into(), "x".repeat(36)] {
            assert_eq!(job_id(&other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_was_joined_is_split_into_the_same(words: Vec<String>) {
            prop_assert_eq!(split(&joined(&words)), Ok(words));
        }

        #[test]
        fn no_command_makes_it_panic(command: String) {
            let _ = split(&command);
        }
    }
}
