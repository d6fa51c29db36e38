//! What is asked of an operation: read, kept with its job, and turned into the
//! values that its template takes.

use serde_json::Value as Json;
use shared::{
    job::{Destination, JobSpec, Name, Origin},
    ops::templates::{Parameter, ParameterType, Template},
    wire::submit::check_object_key,
};

use crate::{
    faults::Fault,
    place::Place,
    tree::Fields,
    words::{API, Kind, PIC_PROCESS},
};

/// The most bytes that are passed through.
const MOST_USER_DATA: usize = 1_024;

/// The parameter of a template that its rule of processing is for, and the
/// element that says it.
const RULES: (&str, &str) = ("rules", "ProcessRule");

/// What was asked of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The bucket that it was asked in.
    pub bucket: String,
    /// That bucket's region, as far as it is known.
    pub region: String,
    /// What names the operation.
    pub tag: String,
    /// The service.
    pub kind: Kind,
    /// The object to process.
    pub object: String,
    /// What the template is called that it was asked by.
    pub template_name: Option<String>,
    /// All that was said of it, as it was said.
    pub operation: Fields,
}

impl Order {
    /// Every order of a request.
    pub fn read(place: &Place, kind: Kind, asked: &Fields) -> Result<Vec<Self>, Fault> {
        let tag = required(asked, "Tag", "Tag")?;
        let object = asked.fields("Input").and_then(|input| input.text("Object"));
        let object = object.ok_or_else(|| Fault::argument("Input.Object", "it is required"))?;
        check_object_key("Input.Object", object)?;
        let operations: Vec<_> = asked.all("Operation").collect();
        if operations.is_empty() {
            return Err(Fault::argument("Operation", "it is required"));
        }
        let order = |operation: &Fields| {
            check(operation)?;
            if tag == PIC_PROCESS && operation.fields("Output").is_none() {
                return Err(Fault::argument("Operation.Output", "it is required"));
            }
            let output = operation.fields("Output").and_then(|output| output.text("Region"));
            Ok(Order {
                bucket: place.bucket.to_string(),
                region: place.region.clone().or(output.map(str::to_owned)).unwrap_or_default(),
                tag: tag.to_owned(),
                kind: kind.of_tag(tag),
                object: object.to_owned(),
                template_name: None,
                operation: operation.clone(),
            })
        };
        operations.into_iter().map(order).collect()
    }

    /// As it is kept with its job.
    pub fn origin(&self) -> Origin {
        let kept = Fields::new()
            .with("BucketId", self.bucket.as_str())
            .with("Region", self.region.as_str())
            .with("Tag", self.tag.as_str())
            .with("Kind", self.kind.word())
            .with("Object", self.object.as_str())
            .with_some("TemplateName", self.template_name.as_deref())
            .with("Operation", self.operation.clone());
        Origin { api: API.into(), request: kept.xml("Order") }
    }

    /// What the job was asked with, if it was asked of this API.
    pub fn of(spec: &JobSpec) -> Option<Self> {
        let origin = spec.origin.as_ref().filter(|origin| origin.api == API)?;
        let kept = Fields::read("Order", origin.request.as_bytes()).ok()?;
        let text = |name: &str| kept.text(name).unwrap_or_default().to_owned();
        Some(Order {
            bucket: text("BucketId"),
            region: text("Region"),
            tag: text("Tag"),
            kind: kept.text("Kind").and_then(Kind::of_word)?,
            object: text("Object"),
            template_name: kept.text("TemplateName").map(str::to_owned),
            operation: kept.fields("Operation").cloned().unwrap_or_default(),
        })
    }

    /// The template that it is asked by.
    pub fn template(&self) -> Option<&str> {
        self.operation.text("TemplateId")
    }

    /// Where its result goes, `bucket/key`.
    pub fn output(&self) -> Option<String> {
        let output = self.operation.fields("Output")?;
        Some(format!("{}/{}", output.text("Bucket")?, output.text("Object")?))
    }

    /// How much it is preferred to others.
    pub fn level(&self) -> i16 {
        self.operation.text("JobLevel").and_then(|level| level.parse().ok()).unwrap_or_default()
    }

