//! Objects, and folders of them, that are there as files: those of a task, and
//! those of the environment that it runs in.

use shared::wire::submit::{InputRequest, SourceRequest};

use crate::{
    faults::Fault,
    fields::Fields,
    submit::paths::{self, Remote},
};

/// An input mapping, within the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    from: Remote,
    to: String,
}

/// The `InputMappings` of a task, or of an environment.
pub(crate) fn read(fields: &mut Fields) -> Result<Vec<Mapping>, Fault> {
    let mut all = Vec::new();
    for mut mapping in fields.objects("InputMappings")? {
        let from = mapping.said("SourcePath")?;
        let from = Remote::parse(&mapping.path("SourcePath"), &from)?;
        let to = mapping.said("DestinationPath")?;
        paths::local(&mapping.path("DestinationPath"), &to)?;
        mapping.ignore(&["MountOptionParameter", "MountType"]);
        mapping.end()?;
        let name = if to.ends_with('/') && !from.is_folder() { from.file_name() } else { "" };
        let to = format!("{to}{name}");
        all.push(Mapping { from, to });
    }
    Ok(all)
}

/// What a task finds: its own, and of its environment's what they do not hide.
pub(crate) fn found(common: &[Mapping], own: &[Mapping]) -> Vec<InputRequest> {
    let is_hidden = |mapping: &Mapping| own.iter().any(|own| own.place() == mapping.place());
    let common = common.iter().filter(|mapping| !is_hidden(mapping));
    common.chain(own).map(Mapping::request).collect()
}

impl Mapping {
    /// Where it is, with or without a slash at its end.
    fn place(&self) -> &str {
        self.to.trim_end_matches('/')
    }

    fn request(&self) -> InputRequest {
        let source = if self.from.is_folder() {
            SourceRequest::Folder(self.from.folder())
        } else {
            SourceRequest::Object(self.from.object())
        };
        InputRequest { path: self.to.clone(), source, mode: None }
    }
}
