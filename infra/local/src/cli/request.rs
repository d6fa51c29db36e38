//! The job that a command line describes, as the API takes it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::{
    inputs::{INLINE_ROOM, Input},
    outputs::Output,
    problem::Failure,
    session::Session,
    templates,
    upload::{Payload, aside},
    values,
};

/// What describes a job, for `submit` and `run` alike.
#[derive(Args, Clone, Debug, Default)]
pub struct JobArgs {
    /// The image: `[host/]path[:tag][@digest]`, or a name registered with
    /// `tarpon images put`
    #[arg(value_name = "IMAGE", required_unless_present_any = ["named_image", "file", "from", "template"])]
    pub image: Option<String>,

    /// The same as IMAGE
    #[arg(long = "image", value_name = "IMAGE", conflicts_with = "image")]
    pub named_image: Option<String>,

    /// Arguments after the image's entrypoint; the whole command where it has
    /// none
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<String>,

    /// A job as JSON, as POST /v1/jobs takes it (`-` is standard input); what
    /// else is given here goes on top
    #[arg(long, short, value_name = "FILE", help_heading = "Job")]
    pub file: Option<PathBuf>,

    /// A job to start from: what is given here is other than there, the rest as
    /// there
    #[arg(long, value_name = "JOB", help_heading = "Job")]
    pub from: Option<String>,

    /// A template to make the job of; see `tarpon templates`
    #[arg(long, value_name = "NAME", conflicts_with_all = ["file", "from"], help_heading = "Job")]
    pub template: Option<String>,

    /// A value for a parameter of the template; once for each item of a list
    #[arg(
        long = "parameter",
        short,
        value_name = "NAME=VALUE",
        value_parser = values::pair,
        requires = "template",
        help_heading = "Job"
    )]
    pub parameters: Vec<(String, String)>,

    /// What you call it
    #[arg(long, value_name = "NAME", help_heading = "Job")]
    pub name: Option<String>,

    /// The queue to wait in
    #[arg(long, value_name = "QUEUE", help_heading = "Job")]
    pub queue: Option<String>,

    /// Who is told of the end: an address, or JSON as the API takes it, or a
    /// file of it; `no` for nobody, whatever the queue says
    #[arg(long, value_name = "URL|JSON|@FILE|no", value_parser = values::callback, help_heading = "Job")]
    pub callback: Option<Value>,

    /// Higher starts first: -1000 to 1000
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = "Job")]
    pub priority: Option<i16>,

    /// A label for your own use; can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::pair, help_heading = "Job")]
    pub tag: Vec<(String, String)>,

    /// Stop the whole job so long after it was submitted
    #[arg(long, value_name = "DURATION", value_parser = values::seconds, help_heading = "Job")]
    pub deadline: Option<u32>,

    /// Makes it safe to submit the same job again: it is answered with the
    /// first. Inputs above 64 KiB are new uploads each time: name objects then
    #[arg(long, value_name = "TOKEN", help_heading = "Job")]
    pub client_token: Option<String>,

    /// CPUs, such as 0.25
    #[arg(long, value_name = "CPUS", help_heading = "Container")]
    pub cpu: Option<f64>,

    /// Memory in MiB, or such as 512m, 2g
    #[arg(long, value_name = "MIB", value_parser = values::mebibytes, help_heading = "Container")]
    pub memory: Option<u32>,

    /// Environment; a NAME alone has the value it has here; can be repeated
    #[arg(
        long,
        short,
        value_name = "NAME[=VALUE]",
        value_parser = values::variable,
        help_heading = "Container"
    )]
    pub env: Vec<(String, Option<String>)>,

    /// Environment that is sealed and never shown; better a NAME alone, whose
    /// value is then on no command line; can be repeated
    #[arg(
        long,
        value_name = "NAME[=VALUE]",
        value_parser = values::variable,
        help_heading = "Container"
    )]
    pub secret_env: Vec<(String, Option<String>)>,

    /// A word of the entrypoint, in the image's place; can be repeated
    #[arg(long, value_name = "WORD", allow_hyphen_values = true, help_heading = "Container")]
    pub entrypoint: Vec<String>,

    /// `user[:group]`, names or numbers
    #[arg(long, short, value_name = "USER", help_heading = "Container")]
    pub user: Option<String>,

    /// Working directory in the container
    #[arg(long, short, value_name = "DIR", help_heading = "Container")]
    pub workdir: Option<String>,

    /// What it may reach: nothing, or the outside
    #[arg(long, value_name = "NETWORK", help_heading = "Container")]
    pub network: Option<Network>,

    /// Make the image's own file system read-only
    #[arg(long, help_heading = "Container")]
    pub read_only: bool,

    /// Stop the process after so long: 90, 90s, 10m, 2h, 1d
    #[arg(long, value_name = "DURATION", value_parser = values::seconds, help_heading = "Container")]
    pub timeout: Option<u32>,

    /// Time from TERM to KILL
    #[arg(long, value_name = "DURATION", value_parser = values::seconds, help_heading = "Container")]
    pub grace: Option<u32>,

    /// Try a failed process again, up to so often
    #[arg(long, value_name = "N", help_heading = "Container")]
    pub retry: Option<u32>,

    /// Take the result of an equal job that is there already, or is about to be,
    /// in place of running: of any age, or no older than so long. Inputs above
    /// 64 KiB are new uploads each time: name objects then
    #[arg(
        long,
        value_name = "MAX_AGE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "any",
        value_parser = values::cache,
        help_heading = "Container"
    )]
    pub cache: Option<Value>,

    /// What the process reads on standard input (`-` is ours)
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub stdin: Option<PathBuf>,

    /// A file to be there before it starts: one of this machine, or an object;
    /// or with `/` at its end all objects below BUCKET/PREFIX/. `file:` or
    /// `object:` before it says which; can be repeated
    #[arg(long, short, value_name = "FILE_OR_BUCKET/KEY:/PATH", help_heading = "Files")]
    pub input: Vec<Input>,

    /// The object that its standard output becomes as well
    #[arg(long, value_name = "BUCKET/KEY", help_heading = "Files")]
    pub stdout_to: Option<String>,

    /// The same for standard error
    #[arg(long, value_name = "BUCKET/KEY", help_heading = "Files")]
    pub stderr_to: Option<String>,
}

