//! What a function is told by its environment. The template sets all of it.

use tracing_subscriber::filter::Targets;

use crate::fargate::Prices;

/// The variables that the host itself reads.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// `TARPON_STACK`: the installation's name, for metrics.
    pub stack: String,
    /// `TARPON_PUBLIC_URL`: the address that clients and agents know the API
    /// by, without a slash at its end.
    pub public_url: String,
    /// `TARPON_MASTER_KEY_SECRET`: the name or ARN of the secret that all keys
    /// are derived from.
    pub master_key_secret: String,
    /// `TARPON_PIC_PROCESS_IMAGE`: the image of the operation `PicProcess`;
    /// the name that it is built under without it.
    pub pic_process_image: String,
    /// `TARPON_CALLBACK_QUEUES`: the ARNs, joined by commas, of the message
    /// queues that callbacks may go into; none without it.
    pub message_queues: Vec<String>,
    /// `TARPON_PRICES`: US dollars an hour for a CPU and for a GiB of memory,
    /// joined by a comma, or `none` where nobody can tell, as on Spot; as
    /// listed for x86-64 in us-east-1 without it.
    pub prices: Option<Prices>,
    /// `TARPON_LOG`: what is logged, such as `info` or `info,shared=debug`;
    /// `info` without it.
    pub log: Targets,
}

/// Where callbacks may go.
#[derive(Clone, Debug)]
pub(super) struct OutboxSettings {
    /// `TARPON_ALLOW_CALLBACK_TO`: ranges of addresses, joined by commas, that
    /// callbacks may go to although they are not public; none without it.
    pub allowed: Vec<String>,
}

/// Where the stores are.
#[derive(Clone, Debug)]
pub(super) struct StoresSettings {
    /// `TARPON_TABLE`: the table's name.
    pub table: String,
    /// `TARPON_BUCKET`: the bucket's name.
    pub bucket: String,
    /// `TARPON_REMINDERS`: the URL of the queue that reminds of what comes due;
    /// not every function may send to it.
    pub reminders: Option<String>,
}

/// Where and how tasks run.
#[derive(Clone, Debug)]
pub(super) struct TasksSettings {
    /// `TARPON_CLUSTER`: the cluster's name or ARN.
    pub cluster: String,
    /// `TARPON_AGENT_IMAGE`: the image that brings the agent, by digest.
    pub agent_image: String,
    /// `TARPON_EXECUTION_ROLE`: the ARN of the role by which tasks' images are
    /// pulled.
    pub execution_role: String,
    /// `TARPON_SUBNETS`: where tasks are, joined by commas.
    pub subnets: Vec<String>,
    /// `TARPON_SECURITY_GROUP`: what lets nothing into them.
    pub security_group: String,
    /// `TARPON_PUBLIC_IP`: `ENABLED` where that is their way out.
    pub public_ip: bool,
    /// `TARPON_ARCHITECTURE`: `x86_64` or `arm64`.
    pub is_arm: bool,
    /// `TARPON_SPOT`: `true` for capacity that may be taken away.
    pub spot: bool,
    /// `TARPON_TASK_LOGS`: the log group for the agent's own faults.
    pub logs: String,
    /// `TARPON_PULL_SECRETS`: what the names of secrets start with that open
    /// private registries.
    pub pull_secrets: String,
    /// `TARPON_ALLOW_REGISTRY_AT`: ranges of addresses, joined by commas, that
    /// registries may have although they are not public; none without it.
    pub registries: Vec<String>,
    /// `TARPON_SERVICE`: where the agent finds the service.
    pub service: String,
    /// `AWS_REGION`, which Lambda sets.
    pub region: String,
}

/// A variable that is absent or makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {name} {why}")]
pub(super) struct BadVariable {
    name: &'static str,
    why: String,
}

