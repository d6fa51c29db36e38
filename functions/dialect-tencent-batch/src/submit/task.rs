//! One task: what it says, and the request of ours that it becomes.

use std::collections::BTreeMap;

use shared::{
    job::{MAX_INSTANCES, Name},
    wire::submit::{
        InputRequest, OutputRequest, ResourcesRequest, RetryRequest, SourceRequest, TaskRequest,
    },
};

use crate::{
    faults::Fault,
    fields::Fields,
    submit::{
        command::Command,
        env::{self, Env},
        inputs::{self, Mapping},
        login::Login,
        paths::{self, Remote},
        streams::{self, LocalFile},
    },
};

/// The longest name of a task, in characters.
const NAME_LENGTH: usize = 60;

/// Attempts after the first, at most.
const MOST_RETRIES: u32 = 19;

/// The longest that a process may run, in seconds.
const LONGEST: u32 = 14 * 24 * 3_600;

/// What becomes of the machine of an instance that failed.
pub(crate) const FAILED_ACTIONS: [&str; 3] = ["TERMINATE", "INTERRUPT", "FAST_INTERRUPT"];

/// Where a task runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    /// On machines of its own.
    Own(Env),
    /// In the environment of this id.
    Shared(String),
}

/// A task, read and within the rules.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) name: String,
    pub(crate) place: Place,
    /// The image that it names itself.
    pub(crate) image: Option<String>,
    pub(crate) login: Option<Login>,
    command: Command,
    files: [Option<LocalFile>; 2],
    inputs: Vec<Mapping>,
    /// All but the image, the command, the inputs, the resources, and what comes
    /// before.
    request: TaskRequest,
}

/// The name of a task, within the rules.
pub(crate) fn check_name(path: &str, name: &str) -> Result<(), Fault> {
    if name.chars().count() > NAME_LENGTH {
        let message = format!("`{path}` is longer than {NAME_LENGTH} characters.");
        return Err(Fault::new("InvalidParameter.TaskNameTooLong", message));
    }
    name.parse::<Name>().map(|_| ()).map_err(|_| {
        let message = format!("`{path}`: a name is letters, digits, `_`, `-` and `.`.");
        Fault::new("InvalidParameter.TaskName", message)
    })
}

impl Task {
    pub(crate) fn read(mut fields: Fields, region: Option<&str>) -> Result<Self, Fault> {
        let name = fields.said("TaskName")?;
        check_name(&fields.path("TaskName"), &name)?;
        let place = place(&mut fields, region)?;
        let application = fields.object("Application")?;
        let mut application = fields.needed("Application", application)?;
        let command = Command::read(&mut application)?;
        let (image, login) = docker(application.object("Docker")?)?;
        application.end()?;
        let instances = instances(&mut fields, &command)?;
        let retry = retry(&mut fields)?;
        let timeout_seconds = positive(&mut fields, "Timeout", LONGEST)?;
        let max_concurrent = positive(&mut fields, "MaxConcurrentNum", MAX_INSTANCES)?;
        let [stdout_to, stderr_to] = streams::to_objects(fields.object("RedirectInfo")?, &name)?;
        let files = streams::to_files(fields.object("RedirectLocalInfo")?)?;
        let inputs = inputs::read(&mut fields)?;
        let outputs = outputs(&mut fields)?;
        let env = variables(&mut fields)?;
        not_our_concern(&mut fields)?;
        fields.end()?;
        let request = TaskRequest {
            name: Some(name.clone()),
            env,
            outputs,
            stdout_to,
            stderr_to,
            instances: Some(instances),
            max_concurrent,
            retry,
            timeout_seconds,
            ..TaskRequest::default()
        };
        Ok(Task { name, place, image, login, command, files, inputs, request })
    }

    /// How many instances it has.
    pub(crate) fn instances(&self) -> u32 {
        self.request.instances.unwrap_or(1)
    }

    /// The request, with this image, on machines like this, after others.
    pub(crate) fn request(self, image: String, env: &Env, shared: bool) -> TaskRequest {
        let mut inputs = inputs::found(&env.inputs, &self.inputs);
        if let Some((remote, path)) = self.command.package() {
            let source = SourceRequest::Object(remote.object());
            inputs.push(InputRequest { path, source, mode: None });
        }
        let (entrypoint, command) = self.command.words(&env.folders, &self.files);
        TaskRequest {
            image,
            entrypoint: Some(entrypoint),
            command: Some(command),
            inputs,
            // The machines of a queue are the queue's own.
            resources: if shared { ResourcesRequest::default() } else { env.resources },
            ..self.request
        }
    }
}

fn place(fields: &mut Fields, region: Option<&str>) -> Result<Place, Fault> {
    let own = fields.object("ComputeEnv")?;
    let shared = fields.text("EnvId")?.filter(|id| !id.is_empty());
    match (own, shared) {
        (Some(own), None) => Ok(Place::Own(env::own(own, region)?)),
        (None, Some(id)) => {
            crate::envs::check_id(&fields.path("EnvId"), &id)?;
            Ok(Place::Shared(id))
        }
        (Some(_), Some(_)) | (None, None) => {
            let path = fields.path("EnvId");
            let message = format!("`{path}`: exactly one of it and `ComputeEnv` is given.");
            Err(Fault::new("AllowedOneAttributeInEnvIdAndComputeEnv", message))
        }
    }
}