/// What a container may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Network {
    /// Nothing.
    None,
    /// Nothing where the platform can have that, and else the outside.
    Least,
    /// The outside, but no other container.
    Egress,
}

/// A job, ready to be posted as often as it takes.
pub struct Prepared {
    /// The JSON.
    pub body: Value,
    /// The `Idempotency-Key` of every try.
    pub key: String,
}

impl JobArgs {
    /// The job. Files that are too long to go with it are uploaded.
    pub async fn prepare(
        &self,
        session: &Session,
        outputs: &[Output],
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Prepared, Failure> {
        let mut job = self.start().await?;
        let task = self.task_fields(outputs, environment)?;
        let files = self.stdin.is_some() || !self.input.is_empty();
        if job.contains_key("tasks") && (files || !task.is_empty()) {
            let what = "the file has `tasks`: what belongs to a task has to be written there";
            return Err(Failure::Usage(what.into()));
        }
        if let Some(template) = &self.template {
            let values = templates::parameters(session, template, &self.parameters).await?;
            set(&mut job, "template", Some(template));
            set(&mut job, "parameters", Some(values));
        }
        merge(&mut job, self.job_fields());
        merge(&mut job, task);
        self.attach_files(session, &mut job).await?;
        let key = match job.get("client_token").and_then(Value::as_str) {
            Some(token) => token.to_owned(),
            None => values::fresh_token()?,
        };
        Ok(Prepared { body: Value::Object(job), key })
    }

    /// What the job is built on: the file, or nothing.
    async fn start(&self) -> Result<Map<String, Value>, Failure> {
        let Some(path) = self.file.clone() else { return Ok(Map::new()) };
        let standard = path.as_os_str() == "-";
        if standard && self.stdin.as_ref().is_some_and(|stdin| stdin.as_os_str() == "-") {
            return Err(Failure::Usage("standard input can be read only once".into()));
        }
        let name = if standard { "standard input".into() } else { path.display().to_string() };
        let cannot = format!("{name} cannot be read");
        let text = aside(move || {
            let text = if standard {
                std::io::read_to_string(std::io::stdin())
            } else {
                std::fs::read_to_string(path)
            };
            text.map_err(|error| Failure::file(cannot, error))
        })
        .await?;
        match serde_json::from_str(&text) {
            Ok(Value::Object(job)) => Ok(job),
            Ok(_) => Err(Failure::Usage(format!("{name} is no job: it is not a JSON object"))),
            Err(error) => Err(Failure::Usage(format!("{name} is not JSON: {error}"))),
        }
    }

    fn job_fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        set(&mut fields, "from", self.from.as_ref());
        set(&mut fields, "name", self.name.as_ref());
        set(&mut fields, "queue", self.queue.as_ref());
        set(&mut fields, "priority", self.priority);
        set(&mut fields, "callback", self.callback.clone());
        set(&mut fields, "deadline_seconds", self.deadline);
        set(&mut fields, "client_token", self.client_token.as_ref());
        set_all(&mut fields, "tags", self.tag.iter().cloned());
        fields
    }

