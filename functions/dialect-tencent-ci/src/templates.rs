//! Templates: an operation with some of its values, saved under an id.
//!
//! One is a template of ours as well, under that id: the operation's, with
//! those values for standards. So it can be run through any API.

use data_encoding::HEXLOWER;
use http::StatusCode;
use shared::{
    job::{Name, Origin},
    ops::templates::{self as ours, Template},
};

use crate::{
    asker::Asker,
    faults::Fault,
    jobs::operation,
    order::{one_of, required, settings},
    query::{Page, parameter},
    tree::Fields,
    words::{self, API, PIC_PROCESS},
};

/// The most characters of a name.
const MOST_NAME: usize = 64;

/// What a template has that is kept, or shown, in a place of its own.
const KNOWN: [&str; 7] =
    ["Tag", "Name", "TemplateId", "BucketId", "Category", "CreateTime", "UpdateTime"];

/// What clients said of a template.
pub struct Saved {
    /// The bucket that it was said in.
    bucket: String,
    /// What names its operation.
    pub tag: String,
    /// What they call it.
    pub name: String,
    /// The values, as they were said.
    rest: Fields,
}

impl Saved {
    fn read(asker: &Asker<'_>, asked: &Fields) -> Result<Self, Fault> {
        let tag = required(asked, "Tag", "Tag")?;
        let name = required(asked, "Name", "Name")?;
        let sound = |c: char| c.is_alphanumeric() || "_-*".contains(c);
        if name.chars().count() > MOST_NAME || !name.chars().all(sound) {
            let rule = format!("it is at most {MOST_NAME} letters, digits, `_`, `-` and `*`");
            return Err(Fault::argument("Name", &rule));
        }
        if tag == PIC_PROCESS {
            let picture = asked.fields(PIC_PROCESS).cloned().unwrap_or_default();
            required(&picture, "ProcessRule", "PicProcess.ProcessRule")?;
            one_of(&picture, "IsPicInfo", "PicProcess.IsPicInfo", &["true", "false"])?;
        }
        Ok(Saved {
            bucket: asker.place.bucket.to_string(),
            tag: tag.to_owned(),
            name: name.to_owned(),
            rest: rest(asked),
        })
    }

    /// As it is kept with the template.
    fn origin(&self) -> Origin {
        let kept = Fields::new()
            .with("BucketId", self.bucket.as_str())
            .with("Tag", self.tag.as_str())
            .with("Name", self.name.as_str())
            .and(self.rest.clone());
        Origin { api: API.into(), request: kept.xml("Template") }
    }

    fn of(template: &Template) -> Option<Self> {
        let origin = template.origin.as_ref().filter(|origin| origin.api == API)?;
        let kept = Fields::read("Template", origin.request.as_bytes()).ok()?;
        let text = |name| kept.text(name).map(str::to_owned);
        Some(Saved {
            bucket: text("BucketId")?,
            tag: text("Tag")?,
            name: text("Name")?,
            rest: rest(&kept),
        })
    }
}

fn rest(fields: &Fields) -> Fields {
    fields.only(|name| !KNOWN.contains(&name))
}

/// The template of this id, and what was said of it.
pub async fn find(asker: &Asker<'_>, id: &str) -> Result<(Template, Saved), Fault> {
    let found = match id.parse::<Name>() {
        Ok(name) => ours::load(asker.service, asker.project, &name).await?,
        Err(_) => None,
    };
    let saved = found.and_then(|template| Saved::of(&template).map(|saved| (template, saved)));
    saved.ok_or_else(|| {
        let message = "The specified template does not exist.";
        Fault::new(StatusCode::NOT_FOUND, "NoSuchTemplate", message)
    })
}

/// Saves a template under a new id.
pub async fn create(asker: &Asker<'_>, asked: &Fields) -> Result<Fields, Fault> {
    let saved = Saved::read(asker, asked)?;
    let digits = HEXLOWER.encode(&asker.service.platform.clock.random::<16>());
    let id = format!("t1{digits}");
    let id = id.parse().map_err(|_| Fault::argument("TemplateId", "it cannot be made"))?;
    put(asker, id, &saved).await
}

/// Saves a template in the place of another.
pub async fn update(asker: &Asker<'_>, id: &str, asked: &Fields) -> Result<Fields, Fault> {
    let (template, _) = find(asker, id).await?;
    let saved = Saved::read(asker, asked)?;
    put(asker, template.name, &saved).await
}

async fn put(asker: &Asker<'_>, id: Name, saved: &Saved) -> Result<Fields, Fault> {
    let operation = operation(asker, &saved.tag).await?;
    if Saved::of(&operation).is_some() {
        return Err(Fault::argument("Tag", "a template is not made of another"));
    }
    let values = settings(&saved.tag, &saved.rest, &operation);
    let draft = ours::drafted(asker.service, asker.project, operation, values)?;
    let draft = ours::Draft { origin: Some(saved.origin()), ..draft };
    let (template, _) = ours::put(asker.service, asker.project, id, draft).await?;
    Ok(asker.answer().with("Template", view(&template, saved)))
}

/// The bucket's templates, of certain ids, names or tags.
pub async fn list(asker: &Asker<'_>, query: &[(String, String)]) -> Result<Fields, Fault> {
    let page = Page::of(query)?;
    let said = |name: &str| parameter(query, name);
    let official = match said("category") {
        None | Some("Custom") => false,
        Some("Official") => true,
        Some(_) => return Err(Fault::argument("category", "it is Official or Custom")),
    };
    let ids: Option<Vec<&str>> = said("ids").map(|ids| ids.split(',').collect());
    let admits = |template: &Template, saved: &Saved| {
        // No rule of processing comes with an installation.
        !official
            && saved.bucket == asker.place.bucket.as_str()
            && said("tag").is_none_or(|tag| saved.tag == tag)
            && said("name").is_none_or(|start| saved.name.starts_with(start))
            && ids.as_ref().is_none_or(|ids| ids.contains(&template.name.as_str()))
    };
    let all = ours::list(asker.service, asker.project).await?;
    let found = all.into_iter().filter_map(|template| {
        let saved = Saved::of(&template)?;
        admits(&template, &saved).then_some((template, saved))
    });
    let found: Vec<_> = found.collect();
    let total = found.len();
    let shown: Vec<Fields> =
        page.on(found).map(|(template, saved)| view(&template, &saved)).collect();
    Ok(page.said(asker.answer(), total).with("TemplateList", shown))
}

/// Forgets a template.
pub async fn delete(asker: &Asker<'_>, id: &str) -> Result<Fields, Fault> {
    let (template, _) = find(asker, id).await?;
    ours::delete(asker.service, asker.project, &template.name).await?;
    Ok(asker.answer().with("TemplateId", id))
}

/// A template, as this API shows it.
fn view(template: &Template, saved: &Saved) -> Fields {
    let time = |at: Option<jiff::Timestamp>| at.map(words::time);
    Fields::new()
        .with("Tag", saved.tag.as_str())
        .with("TemplateId", template.name.as_str())
        .with("Name", saved.name.as_str())
        .with("BucketId", saved.bucket.as_str())
        .with("Category", "Custom")
        .and(saved.rest.clone())
        .with_some("CreateTime", time(template.created_at))
        .with_some("UpdateTime", time(template.updated_at))
}