/// The image, and who may fetch it.
fn docker(fields: Option<Fields>) -> Result<(Option<String>, Option<Login>), Fault> {
    let Some(mut fields) = fields else { return Ok((None, None)) };
    let image = fields.said("Image")?;
    let server = fields.text("Server")?.filter(|server| !server.is_empty());
    let user = fields.text("User")?.filter(|user| !user.is_empty());
    let password = fields.text("Password")?.filter(|password| !password.is_empty());
    // A registry that does not answer is asked again in any case.
    fields.count("MaxRetryCount", u32::MAX)?;
    fields.count("DelayOnRetry", u32::MAX)?;
    let options = fields.text("DockerRunOption")?.filter(|options| !options.trim().is_empty());
    if options.is_some() {
        let rule = "options of `docker run` are not supported: they could open the container";
        return Err(Fault::value(&fields.path("DockerRunOption"), rule));
    }
    let image = match server {
        Some(server) if !image.starts_with(&format!("{server}/")) => format!("{server}/{image}"),
        Some(_) | None => image,
    };
    let login = match (user, password) {
        (Some(user), Some(password)) => Some(Login { user, password }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(Fault::combination("`User` and `Password` go together."));
        }
    };
    fields.end()?;
    Ok((Some(image), login))
}

fn instances(fields: &mut Fields, command: &Command) -> Result<u32, Fault> {
    let path = fields.path("TaskInstanceNum");
    let said = fields.count("TaskInstanceNum", MAX_INSTANCES)?;
    let unfit = |message: String| Err(Fault::new("InvalidParameterValue.TaskInstanceNum", message));
    match (said, command.instances()) {
        (Some(0), _) => unfit(format!("`{path}`: a task has at least one instance.")),
        (Some(said), Some(commands)) if said != commands => {
            unfit(format!("`{path}` is {said}, and there are {commands} commands."))
        }
        (Some(said), _) => Ok(said),
        (None, commands) => Ok(commands.unwrap_or(1)),
    }
}

fn retry(fields: &mut Fields) -> Result<RetryRequest, Fault> {
    let action = fields.word("FailedAction", &FAILED_ACTIONS)?;
    let retries = bounded(fields, "MaxRetryCount", MOST_RETRIES)?.unwrap_or(0);
    // What it is about, a machine that could not be had, is tried again anyway.
    bounded(fields, "ResourceMaxRetryCount", 100)?;
    // The first failure is the one to be looked into.
    let retries = if action == "FAST_INTERRUPT" { 0 } else { retries };
    Ok(RetryRequest { max_attempts: Some(retries + 1), ..RetryRequest::default() })
}

fn bounded(fields: &mut Fields, name: &str, most: u32) -> Result<Option<u32>, Fault> {
    let path = fields.path(name);
    match fields.count(name, u32::MAX)? {
        Some(said) if said > most => {
            let message = format!("`{path}` is larger than {most}.");
            Err(Fault::new("InvalidParameterValue.MaxRetryCount", message))
        }
        said => Ok(said),
    }
}

fn positive(fields: &mut Fields, name: &str, most: u32) -> Result<Option<u32>, Fault> {
    match fields.count(name, most)? {
        Some(0) => Err(Fault::value(&fields.path(name), "it is at least 1")),
        said => Ok(said),
    }
}

fn outputs(fields: &mut Fields) -> Result<Vec<OutputRequest>, Fault> {
    let mut outputs = Vec::new();
    for mut mapping in fields.objects("OutputMappings")? {
        let from = mapping.said("SourcePath")?;
        paths::local(&mapping.path("SourcePath"), &from)?;
        let to = mapping.said("DestinationPath")?;
        paths::check_literal(&mapping.path("DestinationPath"), &to)?;
        let remote = Remote::parse(&mapping.path("DestinationPath"), &to)?;
        if let Some(mut option) = mapping.object("OutputMappingOption")? {
            option.word("Workspace", &["BATCH_WORKSPACE", "GLOBAL_WORKSPACE"])?;
            option.end()?;
        }
        mapping.end()?;
        let many = remote.is_folder() || from.ends_with('/');
        outputs.push(OutputRequest::to(from, if many { remote.folder() } else { remote.object() }));
    }
    for mut config in fields.objects("OutputMappingConfigs")? {
        config.word("Scene", &["COS"])?;
        config.count("WorkerNum", u32::MAX)?;
        config.count("WorkerPartSize", u32::MAX)?;
        config.end()?;
    }
    Ok(outputs)
}

fn variables(fields: &mut Fields) -> Result<BTreeMap<String, String>, Fault> {
    let mut all = BTreeMap::new();
    for mut variable in fields.objects("EnvVars")? {
        let name = variable.said("Name")?;
        all.insert(name, variable.text("Value")?.unwrap_or_default());
        variable.end()?;
    }
    Ok(all)
}

/// Buckets are the project's own, by the key that signed; a node that is none
/// is not restarted.
fn not_our_concern(fields: &mut Fields) -> Result<(), Fault> {
    for mut authentication in fields.objects("Authentications")? {
        authentication.word("Scene", &["COS"])?;
        authentication.ignore(&["SecretId", "SecretKey"]);
        authentication.end()?;
    }
    fields.flag("RestartComputeNode").map(|_| ())
}