    fn task_fields(
        &self,
        outputs: &[Output],
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Map<String, Value>, Failure> {
        let mut fields = Map::new();
        set(&mut fields, "image", self.image.as_ref().or(self.named_image.as_ref()));
        set(&mut fields, "command", list(&self.command));
        set(&mut fields, "entrypoint", list(&self.entrypoint));
        set(&mut fields, "user", self.user.as_ref());
        set(&mut fields, "workdir", self.workdir.as_ref());
        let outputs: Vec<Value> = outputs.iter().map(Output::request).collect();
        set(&mut fields, "outputs", list(&outputs));
        set(&mut fields, "stdout_to", self.stdout_to.as_ref());
        set(&mut fields, "stderr_to", self.stderr_to.as_ref());
        set(&mut fields, "timeout_seconds", self.timeout);
        set(&mut fields, "grace_seconds", self.grace);
        set(&mut fields, "read_only_root", self.read_only.then_some(true));
        let network = self.network.map(|network| match network {
            Network::None => "none",
            Network::Least => "least",
            Network::Egress => "egress",
        });
        set(&mut fields, "network", network);
        let mut resources = Map::new();
        set(&mut resources, "cpu", self.cpu);
        set(&mut resources, "memory_mib", self.memory);
        set(&mut fields, "resources", (!resources.is_empty()).then_some(resources));
        let retry = self.retry.map(|more| json!({ "max_attempts": u64::from(more) + 1 }));
        set(&mut fields, "retry", retry);
        set(&mut fields, "cache", self.cache.clone());
        set_all(&mut fields, "env", resolve(&self.env, &environment)?);
        set_all(&mut fields, "secret_env", resolve(&self.secret_env, &environment)?);
        Ok(fields)
    }

    async fn attach_files(
        &self,
        session: &Session,
        job: &mut Map<String, Value>,
    ) -> Result<(), Failure> {
        let mut room = INLINE_ROOM;
        if let Some(path) = &self.stdin {
            let (payload, name) = if path.as_os_str() == "-" {
                (Payload::stdin(&session.screen).await?, "standard input".to_owned())
            } else {
                (Payload::open(path).await?, path.display().to_string())
            };
            let source = payload.source(session, &name, &mut room).await?;
            job.insert("stdin".into(), source);
        }
        for input in &self.input {
            let input = input.request(session, &mut room).await?;
            match job.entry("inputs").or_insert_with(|| json!([])) {
                Value::Array(inputs) => inputs.push(input),
                _ => return Err(Failure::Usage("`inputs` of the file is no list".into())),
            }
        }
        Ok(())
    }
}

fn resolve(
    variables: &[(String, Option<String>)],
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, Failure> {
    let value = |(name, value): &(String, Option<String>)| {
        let value = value.clone().or_else(|| environment(name));
        let value = value.ok_or_else(|| {
            Failure::Usage(format!("{name} is not set here: write {name}=VALUE, or set it"))
        })?;
        Ok((name.clone(), value))
    };
    variables.iter().map(value).collect()
}

fn set(fields: &mut Map<String, Value>, name: &str, value: Option<impl serde::Serialize>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), json!(value));
    }
}

fn set_all(
    fields: &mut Map<String, Value>,
    name: &str,
    pairs: impl IntoIterator<Item = (String, String)>,
) {
    let pairs: Map<String, Value> =
        pairs.into_iter().map(|(key, value)| (key, value.into())).collect();
    set(fields, name, (!pairs.is_empty()).then_some(pairs));
}

fn list<T>(words: &[T]) -> Option<&[T]> {
    (!words.is_empty()).then_some(words)
}