/// Where variables are read from.
struct Variables<F>(F);

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    fn required(&self, name: &'static str) -> Result<String, BadVariable> {
        let value = (self.0)(name).filter(|value| !value.trim().is_empty());
        value.ok_or(BadVariable { name, why: "is not set".into() })
    }

    fn listed(&self, name: &'static str) -> Vec<String> {
        listed(&self.required(name).unwrap_or_default())
    }

    fn one_of<T: Copy>(
        &self,
        name: &'static str,
        known: [(&'static str, T); 2],
    ) -> Result<T, BadVariable> {
        let value = self.required(name)?;
        let found = known.iter().find(|(word, _)| *word == value);
        let [(one, _), (other, _)] = known;
        let why = format!("is `{value}`, not `{one}` or `{other}`");
        found.map(|(_, value)| *value).ok_or(BadVariable { name, why })
    }
}

/// The process's own.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
fn environment() -> Variables<impl Fn(&str) -> Option<String>> {
    Variables(|name: &str| std::env::var(name).ok())
}

impl Settings {
    /// As the environment says.
    pub fn from_env() -> Result<Self, BadVariable> {
        Settings::read(&environment())
    }

    fn read(from: &Variables<impl Fn(&str) -> Option<String>>) -> Result<Self, BadVariable> {
        let log = from.required("TARPON_LOG").unwrap_or_else(|_| "info".into());
        Ok(Settings {
            stack: from.required("TARPON_STACK")?,
            public_url: url("TARPON_PUBLIC_URL", from.required("TARPON_PUBLIC_URL")?)?,
            master_key_secret: from.required("TARPON_MASTER_KEY_SECRET")?,
            pic_process_image: from
                .required("TARPON_PIC_PROCESS_IMAGE")
                .unwrap_or_else(|_| "tarpon/pic-process".into()),
            message_queues: from.listed("TARPON_CALLBACK_QUEUES"),
            prices: prices(from.required("TARPON_PRICES").ok().as_deref())?,
            log: log.parse().map_err(|error| BadVariable {
                name: "TARPON_LOG",
                why: format!("is `{log}`, which cannot be read: {error}"),
            })?,
        })
    }
}

impl OutboxSettings {
    /// As the environment says.
    pub fn from_env() -> Self {
        OutboxSettings { allowed: environment().listed("TARPON_ALLOW_CALLBACK_TO") }
    }
}

impl StoresSettings {
    /// As the environment says.
    pub fn from_env() -> Result<Self, BadVariable> {
        let from = environment();
        Ok(StoresSettings {
            table: from.required("TARPON_TABLE")?,
            bucket: from.required("TARPON_BUCKET")?,
            reminders: from.required("TARPON_REMINDERS").ok(),
        })
    }
}

impl TasksSettings {
    /// As the environment says.
    pub fn from_env() -> Result<Self, BadVariable> {
        TasksSettings::read(&environment())
    }

    fn read(from: &Variables<impl Fn(&str) -> Option<String>>) -> Result<Self, BadVariable> {
        let subnets = from.required("TARPON_SUBNETS")?;
        let architectures = [("x86_64", false), ("arm64", true)];
        Ok(TasksSettings {
            cluster: from.required("TARPON_CLUSTER")?,
            agent_image: from.required("TARPON_AGENT_IMAGE")?,
            execution_role: from.required("TARPON_EXECUTION_ROLE")?,
            subnets: listed(&subnets),
            security_group: from.required("TARPON_SECURITY_GROUP")?,
            public_ip: from.one_of("TARPON_PUBLIC_IP", [("ENABLED", true), ("DISABLED", false)])?,
            is_arm: from.one_of("TARPON_ARCHITECTURE", architectures)?,
            spot: from.one_of("TARPON_SPOT", [("true", true), ("false", false)])?,
            logs: from.required("TARPON_TASK_LOGS")?,
            pull_secrets: from.required("TARPON_PULL_SECRETS")?,
            registries: from.listed("TARPON_ALLOW_REGISTRY_AT"),
            service: url("TARPON_SERVICE", from.required("TARPON_SERVICE")?)?,
            region: from.required("AWS_REGION")?,
        })
    }
}

/// What is joined by commas.
fn listed(text: &str) -> Vec<String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

fn prices(text: Option<&str>) -> Result<Option<Prices>, BadVariable> {
    match text {
        None => Ok(Some(Prices::X86_64)),
        Some("none") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|error| BadVariable {
            name: "TARPON_PRICES",
            why: format!("is `{text}`, which cannot be read: {error}"),
        }),
    }
}