    /// The values of what its template takes, as far as they are said.
    pub fn values(&self, template: &Template) -> Result<serde_json::Map<String, Json>, Fault> {
        let mut values = settings(&self.tag, &self.operation, template);
        if template.parameters.contains_key("input") {
            values.insert("input".into(), format!("{}/{}", self.bucket, self.object).into());
        }
        if template.parameters.contains_key("output") {
            let output = self.output();
            let output =
                output.ok_or_else(|| Fault::argument("Operation.Output", "it is required"))?;
            values.insert("output".into(), output.into());
        }
        Ok(values)
    }
}

/// The values that a tag's own element says, or the element that it is in.
pub fn settings(tag: &str, fields: &Fields, template: &Template) -> serde_json::Map<String, Json> {
    let own = fields.fields(tag);
    let mut values = serde_json::Map::new();
    for (name, parameter) in &template.parameters {
        let (ours, theirs) = RULES;
        let said = if name == ours { theirs } else { name };
        let value = own.and_then(|own| value(own, said, parameter));
        let value = value.or_else(|| self::value(fields, said, parameter));
        if let Some(value) = value.filter(|_| !["input", "output"].contains(&name.as_str())) {
            values.insert(name.clone(), value);
        }
    }
    values
}

/// An element's text in the type that the parameter has; what is of another is
/// left for the parameter's own rules to refuse.
fn value(fields: &Fields, name: &str, parameter: &Parameter) -> Option<Json> {
    let single = |kind, text: &str| match kind {
        ParameterType::Integer | ParameterType::Number | ParameterType::Boolean => {
            serde_json::from_str(text).unwrap_or_else(|_| Json::from(text))
        }
        ParameterType::String | ParameterType::Enum | ParameterType::List => Json::from(text),
    };
    if parameter.kind == ParameterType::List {
        let kind = parameter.items.unwrap_or(ParameterType::String);
        let items: Vec<Json> = fields.texts(name).map(|text| single(kind, text)).collect();
        return (!items.is_empty()).then(|| items.into());
    }
    fields.text(name).map(|text| single(parameter.kind, text))
}

/// The text of an element that has to be there.
pub fn required<'f>(fields: &'f Fields, name: &str, called: &str) -> Result<&'f str, Fault> {
    fields.text(name).ok_or_else(|| Fault::argument(called, "it is required"))
}

/// One of these words, if any.
pub fn one_of<'f>(
    fields: &'f Fields,
    name: &str,
    called: &str,
    known: &[&str],
) -> Result<Option<&'f str>, Fault> {
    match fields.text(name) {
        Some(word) if !known.contains(&word) => {
            Err(Fault::argument(called, &format!("it is one of {}", known.join(", "))))
        }
        word => Ok(word),
    }
}

/// Refuses what breaks a rule, whatever the operation is.
fn check(operation: &Fields) -> Result<(), Fault> {
    one_of(operation, "JobLevel", "Operation.JobLevel", &["0", "1", "2"])?;
    if let Some(data) = operation.text("UserData") {
        let printable = data.bytes().all(|b| (0x20..0x7f).contains(&b));
        if data.len() > MOST_USER_DATA || !printable {
            let rule = "it is at most 1024 printable ASCII characters";
            return Err(Fault::argument("Operation.UserData", rule));
        }
    }
    if let Some(picture) = operation.fields("PicProcess") {
        let name = "Operation.PicProcess.IsPicInfo";
        one_of(picture, "IsPicInfo", name, &["true", "false"])?;
    }
    let Some(output) = operation.fields("Output") else { return Ok(()) };
    required(output, "Region", "Operation.Output.Region")?;
    let bucket = required(output, "Bucket", "Operation.Output.Bucket")?;
    let named: Result<Name, _> = bucket.parse();
    named.map_err(|_| Fault::argument("Operation.Output.Bucket", "it is no name of a bucket"))?;
    let key = required(output, "Object", "Operation.Output.Object")?;
    if key.ends_with('/') {
        return Err(Fault::argument("Operation.Output.Object", "it is the key of one object"));
    }
    check_literal("Operation.Output.Object", key)?;
    Ok(check_object_key("Operation.Output.Object", key)?)
}

/// Refuses what we would fill in where results are put: here it stands for
/// itself, and the object would have another name than the one that is told.
fn check_literal(name: &str, key: &str) -> Result<(), Fault> {
    match Destination::filled_in(key) {
        None => Ok(()),
        Some(word) => {
            Err(Fault::argument(name, &format!("no object can have `{word}` in its name")))
        }
    }
}