/// Puts `over` on top: objects member by member, all else as a whole.
fn merge(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (name, value) in over {
        match (under.get_mut(&name), value) {
            (Some(Value::Object(there)), Value::Object(more)) => there.extend(more),
            (_, value) => {
                under.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::testing::offline;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        job: JobArgs,
    }

    async fn built(words: &[&str]) -> Result<Value, String> {
        let line = Line::try_parse_from(std::iter::once("tarpon").chain(words.iter().copied()))
            .map_err(|error| error.to_string())?;
        let environment = |name: &str| (name == "SET").then(|| "here".to_owned());
        let (session, _) = offline();
        let output = "/tmp/result".parse().unwrap();
        let prepared = line.job.prepare(&session, &[output], environment).await;
        prepared.map(|prepared| prepared.body).map_err(|failure| failure.told())
    }

    #[tokio::test]
    async fn every_option_finds_its_field() {
        let words = "hello --name n --queue q --callback https://a.b/c --priority -5 --tag a=b --deadline 1h \
             --client-token t --cpu 0.5 --memory 1g --env A=1 --env SET --secret-env B=2 \
             --entrypoint sh --entrypoint -c --user 1:2 --workdir /w --network none --read-only \
             --timeout 10m --grace 5s --retry 2 --cache=1h --stdout-to b/o --stderr-to b/e -- echo --x";
        let words: Vec<&str> = words.split_whitespace().collect();
        assert_eq!(
            built(&words).await.unwrap(),
            json!({
                "name": "n", "queue": "q", "callback": {"url": "https://a.b/c"}, "priority": -5, "tags": {"a": "b"},
                "deadline_seconds": 3600, "client_token": "t",
                "image": "hello", "command": ["echo", "--x"], "entrypoint": ["sh", "-c"],
                "resources": {"cpu": 0.5, "memory_mib": 1024},
                "env": {"A": "1", "SET": "here"}, "secret_env": {"B": "2"},
                "user": "1:2", "workdir": "/w", "network": "none", "read_only_root": true,
                "timeout_seconds": 600, "grace_seconds": 5, "retry": {"max_attempts": 3},
                "cache": {"max_age_seconds": 3600},
                "outputs": ["/tmp/result"], "stdout_to": "b/o", "stderr_to": "b/e",
            })
        );
    }

    #[tokio::test]
    async fn a_job_in_a_file_is_changed_by_what_is_given_beside_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("job.json");
        let flat = json!({"image": "a", "env": {"A": "1", "B": "2"}, "resources": {"cpu": 1}});
        std::fs::write(&file, flat.to_string()).unwrap();
        let file = file.to_str().unwrap();
        let job = built(&["--file", file, "--env", "B=3", "--memory", "64"]).await.unwrap();
        assert_eq!(job["env"], json!({"A": "1", "B": "3"}));
        assert_eq!(job["resources"], json!({"cpu": 1, "memory_mib": 64}));
        assert_eq!(job["image"], "a");
        assert_eq!(built(&["--cache", "a"]).await.unwrap()["cache"], true);
    }

    #[tokio::test]
    async fn a_file_with_tasks_takes_nothing_that_belongs_to_a_task() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("job.json");
        std::fs::write(&file, r#"{"tasks": [{"image": "a"}]}"#).unwrap();
        let refused = built(&["--file", file.to_str().unwrap(), "--cpu", "2"]).await.unwrap_err();
        assert!(refused.contains("the file has `tasks`"), "{refused}");
    }

    #[tokio::test]
    async fn what_cannot_be_meant_is_refused() {
        for (words, why) in [
            (&["--name", "x"][..], "required"),
            (&["a", "--image", "b"], "cannot be used with"),
            (&["a", "--env", "UNSET"], "UNSET is not set here"),
            (&["a", "--network", "host"], "invalid value"),
            (&["a", "--timeout", "soon"], "no duration"),
            (&["--file", "-", "--stdin", "-"], "only once"),
            (&["--file", "/no/such/file"], "cannot be read"),
            (&["a", "--stdin", "/no/such/file"], "cannot be read"),
            (&["a", "--input", "/no/such/file:/x"], "neither a file here nor an object"),
        ] {
            let refused = built(words).await.unwrap_err();
            assert!(refused.contains(why), "{words:?}: {refused}");
        }
    }

    #[tokio::test]
    async fn small_files_go_with_the_job() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("tool");
        std::fs::write(&file, "hello").unwrap();
        let name = file.to_str().unwrap();
        let job =
            built(&["a", "--stdin", name, "--input", &format!("{name}:/in/x")]).await.unwrap();
        assert_eq!(job["stdin"], json!({"base64": "aGVsbG8="}));
        let expected = json!([{"path": "/in/x", "source": {"base64": "aGVsbG8="}}]);
        assert_eq!(job["inputs"], expected);
    }
}