fn url(name: &'static str, text: String) -> Result<String, BadVariable> {
    let is_url = text.starts_with("https://") || text.starts_with("http://");
    if is_url && !text.ends_with('/') {
        return Ok(text);
    }
    let why = format!("is `{text}`, which is not a URL without a slash at its end");
    Err(BadVariable { name, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 15] = [
        ("TARPON_STACK", "tarpon"),
        ("TARPON_PUBLIC_URL", "https://api.example"),
        ("TARPON_MASTER_KEY_SECRET", "tarpon/master-key"),
        ("TARPON_CLUSTER", "cluster"),
        ("TARPON_AGENT_IMAGE", "agent@sha256:00"),
        ("TARPON_EXECUTION_ROLE", "arn:role"),
        ("TARPON_SUBNETS", "subnet-1, subnet-2"),
        ("TARPON_SECURITY_GROUP", "sg-1"),
        ("TARPON_PUBLIC_IP", "ENABLED"),
        ("TARPON_ARCHITECTURE", "arm64"),
        ("TARPON_SPOT", "false"),
        ("TARPON_TASK_LOGS", "/tarpon/tasks"),
        ("TARPON_PULL_SECRETS", "tarpon/pull"),
        ("TARPON_SERVICE", "https://api.example"),
        ("AWS_REGION", "eu-west-1"),
    ];

    /// What is good, but for one variable.
    fn but(
        changed: &'static str,
        value: Option<&'static str>,
    ) -> Variables<impl Fn(&str) -> Option<String>> {
        Variables(move |name: &str| {
            let good = GOOD.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            if name == changed { value } else { good }.map(str::to_owned)
        })
    }

    #[test]
    fn what_the_template_sets_is_enough() {
        let settings = Settings::read(&but("", None)).unwrap();
        assert_eq!(settings.public_url, "https://api.example");
        assert_eq!(settings.log.to_string(), "info");
        assert_eq!(settings.prices, Some(Prices::X86_64));
        let told = |text| Settings::read(&but("TARPON_PRICES", Some(text))).unwrap().prices;
        assert_eq!(told("0.03238,0.00356"), Some(Prices::ARM64));
        assert_eq!(told("none"), None);
        let tasks = TasksSettings::read(&but("", None)).unwrap();
        assert_eq!(tasks.subnets, ["subnet-1", "subnet-2"]);
        assert_eq!(tasks.registries, [""; 0]);
        assert!(tasks.public_ip && tasks.is_arm && !tasks.spot);
    }

    #[test]
    fn a_bad_variable_is_named() {
        let named = |name: &str, error: BadVariable| {
            let error = error.to_string();
            assert!(error.starts_with(&format!("the environment variable {name} is ")), "{error}");
        };
        for (name, value) in [
            ("TARPON_STACK", None),
            ("TARPON_STACK", Some(" ")),
            ("TARPON_PUBLIC_URL", None),
            ("TARPON_PUBLIC_URL", Some("api.example")),
            ("TARPON_PUBLIC_URL", Some("https://api.example/")),
            ("TARPON_MASTER_KEY_SECRET", Some("")),
            ("TARPON_LOG", Some("shared=loud")),
            ("TARPON_PRICES", Some("0.04")),
        ] {
            named(name, Settings::read(&but(name, value)).unwrap_err());
        }
        for (name, value) in [
            ("TARPON_AGENT_IMAGE", None),
            ("TARPON_SUBNETS", Some("")),
            ("TARPON_PUBLIC_IP", Some("yes")),
            ("TARPON_ARCHITECTURE", Some("amd64")),
            ("TARPON_SPOT", Some("TRUE")),
            ("TARPON_SERVICE", Some("here")),
        ] {
            named(name, TasksSettings::read(&but(name, value)).unwrap_err());
        }
    }
}
