//! A job told by query parameters, whose body is its standard input.

use std::str::FromStr;

use super::{
    JobRequest, NetworkRequest, OutputRequest, ResourcesRequest, TaskRequest, TasksRequest,
};
use crate::wire::{Problem, Request};

/// The parameters, with what the API's description says of each.
pub const FIELDS: [(&str, &str); 15] = [
    ("image", "The image to run."),
    ("command", "One word of the command; repeatable."),
    ("entrypoint", "One word of the entrypoint, over the image's; repeatable."),
    ("output", "An absolute path or pattern to keep; repeatable."),
    ("env", "NAME=VALUE; repeatable."),
    ("cpu", "CPUs, such as 0.25."),
    ("memory_mib", "MiB of memory."),
    ("name", "What you call the job."),
    ("queue", "The queue to wait in; `default` without."),
    ("priority", "Higher starts first: -1000 to 1000."),
    ("timeout_seconds", "Seconds that the process may run."),
    ("network", "`egress`, `least` or `none`."),
    ("workdir", "Working directory, absolute."),
    ("client_token", "Makes a repeated submit safe."),
    ("wait", "Seconds to wait for the end."),
];

/// Those of which a job has one.
const SINGLE: [&str; 11] = [
    "image",
    "cpu",
    "memory_mib",
    "name",
    "queue",
    "priority",
    "timeout_seconds",
    "network",
    "workdir",
    "client_token",
    "wait",
];

/// The job that the query tells. Its fields are checked like a JSON body's,
/// by [`JobRequest::check`]; [`in_query`] gives them their names here.
pub fn from_query(request: &Request) -> Result<(JobRequest, TasksRequest), Problem> {
    request.only_query(&FIELDS.map(|(name, _)| name))?;
    for name in SINGLE {
        if request.query_all(name).count() > 1 {
            return Err(Problem::invalid(name, "it is given more than once"));
        }
    }
    let text = |name: &str| request.query(name).map(str::to_owned);
    let words = |name: &str| request.query_all(name).map(str::to_owned).collect::<Vec<_>>();
    let some = |words: Vec<String>| (!words.is_empty()).then_some(words);
    let job = JobRequest {
        name: text("name"),
        queue: text("queue"),
        priority: number(request, "priority")?.unwrap_or_default(),
        client_token: text("client_token"),
        ..JobRequest::default()
    };
    let task = TaskRequest {
        image: text("image").unwrap_or_default(),
        entrypoint: some(words("entrypoint")),
        command: some(words("command")),
        env: request.query_all("env").map(variable).collect::<Result<_, _>>()?,
        outputs: words("output").into_iter().map(OutputRequest::kept).collect(),
        resources: ResourcesRequest {
            cpu: number(request, "cpu")?,
            memory_mib: number(request, "memory_mib")?,
        },
        network: network(request.query("network"))?,
        workdir: text("workdir"),
        timeout_seconds: number(request, "timeout_seconds")?,
        ..TaskRequest::default()
    };
    Ok((job, TasksRequest::Flat(Box::new(task))))
}

/// A refused field by the name that it has in the query.
pub fn in_query(problem: Problem) -> Problem {
    let Problem::Invalid { field, rule } = problem else { return problem };
    let field = field.strip_prefix("resources.").unwrap_or(&field);
    let field = field.split(['[', '.']).next().unwrap_or_default();
    Problem::invalid(if field == "outputs" { "output" } else { field }, rule)
}

fn number<T: FromStr>(request: &Request, name: &str) -> Result<Option<T>, Problem> {
    let parse = |text: &str| {
        text.parse().map_err(|_| Problem::invalid(name, format!("`{text}` is no such number")))
    };
    request.query(name).map(parse).transpose()
}

fn variable(pair: &str) -> Result<(String, String), Problem> {
    let pair = pair.split_once('=').ok_or_else(|| Problem::invalid("env", "it is NAME=VALUE"))?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

fn network(text: Option<&str>) -> Result<NetworkRequest, Problem> {
    match text {
        None => Ok(NetworkRequest::default()),
        Some("egress") => Ok(NetworkRequest::Egress),
        Some("least") => Ok(NetworkRequest::Least),
        Some("none") => Ok(NetworkRequest::None),
        Some(_) => Err(Problem::invalid("network", "it is `egress`, `least` or `none`")),
    }
}
